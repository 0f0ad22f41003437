"""``--engine ray``: recordings answered on a cluster, into a folder of partitions."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import typer

from serkit import terminal
from serkit.cli.options import Cluster
from serkit.cli.runs import count, failures_of, report_skipped
from serkit.errors import SerkitError

if TYPE_CHECKING:
    from serkit.recognition.recognizer import Recognizer
    from serkit.scale.parts import Marker
    from serkit.scale.work import Format

__all__ = ["Again", "answer_on_ray"]

_PARTITION = {False: 256, True: 16}  # recordings, of predictions and of timelines
_NAMED = 5  # files skipped that are named


class Again(NamedTuple):
    """What happens to a folder that exists."""

    resume: bool
    retry_failed: bool
    force: bool


class _Found:
    """The counts of a run, of the partitions that are there as well."""

    def __init__(self) -> None:
        self.inputs = self.failed = self.truncated = 0
        self.problems: dict[int, list[Any]] = {}

    def add(self, number: int, marker: Marker) -> None:
        self.inputs += marker.inputs
        self.failed += marker.failed
        self.truncated += marker.truncated
        if marker.problems:
            self.problems[number] = marker.problems
            while sum(map(len, self.problems.values())) > 2 * terminal.MOST_FAILURES:
                self.problems.pop(max(self.problems))

    def report(self, errors: str) -> None:
        """Print on standard error what failed and what breaks off."""
        first = [problem for _, problems in sorted(self.problems.items()) for problem in problems]
        for kind, number, what in (
            ("failed", self.failed, ""),
            ("breaks off", self.truncated, "what could be read is answered"),
        ):
            if number:
                named = ((one.path, one.reason) for one in first if one.problem == kind)
                heading = f"ser: {failures_of(number, self.inputs)}"
                if kind != "failed":
                    heading = f"ser: {count(number, 'input breaks', 'inputs break')} off, of {self.inputs}; {what}"
                terminal.print_failures(heading, named, total=number, rest_in=errors)


def answer_on_ray(
    recognizer: Recognizer,
    paths: Sequence[str],
    out: str | None,
    cluster: Cluster,
    again: Again,
    *,
    asked: dict[str, Any],
    options: dict[str, Any],
    timelines: bool = False,
    recursive: bool = False,
) -> int:
    """Answer the recordings and return the exit code; `asked` are the options of the recognizer, `options` as noted."""
    from serkit._version import __version__
    from serkit.recognition.answer_file import model_key
    from serkit.scale import engine
    from serkit.scale.inputs import Listing, list_inputs
    from serkit.scale.parts import Parts
    from serkit.scale.session import need_ray, session
    from serkit.scale.stores import TIMEOUT, is_address
    from serkit.scale.work import FORMATS, Work
    from serkit.waiting import Waiting

    if out is None or out == "-":
        raise typer.BadParameter("--engine ray writes a folder of partitions: give its name to --out.")
    if "-" in paths:
        raise typer.BadParameter(
            "--engine ray cannot read standard input: give files, folders, manifests or addresses."
        )
    if again.resume and again.force:
        raise typer.BadParameter("--force and --resume exclude each other: the folder is replaced, or continued.")
    if again.retry_failed and not again.resume:
        raise typer.BadParameter("--retry-failed needs --resume: it tries what failed in an earlier run again.")
    form = cluster.format or FORMATS[0]
    if form not in FORMATS:
        raise typer.BadParameter(f"--format takes {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got '{form}'.")
    need_ray("--engine ray")
    waits = cluster.timeout or TIMEOUT
    work = Work(recognizer, cast("Format", form), asked, timelines, waits)
    size = cluster.partition or _PARTITION[timelines]
    manifest = recognizer.bundle.manifest
    relative = any(not is_address(path) and not os.path.isabs(path) for path in paths)  # noqa: PTH117
    made = {
        "serkit": __version__,
        "model": f"{manifest.name} {manifest.version}",
        "model_key": model_key(recognizer.bundle),
        "rows": "timelines" if timelines else "predictions",
        "format": work.format,
        "options": options,
        "columns": work.columns,
        "partition": size,
        "folder": os.getcwd() if relative else None,  # noqa: PTH109 - relative names in the rows start here
    }
    parts = Parts(out, work.format, timeout=waits)
    found, kept, others, skipped = _Found(), 0, [], 0

    def skip(path: Path) -> None:
        nonlocal skipped
        skipped += 1
        if skipped <= _NAMED:
            others.append(path)

    with parts.begin(made, resume=again.resume, force=again.force):
        listing = Listing(list_inputs(paths, recursive=recursive, skipped=skip, timeout=waits), size)
        report_skipped(others, named=True, total=skipped)
        left = []
        for number in range(len(listing)):
            marker = parts.marker(number) if again.resume else None
            same = marker is not None and marker.fingerprint == listing.fingerprint(number)
            if marker is None or not same or (again.retry_failed and marker.failed):
                left.append(number)
            else:
                found.add(number, marker)
                kept += 1
        if again.resume or not parts.replaces:
            parts.clear(len(listing))
        if again.resume:
            there = count(kept, "partition is", "partitions are")
            typer.echo(f"ser: {there} there already, {len(left)} left.", err=True)
        before, todo = found.inputs, listing.total - found.inputs

        def tell(number: int, marker: Marker) -> None:
            parts.begun()
            found.add(number, marker)
            waiting({"stage": "recordings", "done": found.inputs - before, "total": todo})

        interrupted = False
        try:
            if left:
                with session(cluster.address, workers=cluster.workers) as dashboard, Waiting() as waiting:
                    if dashboard:
                        waiting.line(f"Ray's dashboard: {dashboard}")
                    waiting({"stage": "recordings", "done": 0, "total": todo})
                    engine.run(work, parts, listing, left, workers=cluster.workers, tell=tell, say=waiting.line)
        except KeyboardInterrupt:
            interrupted = True
        except SerkitError as error:
            kept_too = " Finished partitions are kept: --resume continues." if found.inputs else ""
            raise SerkitError(f"{error}{kept_too}") from None
        if not interrupted:
            counts = {"inputs": found.inputs, "failed": found.failed, "truncated": found.truncated}
            parts.begun()
            parts.sweep()
            parts.note({**made, "finished": True, **counts})
    found.report(f"{parts.target}/errors")
    if interrupted:
        done = f"{found.inputs} of {listing.total} recordings"
        print(f"ser: interrupted after {done}; --resume continues {terminal.printable(out)}.", file=sys.stderr)
        return 130
    if listing.failed == listing.total:
        return 2
    return 1 if found.failed or found.truncated else 0
