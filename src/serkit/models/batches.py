"""Clips as training batches: normalised, varied, padded, mixed; every random draw comes from a generator passed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, TensorDataset

from serkit.models.nets import SCALE_DB

__all__ = ["LogMelDataset", "MixingCollate", "VectorBatches", "normalise"]

Frames = np.ndarray


def normalise(frames: Frames) -> Frames:
    """Log-mel in dB (bands, frames) -> zero mean in each band, in units of ``SCALE_DB``: level and channel cancel."""
    return ((frames - frames.mean(1, keepdims=True, dtype=np.float64)) / SCALE_DB).astype(np.float32)


class LogMelDataset(Dataset):
    """Normalised clips with their class indices; in training each access draws a new variant of the clip.

    The variants are what a voice or a room might have done: the spectrum moved along the mel axis (a vocal tract of
    another length, after Jaitly and Hinton, 2013), another tempo, a tilted spectrum, and bands and stretches masked
    (SpecAugment, Park et al., 2019).
    """

    def __init__(
        self,
        clips: Sequence[Frames],
        targets: np.ndarray,
        *,
        known: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
        crop: int = 0,
        mel_shift: float = 0.0,
        time_warp: float = 0.0,
        tilt: float = 0.0,
        mask_bands: int = 0,
        mask_frames: int = 0,
    ) -> None:
        self.clips = [normalise(clip) for clip in clips]
        self.targets = targets
        self.known = known
        self.rng = rng
        self.crop = crop
        self.mel_shift = mel_shift
        self.time_warp = time_warp
        self.tilt = tilt
        self.mask_bands = mask_bands
        self.mask_frames = mask_frames

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Frames, int, np.ndarray | None]:
        clip = self.clips[index]
        if self.rng is not None:
            clip = self._variant(clip, self.rng)
        return clip, int(self.targets[index]), None if self.known is None else self.known[index]

    def _variant(self, clip: Frames, rng: np.random.Generator) -> Frames:
        shift = rng.normal() * self.mel_shift
        tempo = float(np.exp(rng.normal() * self.time_warp))
        clip = _resample_axes(clip, shift, tempo)
        bands, length = clip.shape
        if length > self.crop:
            start = int(rng.integers(length - self.crop + 1))
            clip = clip[:, start : start + self.crop].copy()
            length = self.crop
        clip += (rng.normal() * self.tilt * np.linspace(-1, 1, bands, dtype=np.float32))[:, None]
        for _ in range(2):
            size = int(rng.integers(min(self.mask_bands, bands) + 1))
            at = int(rng.integers(bands - size + 1))
            clip[at : at + size] = 0
            size = int(rng.integers(min(self.mask_frames, length // 4) + 1))
            at = int(rng.integers(length - size + 1))
            clip[:, at : at + size] = 0
        return clip


def _resample_axes(clip: Frames, shift: float, tempo: float) -> Frames:
    """Move ``clip`` by ``shift`` bands and play it ``tempo`` times as fast (linear interpolation on both axes)."""
    bands, length = clip.shape
    frames = np.linspace(0, length - 1, max(8, round(length / tempo)))
    low = np.minimum(frames.astype(int), max(0, length - 2))
    high = np.minimum(low + 1, length - 1)
    part = (frames - low).astype(np.float32)
    clip = clip[:, low] * (1 - part) + clip[:, high] * part
    rows = np.clip(np.arange(bands) + shift, 0, bands - 1.001)
    low = rows.astype(int)
    part = (rows - low).astype(np.float32)[:, None]
    return clip[low] * (1 - part) + clip[low + 1] * part


class MixingCollate:
    """Pad clips to one length and, in training, mix pairs of them (mixup, Zhang et al., 2018).

    Returns ``({"x": (batch, bands, frames), "lengths": (batch,)}, targets)``; targets are class indices (batch,), in
    training what :class:`serkit.models.losses.KnownCrossEntropy` takes. A clip is mixed with one that the same labels
    are known of.
    """

    def __init__(self, n_classes: int, *, mixup: float = 0.0, rng: np.random.Generator | None = None) -> None:
        self.n_classes = n_classes
        self.mixup = mixup
        self.rng = rng

    def __call__(self, items: Sequence[tuple[Frames, int, np.ndarray | None]]) -> tuple[dict[str, Tensor], Tensor]:
        """Collate one batch."""
        longest = max(clip.shape[1] for clip, *_ in items)
        x = np.zeros((len(items), items[0][0].shape[0], longest), np.float32)
        lengths = np.empty(len(items), np.int64)
        for k, (clip, *_) in enumerate(items):
            x[k, :, : clip.shape[1]] = clip
            lengths[k] = clip.shape[1]
        y = np.array([target for _, target, _ in items], np.int64)
        if self.rng is None:
            return {"x": torch.from_numpy(x), "lengths": torch.from_numpy(lengths)}, torch.from_numpy(y)
        soft = np.eye(self.n_classes, dtype=np.float32)[y]
        everything = np.ones(self.n_classes, bool)
        known = np.array([everything if labels is None else labels for _, _, labels in items])
        if self.mixup > 0:
            share = float(self.rng.beta(self.mixup, self.mixup))
            share = max(share, 1 - share)
            other = np.arange(len(items))
            for labels in np.unique(known, axis=0):
                alike = np.flatnonzero((known == labels).all(1))
                other[alike] = alike[self.rng.permutation(len(alike))]
            x = np.float32(share) * x + np.float32(1 - share) * x[other]
            soft = np.float32(share) * soft + np.float32(1 - share) * soft[other]
            lengths = np.maximum(lengths, lengths[other])
        return {"x": torch.from_numpy(x), "lengths": torch.from_numpy(lengths)}, torch.from_numpy(
            np.stack([soft, known.astype(np.float32)], 1)
        )


class VectorBatches:
    """Shuffled batches of a TensorDataset of vectors (n, planes * rows * frames) and class indices.

    A whole batch is changed at a time, so it costs next to nothing beside the network. The last clips of an epoch
    that do not fill a batch are left out.

    Parameters
    ----------
    dataset : TensorDataset
    batch_size : int
        At most the number of clips.
    rng : numpy.random.Generator
        Order and changes.
    n_classes : int
        Length of the targets under mixup.
    planes, rows : int
        How a vector folds: ``planes`` matrices of ``rows`` x frames. Shifts and masks are the same in all of them.
    mixup : float
        Parameter of mixup's beta distribution (Zhang et al., 2018), 0 for none; targets are then shares of classes.
    mask_rows, mask_frames, shift : int
        Largest SpecAugment masks (Park et al., 2019), two of each a clip, set to 0; largest rotation in frames.
    """

    def __init__(
        self,
        dataset: TensorDataset,
        *,
        batch_size: int,
        rng: np.random.Generator,
        n_classes: int,
        planes: int,
        rows: int,
        mixup: float,
        mask_rows: int,
        mask_frames: int,
        shift: int,
    ) -> None:
        self.X, self.y = dataset.tensors
        self.batch_size = batch_size
        self.rng = rng
        self.n_classes = n_classes
        self.planes = planes
        self.rows = rows
        self.mixup = mixup
        self.mask_rows = mask_rows
        self.mask_frames = mask_frames
        self.shift = shift

    def __len__(self) -> int:
        return len(self.X) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.from_numpy(self.rng.permutation(len(self.X)))
        for k in range(len(self)):
            chosen = order[k * self.batch_size : (k + 1) * self.batch_size]
            yield self._changed(self.X[chosen], self.y[chosen])

    def _changed(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        n = len(x)
        if self.shift or self.mask_rows or self.mask_frames:
            x = x.unflatten(1, (self.planes, self.rows, -1))
            frames = x.shape[3]
            if self.shift:
                by = torch.from_numpy(self.rng.integers(-self.shift, self.shift + 1, n))
                at = (torch.arange(frames)[None] - by[:, None]) % frames
                x = x.gather(3, at[:, None, None].expand_as(x))
            for _ in range(2):
                x = x.masked_fill(self._mask(n, self.rows, self.mask_rows)[:, None, :, None], 0.0)
                x = x.masked_fill(self._mask(n, frames, self.mask_frames)[:, None, None], 0.0)
            x = x.flatten(1)
        if not self.mixup:
            return x, y
        soft = functional.one_hot(y, self.n_classes).float()
        share = float(self.rng.beta(self.mixup, self.mixup))
        share = max(share, 1 - share)
        other = torch.from_numpy(self.rng.permutation(n))
        return share * x + (1 - share) * x[other], share * soft + (1 - share) * soft[other]

    def _mask(self, n: int, length: int, largest: int) -> Tensor:
        size = self.rng.integers(min(largest, length) + 1, size=n)
        start = self.rng.integers(length - size + 1)
        at = np.arange(length)[None]
        return torch.from_numpy((at >= start[:, None]) & (at < (start + size)[:, None]))
