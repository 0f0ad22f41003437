"""Measure and torment the HTTP service on this machine; write the figures into docs/service.md.

python benchmarks/service.py all                    everything, as long as the page says; about half an hour
python benchmarks/service.py all --quick            everything, a few seconds each, printed only
python benchmarks/service.py start latency          some of: start latency throughput batches load streams slow
                                                    disconnects kill swap fuzz schema bombs

A section of the page is written when all its parts ran, at full length.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from statistics import median
from typing import Any

from measure import ROOT, machine
from service_client import RATE, Service, clip, load, met, served
from service_torment import bombs, disconnects, fuzz, kill, schema, slow, swap

import serkit
from serkit.bundle import locate

PAGE = ROOT / "docs" / "service.md"
#: Targets: model -> clients -> (percentile, ms).
TARGETS = {"fast": {1: (50, 20), 16: (99, 300)}, "default": {1: (50, 60), 16: (99, 900)}}


def start(given: argparse.Namespace) -> list[str]:
    """Time from the command to ready, and memory at rest."""
    lines = []
    for model in ("fast", "default"):
        times, sizes = [], []
        for _ in range(1 if given.quick else 5):
            with served(model) as service:
                times.append(service.started)
                sizes.append(service.memory())
        ready = median(times)
        lines.append(
            f"- `{model}`, one worker: {ready:.2f} s from the command to ready (target 1.5 s, {met(ready < 1.5)}); "
            f"{median(sizes):.0f} MiB at rest."
        )
    return lines


def latency(given: argparse.Namespace) -> list[str]:
    """Time of an answer for a clip of 3 s."""
    lines = ["| model | clients | answers | p50 | p99 | target | |", "| --- | --: | --: | --: | --: | --- | --- |"]
    for model, targets in TARGETS.items():
        for count, (percent, most) in targets.items():
            with served(model) as service:
                asyncio.run(load(service, 1, 1, clip()))
                tally, _ = asyncio.run(load(service, count, given.seconds or (3 if given.quick else 30), clip()))
            holds = tally.at(percent) < most and set(tally.statuses) == {200}
            lines.append(
                f"| `{model}` | {count} | {tally.shown()} | {tally.at(50):.1f} ms | {tally.at(99):.1f} ms | "
                f"p{percent} under {most} ms | {met(holds)} |"
            )
    return lines


def throughput(given: argparse.Namespace) -> list[str]:
    """Answers in a second of the service and of the library, in turns, on the same core; clients have another one."""
    cores = sorted(os.sched_getaffinity(0))
    seconds = given.seconds or (3 if given.quick else 20)
    lines = []
    for model in ("fast", "default"):
        ratios, ours, theirs = [], [], []
        with served(model, cores=cores[:1], threads=1) as service:
            for _ in range(1 if given.quick else 3):
                words = ["taskset", "-c", str(cores[0]), sys.executable, __file__, "library", "--model", model]
                done = subprocess.run([*words, "--seconds", str(seconds)], capture_output=True, text=True, check=True)
                theirs.append(float(done.stdout))
                os.sched_setaffinity(0, cores[1:] or cores)
                tally, took = asyncio.run(load(service, 4, seconds, clip()))
                os.sched_setaffinity(0, cores)
                ours.append(tally.statuses[200] / took)
                ratios.append(ours[-1] / theirs[-1])
        lines.append(
            f"- `{model}`, clips of 3 s on one core: {median(ours):.1f} a second by the service, {median(theirs):.1f} "
            f"by the library: {100 * median(ratios):.0f} % (target 80 %, {met(median(ratios) >= 0.8)})."
        )
    return lines


def library(given: argparse.Namespace) -> list[str]:
    """Answers in a second of the library, by itself."""
    recognizer, data, count = serkit.load(given.model), clip(), 0
    recognizer.predict(data)
    begun = time.perf_counter()
    while time.perf_counter() - begun < (given.seconds or 3):
        recognizer.predict(data)
        count += 1
    return [str(count / (time.perf_counter() - begun))]


def load64(given: argparse.Namespace) -> list[str]:
    """64 clients at once."""
    seconds, cores = given.seconds or (5 if given.quick else 60), os.cpu_count() or 1
    with served(given.model, workers=cores, queue=16) as service:
        before = service.memory()
        tally, took = asyncio.run(load(service, 64, seconds, clip()))
        asyncio.run(load(service, 1, 1, clip()))
        after = service.memory()
    only = set(tally.statuses) <= {200, 503}
    return [
        f"- 64 clients for {took:.0f} s on `{given.model}`, {cores} workers with a queue of 16 each: {tally.shown()} "
        f"(target: only 200 and 503, {met(only)}); {tally.statuses[200] / took:.0f} answers a second, p50 "
        f"{tally.at(50):.0f} ms, p99 {tally.at(99):.0f} ms; memory {before:.0f} MiB before, {after:.0f} MiB after."
    ]


def streams(given: argparse.Namespace) -> list[str]:
    """Streams at real time."""
    import websockets

    count, seconds = given.count or (20 if given.quick else 200), given.seconds or (5 if given.quick else 60)
    cores = os.cpu_count() or 1
    pcm = clip(seconds)[44:]
    step = RATE // 5 * 2  # 0.2 s
    lags: list[float] = []
    events: Counter[str] = Counter()

    async def talk(service: Service, number: int) -> None:
        await asyncio.sleep(number / count)  # not all at the same moment
        async with websockets.connect(
            f"ws://{service.host}:{service.port}/v1/stream", proxy=None, compression=None, ping_interval=None
        ) as socket:
            await socket.send(json.dumps({"rate": RATE, "partial": None}))
            await socket.recv()
            begun = time.perf_counter()
            for at in range(0, len(pcm), step):
                await socket.send(pcm[at : at + step])
                wait = begun + (at + step) / 2 / RATE - time.perf_counter()
                await asyncio.sleep(max(wait, 0))
            await socket.send("end")
            asked = time.perf_counter()
            async for message in socket:
                events[json.loads(message)["event"]] += 1
            lags.append(time.perf_counter() - asked)

    async def everyone(service: Service) -> list[Any]:
        return await asyncio.gather(*(talk(service, number) for number in range(count)), return_exceptions=True)

    with served(given.model, workers=cores) as service:
        before = service.memory()
        found = asyncio.run(everyone(service))
        after = service.memory()
    wrong = [one for one in found if one is not None]
    return [
        f"- {count} streams for {seconds:g} s at real time on `{given.model}`, {cores} workers, no partial answers: "
        f"{events['end']} came to their end ({met(events['end'] == count and not events['error'])}), "
        f"{events['final']:,} final segments, {len(wrong)} connections lost; the last event came at most "
        f"{max(lags, default=0):.2f} s after the last sound; memory {before:.0f} MiB before, {after:.0f} MiB after."
    ]


def batches(given: argparse.Namespace) -> list[str]:
    """What it would save to answer clips of several requests in one run of the network."""
    import numpy as np
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    sound = np.frombuffer(clip(24)[44:], "<i2").astype(np.float32).reshape(8, -1) / 32768
    lines = []
    for model in ("fast", "default"):
        graph = onnx.load(locate(model) / "model.onnx")
        for one in (graph.graph.input[0], *graph.graph.output):
            one.type.tensor_type.shape.dim[0].dim_param = "clips"  # bundles state 1
        session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
        times = {}
        for size in (1, 2, 4, 8):
            took = []
            for _ in range(3 if given.quick else 10):
                begun = time.process_time()
                found = session.run(["probabilities"], {"waveform": sound[:size]})[0]
                took.append(1e3 * (time.process_time() - begun) / size)
            times[size] = min(took)
        alone = [session.run(["probabilities"], {"waveform": sound[k : k + 1]})[0][0] for k in range(8)]
        moved = float(np.abs(found - np.array(alone)).max())
        shown = ", ".join(f"{size}: {took:.1f} ms" for size, took in times.items())
        lines.append(
            f"- `{model}`, clips in one run of the network: {shown} for each; probabilities move by up to {moved:.3f}."
        )
    return lines


PARTS: dict[str, tuple[str, Callable[[argparse.Namespace], list[str]]]] = {
    "start": ("Start and memory", start),
    "latency": ("Latency, a clip of 3 s", latency),
    "throughput": ("Throughput", throughput),
    "batches": ("Batching across requests", batches),
    "load": ("Many clients", load64),
    "streams": ("", streams),
    "slow": ("Hard use", slow),
    "disconnects": ("", disconnects),
    "kill": ("", kill),
    "swap": ("", swap),
    "fuzz": ("", fuzz),
    "schema": ("", schema),
    "bombs": ("Small files that would become large", bombs),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="+", choices=["all", "library", *PARTS])
    parser.add_argument("--quick", action="store_true", help="a few seconds each; the page is not written")
    parser.add_argument("--seconds", type=float, help="how long; the page is not written")
    parser.add_argument("--count", type=int, help="how many clients, streams or bodies; the page is not written")
    parser.add_argument("--model", default="fast", help="of load, streams and hard use")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.part == ["library"]:
        print(*library(given))
        return
    asked = list(PARTS) if "all" in given.part else given.part
    sections: dict[str, list[str]] = {}
    whole: dict[str, bool] = {}
    title = ""
    for name, (begins, call) in PARTS.items():
        title = begins or title
        whole[title] = whole.get(title, True) and name in asked
        if name in asked:
            print(f"{name} …", file=sys.stderr)
            found = call(given)
            print("\n".join(found), flush=True)
            sections.setdefault(title, []).extend(found)
    if not (given.quick or given.seconds or given.count):
        write({title: lines for title, lines in sections.items() if whole[title]})


def write(sections: dict[str, list[str]]) -> None:
    """Replace sections of the page; the others keep what an earlier run wrote."""
    page = PAGE.read_text(encoding="utf-8")
    for title, lines in sections.items():
        text = f"**{title}**, {date.today().isoformat()}\n\n" + "\n".join(lines) + "\n"
        pattern = rf"\*\*{re.escape(title)}\*\*[^\n]*\n.*?(?=\n\*\*|<!-- /measured -->)"
        page, count = re.subn(pattern, lambda _, text=text: text, page, flags=re.DOTALL)
        assert count == 1, f"{PAGE.name} has no section {title}."
    head = f"{machine()} Clients and service share the machine."
    page = re.sub(r"(<!-- measured -->\n)[^\n]*", lambda found: found[1] + head, page)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
