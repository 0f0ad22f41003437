"""A bundle that runs: ONNX Runtime over one waveform."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from serkit import audio
from serkit.audio import Waveform
from serkit.bundle import Bundle, packaged, read_bundle
from serkit.devices import Place, check_device, runs_on
from serkit.errors import BundleError, SerkitError
from serkit.recognition.graph_session import first_line, open_graph
from serkit.recognition.model import Model

if TYPE_CHECKING:
    from serkit.recognition.profile import Profile

__all__ = ["Graph", "Outputs", "shipped_encoder"]

_Self = TypeVar("_Self", bound="Graph")


class Outputs(NamedTuple):
    """What the graph gives for one waveform.

    Attributes
    ----------
    probabilities : np.ndarray, float32, shape=(n_labels,)
        Of the labels that are answered.
    familiarity : float or None
        In [0, 1]; None for a model that does not tell.
    embedding : np.ndarray, float32, shape=(d,), or None
        None unless asked for.
    dimensions : np.ndarray, float32, shape=(k,)
        In the order of the manifest's dimensions; empty for a model that answers with labels alone.
    """

    probabilities: np.ndarray
    familiarity: float | None
    embedding: np.ndarray | None
    dimensions: np.ndarray


class Graph(Model):
    """The graph of a bundle in ONNX Runtime; :class:`serkit.recognition.runner.Runner` answers recordings with it.

    Parameters
    ----------
    bundle : Bundle
    threads : int, optional
        Threads inside one answer, by default 1.
    device : {"auto", "cpu", "cuda"}
        Where it runs.

    Raises
    ------
    BundleError
        If ONNX Runtime cannot run the graph, or if this serkit does not know the features that it needs.
    SerkitError
        If there is no such device.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None, device: str = "auto") -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be 1 or more, got {threads}.")
        super().__init__(bundle)
        self._threads = threads or 1
        self._asked = device
        self._prepare = _preparation(bundle, device)
        self._made: Any = open_graph(bundle, self._threads, device)
        _graphs.add(self)

    def __getstate__(self) -> dict[str, Any]:
        """The bundle, without the session: what another process needs."""
        return {"bundle": self.bundle, "threads": self._threads, "choice": self._choice, "device": self._asked}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Graph.__init__(self, state["bundle"], threads=state["threads"], device=state["device"])
        self._choice = state["choice"]

    @property
    def _session(self) -> Any:
        """The ONNX Runtime session; a forked child makes its own when it first needs one."""
        session = self._made
        if session is None:
            session = self._made = open_graph(self.bundle, self._threads, self._asked)
        return session

    @property
    def asked_device(self) -> str:
        """The device that it was loaded for, "auto" included, or that :meth:`sent_to` named."""
        return self._asked

    @property
    def device(self) -> Place:
        """Where it runs: "cpu" or "cuda"."""
        return runs_on(self._session)

    def sent_to(self: _Self, device: str) -> _Self:
        """Return this model, running where it does, but on `device` in the processes that it is sent to."""
        check_device(device)
        found = self._copy()
        found._asked = device
        return found

    def _copy(self: _Self) -> _Self:
        """Return another object with the same session."""
        self._made = self._session  # not a copy each
        found = super()._copy()
        _graphs.add(found)
        return found

    def probabilities(self, wave: Waveform, *, profile: Profile | None = None) -> np.ndarray:
        """Run the graph on one waveform of any content and length.

        Parameters
        ----------
        wave : Waveform
            At any rate.
        profile : Profile, optional
            A voice or a place that the answer is adapted to.

        Returns
        -------
        np.ndarray, float32, shape=(n_labels,)
            In [0, 1], summing to 1, in the order of :attr:`labels`.

        Raises
        ------
        BundleError
            If the graph's output is not a set of probabilities.
        ProfileError
            If `profile` is for another model.

        See Also
        --------
        embedding : What the model hears, before it names emotions.
        """
        return self.outputs(wave, profile=profile).probabilities

    def embedding(self, wave: Waveform) -> np.ndarray:
        """Return the embedding of one waveform, which profiles describe by mean and standard deviation.

        Parameters
        ----------
        wave : Waveform
            At any rate.

        Returns
        -------
        np.ndarray, float32, shape=(d,)
            In the model's own unit; `d` is the manifest's ``adaptation["size"]``. No profile changes it.

        Raises
        ------
        BundleError
            If the model does not adapt, or if the graph fails.

        See Also
        --------
        probabilities : The answer.
        """
        from serkit.recognition.profile import need_adaptation

        need_adaptation(self.manifest)
        found = self.outputs(wave, embed=True).embedding
        assert found is not None
        return found

    def outputs(self, wave: Waveform, *, profile: Profile | None = None, embed: bool = False) -> Outputs:
        """Run the graph once: the probabilities, the familiarity and, with `embed`, the embedding of a waveform.

        Parameters, units and errors are those of :meth:`probabilities` and :meth:`embedding`.
        """
        self.check_profile(profile)
        manifest = self.manifest
        feed = {manifest.input["kind"]: self._prepare(audio.resample(wave, self.sample_rate))}
        sizes: dict[str, tuple[int, ...]] = {}
        if manifest.labels:
            sizes["probabilities"] = (1, len(manifest.labels))
        if manifest.dimensions:
            sizes["dimensions"] = (1, len(manifest.dimensions))
        if manifest.familiarity:
            sizes["distance"] = (1,)
        if embed:
            sizes["embedding"] = (1, manifest.adaptation["size"])
        try:
            given = self._session.run(list(sizes), feed if profile is None else {**feed, **profile.inputs()})
        except Exception as error:  # ONNX Runtime raises its own kinds, one for each status
            raise BundleError(f"The model {manifest.name} fails on {wave!r}: {first_line(error)}.") from error
        found = dict(zip(sizes, map(np.asarray, given), strict=True))
        none = np.zeros((1, 0), dtype=np.float32)
        result = found.get("probabilities", none)
        if manifest.labels:
            self._check_probabilities(result)
        for name in sizes.keys() - {"probabilities"}:
            if found[name].shape != sizes[name] or not np.isfinite(found[name]).all():
                raise BundleError(
                    f"The model {manifest.name} gives no usable '{name}': an array of shape {found[name].shape}, or "
                    "numbers that are not finite."
                )
        familiarity = manifest.familiarity_of(float(found["distance"][0])) if "distance" in found else None
        values = result[0] if self._choice is None else self._choice.apply(result[0]).astype(result.dtype)
        numbers = found.get("dimensions", none)[0]
        return Outputs(values, familiarity, found["embedding"][0] if embed else None, numbers)

    def _check_probabilities(self, result: np.ndarray) -> None:
        """Raise BundleError unless these are one probability for each label."""
        manifest = self.manifest
        if result.shape != (1, len(manifest.labels)):
            raise BundleError(
                f"The model {manifest.name} gives an array of shape {result.shape}, "
                f"but its manifest names {len(manifest.labels)} labels."
            )
        if not (np.isfinite(result).all() and result.min() >= -1e-6 and abs(float(result.sum()) - 1) < 1e-3):
            raise BundleError(f"The model {manifest.name} gives no probabilities: {result[0].tolist()}.")


_graphs: weakref.WeakSet[Graph] = weakref.WeakSet()


def _after_fork() -> None:
    """Give up the parent's sessions: their threads are not in this process, and freeing them would wait for those."""
    import ctypes

    for graph in list(_graphs):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(graph._made))  # never freed
        graph._made = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _preparation(bundle: Bundle, device: str) -> Callable[[Waveform], np.ndarray]:
    """From a waveform at the model's rate to the graph's input, with the batch axis."""
    if bundle.manifest.input["kind"] == "waveform":
        return lambda wave: wave.samples[np.newaxis]
    if "encoder" in bundle.manifest.input:
        encoder = shipped_encoder(bundle.manifest.input["encoder"], str(bundle.path), device=device)
        return lambda wave: encoder.embedding(wave)[np.newaxis]
    from serkit.features import Extractor

    try:
        extractor = Extractor.from_dict(bundle.manifest.input["extractor"])
    except (SerkitError, TypeError, KeyError) as error:
        raise BundleError(f"{bundle.path}: this serkit cannot make the features of the model: {error}") from error
    return lambda wave: np.ascontiguousarray(extractor(wave), dtype=np.float32)[np.newaxis]


def shipped_encoder(stated: Mapping[str, Any], whose: str, *, device: str = "cpu") -> Graph:
    """Return the shipped model whose embedding a bundle builds on.

    Parameters
    ----------
    stated : mapping
        ``model`` and ``sha256`` of its graph.
    whose : str
        What needs it, for the message.
    device : {"auto", "cpu", "cuda"}
        Where it runs.

    Raises
    ------
    BundleError
        If this serkit ships no such model, or another version of it.
    """
    name, sha256 = stated["model"], stated["sha256"]
    where = packaged().get(name)
    base = None if where is None else read_bundle(where)
    if base is None or base.manifest.files["model.onnx"] != sha256:
        has = "does not have it" if base is None else f"has version {base.manifest.version}, a different one"
        raise BundleError(
            f"{whose} builds on the shipped model {name!r} with the SHA-256 {sha256[:12]}…, and this serkit {has}: "
            "train it again with this serkit, or install the one that it was trained with. (A bundle written with "
            "--self-contained needs no other.)"
        )
    return Graph(base, device=device)
