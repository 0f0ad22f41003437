"""A bundle that runs: ONNX Runtime over one waveform."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from serkit import audio
from serkit.audio import Waveform
from serkit.bundle import Bundle, Manifest, packaged, read_bundle
from serkit.devices import Place, check_device, open_session, runs_on
from serkit.errors import BundleError, SerkitError
from serkit.recognition.prediction import check_confidence

if TYPE_CHECKING:
    from serkit.recognition.label_choice import LabelChoice, Labels
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


class Graph:
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
        self.bundle = bundle
        self._threads = threads or 1
        self._choice: LabelChoice | None = None
        self._asked = device
        self._prepare = _preparation(bundle, device)
        self._made: Any = _session(bundle, self._threads, device)
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
            session = self._made = _session(self.bundle, self._threads, self._asked)
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

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about its model."""
        return self.bundle.manifest

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that are answered, in the order of the probabilities: the model's, or those of :meth:`among`."""
        return self.manifest.labels if self._choice is None else self._choice.names

    @property
    def columns(self) -> tuple[str, ...]:
        """The labels that are answered, then the names of the dimensions: what has a column in a table of answers."""
        return (*self.labels, *self.manifest.dimensions)

    @property
    def choice(self) -> LabelChoice | None:
        """Which of the model's labels are answered; None: all of them."""
        return self._choice

    @property
    def sample_rate(self) -> int:
        """The rate that the model works at, Hz. Recordings of any rate are converted."""
        return self.manifest.sample_rate

    def __repr__(self) -> str:
        name, version = self.manifest.name, self.manifest.version
        return f"{type(self).__name__}({name!r}, version={version!r}, labels={len(self.labels)})"

    def among(self: _Self, labels: Labels | None) -> _Self:
        """Return this model, answering among some of its labels, or merging them.

        Parameters
        ----------
        labels : str, iterable of str, mapping or None
            As :meth:`serkit.recognition.label_choice.LabelChoice.parse` reads them, of all labels of the model. None:
            those that are answered already.

        Returns
        -------
        Graph
            Of the same class and with the same session, so that this costs nothing. Profiles act before: what they
            adapt is the answer among all labels.

        Raises
        ------
        SerkitError
            If these cannot be answered.

        See Also
        --------
        serkit.Recognizer.predict : Its parameter `labels` does this for one call.
        """
        if labels is None:
            return self
        self.need_labels("choose among labels")
        from serkit.recognition.label_choice import LabelChoice

        choice = LabelChoice.parse(labels, self.manifest.labels)
        found = self._copy()
        found._choice = None if choice.everything else choice
        return found

    def _copy(self: _Self) -> _Self:
        """Return another object with the same session."""
        found = object.__new__(type(self))
        vars(found).update({**vars(self), "_made": self._session})
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
            raise BundleError(f"The model {manifest.name} fails on {wave!r}: {_first_line(error)}.") from error
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

    def need_labels(self, what: str) -> None:
        """Raise SerkitError if the model answers numbers alone; `what` is what it then cannot do."""
        if not self.manifest.labels:
            numbers = ", ".join(self.manifest.dimensions)
            raise SerkitError(
                f"The model {self.manifest.name} answers numbers ({numbers}) and no emotions, so it cannot {what}: use "
                "'ser predict', or a model with labels."
            )

    def check_profile(self, profile: Profile | None) -> None:
        """Raise ProfileError unless `profile` is None or a profile for this model."""
        if profile is not None:
            from serkit.recognition.profile import check_profile

            check_profile(profile, self.manifest)

    def least(self, min_confidence: float | None) -> float:
        """Return the confidence below which an answer is "unsure": the caller's, else the model's own.

        Raises
        ------
        SerkitError
            If `min_confidence` is neither None nor a probability.
        """
        if min_confidence is None:
            return self.manifest.min_confidence or 0.0
        if min_confidence:
            self.need_labels("compare a confidence")
        check_confidence(min_confidence)
        return min_confidence


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


def _session(bundle: Bundle, threads: int, device: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only; they also come as exceptions
    options.enable_mem_pattern = False  # recordings differ in length
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads sleep

    def make(place: Place, providers: list[Any]) -> Any:
        data = bundle.onnx
        if place == "cuda":
            from serkit.recognition.gpu_graph import for_gpu

            data = for_gpu(data)
            from serkit.recognition.gpu_batches import Batches

            return Batches(onnxruntime.InferenceSession(data, options, providers=providers))
        return onnxruntime.InferenceSession(data, options, providers=providers)

    try:
        return open_session(device, make)
    except SerkitError:
        raise
    except Exception as error:  # ONNX Runtime raises its own kinds, one for each status
        raise BundleError(f"model.onnx of {bundle.path} does not load: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
