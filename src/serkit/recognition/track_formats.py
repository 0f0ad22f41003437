"""Timelines as text for other programs: JSON, CSV, subtitles, diarisation, Praat and ELAN.

===========  =============================  ================================================================
function     file                           holds
===========  =============================  ================================================================
to_json      list of timelines              everything
to_csv       a row for each segment         path, track, and the columns of ``ser predict --csv``
to_srt       SubRip subtitles               segments with speech: ``angry 87 %``
to_vtt       WebVTT subtitles               the same, with the track as voice and the emotion as class
to_rttm      RTTM                           segments with speech; the emotion is where a speaker's name would be
to_textgrid  Praat TextGrid                 for each track a tier of emotions and one of confidences
to_eaf       ELAN annotation document       for each track a tier of emotions, with the recording linked
===========  =============================  ================================================================
"""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from html import escape
from pathlib import PurePath
from urllib.parse import quote

from serkit.emotions import colour
from serkit.recognition.csv_text import csv_line, guard
from serkit.recognition.prediction import Prediction
from serkit.recognition.rows import columns, csv_cells
from serkit.recognition.tracks import Timeline, Track

__all__ = [
    "FORMATS",
    "said",
    "stamp",
    "to_csv",
    "to_eaf",
    "to_json",
    "to_rttm",
    "to_srt",
    "to_textgrid",
    "to_vtt",
]


def to_json(timelines: Iterable[Timeline]) -> str:
    """Return a JSON list of timelines, in ASCII; floats read back to the same value."""
    return json.dumps([timeline.to_dict() for timeline in timelines], indent=2) + "\n"


def to_csv(timelines: Iterable[Timeline], *, labels: tuple[str, ...] | None = None) -> str:
    """Return CSV with a row for each segment of all timelines; `labels` are needed where there may be no timeline."""
    given = list(timelines)
    names = labels or given[0].labels
    head = ["path", "track", *columns(names)[1:]]
    lines = [csv_line([guard(name) for name in head])]
    for timeline in given:
        for track, part in timeline.rows():
            path, *rest = csv_cells(replace(part, path=timeline.path), names)
            lines.append(csv_line([path, guard(track or ""), *rest]))
    return "".join(lines)


def to_srt(timeline: Timeline) -> str:
    """Return SubRip subtitles of what is speech.

    Examples
    --------
    >>> sad = Prediction(None, 1.0, 2.5, "sad", 0.75, {"happy": 0.25, "sad": 0.75}, speech=True)
    >>> print(to_srt(Timeline(None, 3.0, "tiny 1", ("happy", "sad"), (Track("ann", (sad,)),))), end="")
    1
    00:00:01,000 --> 00:00:02,500
    ann: sad 75 %
    <BLANKLINE>
    """
    cues = [
        f"{number}\n{stamp(part.start, ',')} --> {stamp(part.end, ',')}\n{_of(track)}{_plain(said(part))}\n\n"
        for number, (track, part) in enumerate(_speech(timeline), 1)
    ]
    return "".join(cues)


def to_vtt(timeline: Timeline) -> str:
    """Return WebVTT subtitles of what is speech; players that know styles show the colour of the emotion."""
    styles = "".join(
        f"::cue(.{_word(label)}) {{ color: {colour(label, timeline.labels)} }}\n" for label in timeline.labels
    )
    cues = []
    for track, part in _speech(timeline):
        words = f"<c.{_word(part.answer)}>{escape(_plain(said(part)), quote=False)}</c>"
        voice = f"<v {escape(_plain(track), quote=False)}>" if track else ""
        cues.append(f"{stamp(part.start, '.')} --> {stamp(part.end, '.')}\n{voice}{words}\n\n")
    return f"WEBVTT\n\nSTYLE\n{styles}\n{''.join(cues)}"


def to_rttm(timeline: Timeline) -> str:
    """Return RTTM: the emotion is in the column of the speaker, after the speaker and a colon if there are tracks."""
    name = _field(PurePath(timeline.path or "recording").stem)
    lines = []
    for track, part in _speech(timeline):
        label = _field(part.answer if track is None else f"{track}:{part.answer}")
        lines.append(f"SPEAKER {name} 1 {part.start:.3f} {part.end - part.start:.3f} <NA> <NA> {label} <NA> <NA>\n")
    return "".join(lines)


def to_textgrid(timeline: Timeline) -> str:
    """Return a Praat TextGrid: for each track a tier of emotions and one of confidences, empty where nobody speaks."""
    tiers = []
    for track in timeline.tracks:
        sure = [f"{part.confidence:.3f}" if part.confidence is not None else "" for part in track.segments]
        names = [part.answer if part.speech else "" for part in track.segments]
        tiers += [(_tier("emotion", track), names, track), (_tier("confidence", track), sure, track)]
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {timeline.duration!r}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, texts, track) in enumerate(tiers, 1):
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_praat(name)}",
            "        xmin = 0",
            f"        xmax = {timeline.duration!r}",
            f"        intervals: size = {len(texts)}",
        ]
        for k, (part, text) in enumerate(zip(track.segments, texts, strict=True), 1):
            lines += [
                f"        intervals [{k}]:",
                f"            xmin = {part.start!r}",
                f"            xmax = {part.end!r}",
                f"            text = {_praat(text)}",
            ]
    return "\n".join(lines) + "\n"


def to_eaf(timeline: Timeline) -> str:
    """Return an ELAN annotation document (EAF 3.0): a tier for each track, linked to the recording beside it."""
    slots: list[int] = []
    tiers = []
    number = 0
    for track in timeline.tracks:
        notes = []
        for part in track.speech:
            number += 1
            start = round(1000 * part.start)
            slots += [start, max(round(1000 * part.end), start + 1)]
            notes.append(
                f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" TIME_SLOT_REF1="ts{len(slots) - 1}" '
                f'TIME_SLOT_REF2="ts{len(slots)}"><ANNOTATION_VALUE>{_xml(part.answer)}</ANNOTATION_VALUE>'
                f"</ALIGNABLE_ANNOTATION></ANNOTATION>\n"
            )
        participant = f' PARTICIPANT="{_xml(track.name)}"' if track.name else ""
        tiers.append(
            f'<TIER LINGUISTIC_TYPE_REF="emotion"{participant} TIER_ID="{_xml(_tier("emotion", track))}">\n'
            f"{''.join(notes)}</TIER>\n"
        )
    times = "".join(f'<TIME_SLOT TIME_SLOT_ID="ts{k}" TIME_VALUE="{slot}"/>\n' for k, slot in enumerate(slots, 1))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ANNOTATION_DOCUMENT AUTHOR="serkit" DATE="1970-01-01T00:00:00Z" FORMAT="3.0" VERSION="3.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">\n'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">{_media(timeline.path)}</HEADER>\n'
        f"<TIME_ORDER>\n{times}</TIME_ORDER>\n{''.join(tiers)}"
        '<LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="emotion" TIME_ALIGNABLE="true"/>\n'
        "</ANNOTATION_DOCUMENT>\n"
    )


#: What a timeline of one recording can be written as: name of the option -> ending of the file, function.
FORMATS: dict[str, tuple[str, Callable[[Timeline], str]]] = {
    "srt": (".srt", to_srt),
    "vtt": (".vtt", to_vtt),
    "textgrid": (".TextGrid", to_textgrid),
    "eaf": (".eaf", to_eaf),
    "rttm": (".rttm", to_rttm),
}


def said(part: Prediction) -> str:
    """Return the answer with its confidence, such as ``sad 75 %``."""
    return part.answer if part.confidence is None else f"{part.answer} {100 * part.confidence:.0f} %"


def stamp(seconds: float, mark: str) -> str:
    """Return a time as subtitles have it.

    Examples
    --------
    >>> stamp(3725.0456, ","), stamp(0.9996, ".")
    ('01:02:05,046', '00:00:01.000')
    """
    whole = round(1000 * seconds)
    minutes, rest = divmod(whole, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


def _speech(timeline: Timeline) -> list[tuple[str | None, Prediction]]:
    return [(track, part) for track, part in timeline.rows() if part.speech]


def _tier(what: str, track: Track) -> str:
    return what if track.name is None else f"{what} {track.name}"


def _of(track: str | None) -> str:
    return "" if track is None else f"{_plain(track)}: "


def _plain(text: str) -> str:
    """On one line, and no arrow that ends a cue's times."""
    return re.sub(r"\s+", " ", _encodable(text)).replace("-->", "->").strip()


def _field(text: str) -> str:
    """Without the blanks that separate columns."""
    return re.sub(r"\s+", "_", _encodable(text)) or "_"


def _word(text: str) -> str:
    """The name of a class in WebVTT."""
    return re.sub(r"[\s.&<>{}]+", "_", _encodable(text)) or "_"


def _praat(text: str) -> str:
    return '"' + _plain(text).replace('"', '""') + '"'


def _xml(text: str) -> str:
    return escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", _encodable(text)))


def _encodable(text: str) -> str:
    """File names may hold bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _media(path: str | None) -> str:
    if path in (None, "-"):
        return ""
    name = PurePath(str(path)).name
    kind = mimetypes.guess_type(name)[0] or "audio/*"
    kind = "audio/x-wav" if kind in ("audio/wav", "audio/x-wav", "audio/wave") else kind
    place = escape(f"./{quote(name.encode('utf-8', 'surrogateescape'))}")
    return f'<MEDIA_DESCRIPTOR MEDIA_URL="{place}" MIME_TYPE="{kind}" RELATIVE_MEDIA_URL="{place}"/>'
