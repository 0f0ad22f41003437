"""Damage small recordings of every container at random, and read them: each must give sound or a reason, in time.

    python benchmarks/fuzz_audio.py --inputs 100000 --page docs/fuzz.md
    python benchmarks/fuzz_audio.py --inputs 2000                  # prints the table, writes nothing

Every input follows from the seed and its number, so that a failure can be made again:

    python benchmarks/fuzz_audio.py --only 4711
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import platform
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import soundfile as sf

from serkit import audio
from serkit.audio import worker
from serkit.errors import AudioError

SLOW = 10.0  # s; an input that takes longer has failed, or its decoder hung
_RATE = 16000
_SOUND_FILE = [
    ("WAV", "PCM_16"),
    ("WAV", "IMA_ADPCM"),
    ("W64", "PCM_16"),
    ("RF64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
_PYAV = [
    ("M4A", "mp4", "aac", _RATE),
    ("AAC", "adts", "aac", _RATE),
    ("WebM", "webm", "libopus", 48000),
    ("MKV, PCM", "matroska", "pcm_s16le", _RATE),
    ("MKV, AAC", "matroska", "aac", _RATE),
    ("AMR", "amr", "libopencore_amrnb", 8000),
    ("AC-3", "ac3", "ac3", 48000),
    ("AVI", "avi", "pcm_s16le", _RATE),
    ("FLV", "flv", "aac", 44100),
    ("MPEG-TS", "mpegts", "aac", _RATE),
    ("WMA", "asf", "wmav2", _RATE),
]
_CRASHED, _HUNG = "crashed", "hung"
_CRC = [0] * 256  # of Ogg pages
for _byte in range(256):
    _value = _byte << 24
    for _ in range(8):
        _value = (_value << 1 ^ 0x04C11DB7 if _value & 0x80000000 else _value << 1) & 0xFFFFFFFF
    _CRC[_byte] = _value


def seeds() -> dict[str, bytes]:
    """A valid recording of 0.3 s in each container that can be written here."""
    rng = np.random.default_rng(0)
    t = np.arange(round(0.3 * _RATE)) / _RATE
    sound = (0.3 * np.sin(2 * np.pi * 300 * t) + 0.01 * rng.standard_normal(len(t))).astype(np.float32)
    found: dict[str, bytes] = {}
    for kind, subtype in _SOUND_FILE:
        buffer = io.BytesIO()
        sf.write(buffer, sound, _RATE, format=kind, subtype=subtype)
        found[f"{kind}, {subtype.replace('_', ' ')}"] = buffer.getvalue()
    mp3 = found["MP3, MPEG LAYER III"]
    found["MP3, joined"] = mp3 + mp3
    found["OGG, chained"] = found["OGG, VORBIS"] + found["OGG, OPUS"]
    if importlib.util.find_spec("av") is not None:
        for name, kind, codec, rate in _PYAV:
            try:
                found[name] = _encoded(sound, kind, codec, rate)
            except Exception as error:  # this FFmpeg has no such encoder
                print(f"left out {name}: {error}", file=sys.stderr)
    return found


def _encoded(sound: np.ndarray, kind: str, codec: str, rate: int) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        track = container.add_stream(codec, rate=rate)
        track.layout, track.bit_rate = "mono", 12_200 if kind == "amr" else 64_000
        convert = av.AudioResampler(
            format=track.codec_context.format, layout="mono", rate=rate, frame_size=track.codec_context.frame_size or 0
        )
        frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
        frame.sample_rate = _RATE
        for piece in (frame, None):
            for part in convert.resample(piece):
                container.mux(track.encode(part))
        container.mux(track.encode(None))
    return buffer.getvalue()


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Change some bytes, most of them in the header; or cut, repeat, insert, or swap in an extreme number."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        reach = min(len(out), 200) if rng.random() < 0.6 else len(out)
        at, how = int(rng.integers(0, max(reach, 1))), int(rng.integers(0, 8))
        if how <= 2:
            out[at : at + 1] = bytes([int(rng.integers(0, 256))])
        elif how == 3:
            out[at : at + 1] = bytes([out[at] ^ 1 << int(rng.integers(0, 8))]) if out else b""
        elif how == 4:
            extreme = [b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0" * 8, b"\xff" * 8]
            value = extreme[int(rng.integers(0, len(extreme)))]
            out[at : at + len(value)] = value
        elif how == 5:
            del out[max(int(rng.integers(0, len(out) + 1)), 1) :]
        elif how == 6:
            size = int(rng.integers(1, 65))
            out[at:at] = out[at : at + size] if rng.random() < 0.5 else rng.bytes(size)
        else:
            del out[at : at + int(rng.integers(1, 65))]
    if out[:4] == b"OggS" and rng.random() < 0.5:  # else the checksums give nearly all of it away
        _mend_checksums(out)
    return bytes(out)


def _mend_checksums(ogg: bytearray) -> None:
    at = 0
    while (at := ogg.find(b"OggS", at)) >= 0 and at + 27 <= len(ogg):
        segments = ogg[at + 27 : at + 27 + ogg[at + 26]]
        end = min(at + 27 + len(segments) + sum(segments), len(ogg))
        ogg[at + 22 : at + 26] = bytes(4)
        crc = 0
        for byte in ogg[at:end]:
            crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
        ogg[at + 22 : at + 26] = crc.to_bytes(4, "little")
        at = end


def read(data: bytes, way: int) -> str:
    """Read an input in one of three ways and say how it ended: sound, broken off, a reason, or what went wrong."""
    broken: list[str] = []
    try:
        if way == 0:
            audio.load(data, on_break=broken.append)
        elif way == 1:
            for _ in audio.stream(data, block=0.1, target_rate=8000, on_break=broken.append):
                pass
        else:
            audio.probe(data, on_break=broken.append)
    except AudioError as error:
        return _CRASHED if "decoder crashed" in str(error) else _HUNG if "decoder hung" in str(error) else "reason"
    return "broken off" if broken else "sound"


def shard(numbers: Iterator[int], seed: int, report: str) -> None:
    """Read inputs in this process; print how each ended. The parent sees the last number if this process dies."""
    files = seeds()
    names = list(files)
    peak, first = 0, -1
    out = Path(report).open("a", buffering=1)  # noqa: SIM115 - one line an input, also if this process dies
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        name = names[number % len(names)]
        data = damaged(files[name], rng)
        out.write(f"{number}\tstart\t{name}\n")
        begun = time.monotonic()
        try:
            how = read(data, int(rng.integers(0, 3)))
        except Exception as error:
            how = f"FAILED {type(error).__name__}: {error}"
        took = time.monotonic() - begun
        if took > SLOW and how != _HUNG:
            how = f"FAILED {took:.1f} s"
        first = number if first < 0 else first
        if number == first + 1000:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        out.write(f"{number}\t{how}\t{name}\t{took:.4f}\n")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak if peak else 0
    out.write(f"-1\tgrown\t{grown}\n")


def run(first: int, last: int, seed: int, folder: Path) -> list[list[str]]:
    """Read the inputs `first` to `last` (exclusive) in processes of their own; one that dies costs one input."""
    report = folder / f"{first}.tsv"
    report.write_text("")
    report.with_suffix(".err").unlink(missing_ok=True)
    at = first
    while at < last:
        words = ["--shard", str(at), str(last), "--seed", str(seed), "--report", str(report)]
        with (folder / f"{first}.err").open("ab") as err:
            code = subprocess.run([sys.executable, __file__, *words], stderr=err, check=False).returncode
        rows = [line.split("\t") for line in report.read_text().splitlines()]
        if code == 0:
            break
        number, how, name = rows[-1][:3]
        if how != "start":
            raise SystemExit(f"the shard from {at} on ended with code {code}: see {folder}")
        with report.open("a") as out:
            out.write(f"{number}\tFAILED the reading process died, code {code}\t{name}\t0\n")
        at = int(number) + 1
    rows = [line.split("\t") for line in report.read_text().splitlines()]
    return [row for row in rows if row[1] != "start"]


def table(rows: list[list[str]]) -> list[str]:
    """One line a container: how many inputs ended how."""
    kinds = ["sound", "broken off", "reason", _CRASHED, _HUNG]
    counts: dict[str, Counter[str]] = {}
    times: dict[str, float] = {}
    for row in rows:
        if row[1] == "grown":
            continue
        counts.setdefault(row[2], Counter())[row[1] if row[1] in kinds else "failed"] += 1
        times[row[2]] = max(times.get(row[2], 0.0), float(row[3]))
    lines = [
        "| container | inputs | sound | broken off | a reason | decoder crashed | decoder hung | failed | slowest |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    every = [*kinds, "failed"]
    for name, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        slowest = times.get(name, max(times.values(), default=0.0))
        cells = [f"{count.total():,}", *(f"{count[kind]:,}" for kind in every), f"{slowest:.2f} s"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def page(rows: list[list[str]], inputs: int, seed: int, noise: int) -> str:
    grown = max((int(row[2]) for row in rows if row[1] == "grown"), default=0)
    failures = [row for row in rows if row[1].startswith("FAILED")]
    pyav = "not installed"
    if importlib.util.find_spec("av") is not None:
        import av

        pyav = av.__version__
    lines = [
        "# Damaged recordings",
        "",
        f"`make fuzz` damages small valid recordings at random and reads them with `load`, `stream` or `probe`: "
        f"{inputs:,} inputs, seed {seed}, {date.today().isoformat()}. Each must give sound, or a reason in one "
        f"sentence, within {SLOW:g} s. An input that fails can be made again: "
        f"`python benchmarks/fuzz_audio.py --seed {seed} --only NUMBER`.",
        "",
        *table(rows),
        "",
        "*Broken off*: what could be read is given, and the caller is told where it ends. *Decoder crashed* and "
        "*decoder hung*: FFmpeg did so in its own process, so the reader gives a reason and the run continues. "
        "*Failed*: anything but sound or a reason.",
        "",
        f"- Inputs that failed: {len(failures)}.",
        f"- Lines printed to standard error by the decoders: {noise}.",
        f"- Memory: a reading process grew by at most {grown / 1024:.0f} MiB after its first thousand inputs.",
        f"- Python {platform.python_version()}, soundfile {sf.__version__} with {sf.__libsndfile_version__}, "
        f"PyAV {pyav}, {platform.system()} {platform.machine()}.",
    ]
    if failures:
        lines += ["", "| input | container | what happened |", "|--:|---|---|"]
        lines += [f"| {row[0]} | {row[2]} | {row[1]} |" for row in failures[:50]]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at the same time")
    parser.add_argument("--page", type=Path, help="write the result here")
    parser.add_argument("--folder", type=Path, default=Path("runs/fuzz"), help="where reports of the shards go")
    parser.add_argument("--only", type=int, help="read this one input and say how it ended")
    parser.add_argument("--shard", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--report", help=argparse.SUPPRESS)
    given = parser.parse_args()
    worker.HANG_SECONDS = SLOW
    if given.only is not None:
        rng = np.random.default_rng([given.seed, given.only])
        files = seeds()
        name = list(files)[given.only % len(files)]
        data = damaged(files[name], rng)
        Path(f"fuzz-{given.only}.bin").write_bytes(data)
        print(name, "->", f"fuzz-{given.only}.bin", "->", read(data, int(rng.integers(0, 3))))
        return 0
    if given.shard is not None:
        shard(iter(range(*given.shard)), given.seed, given.report)
        return 0
    given.folder.mkdir(parents=True, exist_ok=True)
    size = -(-given.inputs // max(given.jobs, 1))
    starts = range(0, given.inputs, size)
    with ThreadPoolExecutor(len(starts)) as pool:
        parts = pool.map(lambda at: run(at, min(at + size, given.inputs), given.seed, given.folder), starts)
        rows = [row for part in parts for row in part]
    noise = sum(len((given.folder / f"{at}.err").read_bytes().splitlines()) for at in starts)
    text = page(rows, given.inputs, given.seed, noise)
    print(text)
    if given.page is not None:
        given.page.write_text(text, encoding="utf-8")
    return 1 if any(row[1].startswith("FAILED") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
