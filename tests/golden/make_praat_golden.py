"""Make praat.json: what Praat measures in the example clips and the made voices of this folder's neighbour.

Run ``python tests/golden/make_praat_golden.py`` with praat-parselmouth 0.4.7 (``pip install praat-parselmouth``), which
serkit itself never needs. The settings are Praat's own, 75 to 600 Hz, a frame every 10 ms.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from serkit import Waveform, load_audio

ROOT = Path(__file__).resolve().parents[2]
PATH = Path(__file__).with_name("praat.json")
HOP = 0.01  # s


def clips() -> list[Path]:
    """Six made voices and the example clips, which are of actors."""
    return sorted([*(ROOT / "tests" / "voices").glob("*.flac"), *(ROOT / "examples").glob("*.opus")])


def cut(path: Path) -> Waveform:
    """Read a clip and cut it to whole hops, so that Praat's frames are at multiples of the hop."""
    wave = load_audio(path, target_rate=16000)
    hop = round(HOP * wave.sample_rate)
    return Waveform(wave.samples[: len(wave.samples) // hop * hop], wave.sample_rate)


def praat(wave: Waveform) -> dict[str, Any]:
    """Measure a clip with Praat: times and pitch of its frames (0: not voiced), and the measures of the clip."""
    import parselmouth
    from parselmouth.praat import call

    sound = parselmouth.Sound(wave.samples.astype(np.float64), wave.sample_rate)
    pitch = sound.to_pitch_ac(time_step=HOP)
    pulses = call([sound, pitch], "To PointProcess (cc)")
    tract = sound.to_formant_burg(time_step=HOP)
    hertz, strength = pitch.selected_array["frequency"], pitch.selected_array["strength"]
    times = pitch.xs()
    heard = hertz > 0
    share = np.clip(strength[heard], 1e-6, 1 - 1e-6)
    found = {
        "pitch": np.median(hertz[heard]),
        "jitter": 100 * call(pulses, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3),
        "shimmer": 100 * call([sound, pulses], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6),
        "hnr": np.mean(10 * np.log10(share / (1 - share))),
    }
    for k in (1, 2, 3):
        found[f"f{k}"] = np.nanmedian([tract.get_value_at_time(k, time) for time in times[heard]])
    return {
        "times": times.round(4).tolist(),
        "hz": hertz.round(1).tolist(),
        "measures": {name: round(float(value), 3) for name, value in found.items()},
    }


if __name__ == "__main__":
    made = {path.relative_to(ROOT).as_posix(): praat(cut(path)) for path in clips()}
    PATH.write_text(json.dumps(made, separators=(",", ":")).replace('},"', '},\n"') + "\n", encoding="utf-8")
    print(PATH)
