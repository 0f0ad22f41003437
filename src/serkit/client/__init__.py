"""The client of ``ser serve`` (extra ``client``): the library's calls and objects, answered by a service.

`calls.py` has every call once, as a generator of requests; `blocking.py` and `awaited.py` send them, one as functions,
one as coroutines.
"""

from __future__ import annotations

try:
    import httpx as _  # noqa: F401
except ImportError as error:
    from serkit.errors import MissingExtraError

    raise MissingExtraError("The client", "httpx", "client") from error

from serkit.client.answers import Job, ServedModel
from serkit.client.awaited import AsyncClient
from serkit.client.blocking import Client
from serkit.client.streams import AsyncLiveStream, LiveStream
from serkit.errors import ServiceError

__all__ = ["AsyncClient", "AsyncLiveStream", "Client", "Job", "LiveStream", "ServedModel", "ServiceError"]
