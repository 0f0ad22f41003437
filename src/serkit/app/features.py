"""The page of features: those of a clip, over time and compared with the averages of the emotions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from serkit import audio
from serkit.app import sound_pictures
from serkit.app.averages import DESCRIBED, averages, measures
from serkit.app.clips import Clip, pick
from serkit.app.words import plain
from serkit.audio import Waveform
from serkit.errors import SerkitError
from serkit.features import Analysis, Feature, onset_strength
from serkit.recognition.recognizer import Recognizer

__all__ = ["SECTIONS", "Section", "Sound", "analyse", "nearest_average", "show"]

_CONFIG = {"displayModeBar": False}
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
        Features drawn over time, keys of :attr:`Sound.rows`.
    compared : tuple of str
        Measures that are compared, keys of :attr:`Sound.measures`.
    names : tuple of str
        Their names in the picture.
    unit : str
        Unit of the values, with a leading blank.
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


@dataclass(frozen=True)
class Sound:
    """The features of a clip.

    Attributes
    ----------
    times : np.ndarray, shape=(n_frames,)
        Seconds from the clip's start.
    rows : dict of str to np.ndarray, shape=(n_frames,)
        Over time: ``mfcc_0`` and so on; rms, harmonic and percussive in dB; ``onsets`` in dB.
    measures : dict of str to float
        From :func:`serkit.app.averages.measures`, without the silence around the voice.
    """

    times: np.ndarray
    rows: dict[str, np.ndarray]
    measures: dict[str, float]


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page."""
    clip = pick("feature")
    if clip is None:
        return
    try:
        sound = _sound(clip)
    except SerkitError as error:
        st.error(plain(error_text(error)))
        return
    st.audio(clip.read(), format=clip.mime)
    if sound.times[-1] > _LONGEST - 0.1:
        st.caption(f"Only the first {_LONGEST:.0f} s are measured.")
    st.caption(
        "Next to each feature: this clip compared with the clips of RAVDESS speech, by acted emotion. Bars show one "
        "standard "
        "deviation on either side of the mean; in the maps, orange is above an emotion's mean, blue below, clear equal."
    )
    for number, section in enumerate(SECTIONS):
        _section(section, sound, f"feature {number}")


def error_text(error: SerkitError) -> str:
    """Return the error as a sentence with a capital."""
    text = str(error)
    return text[:1].upper() + text[1:]


def analyse(wave: Waveform) -> Sound:
    """Measure a clip over time and as a whole.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050).astype(np.float32)
    >>> sound = analyse(Waveform(tone, 22050))
    >>> sound.times.shape, max(_CHROMA, key=lambda name: sound.rows[name].mean())
    ((44,), 'chroma_A')
    """
    wave = audio.resample(wave, DESCRIBED.sample_rate)
    analysis = Analysis(wave, n_fft=DESCRIBED.n_fft, hop_length=DESCRIBED.hop_length)
    rows: dict[str, np.ndarray] = {"onsets": onset_strength(analysis)[0]}
    for feature in DESCRIBED.features:
        if not feature.per_clip:
            rows.update(zip(feature.row_names(), _in_decibels(feature, feature(analysis)), strict=True))
    times = np.arange(analysis.n_frames) * DESCRIBED.hop_length / DESCRIBED.sample_rate
    return Sound(times, rows, measures(wave))


def nearest_average(values: Mapping[str, float]) -> str:
    """Return the emotion whose means are closest to the measures: sum of squared differences in standard deviations.

    Examples
    --------
    >>> nearest_average({"rms": averages()["angry"]["rms"].mean})
    'angry'
    """

    def distance(label: str) -> float:
        known = averages()[label]
        return sum(((value - known[name].mean) / known[name].deviation) ** 2 for name, value in values.items())

    return min(averages(), key=distance)


def _in_decibels(feature: Feature, values: np.ndarray) -> np.ndarray:
    if feature.name not in ("rms", "harmonic_percussive"):
        return values
    return 20 * np.log10(np.maximum(values, 1e-5))


def _sound(clip: Clip) -> Sound:
    """Return the features of a clip; those of the last clip are kept for the session."""
    known: tuple[str, Sound] | None = st.session_state.get("measured")
    if known is None or known[0] != clip.key:
        with st.spinner("Measuring …"):
            rate = DESCRIBED.sample_rate  # of a recording that breaks off, what is there
            wave = audio.load(clip.open(), duration=_LONGEST, target_rate=rate, on_break=lambda reason: None)
            known = (clip.key, analyse(wave))
        st.session_state["measured"] = known
    return known[1]


def _section(section: Section, sound: Sound, key: str) -> None:
    st.subheader(section.title)
    st.markdown(plain(section.says))
    left, right = st.columns(2, gap="medium")
    with left:
        st.plotly_chart(_over_time(section, sound), key=f"{key} time", width="stretch", config=_CONFIG)
    with right:
        _comparison(section, sound.measures, key)


def _over_time(section: Section, sound: Sound) -> go.Figure:
    if section.map:
        rows = np.array([sound.rows[name] for name in section.rows])
        return sound_pictures.heat(
            sound.times, rows, section.names, unit=section.unit, own_scales=section.rows == _MFCC
        )
    names = {"rolloff": "roll-off"}
    unit = " dB" if section.rows == ("onsets",) else section.unit
    return sound_pictures.curves(sound.times, {names.get(n, n): sound.rows[n] for n in section.rows}, unit=unit)


def _comparison(section: Section, found: Mapping[str, float], key: str) -> None:
    """Draw the comparison with the averages, and name the closest one."""
    known = averages()
    if section.map:
        values = {name: found[name] for name in section.compared}
        figure = sound_pictures.distances(values, known, section.names)
        st.plotly_chart(figure, key=f"{key} averages", width="stretch", config=_CONFIG)
        st.caption(plain(f"All {len(values)} together are closest to the average of {nearest_average(values)}."))
        return
    name = section.compared[0]
    title = section.names[0]
    if len(section.compared) > 1:
        title = st.radio("Compared", section.names, horizontal=True, label_visibility="collapsed", key=f"{key} which")
        name = section.compared[section.names.index(title)]
    one = {label: table[name] for label, table in known.items()}
    figure = sound_pictures.compared(found[name], one, unit=section.unit)
    st.plotly_chart(figure, key=f"{key} averages {name}", width="stretch", config=_CONFIG)
    nearest = nearest_average({name: found[name]})
    says = f"{title}: {sound_pictures.number(found[name])}{section.unit}, closest to the average of {nearest}."
    st.caption(plain(says[:1].upper() + says[1:]))
