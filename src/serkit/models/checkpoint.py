"""A training that can be killed at any moment: after each epoch its whole state is on disk, and it continues there."""

from __future__ import annotations

import io
import json
import pickle
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.history import History

from serkit.errors import TrainingError

__all__ = ["Checkpoint", "damaged"]


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Raise TrainingError where a checkpoint cannot be read: torch raises many kinds."""
    kinds = (OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError, pickle.UnpicklingError)
    try:
        yield
    except kinds:
        raise TrainingError(f"The checkpoint {path} is damaged: remove it, and this fold begins again.") from None


class Checkpoint(Callback):
    """Write the state of a training after each epoch, and begin with the one that is there.

    The state is complete: weights, optimizer, learning rate, the best epoch so far, curves and every random generator.
    So a training that was killed in the middle of an epoch repeats that epoch and ends, on the same machine, with the
    same bits as one that was not. Must be the last of the callbacks.

    Parameters
    ----------
    path : Path
        The file; its folder is made. It is read without running any code in it.
    rng : numpy.random.Generator
        Draws the batches.

    See Also
    --------
    serkit.models.loop.train : trains the epochs that are missing.
    """

    def __init__(self, path: Path, rng: np.random.Generator) -> None:
        self.path = path
        self.rng = rng

    def initialize(self) -> Checkpoint:
        """Read the file, if there is one."""
        self.state_: dict[str, Any] | None = None
        if self.path.is_file():
            with damaged(self.path):
                self.state_ = torch.load(self.path, map_location="cpu", weights_only=True)
                self.facts_: dict[str, Any] = json.loads(self.state_["facts"])
        return self

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return 0 if self.state_ is None else len(self.facts_["history"])

    def on_train_begin(self, net: Any, **_: Any) -> None:
        """Put the net and the generators in the state that was written."""
        if self.state_ is None:
            return
        if self.facts_["bfloat16"] != net.bfloat16:
            net.bfloat16 = _arithmetic(self.path, began=self.facts_["bfloat16"], asked=net.asked)
        try:
            net.module_.load_state_dict(self.state_["weights"])
            net.optimizer_.load_state_dict(self.state_["optimizer"])
            for callback, state in zip(_stateful(net), self.state_["callbacks"], strict=True):
                if isinstance(callback, LRScheduler):
                    callback.batch_idx_ = state["batch"]
                    callback.lr_scheduler_.load_state_dict(state["schedule"])
                else:
                    callback.misses_, callback.dynamic_threshold_ = state["misses"], state["threshold"]
                    callback.best_epoch_, callback.best_model_weights_ = state["epoch"], state["weights"]
        except (RuntimeError, ValueError, KeyError) as error:
            raise TrainingError(
                f"The checkpoint {self.path} is of another training ({str(error).splitlines()[0]}): remove it."
            ) from None
        net.history = History(self.facts_["history"])
        self.rng.bit_generator.state = self.facts_["rng"]
        torch.set_rng_state(self.state_["chance"])
        if torch.cuda.is_available() and "chance_cuda" in self.state_:
            torch.cuda.set_rng_state(self.state_["chance_cuda"])
        self.state_ = None

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        """Write everything, in one step."""
        facts = {"history": net.history.to_list(), "rng": self.rng.bit_generator.state, "bfloat16": net.bfloat16}
        state: dict[str, Any] = {
            "facts": json.dumps(facts, default=float),
            "weights": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "callbacks": [_state(callback) for callback in _stateful(net)],
            "chance": torch.get_rng_state(),
        }
        if torch.device(net.device).type == "cuda":
            state["chance_cuda"] = torch.cuda.get_rng_state()
        written = io.BytesIO()
        torch.save(state, written)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}.tmp")
        try:
            beside.write_bytes(written.getbuffer())
            beside.replace(self.path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _stateful(net: Any) -> list[Callback]:
    """The callbacks that learn during a training, in order."""
    return [callback for _, callback in net.callbacks_ if isinstance(callback, (LRScheduler, EarlyStopping))]


def _state(callback: Callback) -> dict[str, Any]:
    if isinstance(callback, LRScheduler):
        return {"batch": callback.batch_idx_, "schedule": callback.lr_scheduler_.state_dict()}
    return {
        "misses": callback.misses_,
        "threshold": float(callback.dynamic_threshold_),
        "epoch": callback.best_epoch_,
        "weights": callback.best_model_weights_,
    }


def _arithmetic(path: Path, *, began: bool, asked: bool | None) -> bool:
    """Return the arithmetic that a training began with, if it can continue so here."""
    if not began and asked is None:
        return False
    kind, other = ("bfloat16", "float32") if began else ("float32", "bfloat16")
    raise TrainingError(
        f"The training in {path.parent} began in {kind} and would continue in {other} on this processor, which would "
        f"change its result: continue on a machine with bfloat16, or remove that folder to begin the fold again."
    )
