"""``ser timeline``: emotion over time in long recordings, as a table, JSON, or files for other programs."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serkit import terminal
from serkit.cli import app
from serkit.cli.options import (
    AddressOption,
    Cluster,
    DeviceOption,
    EngineOption,
    FormatOption,
    LabelsOption,
    MinConfidenceOption,
    ModelOption,
    PartitionOption,
    RecursiveOption,
    StrictOption,
    TimeoutOption,
    WorkersOption,
    check_engine,
    profile_for,
)
from serkit.cli.runs import count, failures_of, interruptible, report_skipped
from serkit.errors import SerkitError

if TYPE_CHECKING:
    from serkit.cli.timeline_files import Outputs
    from serkit.recognition.prediction import Prediction
    from serkit.recognition.recognizer import Recognizer
    from serkit.recognition.speakers import Turns
    from serkit.recognition.tracks import Timeline, Track


def _target(flag: str, what: str) -> Any:
    return typer.Option(flag, metavar="PATH", help=f"Write {what}.", rich_help_panel="Files")


@app.command()
def timeline(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Recordings, folders, or - for sound on standard input."),
    ],
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON and nothing else: a list of timelines; for -, a line for each event."),
    ] = False,
    csv: Annotated[str | None, _target("--csv", "rows as CSV, one for each segment")] = None,
    srt: Annotated[str | None, _target("--srt", "subtitles (SubRip)")] = None,
    vtt: Annotated[str | None, _target("--vtt", "subtitles in the colours of the emotions (WebVTT)")] = None,
    textgrid: Annotated[str | None, _target("--textgrid", "tiers for Praat")] = None,
    eaf: Annotated[str | None, _target("--eaf", "tiers for ELAN")] = None,
    rttm: Annotated[str | None, _target("--rttm", "RTTM, with emotions in the place of speakers")] = None,
    html: Annotated[
        str | None, _target("--html", "one self-contained page with waveform, strip, player, shares and table")
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(
            "--annotate",
            metavar="FILE",
            help="Write a copy of this transcript of the recording (SRT, VTT or JSON of Whisper) with the emotion of "
            "each line; --out says where.",
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="Where --annotate writes; - prints it.")
    ] = None,
    channel: Annotated[
        str,
        typer.Option(
            "--channel",
            metavar="CHANNEL",
            help="Which of several channels: mix, left, right, a number, or each (a track for each channel; where "
            "one is much louder, only that one is answered).",
        ),
    ] = "auto",
    speakers: Annotated[
        Path | None,
        typer.Option(
            "--speakers", metavar="FILE.rttm", help="Who speaks when, from any diarisation: a track for each speaker."
        ),
    ] = None,
    min_confidence: MinConfidenceOption = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="FILE.json",
            help="A profile of the voice (ser enrol) or of the place (ser adapt).",
        ),
    ] = None,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt", help="Adapt each track to its own voice, from 20 utterances on; reads the recording twice."
        ),
    ] = False,
    labels: LabelsOption = None,
    window: Annotated[
        float | None,
        typer.Option(
            "--window", metavar="S", help="Length of the windows in which long utterances are answered, seconds."
        ),
    ] = None,
    pause: Annotated[
        float, typer.Option("--pause", metavar="S", help="The shortest silence that ends an utterance, seconds.")
    ] = 0.24,
    smooth: Annotated[
        bool, typer.Option("--smooth/--no-smooth", help="Smooth the answers within an utterance.")
    ] = True,
    rate: Annotated[
        int | None,
        typer.Option(
            "--rate", metavar="HZ", help="Standard input is raw PCM of this rate (16 bits, little-endian, mono)."
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="For -: also print the answer so far, every half second.")
    ] = False,
    recursive: RecursiveOption = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip recordings whose files all exist from an earlier run.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    strict: StrictOption = False,
    engine: EngineOption = None,
    address: AddressOption = None,
    form: FormatOption = None,
    partition: PartitionOption = None,
    workers: WorkersOption = None,
    timeout: TimeoutOption = None,
) -> None:
    """Recognise emotion over time: a call, a meeting, a podcast of any length.

    Speech is cut at pauses, and each utterance is answered. PATH of the file options is a file, - to print, or, for
    several recordings, a folder, which gets a file named after each recording (--csv: also one file for all). Sound on
    standard input is answered while it arrives: WAV, or raw PCM with --rate.

    Ctrl-C keeps all answers so far, also of the recording that it interrupts, which --resume starts again.

    Exit code 0: all are answered. 1: some failed or are truncated; standard error names them. 2: wrong usage or no
    recording. 130: stopped by Ctrl-C.
    """
    from serkit.audio import check_channel
    from serkit.cli.timeline_files import Outputs
    from serkit.cli.timeline_shown import Printer
    from serkit.recognition.long_recording import check_pause, check_window
    from serkit.recognition.prediction import Prediction, check_confidence
    from serkit.recognition.recognizer import load

    targets = {"csv": csv, "srt": srt, "vtt": vtt, "textgrid": textgrid, "eaf": eaf, "rttm": rttm, "html": html}
    given = {name: target for name, target in targets.items() if target is not None}
    cluster = Cluster(address, form, partition, workers, timeout)
    refused = {f"--{name}": target for name, target in targets.items()} | {"--json": as_json, "--annotate": annotate}
    check_engine(engine, cluster.given(), refused | {"--speakers": speakers, "--rate": rate, "--partial": partial})
    if adapt and (profile is not None or engine is not None or annotate is not None or paths == ["-"]):
        raise typer.BadParameter("--adapt reads files twice: not with --profile, --engine, --annotate or -.")
    if engine is None:
        _check_usage(paths, given, as_json, annotate, out, speakers, rate, partial, resume, force, strict)
    if min_confidence is not None:
        check_confidence(min_confidence)
    heard = check_channel(channel, each=True)
    if speakers is not None and heard == "each":
        raise typer.BadParameter("--speakers are told apart on one channel: give a channel instead of each.")
    turns = None
    if speakers is not None:
        from serkit.recognition.speakers import read_rttm

        turns = read_rttm(speakers, paths[0])  # here, because a mistake in it is the option's, not the recording's
    recognizer = load(model, device="cpu" if engine else device).among(labels)
    recognizer.need_labels("make a timeline")
    check_window(recognizer, window), check_pause(pause)  # mistakes in options are not those of each recording
    known = profile_for(recognizer, profile)
    asked: dict[str, Any] = {
        "profile": known,
        "channel": heard,
        "window": window,
        "pause": pause,
        "smooth": smooth,
        "min_confidence": min_confidence,
    }
    noted = {**asked, "speakers": None if speakers is None else str(speakers), "profile": known and known.key}
    noted |= {} if recognizer.choice is None else {"labels": list(recognizer.choice.spelled)}
    noted |= {"adapt": True} if adapt else {}
    noted |= {"strict": True} if strict else {}
    if engine is not None:
        from serkit.cli.scaled import Again, answer_on_ray

        asked |= {"strict": strict}
        work: dict[str, Any] = {"asked": asked, "options": noted, "timelines": True, "recursive": recursive}
        recognizer = recognizer.sent_to(device)
        raise typer.Exit(answer_on_ray(recognizer, paths, out, cluster, Again(resume, False, force), **work))
    if annotate is not None:
        from serkit.cli.annotate import run_annotate

        raise typer.Exit(run_annotate(recognizer, paths[0], annotate, out, force=force, strict=strict, **asked))
    if paths == ["-"]:
        from serkit.cli.live import answer_pipe

        outputs = Outputs(given, [("-", Path("standard-input"))], force=force)
        how = {"as_json": as_json, "partial": partial, "printed": not given and not as_json}
        raise typer.Exit(answer_pipe(recognizer, outputs, rate=rate, **how, **asked))
    inputs, others = _inputs(paths, recursive)
    report_skipped(others, named=False)
    sources = [(item, name) for item, name in inputs if not isinstance(item, Prediction)]
    outputs = Outputs(given, sources, force=force, resume=resume)
    tell = Printer(as_json, bool(given), many=len(inputs) > 1)
    failures = [(str(item.path), item.error or "") for item, _ in inputs if isinstance(item, Prediction)]
    cut: list[tuple[str, str]] = []
    interrupted, answered = False, outputs.passed
    with contextlib.ExitStack() as stack:
        stack.enter_context(outputs).check_note(recognizer.bundle, noted)
        stack.enter_context(tell)
        for item, _ in sources:
            if outputs.there(item):
                continue
            try:
                with interruptible() as stop:
                    found = _answer(recognizer, item, outputs, turns, strict, asked, stop, adapt=adapt)
            except KeyboardInterrupt:
                interrupted = True
                break
            except SerkitError as error:
                failures.append((os.fspath(item), str(error)))
                continue
            tell.put(found)
            answered += 1
            for track in found.tracks if adapt else ():
                typer.echo(f"ser: {_adapted(track, terminal.printable(os.fspath(item)))}", err=True)
            if stop.is_set():
                interrupted = True
                typer.echo(
                    f"ser: {terminal.printable(os.fspath(item))}: the first {found.duration:.2f} s are answered.",
                    err=True,
                )
                break
            if found.error is not None:
                cut.append((os.fspath(item), f"{found.error} The first {found.duration:.2f} s are answered."))
    if outputs.passed:
        typer.echo(f"ser: {count(outputs.passed, 'recording was', 'recordings were')} there already.", err=True)
    if failures:
        terminal.print_failures(f"ser: {failures_of(len(failures), len(inputs))}", failures, total=len(failures))
    if cut:
        terminal.print_failures(f"ser: {len(cut)} of {len(inputs)} inputs break off", cut, total=len(cut))
    if interrupted:
        kept = "the recordings that are done are kept" if answered else "nothing was written"
        typer.echo(f"ser: interrupted; {kept}.", err=True)
        raise typer.Exit(130)
    if not sources:
        raise typer.Exit(2)
    raise typer.Exit(1 if failures or cut else 0)


def _adapted(track: Track, path: str) -> str:
    """Say what a track was adapted to."""
    who = path if track.name is None else f"{path}, {terminal.printable(track.name)}"
    if not track.adapted:
        return f"{who}: not adapted: fewer than 20 utterances, or all of one mood."
    return f"{who}: adapted to its own voice, {track.adapted} utterances."


def _check_usage(
    paths: Sequence[str],
    given: dict[str, str],
    as_json: bool,
    annotate: Path | None,
    out: str | None,
    speakers: Path | None,
    rate: int | None,
    partial: bool,
    resume: bool,
    force: bool,
    strict: bool,
) -> None:
    if "-" in paths and len(paths) > 1:
        raise typer.BadParameter("- is standard input: give it alone.")
    if list(given.values()).count("-") + as_json > 1:
        raise typer.BadParameter("Only one of the outputs can be printed: give the others a file.")
    if (rate is not None or partial) and paths != ["-"]:
        raise typer.BadParameter("--rate and --partial are for standard input: give - as the recording.")
    if speakers is not None and (len(paths) != 1 or paths == ["-"] or Path(paths[0]).is_dir()):
        raise typer.BadParameter("--speakers is about one recording: give one file.")
    if strict and paths == ["-"]:
        raise typer.BadParameter("--strict is for files: sound on standard input is answered while it comes.")
    if annotate is not None and (len(paths) != 1 or paths == ["-"] or given or as_json or speakers is not None):
        raise typer.BadParameter("--annotate takes one recording, and --out is its only output.")
    if out is not None and annotate is None:
        raise typer.BadParameter("--out is for --annotate; the other outputs have options of their own, as --srt FILE.")
    if resume and force:
        raise typer.BadParameter("--force and --resume exclude each other: files are replaced, or kept.")
    if resume and (not given or "-" in given.values() or as_json):
        raise typer.BadParameter("--resume needs files: give a folder to --srt, --html or the like.")


def _inputs(
    paths: Sequence[str], recursive: bool
) -> tuple[list[tuple[str | os.PathLike[str] | Prediction, Path]], list[Path]]:
    """Each recording, or the reason why there is none, and the name of its files."""
    from serkit.recognition.inputs import find_inputs
    from serkit.recognition.prediction import Prediction

    others: list[Path] = []
    found: list[tuple[str | os.PathLike[str] | Prediction, Path]] = []
    for path in paths:
        for item in find_inputs([path], recursive=recursive, skipped=others.append):
            name = Path() if isinstance(item, Prediction) else Path(item)
            inside = name.is_relative_to(path) and name != Path(path)
            found.append((item, name.relative_to(path) if inside else Path(name.name)))
    return found, others


def _answer(
    recognizer: Recognizer,
    item: str | os.PathLike[str],
    outputs: Outputs,
    turns: Turns | None,
    strict: bool,
    asked: dict[str, Any],
    stop: threading.Event,
    *,
    adapt: bool,
) -> Timeline:
    from serkit.cli.recording_progress import RecordingProgress
    from serkit.recognition.long_recording import make_timeline
    from serkit.recognition.own_voices import adapted_timeline

    with contextlib.ExitStack() as stack:
        sound = stack.enter_context(outputs.sound())
        progress = stack.enter_context(RecordingProgress(item))
        found = (adapted_timeline if adapt else make_timeline)(
            recognizer, item, speakers=turns, strict=strict, progress=progress, on_block=sound.add, stop=stop, **asked
        )
        ends_early = stop.is_set()
        if ends_early:
            outputs.mark(item, unfinished=True)
        outputs.write(item, found, sound)
        if not ends_early:  # only now, because files of an earlier run may have been there
            outputs.mark(item, unfinished=False)
    return replace(found, path=os.fspath(item))
