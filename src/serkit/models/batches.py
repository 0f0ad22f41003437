"""Clips as training batches: normalised, varied, padded, mixed; every random draw comes from a generator passed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, TensorDataset

from serkit.models.resnet import scale

__all__ = ["Clips", "FrameBatches", "VectorBatches"]

# Level of the added noise below the clip's loudest band, dB, and its variation from frame to frame, dB
_NOISE_DB, _NOISE_JITTER = (-60.0, -25.0), 2.0
_NEPER = np.log(10) / 10  # of power, in a dB


class Clips(Dataset):
    """Log-mel frames of clips of any length, with their targets.

    They are stored as float16, with a resolution of 0.03 dB at 60 dB, because the augmented copies of a corpus take
    gigabytes.

    Parameters
    ----------
    clips : sequence of np.ndarray
        (rows, frames) in dB.
    targets : np.ndarray of shape (n,)
        Class indices.
    known : np.ndarray of shape (n, n_classes), optional
        The labels that each clip's corpus has; default: all.
    still : np.ndarray of shape (n,), optional
        Clips whose axes :class:`FrameBatches` does not change; default: none.
    corpora : np.ndarray of shape (n,), optional
        The corpus of each clip. An epoch takes as many clips from each corpus as the smallest one has.
    """

    def __init__(
        self,
        clips: Sequence[np.ndarray],
        targets: np.ndarray,
        *,
        n_classes: int,
        known: np.ndarray | None = None,
        still: np.ndarray | None = None,
        corpora: np.ndarray | None = None,
    ) -> None:
        self.clips = [np.ascontiguousarray(clip.T, dtype=np.float16) for clip in clips]
        self.lengths = np.array([len(clip) for clip in self.clips])
        self.targets = np.asarray(targets)
        self.n_classes = n_classes
        self.known = np.ones((len(self.clips), n_classes), bool) if known is None else np.asarray(known, bool)
        self.still = np.zeros(len(self.clips), bool) if still is None else np.asarray(still, bool)
        names = np.zeros(len(self.clips), int) if corpora is None else np.asarray(corpora)
        self.of_corpus = [np.flatnonzero(names == name) for name in np.unique(names)]

    @property
    def epoch(self) -> int:
        """Number of clips in an epoch."""
        return min(map(len, self.of_corpus)) * len(self.of_corpus)

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Return the clips of one epoch, shuffled: all of the smallest corpus and as many from each other one."""
        if len(self.of_corpus) == 1:
            return rng.permutation(len(self.clips))
        size = min(map(len, self.of_corpus))
        return rng.permutation(np.concatenate([rng.permutation(rows)[:size] for rows in self.of_corpus]))

    def __len__(self) -> int:
        return len(self.clips)


class FrameBatches:
    """Shuffled batches of :class:`Clips`; each access draws a new variant of the clip.

    The variants imitate other voices, rooms and microphones: the spectrum is shifted along the mel axis (a
    vocal tract of another length, after Jaitly and Hinton, 2013), another tempo, another frequency response, a floor of
    noise. Also, bands and stretches are masked (SpecAugment, Park et al., 2019) and pairs of clips mixed (mixup, Zhang
    et al., 2018). A whole batch is changed at once, with matrix products, so it costs little compared with the
    network. The last clips of an epoch that do not fill a batch are left out.

    Yields ``({"x": (batch, rows, frames), "lengths": (batch,)}, targets)``, the targets as
    :class:`serkit.models.losses.KnownCrossEntropy` takes them.

    Parameters
    ----------
    dataset : Clips
    batch_size : int
        At most the number of clips in an epoch.
    rng : numpy.random.Generator
        Draws the order and the changes.
    windows : int
        Number of spectrograms stacked in the rows; all are changed in the same way.
    crop : int
        Clips are cut to this many frames at random positions.
    mel_shift, time_warp : float
        Standard deviations of the shift (bands) and of the log of the tempo.
    colour : float
        Standard deviation (dB) of a smooth curve over the bands that is added to all frames of a clip.
    noise : float
        Share of the clips that get steady coloured noise, 25 to 60 dB below their loudest band.
    mask_bands, mask_frames : int
        Largest masks, two of each per clip.
    mixup : float
        Parameter of mixup's beta distribution, 0 for none. A clip is only mixed with clips that have the same known
        labels.
    """

    def __init__(
        self,
        dataset: Clips,
        *,
        batch_size: int,
        rng: np.random.Generator,
        windows: int,
        crop: int,
        mel_shift: float = 0.0,
        time_warp: float = 0.0,
        colour: float = 0.0,
        noise: float = 0.0,
        mask_bands: int = 0,
        mask_frames: int = 0,
        mixup: float = 0.0,
    ) -> None:
        self.data = dataset
        self.batch_size = batch_size
        self.rng = rng
        self.windows = windows
        self.crop = crop
        self.mel_shift = mel_shift
        self.time_warp = time_warp
        self.colour = colour
        self.noise = noise
        self.mask_bands = mask_bands
        self.mask_frames = mask_frames
        self.mixup = mixup

    def __len__(self) -> int:
        return self.data.epoch // self.batch_size

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        order = self.data.order(self.rng)
        for k in range(len(self)):
            chosen = order[k * self.batch_size : (k + 1) * self.batch_size]
            x, lengths = self._variants(chosen)
            shares = functional.one_hot(torch.from_numpy(self.data.targets[chosen]), self.data.n_classes).float()
            known = self.data.known[chosen]
            if self.mixup:
                share = _share(self.rng, self.mixup)
                other = torch.from_numpy(_partners(self.rng, known))
                x = share * x + (1 - share) * x[other]
                shares = share * shares + (1 - share) * shares[other]
                lengths = torch.maximum(lengths, lengths[other])
            yield {"x": x.flatten(1, 2), "lengths": lengths}, torch.stack([shares, torch.from_numpy(known).float()], 1)

    def _variants(self, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return scaled spectrograms (batch, windows, bands, frames), 0 after the clip, and the frames of each."""
        n, rng = len(chosen), self.rng
        clips, length = [self.data.clips[i] for i in chosen], self.data.lengths[chosen]
        bands = clips[0].shape[1] // self.windows
        frames = np.zeros((n, length.max(), clips[0].shape[1]), np.float32)
        for row, clip in zip(frames, clips, strict=True):
            row[: len(clip)] = clip
        moves = ~self.data.still[chosen]
        tempo = np.exp(rng.normal(size=n) * self.time_warp * moves)
        shift = rng.normal(size=n) * self.mel_shift * moves
        start = rng.uniform(size=n) * np.maximum(length - self.crop * tempo, 0)
        kept = np.clip(np.floor((length - start) / tempo), 1, self.crop).astype(np.int64)
        size = int(kept.max())
        times = np.minimum(start[:, None] + np.arange(size) * tempo[:, None], length[:, None] - 1)
        rows = np.clip(np.arange(bands) + shift[:, None], 0, bands - 1)
        x = torch.bmm(_interpolation(times, length.max()), torch.from_numpy(frames))
        x = x.view(n, size, self.windows, bands).permute(0, 2, 3, 1)
        x = torch.matmul(_interpolation(rows, bands)[:, None], x)
        if self.colour:
            x = x + _curves(rng, n, bands, self.colour)[:, None, :, None]
        if self.noise:
            x = self._noisy(x)
        x = scale(x)
        lengths = torch.from_numpy(kept)
        hidden = (torch.arange(size) >= lengths[:, None])[:, None]
        for _ in range(2):
            hidden = hidden | _mask(rng, n, bands, self.mask_bands)[:, :, None]
            hidden = hidden | _mask(rng, n, size, self.mask_frames)[:, None]
        return x.masked_fill(hidden[:, None], 0.0), lengths

    def _noisy(self, x: Tensor) -> Tensor:
        """Return the batch (n, windows, bands, frames) in dB, some clips with noise."""
        n, windows, bands, frames = x.shape
        where = np.flatnonzero(self.rng.random(n) < self.noise)
        level = self.rng.uniform(*_NOISE_DB, size=len(where))
        jitter = self.rng.standard_normal((len(where), windows, bands, frames), np.float32) * _NOISE_JITTER
        floor = _curves(self.rng, len(where), bands, 5.0)[:, None, :, None] + torch.from_numpy(jitter)
        some = x[where]
        floor = floor + some.amax((1, 2, 3), keepdim=True) + torch.from_numpy(level).float()[:, None, None, None]
        x[where] = torch.logaddexp(some * _NEPER, floor * _NEPER) / _NEPER
        return x


def _partners(rng: np.random.Generator, known: np.ndarray) -> np.ndarray:
    """Return for each clip of a batch another one with the same known labels."""
    other = np.arange(len(known))
    for labels in np.unique(known, axis=0):
        alike = np.flatnonzero((known == labels).all(1))
        other[alike] = rng.permutation(alike)
    return other


def _share(rng: np.random.Generator, mixup: float) -> float:
    """Return the share of a clip that remains under mixup, at least 0.5."""
    share = float(rng.beta(mixup, mixup))
    return max(share, 1 - share)


def _curves(rng: np.random.Generator, n: int, bands: int, std: float) -> Tensor:
    """Return smooth curves (n, bands): four cosines with amplitudes that fall as 1 / k, ``std`` in total."""
    k = np.arange(1, 5)
    waves = np.cos(np.pi * np.outer(k, np.arange(bands) + 0.5) / bands) / k[:, None]
    return torch.from_numpy(rng.normal(size=(n, 4)) @ waves * (std / np.sqrt((1 / k**2).sum() / 2))).float()


def _interpolation(places: np.ndarray, size: int) -> Tensor:
    """Return matrices (batch, n, size) that interpolate an axis of ``size`` linearly at ``places`` (batch, n)."""
    distance = torch.from_numpy(places).float()[:, :, None] - torch.arange(size)
    return (1 - distance.abs()).clamp(min=0)


def _mask(rng: np.random.Generator, n: int, length: int, largest: int) -> Tensor:
    """Return a random stretch of up to ``largest`` of ``length`` positions per clip; boolean (n, length)."""
    size = rng.integers(min(largest, length) + 1, size=n)
    start = rng.integers(length - size + 1)
    at = np.arange(length)[None]
    return torch.from_numpy((at >= start[:, None]) & (at < (start + size)[:, None]))


class VectorBatches:
    """Shuffled batches of a TensorDataset of vectors (n, planes * rows * frames) and class indices.

    A third tensor (n, n_classes), boolean, may say which labels each clip's corpus has: targets are then those of
    :class:`serkit.models.losses.KnownCrossEntropy`, and a clip is only mixed with clips that have the same
    known labels.

    A whole batch is changed at once, so this costs almost nothing compared with the network. The last clips of an epoch
    that do not fill a batch are left out.

    Parameters
    ----------
    dataset : TensorDataset
    batch_size : int
        At most the number of clips.
    rng : numpy.random.Generator
        Draws the order and the changes.
    n_classes : int
        Length of the targets under mixup, or with known labels.
    planes, rows : int
        Shape of a vector: ``planes`` matrices of ``rows`` x frames. All get the same shifts and masks.
    mixup : float
        Parameter of mixup's beta distribution (Zhang et al., 2018), 0 for none; targets are then shares of classes.
    mask_rows, mask_frames, shift : int
        Largest SpecAugment masks (Park et al., 2019), two of each per clip, set to 0; largest rotation in frames.
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
        self.X, self.y, *known = dataset.tensors
        self.known = known[0] if known else None
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
            yield self._changed(self.X[chosen], self.y[chosen], None if self.known is None else self.known[chosen])

    def _changed(self, x: Tensor, y: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        n = len(x)
        if self.shift or self.mask_rows or self.mask_frames:
            x = x.unflatten(1, (self.planes, self.rows, -1))
            frames = x.shape[3]
            if self.shift:
                by = torch.from_numpy(self.rng.integers(-self.shift, self.shift + 1, n))
                at = (torch.arange(frames)[None] - by[:, None]) % frames
                x = x.gather(3, at[:, None, None].expand_as(x))
            for _ in range(2):
                x = x.masked_fill(_mask(self.rng, n, self.rows, self.mask_rows)[:, None, :, None], 0.0)
                x = x.masked_fill(_mask(self.rng, n, frames, self.mask_frames)[:, None, None], 0.0)
            x = x.flatten(1)
        if not self.mixup and known is None:
            return x, y
        soft = functional.one_hot(y, self.n_classes).float()
        if self.mixup:
            share = _share(self.rng, self.mixup)
            other = torch.from_numpy(self.rng.permutation(n) if known is None else _partners(self.rng, known.numpy()))
            x, soft = share * x + (1 - share) * x[other], share * soft + (1 - share) * soft[other]
        return x, soft if known is None else torch.stack([soft, known.float()], 1)
