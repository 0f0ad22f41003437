"""The content hashes of a model's training clips, so that ``ser transfer`` recognises them under any name.

A bundle keeps them in ``clips.bin``: the first eight bytes of each clip's ``audio_hash``, sorted, each once; 10,000
clips take 80 kB. Eight bytes of SHA-256 are enough to recognise a clip (among 10,000 of them, a foreign one of 10,000
is taken for a known one with a probability of 5e-12) and say nothing about its sound.

The hash is of the decoded samples and their rate (:attr:`serkit.audio.Waveform.digest`). So a copy is recognised under
another name, in another folder, or in another lossless container. A copy that was resampled, cut, made louder or
compressed with loss has other samples and is not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

__all__ = ["CLIPS", "check_clips", "known_clips", "pack_clips"]

#: The file in a bundle.
CLIPS = "clips.bin"

_BYTES = 8


def pack_clips(hashes: Iterable[str]) -> bytes:
    """Return the content of ``clips.bin`` for these hashes.

    Parameters
    ----------
    hashes : iterable of str
        SHA-256 of each clip, 64 hexadecimal digits: the column ``audio_hash`` of a corpus table.

    Examples
    --------
    >>> pack_clips(["ff" * 32, "01" * 32, "ff" * 32]).hex()
    '0101010101010101ffffffffffffffff'
    """
    return b"".join(sorted({_short(text) for text in hashes}))


def check_clips(data: bytes) -> None:
    """Raise ValueError unless :func:`pack_clips` could write this; the message is the end of a sentence."""
    if len(data) % _BYTES:
        raise ValueError(f"has {len(data):,} bytes, which is not a multiple of {_BYTES}")
    known = _split(data)
    if any(first >= second for first, second in pairwise(known)):
        raise ValueError("does not hold sorted hashes, each once")


def known_clips(data: bytes, hashes: Iterable[str]) -> list[bool]:
    """Return for each hash whether ``clips.bin`` holds it.

    Parameters
    ----------
    data : bytes
        The content of ``clips.bin``.
    hashes : iterable of str
        64 hexadecimal digits each.

    Examples
    --------
    >>> known_clips(pack_clips(["ff" * 32]), ["ff" * 32, "fe" * 32])
    [True, False]
    """
    known = set(_split(data))
    return [_short(text) in known for text in hashes]


def _short(text: str) -> bytes:
    return bytes.fromhex(text)[:_BYTES]


def _split(data: bytes) -> list[bytes]:
    return [data[k : k + _BYTES] for k in range(0, len(data), _BYTES)]
