"""A linear classifier and small networks on the embedding of an encoder, averaged: heads for joined corpora."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.special import erf, log_softmax, softmax

from serkit.models import check_numbers
from serkit.models.base import VectorClassifier
from serkit.models.softmax import SoftmaxRegression

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LinearNetwork", "build"]

Pair = tuple[np.ndarray, np.ndarray]
Layers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_FLOOR = -30.0  # of a log-probability, so that one head alone cannot rule a label out
_NEVER = -1e4  # a logit that is left out


class LinearNetwork(VectorClassifier):
    """The mean of softmax regression and of networks with one hidden layer, as log-probabilities.

    The linear part answers strangers best, the networks fit many corpora at once. Both know where clips come from: a
    clip pulls only at the labels that its corpus gives, and corpora count alike, however large they are. Inputs should
    be standardised.

    Parameters
    ----------
    penalty : float
        Of the linear part, see :class:`serkit.models.softmax.SoftmaxRegression`.
    share : float
        Weight of the networks in the mean, from 0 (the linear part alone) to 1.
    members : int
        Networks, which differ in their seeds.
    hidden : int
        Hidden units of a network, with GELU (Hendrycks and Gimpel, 2016).
    dropout : float
        Of the inputs and of the hidden units.
    epochs, batch_size : int
        Length of the training. An epoch draws as many clips as there are, those of rare labels and small corpora more
        often.
    learning_rate, weight_decay : float
        Peak of one cycle (Smith and Topin, 2018); decay of AdamW (Loshchilov and Hutter, 2019).
    balance : float
        From 0, each clip counts alike, to 1, each corpus does.
    class_weight : "balanced", optional
        Let the labels of a corpus count alike within it.
    temperature : float
        Divides the log-probabilities of the mean (Guo et al., 2017); replaced by one fitted on the validation clips, if
        there are any.
    max_iter : int
        Steps of L-BFGS at most.
    seed : int
        Of weights, order and dropout.

    Attributes
    ----------
    classes_ : ndarray of str
        Sorted labels of the training clips.
    linear_ : SoftmaxRegression
    n_iter_ : int
        Steps of L-BFGS taken.
    networks_ : list of tuple
        Weights (h, d), biases (h,), weights (n_classes, h), biases (n_classes,) of each network, rounded to float16,
        as they are stored in a bundle.
    temperature_ : float
    history_ : list of dict
        ``epoch`` and ``loss`` of each epoch, those of all networks in turn.

    See Also
    --------
    serkit.models.softmax.SoftmaxRegression : the linear part alone.

    Examples
    --------
    >>> X = np.array([[-1.0], [-0.9], [1.0], [0.9]], np.float32)
    >>> model = LinearNetwork(hidden=4, epochs=2).fit(X, np.array(["sad", "sad", "angry", "angry"]))
    >>> model.classes_.tolist(), model.predict_proba(X).shape
    (['angry', 'sad'], (4, 2))
    """

    uses_validation = True
    uses_known = True
    uses_origin = True

    def __init__(
        self,
        *,
        penalty: float = 0.1,
        share: float = 0.5,
        members: int = 1,
        hidden: int = 256,
        dropout: float = 0.4,
        epochs: int = 8,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
        balance: float = 1.0,
        class_weight: str | None = None,
        temperature: float = 1.0,
        max_iter: int = 60,
        labels: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.penalty = penalty
        self.share = share
        self.members = members
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.balance = balance
        self.class_weight = class_weight
        self.temperature = temperature
        self.max_iter = max_iter
        self.labels = labels
        self.seed = seed

    def check(self) -> None:
        """Raise ValueError for values that a parameter cannot have."""
        check_numbers(
            self,
            {
                "share": (float, 0, 1),
                "members": (int, 1, 32),
                "hidden": (int, 1, 65536),
                "dropout": (float, 0, 0.95),
                "epochs": (int, 1, None),
                "batch_size": (int, 1, None),
                "learning_rate": (float, 1e-8, 1),
                "weight_decay": (float, 0, None),
                "temperature": (float, 0.05, 20),
            },
        )
        self._linear().check()

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        validation: Pair | None = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
        known: np.ndarray | None = None,
        validation_known: np.ndarray | None = None,
        channels: np.ndarray | None = None,
        corpora: np.ndarray | None = None,
    ) -> LinearNetwork:
        """Fit on ``X`` (n, d) and labels ``y``, then the temperature on ``validation``.

        The parameters are those of :meth:`serkit.models.softmax.SoftmaxRegression.fit`; ``progress`` hears of each
        epoch.
        """
        self.check()
        X, y = self._checked(X, y)
        X = np.ascontiguousarray(X, dtype=np.float32)
        self.linear_ = self._linear().fit(X, y, known=known, corpora=corpora)
        self.n_iter_ = self.linear_.n_iter_
        self.classes_, target = np.unique(y, return_inverse=True)
        could, weights = self.linear_.could(known, target), self.linear_.clip_weights(target, corpora)
        self.networks_: list[Layers] = []
        self.history_: list[dict[str, Any]] = []
        for member in range(self.members if self.share else 0):
            self.networks_.append(self._network(X, target, could, weights, member, progress))
        self.temperature_ = float(self.temperature)
        if validation is not None and len(validation[0]):
            self.temperature_ = self.linear_.best_temperature(self._logits, *validation, validation_known)
        return self

    def _linear(self) -> SoftmaxRegression:
        return SoftmaxRegression(
            penalty=self.penalty,
            balance=self.balance,
            class_weight=self.class_weight,
            max_iter=self.max_iter,
            labels=self.labels,
        )

    def _network(
        self,
        X: np.ndarray,
        target: np.ndarray,
        could: np.ndarray,
        weights: np.ndarray,
        member: int,
        progress: Callable[[dict[str, Any]], None] | None,
    ) -> Layers:
        """Train one network; its dropout and order come from generators of its own."""
        import torch
        from torch import nn
        from torch.nn.functional import cross_entropy

        inputs, classes, mask, chance = map(torch.from_numpy, (X, target, could, weights.astype(np.float32)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence([self.seed, member]).generate_state(1)[0]))
            net = nn.Sequential(
                nn.Dropout(self.dropout),
                nn.Linear(X.shape[1], self.hidden),
                nn.GELU(),
                nn.Dropout(self.dropout),
                nn.Linear(self.hidden, len(self.classes_)),
            )
            optimizer = torch.optim.AdamW(net.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
            steps = -(-len(X) // self.batch_size)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, self.learning_rate, total_steps=self.epochs * steps
            )
            for epoch in range(self.epochs):
                total = 0.0
                for drawn in _draws(chance, steps, min(self.batch_size, len(X))):
                    loss = cross_entropy(net(inputs[drawn]).masked_fill(~mask[drawn], _NEVER), classes[drawn])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
                    total += float(loss.detach())
                row = {"epoch": member * self.epochs + epoch + 1, "loss": total / steps}
                self.history_.append(row)
                if progress is not None:
                    progress({**row, "epochs": self.members * self.epochs})
        first, second = (layer for layer in net if isinstance(layer, nn.Linear))
        return _rounded(first.weight), _rounded(first.bias), _rounded(second.weight), _rounded(second.bias)

    def _logits(self, X: np.ndarray) -> np.ndarray:
        """Log-probabilities of the mean up to a constant, float64 of shape (n, n_classes)."""
        X = np.asarray(X, dtype=np.float32)
        parts = [(1 - self.share if self.networks_ else 1.0, self.linear_.logits(X))]
        for w1, b1, w2, b2 in self.networks_:
            hidden = X @ w1.T + b1
            hidden = 0.5 * hidden * (1 + erf(hidden * np.float32(np.sqrt(0.5))))
            parts.append((self.share / len(self.networks_), hidden @ w2.T + b2))
        return np.asarray(
            sum(part * np.maximum(log_softmax(z.astype(np.float64), axis=1), _FLOOR) for part, z in parts)
        )

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(softmax(self._logits(X) / self.temperature_, axis=1))

    def vector_graph(self, width: int) -> onnx.ModelProto:
        """The fitted model as ONNX: ``input`` float32 (n, width) -> ``probabilities`` float32 (n, n_classes)."""
        nodes: list[onnx.NodeProto] = []
        constants: list[onnx.TensorProto] = []

        def add(op: str, *inputs: str, **attributes: Any) -> str:
            name = f"v{len(nodes)}"
            nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
            return name

        def constant(value: Any, kind: Any = np.float32) -> str:
            name = f"c{len(constants)}"
            constants.append(numpy_helper.from_array(np.ascontiguousarray(value, kind), name))
            return name

        def dense(x: str, weight: np.ndarray, bias: np.ndarray) -> str:
            stored = add("Cast", constant(weight.T, np.float16), to=TensorProto.FLOAT)
            return add("Add", add("MatMul", x, stored), constant(bias))

        def logs(logits: str, part: float) -> str:
            floored = add("Max", add("LogSoftmax", logits, axis=1), constant(_FLOOR))
            return add("Mul", floored, constant(part / self.temperature_))

        linear = self.linear_
        sums = add("Add", add("MatMul", "input", constant(linear.coef_.T)), constant(linear.intercept_))
        parts = [logs(sums, 1 - self.share if self.networks_ else 1.0)]
        for w1, b1, w2, b2 in self.networks_:
            x = dense("input", w1, b1)
            both = add("Add", add("Erf", add("Mul", x, constant(np.sqrt(0.5)))), constant(1))
            x = add("Mul", add("Mul", x, constant(0.5)), both)
            parts.append(logs(dense(x, w2, b2), self.share / len(self.networks_)))
        total = parts[0] if len(parts) == 1 else add("Sum", *parts)
        nodes.append(helper.make_node("Softmax", [total], ["probabilities"], axis=1))
        graph = helper.make_graph(
            nodes,
            "linear_network",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(self.classes_)])],
            constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def _draws(chance: Tensor, steps: int, size: int) -> Any:
    """Yield the clips of each step, drawn with replacement by their weights."""
    import torch

    for _ in range(steps):
        yield torch.multinomial(chance, size, replacement=True)


def _rounded(part: Tensor) -> np.ndarray:
    """Return weights as float32, rounded to float16."""
    return np.asarray(part.detach().half().float().numpy())


def build(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> LinearNetwork:
    """See :class:`LinearNetwork`."""
    return LinearNetwork(**params, labels=list(labels), seed=seed)
