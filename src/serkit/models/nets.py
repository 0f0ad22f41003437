"""Torch modules: a small residual network over log-mel frames with attentive statistics pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SCALE_DB", "AttentiveStatistics", "ResNetASP", "ResidualBlock", "SqueezeExcitation"]

#: The networks see log-mel minus each band's mean over the clip, in units of this many dB.
SCALE_DB = 15.0


class SqueezeExcitation(nn.Module):
    """Channel attention from the mean over frequency and time (Hu et al., 2018, "Squeeze-and-Excitation Networks")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(4, channels // 4)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel of ``x`` (batch, channels, bands, frames) by a weight in (0, 1)."""
        weight = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3))))))
        return x * weight[:, :, None, None]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, squeeze-excitation and a shortcut (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.attention = SqueezeExcitation(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != (1, 1) or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, bands, frames) -> (batch, outputs, bands / stride, frames / stride)."""
        h = functional.relu(self.norm1(self.conv1(x)))
        h = self.attention(self.norm2(self.conv2(h)))
        return functional.relu(h + self.shortcut(x))


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
    """Residual network over log-mel frames.

    Parameters
    ----------
    n_bands : int
        Mel bands.
    n_classes : int
        Outputs.
    width : int
        Channels of the first stage; the later ones have 2, 4 and 6 times as many.
    dropout : float
        Dropout before the output layer.
    """

    STRIDE = 8  # frames of input per frame at the pooling

    def __init__(self, n_bands: int, n_classes: int, width: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.body = nn.Sequential(
            ResidualBlock(width, width, (1, 1)),
            ResidualBlock(width, 2 * width, (2, 2)),
            ResidualBlock(2 * width, 4 * width, (2, 2)),
            ResidualBlock(4 * width, 6 * width, (2, 1)),
        )
        bands = n_bands
        for _ in range(4):
            bands = (bands + 1) // 2
        self.project = nn.Sequential(nn.Conv1d(6 * width * bands, 128, 1, bias=False), nn.BatchNorm1d(128), nn.ReLU())
        self.pool = AttentiveStatistics(128)
        self.head = nn.Sequential(nn.BatchNorm1d(256), nn.Dropout(dropout), nn.Linear(256, n_classes))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (batch, n_classes) for ``x`` (batch, bands, frames); ``lengths`` are the valid frames."""
        h = self.body(self.stem(x[:, None]))
        h = self.project(h.flatten(1, 2)).float()
        mask = None
        if lengths is not None:
            valid = (lengths + self.STRIDE - 1) // self.STRIDE
            mask = (torch.arange(h.shape[2], device=h.device)[None] < valid[:, None])[:, None]
        return self.head(self.pool(h, mask))
