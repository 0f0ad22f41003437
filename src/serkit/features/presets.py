"""The features of the published systems that serkit reproduces, as extractors."""

from __future__ import annotations

from serkit.audio.waveform import Window
from serkit.features.extractor import Extractor, Feature

__all__ = ["s0", "s1", "s3"]


def s0() -> Extractor:
    """System S0: 22,050 Hz, 3 s; mean and standard deviation of nine features over time; the tempo only once.

    Examples
    --------
    >>> len(s0().feature_names())  # 2 x (13 + 12 + 128 + 4) + 1 + 2 x 2
    319
    """
    return Extractor(
        sample_rate=22050,
        window=Window(length=3.0),
        features=(
            Feature("mfcc", {"n_mfcc": 13}),
            Feature("chroma"),
            Feature("mel"),
            Feature("centroid"),
            Feature("bandwidth"),
            Feature("rolloff"),
            Feature("zcr"),
            Feature("tempo"),
            Feature("harmonic_percussive"),
        ),
        layout="mean_std",
    )


def s1() -> Extractor:
    """System S1: 22,050 Hz, the whole clip; means and standard deviations of 40 MFCC, chroma, contrast and centroid.

    Examples
    --------
    >>> len(s1().feature_names())  # 2 x (40 + 12 + 7 + 1)
    120
    """
    return Extractor(
        sample_rate=22050,
        window=Window(),
        features=(
            Feature("mfcc", {"n_mfcc": 40}),
            Feature("chroma"),
            Feature("spectral_contrast"),
            Feature("centroid"),
        ),
        layout="mean_std",
    )


def s3() -> Extractor:
    """System S3: 22,050 Hz, 2.5 s starting at 0.6 s; ZCR, RMS and 20 MFCC of 108 frames, row by row.

    A clip that ends early is padded with zeros.

    Examples
    --------
    >>> len(s3().feature_names())  # 108 x (1 + 1 + 20)
    2376
    """
    return Extractor(
        sample_rate=22050,
        window=Window(offset=0.6, length=2.5),
        features=(Feature("zcr"), Feature("rms"), Feature("mfcc", {"n_mfcc": 20})),
        layout="flat",
    )
