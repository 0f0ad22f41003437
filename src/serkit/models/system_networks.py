"""The networks of the published systems: vectors (batch, n) in, logits (batch, n_classes) out.

Those that see time take the flat layout of an extractor, row after row, and fold it back to (rows, frames). Sequences
are pictures of height 1, because only two-dimensional convolutions know the memory order that trains fastest.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from serkit.models.resnet import AttentiveStatistics, ResidualBlock, ResNetASP

__all__ = ["ECACNN", "Attention", "CNNBiLSTM", "Dense", "FramesCNN", "VectorCNN"]


class Dense(nn.Sequential):
    """Dense layers with batch norm, ReLU and dropout (S0).

    Parameters
    ----------
    n_features, n_classes : int
        Inputs and outputs.
    hidden : sequence of int
        Units of the hidden layers.
    dropout : float
        Dropout after each of them.
    """

    def __init__(
        self, n_features: int, n_classes: int, *, hidden: Sequence[int] = (256, 128, 64), dropout: float = 0.3
    ) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in zip([n_features, *hidden], hidden, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(hidden[-1] if hidden else n_features, n_classes))


class Attention(nn.Module):
    """Self-attention between the features of a vector.

    S0 cites an attention network over regularised features (Akinpelu and Viriri, 2023). The design is ours: each
    feature becomes a token (its value times a learnt direction, plus another), tokens look at each other in blocks of
    multi-head attention (Vaswani et al., 2017), and a learnt weighting sums them up.

    Parameters
    ----------
    n_features, n_classes : int
        Inputs and outputs.
    width : int
        Size of a token, a multiple of ``heads``.
    heads, blocks : int
        Attention heads of a block; number of blocks.
    dropout : float
        Dropout in the blocks and before the output.
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        *,
        width: int = 32,
        heads: int = 4,
        blocks: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads}.")
        self.scale = nn.Parameter(torch.randn(n_features, width) / width**0.5)
        self.offset = nn.Parameter(torch.randn(n_features, width) / width**0.5)
        self.blocks = nn.Sequential(*(_AttentionBlock(width, heads, dropout) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.weigh = nn.Linear(width, 1)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, n_classes) for ``x`` (batch, n_features)."""
        h = self.norm(self.blocks(x[:, :, None] * self.scale + self.offset))
        return self.head((self.weigh(h).softmax(1) * h).sum(1))


class _AttentionBlock(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Sequential(nn.Linear(width, width), nn.Dropout(dropout))
        self.dense = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, 2))
        weight = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(3)
        x = x + self.out((weight @ v).transpose(1, 2).flatten(2))
        return x + self.dense(x)


class VectorCNN(nn.Module):
    """The 1-D CNN of S2 and S3 along the feature vector, as one channel.

    Convolutions of 512, 512, 256, 256 and 128 channels with kernels 5, 5, 5, 3 and 3, each with ReLU, batch norm and
    a max-pooling of 5 with stride 2; dropout after the second, third and fifth; a dense layer of 512 with batch norm.
    For 2,376 features and 8 classes it has 7,193,736 numbers, including running means and variances.

    Parameters
    ----------
    n_features, n_classes : int
        Length of the vector; outputs.
    dropout : float
        As above.
    """

    def __init__(self, n_features: int, n_classes: int, *, dropout: float = 0.2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        length, inputs = n_features, 1
        for k, (outputs, kernel) in enumerate(((512, 5), (512, 5), (256, 5), (256, 3), (128, 3))):
            layers += [nn.Conv2d(inputs, outputs, (1, kernel), padding=(0, kernel // 2)), nn.ReLU()]
            layers += [nn.BatchNorm2d(outputs), nn.MaxPool2d((1, 5), (1, 2), (0, 2))]
            layers += [nn.Dropout(dropout)] if k in (1, 2, 4) else []
            length, inputs = (length + 1) // 2, outputs
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(length * inputs, 512), nn.ReLU(), nn.BatchNorm1d(512), nn.Linear(512, n_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, n_classes) for ``x`` (batch, n_features)."""
        return self.head(self.body(x[:, None, None]).flatten(1))


class FramesCNN(nn.Module):
    """S3's features as channels over time instead of one long vector.

    Residual 1-D convolutions (He et al., 2016) with efficient channel attention, pooled by attentive statistics.
    At 22 rows and 108 frames a clip costs under a fiftieth of :class:`VectorCNN`'s arithmetic.

    Parameters
    ----------
    rows, n_classes : int
        Rows of the flat matrix; outputs.
    widths : sequence of int
        Channels of the stages; each after the first halves the number of frames.
    dropout : float
        Dropout before the output.
    """

    def __init__(
        self, rows: int, n_classes: int, *, widths: Sequence[int] = (112, 192, 288), dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.rows = rows
        inputs = widths[0]
        stem = nn.Conv2d(rows, inputs, (1, 5), padding=(0, 2), bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(inputs), nn.ReLU()]
        for k, width in enumerate(widths):
            layers.append(ResidualBlock(inputs, width, (1, 1) if k == 0 else (1, 2), (1, 3)))
            inputs = width
        self.body = nn.Sequential(*layers)
        self.pool = AttentiveStatistics(inputs)
        self.head = nn.Sequential(nn.BatchNorm1d(2 * inputs), nn.Dropout(dropout), nn.Linear(2 * inputs, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, n_classes) for ``x`` (batch, rows * frames)."""
        x = x.unflatten(1, (self.rows, 1, -1))
        return self.head(self.pool(self.body(x).squeeze(2).float(), None))


class CNNBiLSTM(nn.Module):
    """Convolutions over time, then a bidirectional LSTM (S4).

    Parameters
    ----------
    rows, n_classes : int
        Rows of the flat matrix; outputs.
    channels : sequence of int
        Channels of the convolutions; each halves the number of frames.
    hidden : int
        Units of the LSTM in each direction (Hochreiter and Schmidhuber, 1997).
    dropout : float
        Dropout after each part.
    """

    def __init__(
        self,
        rows: int,
        n_classes: int,
        *,
        channels: Sequence[int] = (64, 128),
        hidden: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.rows = rows
        layers: list[nn.Module] = []
        for inputs, outputs in zip([rows, *channels], channels, strict=False):
            layers += [nn.Conv1d(inputs, outputs, 5, padding=2), nn.BatchNorm1d(outputs), nn.ReLU()]
            layers += [nn.MaxPool1d(2, ceil_mode=True), nn.Dropout(dropout)]
        self.body = nn.Sequential(*layers)
        self.lstm = nn.LSTM([rows, *channels][-1], hidden, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(2 * hidden, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, n_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, n_classes) for ``x`` (batch, rows * frames)."""
        h, _ = self.lstm(self.body(x.unflatten(1, (self.rows, -1))).transpose(1, 2))
        return self.head(h.mean(1))


class ECACNN(ResNetASP):
    """:class:`~serkit.models.resnet.ResNetASP` on log-mel spectrograms of several window lengths.

    The direction that S0 cites (Kim and Kwon, 2024); the attention is that of Wang et al. (2020), "ECA-Net".

    Parameters
    ----------
    rows, n_classes : int
        Rows of the flat matrix, ``windows`` stacked spectrograms of equal height; outputs.
    windows : int
        Number of spectrograms.
    width : int
        Channels of the first stage; the later ones have 2, 4 and 6 times as many.
    dropout : float
        Dropout before the output.
    """

    def __init__(self, rows: int, n_classes: int, *, windows: int = 3, width: int = 24, dropout: float = 0.3) -> None:
        super().__init__(rows, n_classes, windows=windows, width=width, dropout=dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (batch, n_classes) for ``x`` (batch, rows * frames)."""
        return super().forward(x.unflatten(1, (self.windows * self.bands, -1)), lengths)
