"""Softmax regression for joined corpora: labels that a corpus never gives are masked, corpora count alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.optimize import minimize, minimize_scalar
from scipy.special import softmax

from serkit.models import check_numbers
from serkit.models.base import VectorClassifier, clip_weights, of_classes

__all__ = ["SoftmaxRegression", "build"]

Pair = tuple[np.ndarray, np.ndarray]
_NEVER = -1e4  # a logit that is left out


class SoftmaxRegression(VectorClassifier):
    """Multinomial logistic regression that knows where its clips come from.

    Two things set it apart from scikit-learn's: a clip pulls only at the labels that its corpus gives, and the weights
    of the clips make corpora count alike, however large they are. On one corpus that gives every label it is the same
    model. Its inputs should be standardised.

    Parameters
    ----------
    penalty : float
        Weight of the squared coefficients beside the mean cross-entropy of a clip. 0.01 suits standardised features by
        the thousand; less fits the training clips more closely and makes answers surer.
    balance : float
        From 0, each clip counts alike, to 1, each corpus does: a corpus of n clips has the share n ** (1 - balance).
    class_weight : "balanced", optional
        Let the labels of a corpus count alike within it.
    max_iter : int
        Steps of L-BFGS at most.

    Attributes
    ----------
    classes_ : ndarray of str
        Sorted labels of the training clips.
    coef_, intercept_ : ndarray [shape=(n_classes, d), shape=(n_classes,)]
    n_iter_ : int
        Steps taken.
    temperature_ : float
        Fitted on the validation clips, over the labels that each could have had; 1.0 without them.

    See Also
    --------
    serkit.training.fitting.known_labels : which labels a corpus gives.

    Examples
    --------
    >>> X = np.array([[-1.0], [-0.9], [1.0], [0.9]])
    >>> model = SoftmaxRegression().fit(X, np.array(["sad", "sad", "angry", "angry"]))
    >>> model.predict(np.array([[2.0]])).tolist(), model.classes_.tolist()
    (['angry'], ['angry', 'sad'])
    """

    uses_validation = True
    uses_known = True
    uses_origin = True

    def __init__(
        self,
        *,
        penalty: float = 0.01,
        balance: float = 1.0,
        class_weight: str | None = None,
        max_iter: int = 200,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.penalty = penalty
        self.balance = balance
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.labels = labels

    def check(self) -> None:
        """Raise ValueError for values that a parameter cannot have."""
        check_numbers(self, {"penalty": (float, 0, None), "balance": (float, 0, 1), "max_iter": (int, 1, None)})

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
    ) -> SoftmaxRegression:
        """Fit on ``X`` (n, d) and labels ``y``, then the temperature on ``validation``.

        Parameters
        ----------
        X : np.ndarray [shape=(n, d)]
        y : np.ndarray of str [shape=(n,)]
        validation : pair of np.ndarray, optional
            Clips of other voices, with their labels.
        progress, channels
            Not used.
        known, validation_known : np.ndarray of bool [shape=(n, n_labels)], optional
            Which of ``labels`` each clip could have had; all of them by default.
        corpora : np.ndarray of str [shape=(n,)], optional
            Where each clip comes from; one place by default.
        """
        self.check()
        X, y = self._checked(X, y)
        X = np.asarray(X, dtype=np.float32)
        self.classes_, target = np.unique(y, return_inverse=True)
        could = self.could(known, target)
        weights = self.clip_weights(target, corpora)
        truth = np.eye(len(self.classes_))[target]
        shape = (len(self.classes_), X.shape[1])

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            coef, intercept = flat[: -shape[0]].reshape(shape), flat[-shape[0] :]
            p = softmax(np.where(could, X @ coef.T.astype(np.float32) + intercept, _NEVER), axis=1)
            error = weights[:, None] * (p - truth)
            of_truth = np.maximum((p * truth).sum(axis=1), 1e-30)
            value = -float(weights @ np.log(of_truth)) + self.penalty * float((coef**2).sum())
            slope = error.T.astype(np.float32) @ X + 2 * self.penalty * coef
            return value, np.concatenate([slope.ravel(), error.sum(axis=0)]).astype(np.float64)

        start = np.zeros(shape[0] * (shape[1] + 1))
        done = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": self.max_iter})
        found, self.n_iter_ = done.x, int(done.nit)
        self.coef_, self.intercept_ = found[: -shape[0]].reshape(shape), found[-shape[0] :]
        self.temperature_ = 1.0
        if validation is not None and len(validation[0]):
            self.temperature_ = self.best_temperature(self.logits, *validation, validation_known)
        return self

    def could(self, known: np.ndarray | None, target: np.ndarray) -> np.ndarray:
        """Which classes each clip could have had: bool of shape (n, n_classes)."""
        could = of_classes(known, self.labels, self.classes_)
        return np.ones((len(target), len(self.classes_)), dtype=bool) if could is None else could

    def clip_weights(self, target: np.ndarray, corpora: np.ndarray | None) -> np.ndarray:
        """The weight of each clip; they sum to 1."""
        return clip_weights(target, corpora, balance=self.balance, by_label=self.class_weight is not None)

    def best_temperature(
        self, logits_of: Callable[[np.ndarray], np.ndarray], X: np.ndarray, y: np.ndarray, known: np.ndarray | None
    ) -> float:
        """Return the temperature in [0.2, 5] with the smallest cross-entropy over the labels each clip could have."""
        seen = np.isin(y, self.classes_)
        target = np.searchsorted(self.classes_, np.asarray(y)[seen])
        if not len(target):
            return 1.0
        could = self.could(None if known is None else np.asarray(known)[seen], target)
        logits = np.where(could, logits_of(np.asarray(X)[seen]), _NEVER)
        rows = np.arange(len(target))

        def loss(log_t: float) -> float:
            return -float(np.log(np.maximum(softmax(logits / np.exp(log_t), axis=1)[rows, target], 1e-30)).mean())

        return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.2), np.log(5.0)), method="bounded").x))

    def logits(self, X: np.ndarray) -> np.ndarray:
        """Return the scores before the softmax, shape (n, n_classes)."""
        product = np.asarray(X, dtype=np.float32) @ self.coef_.T.astype(np.float32)
        return np.asarray(product + self.intercept_)

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(softmax(self.logits(X) / self.temperature_, axis=1))

    def vector_graph(self, width: int) -> onnx.ModelProto:
        """The fitted model as ONNX: ``input`` float32 (n, width) -> ``probabilities`` float32 (n, n_classes)."""
        constants = {"weight": self.coef_.T / self.temperature_, "bias": self.intercept_ / self.temperature_}
        graph = helper.make_graph(
            [
                helper.make_node("Gemm", ["input", "weight", "bias"], ["logits"]),
                helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            ],
            "softmax",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(self.classes_)])],
            [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def build(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> SoftmaxRegression:
    """See :class:`SoftmaxRegression`; nothing in it is drawn by chance."""
    return SoftmaxRegression(**params, labels=list(labels))
