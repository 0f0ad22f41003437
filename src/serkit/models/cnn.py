"""Log-mel CNN as a scikit-learn estimator: skorch trains it, each batch is augmented on its log-mel frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from skorch.callbacks import GradientNormClipping, LRScheduler
from torch.utils.data import DataLoader

from serkit.errors import TrainingError
from serkit.models import check_numbers
from serkit.models.batches import LogMelDataset, MixingCollate
from serkit.models.loop import Net, Progress, Report, fit_temperature, label_indices, pick_device, score, softmax, train
from serkit.models.losses import UNKNOWN, KnownCrossEntropy
from serkit.models.nets import ResNetASP

if TYPE_CHECKING:
    import onnx

    from serkit.features import Extractor

__all__ = ["LogMelCNN", "build"]


class LogMelCNN(ClassifierMixin, BaseEstimator):
    """Residual CNN over log-mel frames, trained with AdamW under a one-cycle schedule for a fixed number of epochs.

    Parameters
    ----------
    labels : sequence of str
        The classes, in the order of the probabilities.
    width : int
        Channels of the first stage.
    dropout : float
        Dropout before the output layer.
    epochs, batch_size : int
        Length of the schedule; clips per step.
    learning_rate, weight_decay : float
        Peak of the one-cycle schedule (Smith and Topin, 2018); decay of AdamW.
    label_smoothing, mixup : float
        Smoothing of the targets; parameter of mixup's beta distribution, 0 for none.
    crop : int
        Training clips are cut to this many frames at random places; prediction sees the whole clip.
    mel_shift, time_warp, tilt : float
        Standard deviations of the shift in mel bands, of the log of the tempo, and of the spectral tilt (20 dB).
    mask_bands, mask_frames : int
        Largest SpecAugment masks.
    seed : int
        Weights, order, augmentation.
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``: the GPU when there is one.

    Attributes
    ----------
    classes_ : ndarray of str
        As ``labels``.
    temperature_ : float
        Divides the logits (Guo et al., 2017); fitted on the validation clips, 1.0 without them.
    history_ : list of dict
        One row an epoch: epoch, loss and, with validation clips, validation_loss and uar.
    """

    uses_validation = True
    uses_known = True

    def __init__(
        self,
        labels: Sequence[str],
        *,
        width: int = 16,
        dropout: float = 0.2,
        epochs: int = 60,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.02,
        label_smoothing: float = 0.1,
        mixup: float = 0.3,
        crop: int = 192,
        mel_shift: float = 3.0,
        time_warp: float = 0.15,
        tilt: float = 0.1,
        mask_bands: int = 9,
        mask_frames: int = 24,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.labels = labels
        self.width = width
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.mixup = mixup
        self.crop = crop
        self.mel_shift = mel_shift
        self.time_warp = time_warp
        self.tilt = tilt
        self.mask_bands = mask_bands
        self.mask_frames = mask_frames
        self.seed = seed
        self.device = device

    def check(self) -> None:
        """Raise ValueError for values that no network can have: torch would look at them after all features."""
        check_numbers(
            self,
            {
                "width": (int, 1, None),
                "dropout": (float, 0, 1),
                "epochs": (int, 1, None),
                "batch_size": (int, 2, None),
                "learning_rate": (float, 1e-8, 1),
                "weight_decay": (float, 0, None),
                "label_smoothing": (float, 0, 1),
                "mixup": (float, 0, None),
                "crop": (int, 8, None),
                "mel_shift": (float, 0, None),
                "time_warp": (float, 0, None),
                "tilt": (float, 0, None),
                "mask_bands": (int, 0, None),
                "mask_frames": (int, 0, None),
            },
        )
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device must be 'auto', 'cpu' or 'cuda', got {self.device!r}.")

    def fit(
        self,
        X: np.ndarray,
        y: Sequence[str] | np.ndarray,
        validation: tuple[np.ndarray, Sequence[str] | np.ndarray] | None = None,
        progress: Progress | None = None,
        known: np.ndarray | None = None,
        validation_known: np.ndarray | None = None,
    ) -> LogMelCNN:
        """Train on clips ``X`` (n,) of log-mel frames (bands, frames) in dB with labels ``y``.

        ``validation`` (clips, labels) fits the temperature and feeds the curves; it never stops or selects anything.
        ``progress`` is called with a row after each epoch. ``known`` (n, n_classes), boolean, says which labels each
        clip could have had: the others stay out of its loss. By default all; ``validation_known`` likewise.
        """
        self.classes_ = np.asarray(self.labels)
        targets = label_indices(y, self.labels)
        bands = {clip.shape[0] for clip in X}
        if len(bands) != 1:
            raise TrainingError(f"All clips need the same number of mel bands, got {sorted(bands)}.")
        self.n_bands_ = bands.pop()
        seeds = np.random.SeedSequence(self.seed).spawn(3)
        dataset = LogMelDataset(
            list(X),
            targets,
            known=known,
            rng=np.random.default_rng(seeds[0]),
            crop=self.crop,
            mel_shift=self.mel_shift,
            time_warp=self.time_warp,
            tilt=self.tilt,
            mask_bands=self.mask_bands,
            mask_frames=self.mask_frames,
        )
        batch_size = min(self.batch_size, len(dataset))
        collate = MixingCollate(len(self.classes_), mixup=self.mixup, rng=np.random.default_rng(seeds[1]))
        order = torch.Generator().manual_seed(int(seeds[2].generate_state(1)[0]))
        validate = None
        if validation is not None:
            valid_X, valid_y = validation[0], label_indices(validation[1], self.labels)
            validate = lambda: score(self._masked(valid_X, validation_known, batch_size=32), valid_y)  # noqa: E731
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.net_ = Net(
                ResNetASP,
                module__n_bands=self.n_bands_,
                module__n_classes=len(self.classes_),
                module__width=self.width,
                module__dropout=self.dropout,
                criterion=KnownCrossEntropy,
                criterion__label_smoothing=self.label_smoothing,
                optimizer=torch.optim.AdamW,
                optimizer__weight_decay=self.weight_decay,
                lr=self.learning_rate,
                max_epochs=self.epochs,
                batch_size=batch_size,
                classes=list(range(len(self.classes_))),
                iterator_train__collate_fn=collate,
                iterator_train__shuffle=True,
                iterator_train__generator=order,
                iterator_train__drop_last=True,
                train_split=None,
                callbacks=[
                    GradientNormClipping(5.0),
                    LRScheduler(
                        torch.optim.lr_scheduler.OneCycleLR,
                        max_lr=self.learning_rate,
                        total_steps=self.epochs * (len(dataset) // batch_size) + 1,
                        pct_start=0.15,
                        step_every="batch",
                    ),
                    Report(progress, validate),
                ],
                callbacks__valid_acc=None,
                callbacks__print_log=None,
                device=pick_device(self.device),
                verbose=0,
            )
            train(self.net_, dataset)
        self.history_ = [
            {k: row[k] for k in ("epoch", "loss", "validation_loss", "uar") if k in row} for row in self.net_.history
        ]
        self.temperature_ = 1.0
        if validation is not None:
            self.temperature_ = fit_temperature(self._masked(valid_X, validation_known), valid_y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities (n, n_classes), float32, columns in the order of ``classes_``."""
        return softmax(self._logits(X) / self.temperature_).astype(np.float32)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable label of each clip."""
        return self.classes_[self._logits(X).argmax(1)]

    def to_onnx(self, extractor: Extractor) -> onnx.ModelProto:
        """The whole way from the waveform to the probabilities as one ONNX graph; see :mod:`serkit.models.graph`."""
        from serkit.models.graph import waveform_graph

        return waveform_graph(self.net_.module_, self.n_bands_, self.temperature_, extractor)

    def _logits(self, X: np.ndarray, *, batch_size: int = 1) -> np.ndarray:
        """Logits (n, n_classes) in the order of ``X``.

        One clip at a time, as the exported graph answers: clips that share a batch are padded to one length, and
        what the network makes of the padding moves their probabilities by about 0.01.
        """
        module = self.net_.module_.eval()
        device = pick_device(self.device)
        order = np.argsort([clip.shape[1] for clip in X], kind="stable")
        dataset = LogMelDataset([X[k] for k in order], np.zeros(len(X), int))
        collate = MixingCollate(len(self.classes_))
        out = np.empty((len(X), len(self.classes_)), np.float32)
        done = 0
        with torch.inference_mode():
            for inputs, _ in DataLoader(dataset, batch_size=batch_size, collate_fn=collate):
                logits = module(inputs["x"].to(device), inputs["lengths"].to(device)).cpu().numpy()
                out[order[done : done + len(logits)]] = logits
                done += len(logits)
        return out

    def _masked(self, X: np.ndarray, known: np.ndarray | None, *, batch_size: int = 1) -> np.ndarray:
        """Logits with those of the labels that a clip could not have had far below the others.

        Padded batches are quicker, and good enough for the curves.
        """
        logits = self._logits(X, batch_size=batch_size)
        return logits if known is None else np.where(known, logits, np.float32(UNKNOWN))


def build(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> LogMelCNN:
    """Make the estimator from a recipe's ``[model]`` parameters."""
    return LogMelCNN(list(labels), seed=seed, **params)
