"""Measure ``--engine ray`` and write the figures into docs/scale.md.

    python benchmarks/scale.py --data FOLDER                  100,000 clips on 1, 2 and 4 workers, and one process
    python benchmarks/scale.py --clips 2000 --workers 1 2     a short version, which is printed only
    python benchmarks/scale.py --kills 20 --clips 4000        kill a random worker 20 times; nothing lost, nothing twice

Clips are repeated until there are enough. A rate counts the clips after the first partition, so without start-up.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
ASKED = {"min_confidence": None, "profile": None, "channel": "auto", "strict": False}


@dataclass
class Measured:
    """One run."""

    workers: int
    clips: int
    total: float  # s, from the connection to Ray to the last row
    rate: float  # clips/s after the first partition
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
    rate = (listing.total - told[min(told)].inputs) / (times[-1] - times[0]) if len(times) > 1 else 0.0
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
    measured, told = on_ray(recognizer, listing, folder / "kills", 2, kills=number)
    paths = [
        path
        for part in sorted((folder / "kills" / "rows").iterdir())
        for path in pq.read_table(part)["path"].to_pylist()
    ]
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


def page(
    runs: list[Measured], alone: Measured, seconds: float, read: float, killed: str | None, command: str, model: str
) -> str:
    """The figures as Markdown."""
    by = {run.workers: run for run in runs}
    lines = [
        f"Written by `{command}`. {machine()} Model {model}; clips of {seconds:.2f} s and {read / 1000:.0f} kB on "
        "average.",
        "",
        "| workers | clips | time with start-up | clips/s after start-up | against one process |",
        "| --- | --- | --- | --- | --- |",
        f"| one process, one thread | {alone.clips:,} | {alone.total:.0f} s | {alone.rate:.1f} | 1 |",
    ]
    lines += [
        f"| {run.workers} | {run.clips:,} | {run.total:.0f} s | {run.rate:.1f} | {run.rate / alone.rate:.2f} |"
        for run in runs
    ]
    lines += [""]
    if 1 in by:
        overhead = alone.rate / by[1].rate - 1
        lines.append(f"Ray's overhead on one worker: {overhead:.1%} (target: under 10 %).")
    if 2 in by:
        lines.append(
            f"Two workers are {by[2].rate / alone.rate:.2f} times one process (target: at least 1.8 on 2 cores)."
        )
    lines += ["", f"Memory with {runs[-1].workers} workers: {flat(runs[-1].memory)}.", ""]
    if killed:
        lines += [killed, ""]
    plan = planned(by.get(1, runs[0]), seconds, read)
    lines += [
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


def write(text: str) -> None:
    """Put the figures between the markers of the page."""
    before = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(r"(<!-- measured -->\n).*?(\n<!-- /measured -->)", re.DOTALL)
    assert pattern.search(before), f"{PAGE.name} has no region <!-- measured --> … <!-- /measured -->."
    PAGE.write_text(pattern.sub(lambda found: found[1] + text + found[2], before), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with ravdess/; without it, synthetic voices")
    parser.add_argument("--clips", type=int, default=100_000, help="how many; fewer than 100,000 are only printed")
    parser.add_argument("--alone", type=int, default=3000, help="how many of them one process answers")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--partition", type=int, default=256)
    parser.add_argument("--kills", type=int, default=0, help="only kill so many workers, and check the rows")
    parser.add_argument("--model", default="default")
    parser.add_argument("--write", action="store_true", help="write the page although there are fewer clips")
    arguments = parser.parse_args()
    command = "python benchmarks/scale.py " + " ".join(
        "DATA" if word == str(arguments.data) else word for word in sys.argv[1:]
    )
    _, found = all_clips(arguments.data)
    chosen = [str(path) for path in found]
    random.Random(0).shuffle(chosen)
    recognizer = serkit.load(arguments.model)
    sample = chosen[:200]
    seconds = sum(probe(path).duration or 0.0 for path in sample) / len(sample)
    read = sum(Path(path).stat().st_size for path in sample) / len(sample)
    clips = (Input(chosen[k % len(chosen)]) for k in range(arguments.clips))
    listing = Listing(clips, min(arguments.partition, max(1, arguments.clips // 20)))
    size = len(listing.part(0))
    with tempfile.TemporaryDirectory() as folder:
        if arguments.kills:
            print(kills(recognizer, listing, Path(folder), arguments.kills))
            return
        count = min(arguments.clips, arguments.alone)
        alone = one_process(recognizer, [chosen[k % len(chosen)] for k in range(count)], min(size, count // 4))
        print(f"One process: {alone.rate:.1f} clips/s", flush=True)
        runs = []
        for workers in arguments.workers:
            run, _ = on_ray(recognizer, listing, Path(folder, f"on-{workers}"), workers)
            runs.append(run)
            print(f"{workers} workers: {run.rate:.1f} clips/s, {run.total:.0f} s, {flat(run.memory)}", flush=True)
        again = one_process(recognizer, [chosen[k % len(chosen)] for k in range(count)], min(size, count // 4))
        print(f"One process again: {again.rate:.1f} clips/s", flush=True)
        alone.rate = (alone.rate + again.rate) / 2  # before and after, for a machine whose speed changes
    manifest = recognizer.bundle.manifest
    killed: str | None = None
    if arguments.clips >= 100_000 or arguments.write:
        words: list[Any] = [sys.executable, __file__, "--kills", 20, "--clips", min(arguments.clips, 8000)]
        words += ["--data", arguments.data] if arguments.data else []
        killed = subprocess.run([*map(str, words)], capture_output=True, text=True, check=True).stdout.strip()
    text = page(runs, alone, seconds, read, killed, command.strip(), f"{manifest.name} {manifest.version}")
    if arguments.clips >= 100_000 or arguments.write:
        write(text)
    print(text)


if __name__ == "__main__":
    main()
