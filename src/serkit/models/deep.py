"""The networks of :mod:`serkit.models.system_networks` as scikit-learn estimators, trained by skorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from serkit.emotions import LABELS
from serkit.models import check_numbers
from serkit.models.base import VectorClassifier, of_classes
from serkit.models.batches import VectorBatches
from serkit.models.checkpoint import Checkpoint
from serkit.models.graph import vector_graph
from serkit.models.loop import (
    LearningRate,
    Net,
    Progress,
    Report,
    Stop,
    exactly,
    fit_temperature,
    label_indices,
    one_cycle,
    pick_device,
    score,
    softmax,
    train,
)
from serkit.models.losses import UNKNOWN, FocalLoss, KnownCrossEntropy
from serkit.models.network_registry import NETWORKS, make_network, network_parameters, sees_time
from serkit.models.resnet import in_fast_order

if TYPE_CHECKING:
    import onnx

__all__ = ["DeepClassifier", "attention", "cnn1d", "cnn_bilstm", "cnn_frames", "dense", "eca_cnn"]

_CHUNK = 128  # clips predicted at a time


class DeepClassifier(VectorClassifier):
    """A network on vectors, trained with Adam (Kingma and Ba, 2015), or AdamW if there is weight decay.

    Parameters
    ----------
    labels : sequence of str, optional
        The classes, in the order of the probabilities; default: those of the training clips, sorted.
    network : str
        A key of :data:`serkit.models.network_registry.NETWORKS`.
    rows : int, optional
        Rows of the flat matrix, for networks that see time.
    net : dict, optional
        Parameters of the network: the keyword-only parameters of its class.
    epochs, batch_size : int
        Longest training; clips per step.
    learning_rate, weight_decay : float
        Step size (the peak, under ``one_cycle``); decay of AdamW.
    schedule : {"constant", "one_cycle"}
        The learning rate over the training (one cycle: Smith and Topin, 2018).
    loss : {"cross_entropy", "focal"}
        See :class:`serkit.models.losses.FocalLoss`.
    gamma : float
        Parameter of the focal loss.
    label_smoothing : float
        Label smoothing of the cross-entropy.
    class_weight : "balanced", optional
        Weigh classes by the inverse of their frequency.
    early_stopping : int, optional
        Stop when the loss of the validation clips has not fallen for this many epochs.
    reduce_on_plateau : int, optional
        Multiply the learning rate by 0.4 when it has not fallen for more than this many epochs.
    keep_best : bool
        Keep the weights of the epoch with the lowest validation loss, not of the last one.
    mixup : float
        Parameter of mixup's beta distribution (Zhang et al., 2018), 0 for none.
    mask_rows, mask_frames, shift : int
        For networks that see time, only in training: largest SpecAugment masks (Park et al., 2019), two of each per
        clip, and largest shift in frames.
    bfloat16 : bool, optional
        Compute the products of the training in bfloat16, which is faster and coarser; default: where the processor has
        it. Probabilities are always computed in float32.
    seed : int
        Seed of weights, order, dropout and augmentation.
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``: the GPU if there is one.

    Attributes
    ----------
    classes_ : ndarray of str
        As ``labels``, or the sorted labels of the training clips.
    temperature_ : float
        Divides the logits (Guo et al., 2017); fitted on the validation clips, 1.0 without them.
    history_ : list of dict
        One row per epoch: epoch, loss, learning_rate and, with validation clips, validation_loss and uar.
    """

    uses_validation = True
    uses_progress = True
    uses_checkpoint = True
    uses_known = True

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        network: str = "dense",
        *,
        rows: int | None = None,
        net: Mapping[str, Any] | None = None,
        epochs: int = 40,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: str = "constant",
        loss: str = "cross_entropy",
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
        class_weight: str | None = None,
        early_stopping: int | None = None,
        reduce_on_plateau: int | None = None,
        keep_best: bool = False,
        mixup: float = 0.0,
        mask_rows: int = 0,
        mask_frames: int = 0,
        shift: int = 0,
        bfloat16: bool | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.labels = labels
        self.network = network
        self.rows = rows
        self.net = net
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.loss = loss
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.reduce_on_plateau = reduce_on_plateau
        self.keep_best = keep_best
        self.mixup = mixup
        self.mask_rows = mask_rows
        self.mask_frames = mask_frames
        self.shift = shift
        self.bfloat16 = bfloat16
        self.seed = seed
        self.device = device

    @property
    def stops_early(self) -> bool:
        """Whether validation clips influence the training."""
        return bool(self.early_stopping or self.reduce_on_plateau or self.keep_best)

    def check(self) -> None:
        """Raise ValueError for impossible values; torch would only notice after all features are computed."""
        limits: dict[str, tuple[type, float, float | None]] = {
            "epochs": (int, 1, None),
            "batch_size": (int, 2, None),
            "learning_rate": (float, 1e-8, 1),
            "weight_decay": (float, 0, None),
            "gamma": (float, 0, None),
            "label_smoothing": (float, 0, 1),
            "mixup": (float, 0, None),
            "mask_rows": (int, 0, None),
            "mask_frames": (int, 0, None),
            "shift": (int, 0, None),
        }
        for patience in ("early_stopping", "reduce_on_plateau"):
            if getattr(self, patience) is not None:
                limits[patience] = (int, 1, None)
        check_numbers(self, limits)
        for name, known in (
            ("schedule", ("constant", "one_cycle")),
            ("loss", ("cross_entropy", "focal")),
            ("device", ("auto", "cpu", "cuda")),
            ("class_weight", (None, "balanced")),
            ("network", tuple(NETWORKS)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {getattr(self, name)!r}.")
        if not isinstance(self.keep_best, bool):
            raise ValueError(f"keep_best must be true or false, got {self.keep_best!r}.")
        if self.bfloat16 not in (None, True, False):
            raise ValueError(f"bfloat16 must be true or false, got {self.bfloat16!r}.")
        if self.loss == "focal" and self.label_smoothing:
            raise ValueError("label_smoothing only works with loss = 'cross_entropy': remove it with 'focal'.")
        if self.schedule == "one_cycle" and self.reduce_on_plateau is not None:
            raise ValueError("reduce_on_plateau needs schedule = 'constant', got 'one_cycle': remove one of them.")
        time = sees_time(self.network)
        if time != (self.rows is not None):
            wants = "needs the number of rows of the flat matrix" if time else "takes whole vectors and no rows"
            raise ValueError(f"The network '{self.network}' {wants}, got rows = {self.rows!r}.")
        if not time and (self.mask_rows or self.mask_frames or self.shift):
            raise ValueError(
                f"mask_rows, mask_frames and shift only work for networks that see time, and '{self.network}' does "
                "not: remove them."
            )
        try:
            with torch.random.fork_rng():
                self._network(32 * (self.rows or 1), len(self.labels or LABELS))
        except RuntimeError as error:  # too large for memory
            raise ValueError(f"[net] of '{self.network}': {' '.join(str(error).split())}") from None

    def fit(
        self,
        X: np.ndarray,
        y: Sequence[str] | np.ndarray,
        validation: tuple[np.ndarray, Sequence[str] | np.ndarray] | None = None,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        known: np.ndarray | None = None,
        validation_known: np.ndarray | None = None,
    ) -> DeepClassifier:
        """Train on vectors ``X`` (n, d) with labels ``y``.

        ``validation`` (vectors, labels) is used for the curves, the temperature and, if set, the schedule, early
        stopping and selection. ``progress`` is called with a row after each epoch. ``known`` (n, n_labels), boolean,
        marks the labels that each clip's corpus has: the others do not count in its loss. Default: all.
        ``validation_known`` likewise, for the validation loss, the UAR and the temperature.
        """
        X, y = self._checked(X, y, at_least=2)
        self.check()
        if self.stops_early and validation is None:
            raise ValueError("early_stopping, reduce_on_plateau and keep_best need validation clips.")
        self.classes_ = np.unique(y) if self.labels is None else np.asarray(self.labels)
        targets = torch.from_numpy(label_indices(y, self.classes_))
        could = of_classes(known, self.labels, self.classes_)
        masks = () if could is None else (torch.from_numpy(could),)
        dataset = TensorDataset(torch.from_numpy(np.ascontiguousarray(X, np.float32)), targets, *masks)
        seeds = np.random.SeedSequence(self.seed).spawn(1)
        rng = np.random.default_rng(seeds[0])
        batches = self._batches(rng, len(dataset))
        keeper = None if checkpoint is None else Checkpoint(checkpoint / "network.pt", rng)
        validate = None
        if validation is not None:
            valid_X, valid_y = validation[0], label_indices(validation[1], self.classes_)
            valid_could = of_classes(validation_known, self.labels, self.classes_)

            def judge() -> np.ndarray:
                """Return the logits of the validation clips, very low for labels unknown to their corpus."""
                logits = self._logits(valid_X)
                return logits if valid_could is None else np.where(valid_could, logits, np.float32(UNKNOWN))

            validate = lambda net: score(judge(), valid_y)  # noqa: E731
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.net_ = Net(
                in_fast_order(self._network(X.shape[1], len(self.classes_))),
                criterion=self._criterion(targets, masked=could is not None),
                optimizer=torch.optim.AdamW if self.weight_decay else torch.optim.Adam,
                lr=self.learning_rate,
                **({"optimizer__weight_decay": self.weight_decay} if self.weight_decay else {}),
                max_epochs=self.epochs,
                batch_size=batches["batch_size"],
                classes=list(range(len(self.classes_))),
                iterator_train=VectorBatches,
                **{f"iterator_train__{name}": value for name, value in batches.items()},
                train_split=None,
                callbacks=[
                    *self._callbacks(len(dataset) // batches["batch_size"], progress, validate),
                    *([] if keeper is None else [keeper]),
                ],
                callbacks__valid_acc=None,
                callbacks__print_log=None,
                device=pick_device(self.device),
                verbose=0,
            )
            train(self.net_, dataset, bfloat16=self.bfloat16, checkpoint=keeper)
        columns = ("epoch", "loss", "learning_rate", "validation_loss", "uar")
        self.history_ = [{k: row[k] for k in columns if k in row} for row in self.net_.history]
        self.temperature_ = 1.0
        if validation is not None:
            self.temperature_ = fit_temperature(judge(), valid_y)
        return self

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return softmax(self._logits(X) / self.temperature_).astype(np.float32)

    def vector_graph(self, n_features: int) -> onnx.ModelProto:
        """Return the fitted network as ONNX; see :func:`serkit.models.graph.vector_graph`."""
        return vector_graph(self.net_.module_, n_features, self.temperature_)

    def _network(self, n_features: int, n_classes: int) -> nn.Module:
        return make_network(self.network, self.net, n_features=n_features, n_classes=n_classes, rows=self.rows)

    def _batches(self, rng: np.random.Generator, n_clips: int) -> dict[str, Any]:
        """Return the arguments of :class:`VectorBatches` other than the clips."""
        planes = network_parameters(self.network, self.net).get("windows", 1)
        return {
            "batch_size": min(self.batch_size, n_clips),
            "rng": rng,
            "n_classes": len(self.classes_),
            "planes": planes,
            "rows": (self.rows or planes) // planes,
            "mixup": self.mixup,
            "mask_rows": self.mask_rows,
            "mask_frames": self.mask_frames,
            "shift": self.shift,
        }

    def _criterion(self, targets: Tensor, *, masked: bool) -> nn.Module:
        weight = None
        if self.class_weight == "balanced":
            counts = torch.bincount(targets, minlength=len(self.classes_)).clamp(min=1)
            weight = (len(targets) / (len(self.classes_) * counts)).float()
        if self.loss == "focal":
            return FocalLoss(self.gamma, weight)
        if masked:
            return KnownCrossEntropy(self.label_smoothing, weight)
        return nn.CrossEntropyLoss(weight, label_smoothing=self.label_smoothing)

    def _callbacks(self, steps: int, progress: Progress | None, validate: Any) -> list[Callback]:
        callbacks: list[Callback] = [GradientNormClipping(5.0), LearningRate(), Report(progress, validate)]
        if self.schedule == "one_cycle":
            callbacks.append(one_cycle(self.learning_rate, epochs=self.epochs, steps=steps))
        if self.reduce_on_plateau:
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
            callbacks.append(
                LRScheduler(plateau, monitor="validation_loss", patience=self.reduce_on_plateau, factor=0.4)
            )
        if self.early_stopping or self.keep_best:
            patience = self.early_stopping or self.epochs + 1
            callbacks.append(Stop("validation_loss", patience=patience, threshold=0.0, load_best=self.keep_best))
        return callbacks

    def _logits(self, X: np.ndarray) -> np.ndarray:
        module = self.net_.module_.eval()
        device = pick_device(self.device)
        with exactly():
            parts = [
                module(torch.from_numpy(np.ascontiguousarray(X[k : k + _CHUNK], np.float32)).to(device)).cpu().numpy()
                for k in range(0, len(X), _CHUNK)
            ]
        return np.concatenate(parts) if parts else np.empty((0, len(self.classes_)), np.float32)


def _builder(
    network: str, params: dict[str, Any], labels: Sequence[str], seed: int, rows: int | None
) -> DeepClassifier:
    return DeepClassifier(list(labels), network, rows=rows, seed=seed, **params)


def dense(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> DeepClassifier:
    """See :class:`serkit.models.system_networks.Dense`."""
    return _builder("dense", params, labels, seed, None)


def attention(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> DeepClassifier:
    """See :class:`serkit.models.system_networks.Attention`."""
    return _builder("attention", params, labels, seed, None)


def cnn1d(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> DeepClassifier:
    """See :class:`serkit.models.system_networks.VectorCNN`."""
    return _builder("cnn1d", params, labels, seed, None)


def cnn_frames(params: dict[str, Any], *, labels: Sequence[str], seed: int, rows: int) -> DeepClassifier:
    """See :class:`serkit.models.system_networks.FramesCNN`."""
    return _builder("cnn_frames", params, labels, seed, rows)


def cnn_bilstm(params: dict[str, Any], *, labels: Sequence[str], seed: int, rows: int) -> DeepClassifier:
    """See :class:`serkit.models.system_networks.CNNBiLSTM`."""
    return _builder("cnn_bilstm", params, labels, seed, rows)


def eca_cnn(params: dict[str, Any], *, labels: Sequence[str], seed: int, rows: int) -> DeepClassifier:
    """See :class:`serkit.models.system_networks.ECACNN`."""
    return _builder("eca_cnn", params, labels, seed, rows)
