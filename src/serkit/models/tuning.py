"""Fine-tuning: the upper blocks of a Whisper encoder learn from emotions, with a linear layer on top.

The layer is thrown away afterwards: what a model answers with learns on the tuned blocks' pooled outputs. Half of the
clips are standardised by what is usual in their place, so that models which adapt to a place (see
:mod:`serkit.training.adaptation`) still can.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from serkit.encoders.tuned import TunedBlocks
from serkit.errors import TrainingError
from serkit.files import write_atomic
from serkit.models.base import clip_weights
from serkit.models.checkpoint import damaged
from serkit.models.loop import has_bfloat16
from serkit.models.losses import UNKNOWN

__all__ = ["tune"]

_BATCHES = 16  # drawn at once, so that clips of like length meet in a batch
_SAVED = 4  # a checkpoint is written after so many of these
_DROPOUT, _DECAY, _LARGEST_STEP = 0.3, 0.01, 1.0
_HEAD_RATE = 1e-3  # of the linear layer, which begins from nothing
_FRAMES_A_SECOND = 50
_BY_PLACE = 0.5  # of the clips are standardised by their place
_FIRST, _STEP = 400, 0.03  # clips of a place that its statistics begin with; how fast these follow the blocks
_DENSE = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "fc1", "fc2")


class _Block(nn.Module):
    """A block of Whisper's encoder: (batch, frames, width) -> the same."""

    def __init__(self, blocks: TunedBlocks, number: int) -> None:
        super().__init__()
        width, hidden = blocks.encoder.width, blocks.encoder.n_hidden
        self.heads, self.prefix = blocks.encoder.heads, f"layers.{number - 1}."
        sizes = {"fc1": (width, hidden), "fc2": (hidden, width)}
        parts: dict[str, nn.Module] = {}
        for name in _DENSE:
            inputs, outputs = sizes.get(name, (width, width))
            layer = nn.Linear(inputs, outputs, bias=name != "self_attn.k_proj")
            layer.weight.data = self._read(blocks, f"{name}.weight", outputs, inputs)
            if layer.bias is not None:
                layer.bias.data = self._read(blocks, f"{name}.bias", outputs)
            parts[name] = layer
        for name in ("self_attn_layer_norm", "final_layer_norm"):
            norm = nn.LayerNorm(width)
            norm.weight.data, norm.bias.data = (self._read(blocks, f"{name}.{k}", width) for k in ("weight", "bias"))
            parts[name] = norm
        self.parts = nn.ModuleDict({name.replace(".", "_"): part for name, part in parts.items()})
        self.names = list(parts)

    def _read(self, blocks: TunedBlocks, name: str, *shape: int) -> Tensor:
        return torch.from_numpy(blocks.weight(self.prefix + name, *shape).copy())

    def tensors(self) -> dict[str, np.ndarray]:
        """The tensors by the names that they have in the encoder's folder."""
        return {
            f"{self.prefix}{name}.{kind}": value.detach().float().numpy().copy()
            for name in self.names
            for kind, value in self.parts[name.replace(".", "_")].named_parameters()
        }

    def forward(self, x: Tensor, heard: Tensor) -> Tensor:
        part = self.parts
        y = part["self_attn_layer_norm"](x)
        query, key, value = (
            part[f"self_attn_{name}_proj"](y).unflatten(2, (self.heads, -1)).transpose(1, 2) for name in "qkv"
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=heard[:, None, None, :])
        x = x + part["self_attn_out_proj"](mixed.transpose(1, 2).flatten(2))
        return x + part["fc2"](functional.gelu(part["fc1"](part["final_layer_norm"](x))))


class _Network(nn.Module):
    """The blocks, mean and deviation of each one's outputs over time, standardised, and a linear layer.

    The last row of the statistics is what is usual over all places, and stays as it was in the beginning.
    """

    def __init__(self, blocks: TunedBlocks, n_labels: int, n_places: int) -> None:
        super().__init__()
        self.first, self.taken = blocks.first, blocks.blocks
        self.blocks = nn.ModuleList(_Block(blocks, k) for k in range(blocks.first + 1, max(blocks.blocks) + 1))
        self.head = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(blocks.size, n_labels))
        shape = (n_places + 1, blocks.size)
        self.mean, self.variance = nn.Buffer(torch.zeros(shape)), nn.Buffer(torch.ones(shape))

    def pooled(self, x: Tensor, heard: Tensor) -> Tensor:
        outputs = [x] if self.first in self.taken else []
        for number, block in enumerate(self.blocks, self.first + 1):
            x = block(x, heard)
            if number in self.taken:
                outputs.append(x)
        share = (heard.float() / heard.sum(1, keepdim=True))[:, :, None]
        found = []
        for output in outputs:
            mean = (share * output.float()).sum(1)
            deviation = (share * (output.float() - mean[:, None]).square()).sum(1).clamp_min(1e-8).sqrt()
            found += [mean, deviation]
        return torch.cat(found, 1)

    def forward(self, x: Tensor, heard: Tensor, place: Tensor, seen: Tensor) -> Tensor:
        """Return the logits; `place` (batch,) is where clips are from, `seen` the row that each is standardised by."""
        found = self.pooled(x, heard)
        with torch.no_grad():
            for k in place.unique():
                here = found[place == k]
                if len(here) > 1:
                    self.mean[k].lerp_(here.mean(0), _STEP)
                    self.variance[k].lerp_((here - self.mean[k]).square().mean(0), _STEP)
        logits: Tensor = self.head((found - self.mean[seen]) / self.variance[seen].sqrt())
        return logits


def tune(
    blocks: TunedBlocks,
    frames: Sequence[np.ndarray],
    target: np.ndarray,
    could: np.ndarray,
    places: np.ndarray,
    *,
    clips: int,
    batch_size: int,
    learning_rate: float,
    seconds: float,
    seed: int,
    progress: Callable[[dict[str, Any]], None] | None = None,
    checkpoint: Path | None = None,
) -> dict[str, np.ndarray]:
    """Tune the blocks above the encoder's; return their tensors.

    AdamW (Loshchilov and Hutter, 2019) with one cycle of the learning rate (Smith and Topin, 2018); cross-entropy
    among the labels that each clip could have had.

    Parameters
    ----------
    blocks : TunedBlocks
        Where tuning begins.
    frames : sequence of np.ndarray [shape=(width, frames)]
        What the encoder gives for each training clip.
    target : np.ndarray [shape=(n,)]
        Index of each clip's label.
    could : np.ndarray of bool [shape=(n, n_labels)]
        The labels that the clip's corpus has.
    places : np.ndarray of str [shape=(n,)]
        Where each clip is from. Places are drawn alike, and labels alike within a place.
    clips : int
        Clips that are drawn in all.
    batch_size : int
    learning_rate : float
        Of the blocks, at its peak.
    seconds : float
        Of longer clips the middle is used.
    seed : int
    progress : callable, optional
        Called with ``{"stage": "tuning", "done": clips, "total": clips, "loss"}`` after each batch.
    checkpoint : Path, optional
        A file that keeps the state now and then, and that an interrupted training continues from.

    Returns
    -------
    dict of str to np.ndarray
        For the parameter `tensors` of :class:`serkit.encoders.tuned.TunedBlocks`.
    """
    rng = np.random.default_rng(seed)
    steps = -(-clips // batch_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        names, place = np.unique(places, return_inverse=True)
        network = _Network(blocks, could.shape[1], len(names))
        cut, chance = [_middle(one, seconds) for one in frames], clip_weights(target, place)
        _standardise(network, cut, place, rng)
        rates = [learning_rate, _HEAD_RATE]
        parts = [network.blocks.parameters(), network.head.parameters()]
        optimizer = torch.optim.AdamW([{"params": part} for part in parts], weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)
        state = _State(network, optimizer, schedule, rng, checkpoint)
        done = state.read()
        network.train()
        while done < steps:
            for drawn in _batches(cut, chance, rng, batch_size)[: steps - done]:
                x, heard = _padded([cut[i] for i in drawn])
                here = torch.from_numpy(place[drawn])
                seen = torch.where(torch.from_numpy(rng.random(len(drawn)) < _BY_PLACE), here, len(names))
                with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16("cpu")):
                    logits = network(x, heard, here, seen).float()
                logits = logits.masked_fill(~torch.from_numpy(could[drawn]), UNKNOWN)
                loss = functional.cross_entropy(logits, torch.from_numpy(target[drawn]))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.blocks.parameters(), _LARGEST_STEP)
                optimizer.step()
                schedule.step()
                done += 1
                value = float(loss.detach())
                if not np.isfinite(value):
                    raise TrainingError(
                        f"The loss became {value} while the encoder was tuned: lower the learning_rate in "
                        "[encoder.tuning] and train again."
                    )
                if progress is not None:
                    total = steps * batch_size
                    progress({"stage": "tuning", "done": done * batch_size, "total": total, "loss": value})
            state.write(done)
    tuned = cast("list[_Block]", list(network.blocks))
    return {name: value for block in tuned for name, value in block.tensors().items()}


def _middle(frames: np.ndarray, seconds: float) -> np.ndarray:
    """The middle of a clip (width, frames), as (frames, width) in float16."""
    size = min(frames.shape[1], round(seconds * _FRAMES_A_SECOND))
    start = (frames.shape[1] - size) // 2
    with np.errstate(over="ignore"):  # infinite frames stop the training with a sentence
        return np.ascontiguousarray(frames[:, start : start + size].T, dtype=np.float16)


def _padded(clips: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Clips as (batch, frames, width) float32, and which frames are theirs."""
    longest = max(map(len, clips))
    x, heard = np.zeros((len(clips), longest, clips[0].shape[1]), np.float32), np.zeros((len(clips), longest), bool)
    for k, clip in enumerate(clips):
        x[k, : len(clip)], heard[k, : len(clip)] = clip, True
    return torch.from_numpy(x), torch.from_numpy(heard)


def _batches(clips: Sequence[np.ndarray], chance: np.ndarray, rng: np.random.Generator, size: int) -> list[np.ndarray]:
    """Draw sixteen batches; clips of like length share one."""
    drawn = rng.choice(len(clips), size * _BATCHES, p=chance)
    drawn = drawn[np.argsort([len(clips[i]) for i in drawn], kind="stable")]
    batches = list(drawn.reshape(_BATCHES, size))
    return [batches[k] for k in rng.permutation(_BATCHES)]


def _standardise(network: _Network, clips: Sequence[np.ndarray], place: np.ndarray, rng: np.random.Generator) -> None:
    """Let the linear layer begin with inputs of mean 0 and deviation 1, measured on some clips of each place."""
    network.eval()
    last = len(network.mean) - 1
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16("cpu")):
        for number in range(last):
            some = rng.permutation(np.flatnonzero(place == number))[:_FIRST]
            some = some[np.argsort([len(clips[i]) for i in some], kind="stable")]
            found = []
            for k in range(0, len(some), 32):
                x, heard = _padded([clips[i] for i in some[k : k + 32]])
                found.append(network.pooled(x, heard))
            pooled = torch.cat(found)
            network.mean[number] = pooled.mean(0)
            network.variance[number] = pooled.var(0, unbiased=False).clamp_min(1e-12)
        network.mean[last] = network.mean[:last].mean(0)
        network.variance[last] = network.variance[:last].mean(0)


class _State:
    """The state of a tuning in a file: weights, optimizer, schedule and both generators."""

    def __init__(
        self, network: nn.Module, optimizer: Any, schedule: Any, rng: np.random.Generator, path: Path | None
    ) -> None:
        self._parts: Mapping[str, Any] = {"network": network, "optimizer": optimizer, "schedule": schedule}
        self._rng, self._path = rng, path

    def read(self) -> int:
        """Put everything in the state of the file, if there is one; return the steps that are done."""
        if self._path is None or not self._path.is_file():
            return 0
        with damaged(self._path):
            stored = torch.load(self._path, map_location="cpu", weights_only=True)
            for name, part in self._parts.items():
                part.load_state_dict(stored[name])
            self._rng.bit_generator.state = json.loads(stored["draws"])
            torch.set_rng_state(stored["torch"])
            return int(stored["done"])

    def write(self, done: int) -> None:
        """Keep the state, all of it or nothing."""
        if self._path is None or (done // _BATCHES) % _SAVED:
            return
        file = io.BytesIO()
        stored = {name: part.state_dict() for name, part in self._parts.items()}
        draws = json.dumps(self._rng.bit_generator.state)
        torch.save({**stored, "draws": draws, "torch": torch.get_rng_state(), "done": done}, file)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file.getvalue(), self._path)
