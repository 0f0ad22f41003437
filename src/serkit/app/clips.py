"""Recordings as the page receives them, and the model's answers for them."""

from __future__ import annotations

import io
import mimetypes
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import streamlit as st

import serkit
from serkit.app.microphone import record
from serkit.app.words import plain
from serkit.audio import AUDIO_SUFFIXES, Channel, signatures
from serkit.errors import ArchiveError, AudioError
from serkit.recognition.prediction import Prediction
from serkit.recognition.profile import Profile
from serkit.recognition.recognizer import Recognizer
from serkit.recognition.rows import CsvWriter, to_json
from serkit.recognition.sources import failure
from serkit.terminal import printable
from serkit.zips import open_zip, read_head, read_member

__all__ = [
    "MAX_CLIPS",
    "Clip",
    "all_uploaded",
    "answers",
    "as_csv",
    "as_json",
    "examples",
    "opened",
    "pick",
    "unpacked",
    "uploaded",
]

#: Clips that one zip may hold.
MAX_CLIPS = 5000
_MAX_CLIP = 200 << 20  # bytes of one of them, unpacked
_MAX_ZIP = 1 << 30  # bytes of all of them
_EXAMPLES = (
    "Actors from CREMA-D (ODbL 1.0), with the emotion that each was asked to play. By majority vote, listeners "
    "name that emotion in 45 % of such clips."
)


@dataclass(frozen=True)
class Clip:
    """A recording in memory.

    Attributes
    ----------
    key : str
        A key that is unique within the session.
    name : str
        File name, as shown and exported.
    mime : str
        Type for the player, such as ``audio/flac``.
    read : callable
        Returns the bytes of the file; called when they are needed.
    """

    key: str
    name: str
    mime: str
    read: Callable[[], bytes]

    def open(self) -> io.BytesIO:
        """Return the file as an object whose name appears in errors."""
        file = io.BytesIO(self.read())
        file.name = self.name
        return file


def uploaded(file: Any, *, name: str | None = None) -> Clip:
    """Return what ``st.file_uploader`` or ``st.audio_input`` gives as a clip."""
    mime = file.type if (file.type or "").startswith(("audio/", "video/")) else _mime(file.name)
    return Clip(file.file_id, name or file.name, mime, file.getvalue)


def examples() -> list[Clip]:
    """Return the example clips, sorted by name; none unless serkit runs from a checkout."""
    source = Path(serkit.__file__).resolve().parents[1]
    folder = source.with_name("examples")
    if source.name != "src" or not folder.is_dir():
        return []
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES)
    return [Clip(str(path), path.name, _mime(path.name), path.read_bytes) for path in paths]


def pick(
    place: str,
    known: Mapping[str, Clip] | None = None,
    *,
    label: str = "A recording",
    note: str = _EXAMPLES,
    microphone: bool = False,
) -> Clip | None:
    """Let the user choose a recording, and return it.

    What was uploaded or recorded on one page is offered first on all others, until it is removed or replaced.

    Parameters
    ----------
    place : str
        Part of the page; the keys of its widgets begin with it.
    known : mapping of str to Clip, optional
        What to offer as examples, by name; the example clips by default.
    label : str
        Of the uploader.
    note : str
        Text about the examples.
    microphone : bool
        Whether a recording can be made too.
    """
    if known is None:
        known = {_shown(clip.name): clip for clip in examples()}
    kept: Clip | None = st.session_state.get("clip")
    ways = [*(["kept"] if kept else []), *(["Example"] if known else []), "Upload", *(["Record"] if microphone else [])]
    if st.session_state.get(f"{place} way") not in ways:
        st.session_state[f"{place} way"] = ways[0]
    way = st.radio(
        "Where the recording comes from",
        ways,
        horizontal=True,
        label_visibility="collapsed",
        key=f"{place} way",
        format_func=lambda way: printable(kept.name) if kept and way == "kept" else way,
    )
    if way == "kept" and kept is not None:
        st.button("Remove the recording", on_click=_keep, args=(place, None), type="tertiary", key=f"{place} remove")
        return kept
    if way == "Example":
        return _example(place, known, note)
    if way == "Record":
        record("Record a sentence", f"{place} record", _brought, (place, "record"))
    else:
        st.file_uploader(label, key=f"{place} upload", on_change=_brought, args=(place, "upload"))
    return None


def _example(place: str, known: Mapping[str, Clip], note: str) -> Clip:
    """Let the user choose among the examples; the last choice holds on every page that has it."""
    name = next(iter(known))
    if len(known) > 1:
        key = f"{place} example"
        last = st.session_state.get("example")
        if key not in st.session_state and last in known:
            st.session_state[key] = last
        name = st.selectbox("Example", list(known), label_visibility="collapsed", key=key)
        st.session_state["example"] = name
    st.caption(note)
    return known[name]


def _brought(place: str, way: str) -> None:
    """Keep what was just uploaded or recorded for the whole session."""
    file = st.session_state[f"{place} {way}"]
    if file is not None:
        _keep(place, uploaded(file, name="recording.wav" if way == "record" else None))


def _keep(place: str, clip: Clip | None) -> None:
    st.session_state["clip"] = clip
    st.session_state.pop("answers long", None)  # it holds the sound
    st.session_state[f"{place} way"] = "kept" if clip else None


def all_uploaded(files: Iterable[Any] | None) -> list[Clip]:
    """Return the recordings among uploaded files, zips unpacked; draw what is wrong with a zip."""
    clips: list[Clip] = []
    for file in files or []:
        inside, problem = unpacked(file) if file.name.lower().endswith(".zip") else ([uploaded(file)], None)
        clips += inside
        if problem is not None:
            st.error(plain(problem))
    return clips


def unpacked(file: Any) -> tuple[list[Clip], str | None]:
    """Return the recordings in an uploaded zip, sorted by name, and what is wrong with the zip, if anything.

    Recordings stay packed until they are needed. Folders are part of the name; hidden files and what macOS adds are
    skipped, and so is everything that is not a recording by its suffix or its first bytes.

    Parameters
    ----------
    file
        Of ``st.file_uploader``.
    """
    try:
        archive = open_zip(io.BytesIO(file.getvalue()), name=file.name)
    except ArchiveError as error:
        return [], str(error)
    members = [member for member in archive.infolist() if _is_recording(archive, member)]
    total = sum(member.file_size for member in members)
    if not members:
        return [], f"{file.name} holds no recordings."
    if len(members) > MAX_CLIPS or total > _MAX_ZIP or max(member.file_size for member in members) > _MAX_CLIP:
        return [], (
            f"{file.name} holds {len(members)} recordings of {total / 2**20:.0f} MB in all: a zip may hold {MAX_CLIPS} "
            f"of {_MAX_ZIP >> 20} MB in all and {_MAX_CLIP >> 20} MB each. Use ser predict on the folder."
        )
    members.sort(key=lambda member: member.filename)
    clips = [
        Clip(
            f"{file.file_id}/{member.filename}",
            member.filename,
            _mime(member.filename),
            partial(_read, archive, member, file.name),
        )
        for member in members
    ]
    return clips, None


def answers(
    place: str,
    model: str,
    recognizer: Recognizer,
    clips: Sequence[Clip],
    *,
    profile: Profile | None = None,
    channel: Channel | Literal["each"] = "auto",
    progress: Callable[[int], None] = lambda done: None,
) -> list[list[Prediction]]:
    """Answer each clip, failures included, in order; answers from earlier in the session are not computed again.

    A clip has one answer, or one for each of its channels.

    Parameters
    ----------
    place : str
        Part of the page; it remembers the answers to the clips that it showed last.
    model : str
        Name under which `recognizer` was chosen.
    recognizer : Recognizer
    clips : sequence of Clip
    profile : Profile, optional
        The voice or place of all of them.
    channel : {"auto", "mix", "left", "right", "each"} or int
        As for :meth:`serkit.Recognizer.predict`.
    progress : callable
        Told the number of clips done.
    """
    known: dict[tuple[object, ...], list[Prediction]] = st.session_state.get(f"answers {place}", {})
    asked = (model, profile.key if profile else "", channel)
    found = {clip.key: known.get((*asked, clip.key)) for clip in clips}
    missing = [clip for clip in clips if found[clip.key] is None]
    answered = recognizer.rows_of(map(opened, missing), profile=profile, channel=channel, min_confidence=0.0)
    for done, (clip, rows) in enumerate(zip(missing, answered, strict=True), start=1):
        found[clip.key] = [replace(row, path=clip.name) for row in rows]
        progress(len(clips) - len(missing) + done)
    complete = {key: rows for key, rows in found.items() if rows is not None}
    st.session_state[f"answers {place}"] = {(*asked, key): rows for key, rows in complete.items()}
    return [complete[clip.key] for clip in clips]


def as_csv(rows: Sequence[Prediction], labels: Sequence[str]) -> bytes:
    """Return what ``ser predict --csv`` writes for these rows."""
    with tempfile.TemporaryDirectory(prefix="serkit-") as folder:
        path = Path(folder, "rows.csv")
        with CsvWriter(path, labels) as writer:
            for row in rows:
                writer.write(row)
        return path.read_bytes()


def as_json(rows: Sequence[Prediction]) -> bytes:
    """Return what ``ser predict --json`` prints for these rows."""
    return f"{to_json(rows)}\n".encode("ascii")


def _shown(name: str) -> str:
    """What the list of examples calls angry_1038.opus: Actor 1038: angry."""
    emotion, _, actor = Path(name).stem.partition("_")
    return f"Actor {actor}: {emotion}"


def opened(clip: Clip) -> io.BytesIO | Prediction:
    """Return the file, or why there is none."""
    try:
        return clip.open()
    except AudioError as error:
        return failure(clip.name, error)


def _is_recording(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    if member.is_dir() or any(part.startswith((".", "__MACOSX")) for part in path.parts):
        return False
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return True
    try:
        return signatures.is_recording(read_head(archive, member, signatures.HEAD, name=archive.filename or "the zip"))
    except ArchiveError:
        return False


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bytes:
    try:
        return read_member(archive, member, limit=_MAX_CLIP, name=name)
    except ArchiveError as error:
        raise AudioError(str(error)) from None


def _mime(name: str) -> str:
    return {".flac": "audio/flac", ".opus": "audio/ogg"}.get(
        Path(name).suffix.lower(), mimetypes.guess_type(name)[0] or "audio/wav"
    )
