"""Timelines written for other programs, and read back by them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

import serkit
from serkit.recognition.speakers import parse_rttm
from serkit.recognition.track_formats import to_csv, to_eaf, to_json, to_rttm, to_srt, to_textgrid, to_vtt
from serkit.recognition.tracks import Timeline, Track
from tests.made_segments import LABELS, part

ANN = Track("ann", (part(0.0, 1.25), part(1.25, 2.5, 0.75), part(2.5, 3.0, 0.55, unsure=True), part(3.0, 4.125)))
BOB = Track('bob "B" <b&co>', (part(0.0, 2.0), part(2.0, 4.0, 0.125), part(4.0, 4.125)))
BOTH = Timeline("calls/a call.wav", 4.125, "tiny 1.0", LABELS, (ANN, BOB))
ONE = Timeline("calls/one.wav", 4.125, "tiny 1.0", LABELS, (Track(None, ANN.segments),), error="It breaks off.")


def test_rows_and_shares() -> None:
    assert [(track, row.start, row.answer) for track, row in BOTH.rows()] == [
        ("ann", 0.0, "no speech"),
        ('bob "B" <b&co>', 0.0, "no speech"),
        ("ann", 1.25, "sad"),
        ('bob "B" <b&co>', 2.0, "happy"),
        ("ann", 2.5, "unsure"),
        ("ann", 3.0, "no speech"),
        ('bob "B" <b&co>', 4.0, "no speech"),
    ]
    assert BOTH.shares() == {"happy": 2 / 3.75, "sad": 1.25 / 3.75, "unsure": 0.5 / 3.75}
    assert BOTH.shares(1) == {"happy": 1.0, "sad": 0.0}
    assert BOTH.segments[2] == ANN.segments[1]


def test_json_holds_everything() -> None:
    (both, one) = json.loads(to_json([BOTH, ONE]))
    assert [track["name"] for track in both["tracks"]] == ["ann", 'bob "B" <b&co>']
    assert both["tracks"][0]["segments"][1]["probabilities"] == {"happy": 0.25, "sad": 0.75}
    assert both["tracks"][0]["speech_seconds"] == 1.75
    assert both["tracks"][1]["shares"] == {"happy": 1.0, "sad": 0.0}
    assert (one["error"], one["duration"], one["path"]) == ("It breaks off.", 4.125, "calls/one.wav")


def test_csv_has_a_row_for_each_segment() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([BOTH, ONE]))))
    assert len(rows) == 11
    assert rows[2]["path"] == "calls/a call.wav"
    assert (rows[2]["track"], rows[2]["emotion"], rows[2]["sad"], rows[2]["speech"]) == ("ann", "sad", "0.75", "true")
    assert rows[-1]["track"] == ""
    assert to_csv([], labels=LABELS).startswith("path,track,start,end,")


def test_srt() -> None:
    assert to_srt(BOTH).split("\n\n")[:2] == [
        "1\n00:00:01,250 --> 00:00:02,500\nann: sad 75 %",
        '2\n00:00:02,000 --> 00:00:04,000\nbob "B" <b&co>: happy 88 %',
    ]
    assert to_srt(ONE).count("-->") == 2


def test_vtt() -> None:
    text = to_vtt(BOTH)
    assert text.startswith("WEBVTT\n\nSTYLE\n::cue(.happy) { color: #F0C808 }\n")
    assert "00:00:01.250 --> 00:00:02.500\n<v ann><c.sad>sad 75 %</c>\n\n" in text
    assert '<v bob "B" &lt;b&amp;co&gt;><c.happy>happy 88 %</c>' in text
    assert "<c.unsure>unsure 55 %</c>" in to_vtt(ONE)


def test_rttm_is_read_back() -> None:
    fields = [line.split() for line in to_rttm(BOTH).splitlines()]
    assert {len(line) for line in fields} == {10}
    assert fields[0] == ["SPEAKER", "a_call", "1", "1.250", "1.250", "<NA>", "<NA>", "ann:sad", "<NA>", "<NA>"]
    assert [line.split()[7] for line in to_rttm(ONE).splitlines()] == ["sad", "unsure"]
    dotted = replace(BOTH, path="a.b & c.wav", tracks=(replace(ANN, name="Ann B."),))
    assert to_rttm(dotted).split()[1:8:6] == ["a.b_&_c", "Ann_B.:sad"]
    assert parse_rttm(to_rttm(replace(ONE, path="a.b.wav")), "a.b.rttm", "a.b.wav").names == ("sad", "unsure")


def test_praat_reads_the_textgrid(tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    (tmp_path / "a.TextGrid").write_text(to_textgrid(BOTH), encoding="utf-8")
    read = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=True)
    assert (read.minTimestamp, read.maxTimestamp) == (0, 4.125)
    names = ["emotion ann", "confidence ann", 'emotion bob "B" <b&co>', 'confidence bob "B" <b&co>']
    assert [name.replace('""', '"') for name in read.tierNames] == names
    for tier, track in zip((read.tiers[0], read.tiers[2]), BOTH.tracks, strict=True):
        want = [(p.start, p.end, p.answer if p.speech else "") for p in track.segments]
        assert [(entry.start, entry.end, entry.label) for entry in tier.entries] == want
    assert [entry.label for entry in read.tiers[1].entries] == ["", "0.750", "0.550", ""]


def test_elan_reads_the_eaf(tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan")
    (tmp_path / "a.eaf").write_text(to_eaf(BOTH), encoding="utf-8")
    read = elan.Eaf(str(tmp_path / "a.eaf"))
    assert set(read.get_tier_names()) == {"emotion ann", 'emotion bob "B" <b&co>'}
    assert sorted(read.get_annotation_data_for_tier("emotion ann")) == [(1250, 2500, "sad"), (2500, 3000, "unsure")]
    assert read.get_annotation_data_for_tier('emotion bob "B" <b&co>') == [(2000, 4000, "happy")]
    assert read.get_parameters_for_tier("emotion ann")["PARTICIPANT"] == "ann"
    (media,) = read.get_linked_files()
    assert (media["MEDIA_URL"], media["MIME_TYPE"]) == ("./a%20call.wav", "audio/x-wav")


def test_what_cannot_be_written_as_text_is_escaped() -> None:
    odd = Timeline("caf\udce9\n.wav", 1.0, "tiny 1", LABELS, (Track("a\n--> b\x07", (part(0.0, 1.0, 0.75),)),))
    for write in (to_srt, to_vtt, to_rttm, to_textgrid, to_eaf):
        write(odd).encode("utf-8")
    assert to_srt(odd).count("-->") == 1


def test_an_empty_timeline_has_empty_files(tmp_path: Path) -> None:
    silent = Timeline("a.wav", 4.0, "tiny 1", LABELS, (Track(None, (part(0.0, 4.0),)),))
    assert to_srt(silent) == to_rttm(silent) == ""
    assert set(silent.shares().values()) == {0.0}
    textgrid = pytest.importorskip("praatio.textgrid")
    (tmp_path / "a.TextGrid").write_text(to_textgrid(silent), encoding="utf-8")
    assert textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=True).maxTimestamp == 4.0
    elan = pytest.importorskip("pympi.Elan")
    (tmp_path / "a.eaf").write_text(to_eaf(silent), encoding="utf-8")
    assert elan.Eaf(str(tmp_path / "a.eaf")).get_annotation_data_for_tier("emotion") == []


def test_names_are_public() -> None:
    assert serkit.Timeline is Timeline
