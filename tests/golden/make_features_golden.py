"""Make features.npz: librosa's values for a synthetic clip, so that the features hold without librosa at hand.

Run ``python tests/golden/make_features_golden.py`` with librosa 0.11 after a change of the list below. The clip is made
here from formulas (a voice-like glide, a pause, noise from a linear congruential generator, digital silence), stored
as 16-bit integers, and read back by the tests: the arrays belong to exactly these samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE = 22050
PATH = Path(__file__).with_name("features.npz")


def clip() -> np.ndarray:
    """0.75 s at 22,050 Hz, int16."""
    t = np.arange(int(0.5 * RATE)) / RATE
    phase = 2 * np.pi * (180 * t + 60 * t**2)
    voice = sum(np.sin(k * phase) / k for k in range(1, 30)) * (0.6 - 0.4 * np.cos(2 * np.pi * 6 * t))
    state, noise = 1, np.empty(int(0.15 * RATE))
    for i in range(noise.size):
        state = (1103515245 * state + 12345) % 2**31
        noise[i] = state / 2**30 - 1
    silence = np.zeros(int(0.05 * RATE))
    sound = np.concatenate([0.2 * voice, silence, 0.02 * noise, silence])
    return np.round(sound * 32767).astype(np.int16)


def main() -> None:
    """Write the arrays next to this script."""
    import librosa

    f = librosa.feature
    pcm = clip()
    y = pcm.astype(np.float32) / 32768
    spectrum = librosa.stft(y)
    parts = librosa.decompose.hpss(spectrum)
    mfcc = f.mfcc(y=y, sr=RATE, n_mfcc=20)
    net = {"n_fft": 512, "win_length": 400, "hop_length": 256, "n_mels": 40, "fmin": 50.0, "fmax": 8000.0}
    arrays = {
        "mfcc": mfcc,
        "chroma": f.chroma_stft(y=y, sr=RATE),
        "mel": f.melspectrogram(y=y, sr=RATE, n_mels=40),
        "log_mel": librosa.power_to_db(f.melspectrogram(y=y, sr=RATE, **net)),
        "spectral_contrast": f.spectral_contrast(y=y, sr=RATE),
        "centroid": f.spectral_centroid(y=y, sr=RATE),
        "bandwidth": f.spectral_bandwidth(y=y, sr=RATE),
        "rolloff": f.spectral_rolloff(y=y, sr=RATE),
        "zcr": f.zero_crossing_rate(y),
        "rms": f.rms(y=y),
        "tempo": f.tempo(y=y, sr=RATE)[:, None],
        "harmonic_percussive": np.concatenate([f.rms(S=np.abs(part)) for part in parts]),
        "delta": f.delta(mfcc),
        "delta2": f.delta(mfcc, order=2),
    }
    np.savez_compressed(PATH, pcm=pcm, **{name: np.float32(values) for name, values in arrays.items()})


if __name__ == "__main__":
    main()
