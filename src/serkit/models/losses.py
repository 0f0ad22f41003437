"""Losses that torch does not have."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["UNKNOWN", "FocalLoss", "KnownCrossEntropy"]

#: The logit of a label that is unknown to a clip's corpus.
UNKNOWN = -1e4


class FocalLoss(nn.Module):
    """Cross-entropy in which clips that are already correct count less: ``-(1 - p)^gamma log p``.

    Lin et al. (2017), "Focal Loss for Dense Object Detection", for many classes.

    Parameters
    ----------
    gamma : float, at least 0
        Strength of the effect; 0 gives cross-entropy.
    weight : Tensor of shape (n_classes,), optional
        Weight of each class; the loss is the weighted mean.

    Examples
    --------
    >>> import torch
    >>> FocalLoss(0.0)(torch.zeros(1, 2), torch.tensor([1])).item()
    0.6931471824645996
    """

    weight: Tensor | None

    def __init__(self, gamma: float = 2.0, weight: Tensor | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss of ``logits`` (batch, n_classes).

        ``target``: classes (batch,), shares (batch, n_classes), or the targets of :class:`KnownCrossEntropy`.
        """
        if target.ndim == 3:
            target, known = target.unbind(1)
            logits = logits.masked_fill(known == 0, UNKNOWN)
        if target.ndim == 1:
            target = functional.one_hot(target, logits.shape[1])
        share = target.to(logits.dtype)
        if self.weight is not None:
            share = share * self.weight
        log_p = logits.log_softmax(1)
        # Never 0, where a gamma below 1 has no finite slope: one fully confident clip would turn all weights to NaN.
        wrong = (1 - log_p.exp()).clamp(min=1e-8)
        return -(share * wrong**self.gamma * log_p).sum() / share.sum()


class KnownCrossEntropy(nn.Module):
    """Cross-entropy over the labels of a clip's own corpus.

    A corpus without a label says nothing about it, so its clips neither raise nor lower that label. If every label
    is known, this is torch's CrossEntropyLoss.

    Parameters
    ----------
    label_smoothing : float
        Share of the target spread evenly over the known labels (Szegedy et al., 2016).
    weight : Tensor of shape (n_classes,), optional
        Weight of each class; the loss is the weighted mean.
    """

    weight: Tensor | None

    def __init__(self, label_smoothing: float = 0.0, weight: Tensor | None = None) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over the clips; ``targets`` (batch, 2, n_classes): shares that sum to 1, and 1 for known or 0."""
        shares, known = targets.unbind(1)
        total = (shares if self.weight is None else shares * self.weight).sum()
        shares = (1 - self.label_smoothing) * shares + self.label_smoothing * known / known.sum(1, keepdim=True)
        logs = logits.masked_fill(known == 0, UNKNOWN).log_softmax(1)
        if self.weight is None:
            return -(shares * logs).sum(1).mean()
        return -(shares * self.weight * logs).sum() / total
