"""Torch modules: a small residual network on log-mel frames with attentive statistics pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "MEAN_DB",
    "SCALE_DB",
    "AttentiveStatistics",
    "Average",
    "ChannelAttention",
    "ResNetASP",
    "ResidualBlock",
    "in_fast_order",
    "scale",
]

#: Offset and scale (dB) of the log-mel that networks see, for clips at full level.
MEAN_DB, SCALE_DB = -35.0, 20.0

Decibels = TypeVar("Decibels", np.ndarray, Tensor)


def scale(frames: Decibels) -> Decibels:
    """Scale the log-mel (dB) of a clip at full level to about zero mean and unit variance over a corpus."""
    return (frames - MEAN_DB) / SCALE_DB


def in_fast_order(network: nn.Module) -> nn.Module:
    """Return ``network`` with its weights in the memory order that trains a sixth faster.

    torch 2.13 writes past its memory in that order where a convolution has few channels: there the order stays.
    """
    if any(m.out_channels % 8 for m in network.modules() if isinstance(m, nn.Conv2d)):
        return network
    ordered: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ordered


class ChannelAttention(nn.Module):
    """Weights of the channels from a convolution over their means (Wang et al., 2020, "ECA-Net")."""

    def __init__(self, kernel: int = 5) -> None:
        super().__init__()
        self.across = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel of ``x`` (batch, channels, bands, frames) by a weight in (0, 1)."""
        weight = torch.sigmoid(self.across(x.mean((2, 3))[:, None]))[:, 0]
        return x * weight[:, :, None, None]


class ResidualBlock(nn.Module):
    """Two convolutions with batch norm, channel attention and a shortcut (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int], kernel: tuple[int, int] = (3, 3)) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.conv1 = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel, 1, padding, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.attention = ChannelAttention()
        self.shortcut: nn.Module = nn.Identity()
        if stride != (1, 1) or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, bands, frames) -> (batch, outputs, bands / stride, frames / stride)."""
        h = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.attention(self.norm2(self.conv2(h))) + self.shortcut(x))


class AttentiveStatistics(nn.Module):
    """Attention-weighted mean and standard deviation over time.

    Okabe, Koshinaka and Shinoda (2018), "Attentive Statistics Pooling for Deep Speaker Embedding".
    """

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.Conv1d(channels, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, channels, 1))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, channels, frames) -> (batch, 2 * channels); frames where ``mask`` is False do not count."""
        score = self.attention(x)
        if mask is not None:
            score = score.masked_fill(~mask, -1e4)
        weight = score.softmax(2)
        mean = (weight * x).sum(2)
        variance = (weight * x * x).sum(2) - mean * mean
        return torch.cat([mean, variance.clamp(min=1e-4).sqrt()], 1)


class ResNetASP(nn.Module):
    """Residual network on log-mel frames with attentive statistics pooling.

    Parameters
    ----------
    rows, n_classes : int
        Rows of the input, ``windows`` stacked spectrograms of equal height; outputs.
    windows : int
        Number of spectrograms: the input channels of one network, so the network sees short and long windows at once.
    width : int
        Channels of the first stage; the later ones have 2, 4 and 6 times as many.
    dropout : float
        Dropout before the output layer.
    """

    STRIDE = 8  # frames of input per frame at the pooling

    def __init__(self, rows: int, n_classes: int, *, windows: int = 1, width: int = 16, dropout: float = 0.3) -> None:
        super().__init__()
        if rows % windows:
            raise ValueError(f"{rows} rows do not divide into {windows} spectrograms of equal height: change windows.")
        self.windows = windows
        self.bands = rows // windows
        self.body = nn.Sequential(
            nn.Conv2d(windows, width, 5, 2, 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            ResidualBlock(width, width, (1, 1)),
            ResidualBlock(width, 2 * width, (2, 2)),
            ResidualBlock(2 * width, 4 * width, (2, 2)),
            ResidualBlock(4 * width, 6 * width, (2, 1)),
        )
        height = self.bands
        for _ in range(4):
            height = (height + 1) // 2
        self.project = nn.Sequential(nn.Conv1d(6 * width * height, 192, 1, bias=False), nn.BatchNorm1d(192), nn.ReLU())
        self.pool = AttentiveStatistics(192)
        self.head = nn.Sequential(nn.BatchNorm1d(384), nn.Dropout(dropout), nn.Linear(384, n_classes))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (batch, n_classes) for ``x`` (batch, rows, frames); ``lengths`` are the valid frames."""
        h = self.body(x.unflatten(1, (self.windows, self.bands)))
        h = self.project(h.flatten(1, 2)).float()
        mask = None
        if lengths is not None:
            valid = (lengths + self.STRIDE - 1) // self.STRIDE
            mask = (torch.arange(h.shape[2], device=h.device)[None] < valid[:, None])[:, None]
        return self.head(self.pool(h, mask))


class Average(nn.Module):
    """The mean of the logits of several networks of the same kind."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (batch, n_classes)."""
        return torch.stack([member(x, lengths) for member in self.members]).mean(0)
