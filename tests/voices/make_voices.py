"""Make synthetic voices for tests and benchmarks: one sentence, spoken by espeak-ng in six styles.

A synthesiser of this kind expresses no emotion, so no answer to these clips is right or wrong.

Run ``python tests/voices/make_voices.py``; it needs espeak-ng and the package soundfile.
"""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import soundfile as sf

SENTENCE = "Kids are talking by the door."

# name -> voice, pitch (0-99), speed (words per minute), amplitude (0-200)
STYLES = {
    "high_fast": ("en-us+f3", 85, 210, 120),
    "low_slow": ("en-us+m3", 15, 110, 60),
    "loud_rough": ("en-us+m7", 45, 190, 200),
    "soft_breathy": ("en-us+f5", 40, 130, 40),
    "plain": ("en-us+m1", 50, 160, 100),
    "tremulous_high": ("en-us+croak", 95, 175, 100),
}


def main() -> None:
    """Write one FLAC file a style beside this script."""
    folder = Path(__file__).parent
    for name, (voice, pitch, speed, amplitude) in STYLES.items():
        command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "-a", str(amplitude)]
        wav = subprocess.run([*command, "--stdout", SENTENCE], check=True, capture_output=True).stdout
        # espeak-ng pipes a WAV whose header promises the longest length there is: read what is there.
        samples, rate = sf.read(io.BytesIO(wav), dtype="int16")
        sf.write(folder / f"{name}.flac", samples, rate, subtype="PCM_16")


if __name__ == "__main__":
    main()
