"""Shared by the deep estimators: skorch's net, progress rows, validation scores, temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import balanced_accuracy_score
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import Tensor
from torch.utils.data import Dataset

from serkit.errors import TrainingError
from serkit.models.checkpoint import Checkpoint

__all__ = [
    "LearningRate",
    "Net",
    "Progress",
    "Report",
    "Stop",
    "exactly",
    "fit_temperature",
    "has_bfloat16",
    "label_indices",
    "one_cycle",
    "pick_device",
    "score",
    "softmax",
    "train",
]

Progress = Callable[[dict[str, Any]], None]


class Net(NeuralNetClassifier):
    """skorch's classifier that can train in bfloat16, and whose Ctrl-C still interrupts.

    skorch treats KeyboardInterrupt as the end of training, and uses it for early stopping too; :func:`train`
    distinguishes the two by ``stopped_early``.

    Attributes
    ----------
    asked : bool or None
        Whether the recipe wants bfloat16; None: where the processor has it.
    bfloat16 : bool
        Whether it trains so.
    """

    stopped_early = False
    interrupted = False
    asked: bool | None = None
    bfloat16 = False

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        device = torch.device(self.device).type
        with torch.autocast(device, torch.bfloat16, enabled=self.bfloat16 and self.module_.training):
            return super().infer(x, **fit_params).float()

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Net:
        try:
            return super().fit_loop(X, y, epochs, **fit_params)
        except KeyboardInterrupt:
            self.interrupted = not self.stopped_early
            raise


def train(net: Net, dataset: Dataset, *, bfloat16: bool | None = None, checkpoint: Checkpoint | None = None) -> None:
    """Fit ``net`` on ``dataset``; Ctrl-C raises KeyboardInterrupt, as everywhere else.

    Parameters
    ----------
    net : Net
        Not initialised yet.
    dataset : Dataset
    bfloat16 : bool, optional
        Whether the products of the network are computed in bfloat16; default: where the processor has it.
    checkpoint : Checkpoint, optional
        One of the callbacks of ``net``, the last: only the epochs that it lacks are trained.

    Raises
    ------
    TrainingError
        If bfloat16 is wanted and the processor lacks it, or the checkpoint is damaged or of another training.
    """
    net.asked, net.bfloat16 = bfloat16, has_bfloat16(net.device) if bfloat16 is None else bfloat16
    if net.bfloat16 and not has_bfloat16(net.device):
        raise TrainingError(
            "The recipe has bfloat16 = true in [model.params], and this processor has no bfloat16 arithmetic (AVX-512 "
            "BF16): leave it out, or use another machine."
        )
    net.initialize()  # which reads the checkpoint
    done = 0 if checkpoint is None else checkpoint.epochs
    net.partial_fit(dataset, y=None, epochs=net.max_epochs - done)
    if net.interrupted:
        raise KeyboardInterrupt


def has_bfloat16(device: str) -> bool:
    """Whether a device computes in bfloat16, and not only stores it: a GPU, or a processor with AVX-512 BF16."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)  # private in torch
    return torch.device(device).type == "cuda" or bool(supported())


class Report(Callback):
    """Send a row (epoch, loss and the scores on the validation clips) to the progress callback."""

    def __init__(self, send: Progress | None, validate: Callable[[Net], dict[str, float]] | None) -> None:
        self.send = send
        self.validate = validate

    def on_epoch_end(self, net: Net, **_: Any) -> None:
        row: dict[str, Any] = {"epoch": len(net.history), "loss": float(net.history[-1, "train_loss"])}
        if not np.isfinite(row["loss"]):
            raise TrainingError(
                f"The loss became {row['loss']} in epoch {row['epoch']}: lower the recipe's learning_rate and train "
                "again."
            )
        if self.validate is not None:
            row |= self.validate(net)
        for key, value in row.items():
            net.history.record(key, value)
        if self.send is not None:
            self.send({**row, "epochs": net.max_epochs})


class LearningRate(Callback):
    """Record the learning rate at the end of each epoch."""

    def on_epoch_end(self, net: Net, **_: Any) -> None:
        net.history.record("learning_rate", float(net.optimizer_.param_groups[0]["lr"]))


class Stop(EarlyStopping):
    """skorch's early stopping, marked so that it is not taken for Ctrl-C."""

    def __init__(self, monitor: str, *, patience: int, threshold: float, load_best: bool) -> None:
        super().__init__(monitor, patience=patience, threshold=threshold, load_best=load_best, sink=lambda text: None)

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt:
            net.stopped_early = True
            raise


def one_cycle(learning_rate: float, *, epochs: int, steps: int) -> LRScheduler:
    """Return the one-cycle schedule (Smith and Topin, 2018) up to ``learning_rate``; ``steps``: batches per epoch."""
    return LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        max_lr=learning_rate,
        total_steps=epochs * steps + 1,
        pct_start=0.15,
        step_every="batch",
    )


@contextmanager
def exactly() -> Iterator[None]:
    """Inference in full precision: a GPU's TF32 is too coarse for the check of an exported bundle."""
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def label_indices(y: Sequence[str] | np.ndarray, labels: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return the positions (n,) int64 of the labels ``y`` among the model's ``labels``."""
    position = {label: k for k, label in enumerate(labels)}
    unknown = sorted({str(label) for label in y if label not in position})
    if unknown:
        raise TrainingError(f"Labels {unknown} are not among the model's labels {[str(label) for label in labels]}.")
    return np.array([position[label] for label in y], np.int64)


def pick_device(device: str) -> str:
    """Return ``device``, where ``"auto"`` is the GPU if there is one."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return rows (n, n_classes) that sum to 1."""
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    p = softmax(logits.astype(np.float64))[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(p, 1e-12)).mean())


def score(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return cross-entropy and UAR of ``logits`` (n, n_classes), for the curves."""
    return {
        "validation_loss": _cross_entropy(logits, targets),
        "uar": float(balanced_accuracy_score(targets, logits.argmax(1))),
    }


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return the temperature in [0.2, 5] with the smallest cross-entropy on the validation clips (Guo et al., 2017)."""
    best = minimize_scalar(
        lambda t: _cross_entropy(logits / np.exp(t), targets),
        bounds=(np.log(0.2), np.log(5.0)),
        method="bounded",
    )
    return float(np.exp(best.x))
