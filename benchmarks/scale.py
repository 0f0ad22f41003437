"""Measure ``--engine ray`` and write the figures into docs/scale.md.

    python benchmarks/scale.py rates --data FOLDER     one process, then 1, 2 and 4 workers
    python benchmarks/scale.py memory --data FOLDER    100,000 clips on two workers: does memory grow?
    python benchmarks/scale.py kills --data FOLDER     kill a random worker 20 times: nothing lost, nothing twice

``--clips N`` makes a run shorter; it is then only printed. Clips are repeated until there are enough. A rate counts the
clips after as many partitions as there are workers, so without start-up.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import pyarrow.parquet as pq
from measure import ROOT, all_clips, machine

import serkit
from serkit.audio import probe
from serkit.recognition.recognizer import Recognizer
from serkit.scale import engine
from serkit.scale.inputs import Input, Listing
from serkit.scale.parts import Marker, Parts
from serkit.scale.session import session
from serkit.scale.work import Work

PAGE = ROOT / "docs" / "scale.md"
FULL = {"rates": 4000, "memory": 100_000, "kills": 8000}  # clips; a shorter run is only printed
ASKED = {"min_confidence": None, "profile": None, "channel": "auto", "strict": False}


@dataclass
class Measured:
    """One run."""

    workers: int
    clips: int
    total: float  # s, from the connection to Ray to the last row
    rate: float  # clips/s after the first partition of each worker
    memory: list[tuple[float, float]] = field(default_factory=list)  # MiB of the command, of the largest worker
    bytes: int = 0  # of all partitions


def one_process(recognizer: Recognizer, clips: list[str], partition: int) -> Measured:
    """Answer clips in this process, one thread, without writing them."""
    begun = time.perf_counter()
    first = 0.0
    for number, _ in enumerate(recognizer.rows_of(clips, workers=1), 1):
        if number == partition:
            first = time.perf_counter()
    end = time.perf_counter()
    return Measured(0, len(clips), end - begun, (len(clips) - partition) / (end - first))


def on_ray(
    recognizer: Recognizer, listing: Listing, out: Path, workers: int, kills: int = 0
) -> tuple[Measured, dict[int, Marker]]:
    """Answer clips on workers of this machine; kill a random one now and then."""
    told: dict[int, Marker] = {}
    times: list[float] = []
    memory: list[tuple[float, float]] = []
    rng = random.Random(0)
    every = max(1, len(listing) // (kills + 1)) if kills else 0
    done = 0

    def tell(number: int, marker: Marker) -> None:
        nonlocal done
        assert number not in told, f"Partition {number} was made twice."
        told[number] = marker
        times.append(time.perf_counter())
        if done < kills and len(told) % every == 0:
            victim = rng.choice(worker_processes() or [0])
            if victim:
                os.kill(victim, signal.SIGKILL)
                done += 1

    begun = time.perf_counter()
    with session(workers=workers), watching(memory):
        parts = Parts(str(out), "parquet")
        engine.run(Work(recognizer, "parquet", ASKED), parts, listing, range(len(listing)), workers=workers, tell=tell)
    total = time.perf_counter() - begun
    assert done == kills, f"Only {done} of {kills} workers were killed: give more clips."
    size = sum(path.stat().st_size for path in (out / "rows").iterdir())
    # Workers begin together, so when one has finished its first partition the others have nearly: their work counts too
    started = sum(marker.inputs for marker in list(told.values())[:workers])
    rate = (listing.total - started) / (times[-1] - times[workers - 1]) if len(times) > workers else 0.0
    return Measured(workers, listing.total, total, rate, memory, size), told


def worker_processes() -> list[int]:
    """The workers of this process' cluster that hold a model."""
    parents: dict[int, int] = {}
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if b"ray::Worker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return [process for process in found if os.getpid() in ancestors(process, parents)]


def ancestors(process: int, parents: dict[int, int]) -> Iterator[int]:
    while process in parents:
        process = parents[process]
        yield process


@contextlib.contextmanager
def watching(memory: list[tuple[float, float]]) -> Iterator[None]:
    """Note the resident memory of this process and of its largest worker every two seconds."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(2.0):
            workers = [resident(process) for process in worker_processes()]
            memory.append((resident(os.getpid()), max(workers, default=0.0)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def resident(process: int) -> float:
    """Resident memory, MiB."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def flat(memory: list[tuple[float, float]]) -> str:
    """The memory after a tenth of the run and at its end."""
    if len(memory) < 10:
        return "the run was too short to say"
    early = memory[len(memory) // 10]
    late = [max(row[k] for row in memory[-max(3, len(memory) // 10) :]) for k in (0, 1)]
    return (
        f"{early[0]:.0f} → {late[0]:.0f} MiB in the command, {early[1]:.0f} → {late[1]:.0f} MiB in the largest worker "
        "(after a tenth of the run → at its end)"
    )


def kills(recognizer: Recognizer, listing: Listing, folder: Path, number: int) -> str:
    """Kill workers at random; the rows must be those of every recording once, in order."""
    measured, told = on_ray(recognizer, listing, folder, 2, kills=number)
    paths = [path for part in sorted((folder / "rows").iterdir()) for path in pq.read_table(part)["path"].to_pylist()]
    expected = [one.path for k in range(len(listing)) for one in listing.part(k)]
    assert paths == expected, "Rows are lost, or there twice."
    failed = sum(marker.failed for marker in told.values())
    return (
        f"{number} workers killed at random in a run of {listing.total:,} clips on 2 workers: {len(paths):,} rows, in "
        f"order, none twice, none lost, {failed} failed; {measured.total:.0f} s."
    )


def planned(one: Measured, seconds: float, read: float) -> dict[str, float]:
    """What a million hours of clips like these need."""
    hours = 1_000_000
    clips = hours * 3600 / seconds
    return {
        "clips": clips,
        "core_hours": clips / one.rate / 3600,
        "rows_gb": clips * one.bytes / one.clips / 1e9,
        "read_tb": clips * read / 1e12,
        "mb_per_core": one.rate * read / 1e6,
        "realtime": one.rate * seconds,
    }


def rates(recognizer: Recognizer, chosen: list[str], listing: Listing, folder: Path, workers: list[int]) -> str:
    """Clips per second of one process and of workers, and what a million hours need, as Markdown."""
    alone = repeated(chosen, min(listing.total, 3000))
    size = min(len(listing.part(0)), len(alone) // 4)
    first = one_process(recognizer, alone, size)
    print(f"One process: {first.rate:.1f} clips/s", flush=True)
    runs = []
    for number in workers:
        run, _ = on_ray(recognizer, listing, folder / str(number), number)
        runs.append(run)
        print(f"{number} workers: {run.rate:.1f} clips/s, {run.total:.0f} s", flush=True)
    again = one_process(recognizer, alone, size)
    print(f"One process again: {again.rate:.1f} clips/s", flush=True)
    rate = (first.rate + again.rate) / 2  # before and after, for a machine whose speed changes
    sample = chosen[:200]
    seconds = sum(probe(path).duration or 0.0 for path in sample) / len(sample)
    read = sum(Path(path).stat().st_size for path in sample) / len(sample)
    by = {run.workers: run for run in runs}
    lines = [
        f"Clips of {seconds:.2f} s and {read / 1000:.0f} kB on average.",
        "",
        "| workers | clips | time with start-up | clips/s after start-up | against one process |",
        "| --- | --- | --- | --- | --- |",
        f"| one process, one thread | {first.clips:,} | {first.total:.0f} s | {rate:.1f} | 1 |",
    ]
    lines += [
        f"| {run.workers} | {run.clips:,} | {run.total:.0f} s | {run.rate:.1f} | {run.rate / rate:.2f} |"
        for run in runs
    ]
    lines += [""]
    if 1 in by:
        lines.append(f"Ray's overhead on one worker: {rate / by[1].rate - 1:.1%} (target: under 10 %).")
    if 2 in by:
        lines.append(f"Two workers are {by[2].rate / rate:.2f} times one process (target: at least 1.8 on 2 cores).")
    plan = planned(by.get(1, runs[0]), seconds, read)
    lines += [
        "",
        "A million hours of clips like these, by the formulas below:",
        "",
        "| quantity | figure |",
        "| --- | --- |",
        f"| clips | {plan['clips'] / 1e6:,.0f} million |",
        f"| read | {plan['read_tb']:,.1f} TB |",
        f"| rows written (Parquet) | {plan['rows_gb']:,.0f} GB |",
        f"| core-hours | {plan['core_hours']:,.0f} |",
        f"| days on 100 cores | {plan['core_hours'] / 100 / 24:,.1f} |",
        f"| sound answered by a core | {plan['realtime']:,.0f} times real time |",
        f"| bytes that a core reads | {plan['mb_per_core']:.1f} MB/s |",
    ]
    return "\n".join(lines)


def repeated(chosen: list[str], count: int) -> list[str]:
    return [chosen[k % len(chosen)] for k in range(count)]


def write(part: str, text: str) -> None:
    """Put the figures of a part between its markers on the page."""
    before = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- measured: {part} -->\n).*?(\n<!-- /measured: {part} -->)", re.DOTALL)
    assert pattern.search(before), f"{PAGE.name} has no region <!-- measured: {part} --> … <!-- /measured: {part} -->."
    PAGE.write_text(pattern.sub(lambda found: found[1] + text + found[2], before), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(FULL))
    parser.add_argument("--data", type=Path, help="the folder with ravdess/; without it, synthetic voices")
    parser.add_argument("--clips", type=int, help="how many; fewer than by default are only printed")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="of the part rates")
    parser.add_argument("--partition", type=int, default=256)
    parser.add_argument("--model", default="default")
    arguments = parser.parse_args()
    count = arguments.clips or FULL[arguments.part]
    command = " ".join("DATA" if word == str(arguments.data) else word for word in sys.argv[1:])
    _, found = all_clips(arguments.data)
    chosen = [str(path) for path in found]
    random.Random(0).shuffle(chosen)
    recognizer = serkit.load(arguments.model)
    listing = Listing(map(Input, repeated(chosen, count)), min(arguments.partition, max(1, count // 20)))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        if arguments.part == "kills":
            text = kills(recognizer, listing, out, 20)
        elif arguments.part == "memory":
            run, _ = on_ray(recognizer, listing, out, 2)
            text = f"{run.clips:,} clips on 2 workers, {run.total / 60:.0f} minutes: {flat(run.memory)}."
        else:
            text = rates(recognizer, chosen, listing, out, arguments.workers)
    manifest = recognizer.bundle.manifest
    text = (
        f"Written by `python benchmarks/scale.py {command}` on {datetime.now(timezone.utc):%Y-%m-%d}. {machine()} "
        f"Model {manifest.name} {manifest.version}.\n\n{text}"
    )
    if count >= FULL[arguments.part]:
        write(arguments.part, text)
    print(text)


if __name__ == "__main__":
    main()
