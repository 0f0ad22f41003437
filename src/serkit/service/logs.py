"""The log: a line of JSON for each thing that happened, without sound, file names, keys and addresses."""

from __future__ import annotations

import json
import logging
import sys
import time

__all__ = ["Lines", "start"]


class Lines(logging.Formatter):
    """A record as JSON: time (UTC), level, what happened, and the values in the record's ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "process": record.process,
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__  # its message may hold names
        return json.dumps(line)


def start() -> None:
    """Write the log of the service and of uvicorn to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    for name in ("serkit.service", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
