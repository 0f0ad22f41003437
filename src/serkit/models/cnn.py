"""Log-mel CNN as a scikit-learn estimator, trained by skorch on batches whose log-mel frames are augmented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import GradientNormClipping
from torch import nn

from serkit.errors import TrainingError
from serkit.models import check_numbers
from serkit.models.batches import Clips, FrameBatches
from serkit.models.checkpoint import Checkpoint
from serkit.models.loop import (
    Net,
    Progress,
    Report,
    exactly,
    fit_temperature,
    label_indices,
    one_cycle,
    pick_device,
    score,
    softmax,
    train,
)
from serkit.models.losses import UNKNOWN, KnownCrossEntropy
from serkit.models.resnet import Average, ResNetASP, in_fast_order, scale

if TYPE_CHECKING:
    import onnx

    from serkit.features import FrontEnd

__all__ = ["LogMelCNN", "build"]

Validate = Callable[[Net], dict[str, float]] | None


class LogMelCNN(ClassifierMixin, BaseEstimator):
    """Residual CNN on log-mel frames, trained with AdamW under a one-cycle schedule for a fixed number of epochs.

    Parameters
    ----------
    labels : sequence of str, optional
        The classes, in the order of the probabilities; default: those of the training clips, sorted.
    windows : int
        How many spectrograms of equal height are stacked in the rows.
    width : int
        Channels of the first stage.
    dropout : float
        Dropout before the output layer.
    members : int
        Networks with different seeds, trained one after another; the answer uses the mean of their logits.
    epochs, batch_size : int
        Epochs of each network; clips per step.
    learning_rate, weight_decay : float
        Peak of the one-cycle schedule (Smith and Topin, 2018); decay of AdamW.
    label_smoothing, mixup : float
        Smoothing of the targets; parameter of mixup's beta distribution, 0 for none.
    crop : int
        Training clips are cut to this many frames at random positions; prediction uses the whole clip.
    mel_shift, time_warp : float
        Standard deviations of the shift in mel bands and of the log of the tempo.
    keep_song : bool
        Do not apply these two to sung clips, if the corpus marks them: interpolation destroys the fine structure of a
        melody.
    colour, noise : float
        Standard deviation (dB) of a random frequency response; share of the clips that get a noise floor.
    mask_bands, mask_frames : int
        Largest SpecAugment masks.
    temperature : float
        Divides the logits if there are no validation clips to fit it on.
    bfloat16 : bool, optional
        Compute the products of the training in bfloat16, which is faster and coarser; default: where the processor has
        it. Probabilities are always computed in float32.
    seed : int
        Seed of weights, order and augmentation.
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``: the GPU if there is one.

    Attributes
    ----------
    classes_ : ndarray of str
        As ``labels``, or the sorted labels of the training clips.
    net_ : torch.nn.Module
        The fitted network; :class:`~serkit.models.resnet.Average` if there are several.
    temperature_ : float
        Divides the logits (Guo et al., 2017); fitted on the validation clips, 1.0 without them.
    history_ : list of dict
        One row per epoch, member after member: epoch, loss and, with validation clips, validation_loss and
        uar of that member.
    """

    uses_validation = True
    uses_progress = True
    uses_checkpoint = True
    uses_known = True
    uses_origin = True

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        *,
        windows: int = 1,
        width: int = 16,
        dropout: float = 0.3,
        members: int = 1,
        epochs: int = 15,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.02,
        label_smoothing: float = 0.05,
        mixup: float = 0.2,
        crop: int = 150,
        mel_shift: float = 2.0,
        time_warp: float = 0.12,
        keep_song: bool = True,
        colour: float = 2.0,
        noise: float = 0.0,
        mask_bands: int = 8,
        mask_frames: int = 16,
        temperature: float = 1.0,
        bfloat16: bool | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.labels = labels
        self.windows = windows
        self.width = width
        self.dropout = dropout
        self.members = members
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.mixup = mixup
        self.crop = crop
        self.mel_shift = mel_shift
        self.time_warp = time_warp
        self.keep_song = keep_song
        self.colour = colour
        self.noise = noise
        self.mask_bands = mask_bands
        self.mask_frames = mask_frames
        self.temperature = temperature
        self.bfloat16 = bfloat16
        self.seed = seed
        self.device = device

    def check(self) -> None:
        """Raise ValueError for impossible values; torch would only notice after all features are computed."""
        check_numbers(
            self,
            {
                "windows": (int, 1, None),
                "width": (int, 1, None),
                "members": (int, 1, None),
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
                "colour": (float, 0, None),
                "noise": (float, 0, 1),
                "mask_bands": (int, 0, None),
                "mask_frames": (int, 0, None),
                "temperature": (float, 0.05, 20),
            },
        )
        if not isinstance(self.keep_song, bool):
            raise ValueError(f"keep_song must be true or false, got {self.keep_song!r}.")
        if self.bfloat16 not in (None, True, False):
            raise ValueError(f"bfloat16 must be true or false, got {self.bfloat16!r}.")
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
        channels: np.ndarray | None = None,
        corpora: np.ndarray | None = None,
        checkpoint: Path | None = None,
    ) -> LogMelCNN:
        """Train on clips ``X`` (n,) of log-mel frames (rows, frames) in dB with labels ``y``.

        ``validation`` (clips, labels) is used for the temperature and the curves, never for stopping or selection.
        ``progress`` is called with a row after each epoch. ``known`` (n, n_classes), boolean, marks the labels that
        each clip's corpus has: the others do not count in its loss. Default: all. ``validation_known`` likewise.
        ``channels`` (n,) marks clips as ``"song"``; default: none. ``corpora`` (n,) names the corpus of each clip: an
        epoch takes as many clips from each corpus as the smallest one has. In the folder ``checkpoint`` each epoch is
        kept, and a training that was interrupted continues (:class:`serkit.models.checkpoint.Checkpoint`).
        """
        if y is None:
            raise ValueError("LogMelCNN requires y to be passed, but the target y is None.")
        self.classes_ = np.unique(y) if self.labels is None else np.asarray(self.labels)
        targets = label_indices(y, self.classes_)
        rows = {clip.shape[0] for clip in X}
        if len(rows) != 1:
            raise TrainingError(f"All clips need the same number of mel bands, got {sorted(rows)}.")
        self.n_rows_ = rows.pop()
        if self.n_rows_ % self.windows:
            raise TrainingError(f"{self.n_rows_} rows do not divide into {self.windows} spectrograms of equal height.")
        still = None if channels is None or not self.keep_song else np.asarray(channels) == "song"
        dataset = Clips(list(X), targets, n_classes=len(self.classes_), known=known, still=still, corpora=corpora)
        validate: Validate = None
        if validation is not None:
            valid_X, valid_y = validation[0], label_indices(validation[1], self.classes_)

            def judge(module: nn.Module, *, batch_size: int = 1) -> np.ndarray:
                """Return the logits of the validation clips, very low for labels unknown to their corpus."""
                logits = self._logits(module, valid_X, batch_size=batch_size)
                return logits if validation_known is None else np.where(validation_known, logits, np.float32(UNKNOWN))

            def validate(net: Net) -> dict[str, float]:
                return score(judge(net.module_, batch_size=32), valid_y)  # padded: faster, fine for curves

        nets: list[nn.Module] = []
        self.history_: list[dict[str, Any]] = []
        for k, seed in enumerate(np.random.SeedSequence(self.seed).spawn(self.members)):

            def say(row: dict[str, Any], k: int = k) -> None:
                if progress is not None:
                    progress({**row, "epoch": k * self.epochs + row["epoch"], "epochs": self.members * self.epochs})

            place = None if checkpoint is None else checkpoint / f"member-{k + 1}.pt"
            net = self._train(dataset, seed, say, validate, place)
            nets.append(net.module_)
            for row in net.history:
                kept = {name: row[name] for name in ("loss", "validation_loss", "uar") if name in row}
                self.history_.append({"epoch": k * self.epochs + row["epoch"], **kept})
        self.net_ = nets[0] if len(nets) == 1 else Average(nets)
        self.temperature_ = self.temperature
        if validation is not None:
            self.temperature_ = fit_temperature(judge(self.net_), valid_y)
        return self

    def _train(
        self, dataset: Clips, seeds: np.random.SeedSequence, say: Progress, validate: Validate, place: Path | None
    ) -> Net:
        """Train one network, whose epochs are kept in the file `place`."""
        order, weights = seeds.spawn(2)
        rng = np.random.default_rng(order)
        keeper = None if place is None else Checkpoint(place, rng)
        batch_size = min(self.batch_size, dataset.epoch)
        changes = ("windows", "crop", "mel_shift", "time_warp", "colour", "noise", "mask_bands", "mask_frames", "mixup")
        with torch.random.fork_rng():
            torch.manual_seed(int(weights.generate_state(1)[0]))
            network = ResNetASP(
                self.n_rows_, len(self.classes_), windows=self.windows, width=self.width, dropout=self.dropout
            )
            net = Net(
                in_fast_order(network),
                criterion=KnownCrossEntropy,
                criterion__label_smoothing=self.label_smoothing,
                optimizer=torch.optim.AdamW,
                optimizer__weight_decay=self.weight_decay,
                lr=self.learning_rate,
                max_epochs=self.epochs,
                batch_size=batch_size,
                classes=list(range(len(self.classes_))),
                iterator_train=FrameBatches,
                iterator_train__rng=rng,
                **{f"iterator_train__{name}": getattr(self, name) for name in changes},
                train_split=None,
                callbacks=[
                    GradientNormClipping(5.0),
                    one_cycle(self.learning_rate, epochs=self.epochs, steps=dataset.epoch // batch_size),
                    Report(say, validate),
                    *([] if keeper is None else [keeper]),
                ],
                callbacks__valid_acc=None,
                callbacks__print_log=None,
                device=pick_device(self.device),
                verbose=0,
            )
            train(net, dataset, bfloat16=self.bfloat16, checkpoint=keeper)
        return net

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities (n, n_classes), float32, columns in the order of ``classes_``."""
        check_is_fitted(self)
        return softmax(self._logits(self.net_, X) / self.temperature_).astype(np.float32)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable label of each clip."""
        check_is_fitted(self)
        return self.classes_[self._logits(self.net_, X).argmax(1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # an object array of (rows, frames), a clip each
        tags.no_validation = True
        return tags

    def to_onnx(self, front_end: FrontEnd) -> onnx.ModelProto:
        """Return one ONNX graph from the waveform to the probabilities; see :mod:`serkit.models.graph`."""
        from serkit.models.graph import waveform_graph

        return waveform_graph(self.net_, self.n_rows_, self.temperature_, front_end)

    def _logits(self, module: nn.Module, X: np.ndarray, *, batch_size: int = 1) -> np.ndarray:
        """Logits (n, n_classes) in the order of ``X``.

        One clip at a time, as in the exported graph: clips in a batch are padded to the same length, and the padding
        changes their probabilities by about 0.01.
        """
        module = module.eval()
        device = pick_device(self.device)
        order = np.argsort([clip.shape[1] for clip in X], kind="stable")
        out = np.empty((len(X), len(self.classes_)), np.float32)
        with exactly():
            for done in range(0, len(X), batch_size):
                chosen = order[done : done + batch_size]
                lengths = torch.tensor([X[i].shape[1] for i in chosen])
                x = np.zeros((len(chosen), self.n_rows_, int(lengths.max())), np.float32)
                for row, i in zip(x, chosen, strict=True):
                    row[:, : X[i].shape[1]] = scale(X[i].astype(np.float32, copy=False))
                out[chosen] = module(torch.from_numpy(x).to(device), lengths.to(device)).cpu().numpy()
        return out


def build(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> LogMelCNN:
    """Make the estimator from a recipe's ``[model]`` parameters."""
    return LogMelCNN(list(labels), seed=seed, **params)
