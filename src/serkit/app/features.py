"""The page of features: those of a clip, over time and compared with the averages of the emotions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from serkit import audio
from serkit.app import charts, feature_files, sound_pictures
from serkit.app.averages import averages
from serkit.app.clips import Clip, pick
from serkit.app.words import no_speech, plain
from serkit.errors import SerkitError
from serkit.features import MEASURES, Description, describe
from serkit.recognition.feature_rows import FeatureRow
from serkit.recognition.recognizer import Recognizer

__all__ = ["SECTIONS", "Section", "nearest_average", "show"]

_LONGEST = 30.0  # s; the most of a clip that is analysed
_PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes
    ----------
    title, says : str
        Title, and a one-line explanation.
    rows : tuple of str
        Features drawn over time, keys of :attr:`serkit.features.Description.rows`.
    compared : tuple of str
        Measures that are compared, keys of :data:`serkit.features.MEASURES`.
    names : tuple of str
        Their names in the picture.
    unit : str
        Unit of the values over time, with a leading blank.
    map : bool
        Whether to draw a map instead of curves.
    """

    title: str
    says: str
    rows: tuple[str, ...]
    compared: tuple[str, ...]
    names: tuple[str, ...]
    unit: str = ""
    map: bool = False


def _many(stem: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{stem}_{name}" for name in names)


_NUMBERS = tuple(map(str, range(13)))
_MFCC, _CHROMA, _CONTRAST = _many("mfcc", _NUMBERS), _many("chroma", _PITCHES), _many("spectral_contrast", _NUMBERS[:7])

#: The page from top to bottom.
SECTIONS = (
    Section(
        "Pitch",
        "How high the voice is, and how far it moves: high and wide when excited, low and flat when sad or bored.",
        ("pitch",),
        ("pitch", "pitch_low", "pitch_high", "pitch_range"),
        ("pitch", "low end", "high end", "range"),
        " Hz",
    ),
    Section(
        "Harmonics to noise, jitter, shimmer",
        "How clear the voice is, and how even its periods are in length and level. Melody, noise and coding add to "
        "jitter and shimmer, so compare like with like.",
        ("hnr",),
        ("hnr", "jitter", "shimmer"),
        ("harmonics to noise", "jitter", "shimmer"),
        " dB",
    ),
    Section(
        "Formants",
        "The three lowest resonances of throat and mouth, which make the vowels. F1 rises with an open mouth.",
        ("f1", "f2", "f3"),
        ("f1", "f2", "f3"),
        ("F1", "F2", "F3"),
        " Hz",
    ),
    Section(
        "MFCC",
        "The shape of the spectrum in 13 numbers, as formed by the mouth; 0 is loudness. Each row has its own scale.",
        _MFCC,
        _MFCC,
        _NUMBERS,
        map=True,
    ),
    Section(
        "Chroma",
        "Which of the twelve notes the sound is close to: the melody of a voice, in any octave.",
        _CHROMA,
        _CHROMA,
        _PITCHES,
        map=True,
    ),
    Section(
        "Spectral contrast",
        "How far peaks rise above valleys in seven bands from low to high: high for clear voices, low for breath and "
        "noise.",
        _CONTRAST,
        _CONTRAST,
        _NUMBERS[:7],
        " dB",
        map=True,
    ),
    Section(
        "Centroid, bandwidth, roll-off",
        "The middle of the spectrum, its width, and the frequency below which 85 % of it is: bright or dark.",
        ("centroid", "bandwidth", "rolloff"),
        ("centroid", "bandwidth", "rolloff"),
        ("centroid", "bandwidth", "roll-off"),
        " Hz",
    ),
    Section(
        "Zero-crossing rate",
        "How often the waveform changes sign: high for hissing sounds, low for voiced sounds.",
        ("zcr",),
        ("zcr",),
        ("zero-crossing rate",),
    ),
    Section(
        "RMS",
        "Loudness. It also depends on the distance to the microphone, so compare with care.",
        ("rms",),
        ("rms",),
        ("RMS",),
        " dB",
    ),
    Section(
        "Tempo",
        "How strongly sounds start, and their most likely pace. Made for music: speech has no beat.",
        ("onsets",),
        ("tempo",),
        ("tempo",),
        " bpm",
    ),
    Section(
        "Harmonic and percussive",
        "Steady sounds, such as vowels, and sudden ones, such as plosives. The comparison shows their difference in "
        "level.",
        ("harmonic", "percussive"),
        ("harmonic_over_percussive",),
        ("harmonic over percussive",),
        " dB",
    ),
)


#: What is shown first of a voice: name, measure, format.
_VOICE = (
    ("Pitch", "pitch", ".0f"),
    ("Range", "pitch_range", ".1f"),
    ("Jitter", "jitter", ".2f"),
    ("Shimmer", "shimmer", ".1f"),
    ("Harmonics to noise", "hnr", ".1f"),
)


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page."""
    clip = pick("feature")
    if clip is not None:
        _one(clip)
    st.divider()
    feature_files.show()


def _one(clip: Clip) -> None:
    try:
        row = _measured(clip)
    except SerkitError as error:
        st.error(plain(error_text(error)))
        return
    found = row.found
    assert found is not None
    st.audio(clip.read(), format=clip.mime)
    if not row.voiced:
        st.html(no_speech())
        return
    if not found.speech:
        st.info("No speech was found here. Sounds with a pitch were measured anyway.")
    if found.duration > _LONGEST - 0.1:
        st.caption(f"Only the first {_LONGEST:.0f} s are measured.")
    with st.container(horizontal=True, gap="small"):
        for name, measure, form in _VOICE:
            value = found.measures[measure]
            shown = "–" if np.isnan(value) else f"{value:{form}} {MEASURES[measure].replace('semitones', 'st')}"
            st.metric(name, shown, width="content")
        formants = [found.measures[name] for name in ("f1", "f2", "f3")]
        shown = ", ".join("–" if np.isnan(value) else f"{value:.0f}" for value in formants)
        st.metric("Formants", f"{shown} Hz", width="content")
    feature_files.download_one(row)
    st.caption(
        "Only voiced sound counts, that is, sound with a pitch: pauses, breath and hiss are left out. Next to each "
        "feature: this clip compared with the clips of RAVDESS speech, by acted emotion. Bars show one standard "
        "deviation on either side of the mean; in the maps, orange is above an emotion's mean, blue below it."
    )
    for number, section in enumerate(SECTIONS):
        _section(section, found, f"feature {number}")


def error_text(error: SerkitError) -> str:
    """Return the error as a sentence with a capital."""
    text = str(error)
    return text[:1].upper() + text[1:]


def nearest_average(values: Mapping[str, float]) -> str:
    """Return the emotion whose means are closest to the measures: sum of squared differences in standard deviations.

    Measures that are NaN do not count.

    Examples
    --------
    >>> nearest_average({"rms": averages()["angry"]["rms"].mean})
    'angry'
    """

    def distance(label: str) -> float:
        known = averages()[label]
        apart = {name: (value - known[name].mean) / known[name].deviation for name, value in values.items()}
        return sum(value**2 for value in apart.values() if not np.isnan(value))

    return min(averages(), key=distance)


def _measured(clip: Clip) -> FeatureRow:
    """Return the measures of a clip; those of the last clip are kept for the session."""
    known: tuple[str, FeatureRow] | None = st.session_state.get("measured")
    if known is None or known[0] != clip.key:
        with st.spinner("Measuring …"):
            # Of a recording that breaks off, what is there
            wave = audio.load(clip.open(), duration=_LONGEST, on_break=lambda reason: None)
            known = (clip.key, FeatureRow(clip.name, describe(wave)))
        st.session_state["measured"] = known
    return known[1]


def _section(section: Section, sound: Description, key: str) -> None:
    st.header(section.title)
    st.markdown(plain(section.says))
    left, right = st.columns(2, gap="medium")
    with left:
        charts.draw(_over_time(section, sound), f"{key} time")
    with right:
        _comparison(section, sound.measures, key)


def _over_time(section: Section, sound: Description) -> go.Figure:
    if section.map:
        rows = np.array([sound.rows[name] for name in section.rows])
        return sound_pictures.heat(
            sound.times, rows, section.names, unit=section.unit, own_scales=section.rows == _MFCC
        )
    names = {"rolloff": "roll-off"}
    unit = " dB" if section.rows == ("onsets",) else section.unit
    names |= {"hnr": "harmonics to noise", "f1": "F1", "f2": "F2", "f3": "F3"}
    return sound_pictures.curves(sound.times, {names.get(n, n): sound.rows[n] for n in section.rows}, unit=unit)


def _comparison(section: Section, found: Mapping[str, float], key: str) -> None:
    """Draw the comparison with the averages, and name the closest one."""
    known = averages()
    if section.map:
        values = {name: found[name] for name in section.compared}
        figure = sound_pictures.distances(values, known, section.names)
        charts.draw(figure, f"{key} averages")
        st.caption(plain(f"All {len(values)} together are closest to the average of {nearest_average(values)}."))
        return
    name = section.compared[0]
    title = section.names[0]
    if len(section.compared) > 1:
        title = st.radio("Compared", section.names, horizontal=True, label_visibility="collapsed", key=f"{key} which")
        name = section.compared[section.names.index(title)]
    if np.isnan(found[name]):
        st.caption(f"Too little of this clip is voiced to measure its {title}.")
        return
    one = {label: table[name] for label, table in known.items()}
    unit = f" {MEASURES[name]}".rstrip()
    figure = sound_pictures.compared(found[name], one, unit=unit)
    charts.draw(figure, f"{key} averages {name}")
    nearest = nearest_average({name: found[name]})
    says = f"{title}: {sound_pictures.number(found[name])}{unit}, closest to the average of {nearest}."
    st.caption(plain(says[:1].upper() + says[1:]))
