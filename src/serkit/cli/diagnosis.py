"""What is installed, what works, and which extra adds what is missing: the facts behind ``ser doctor``."""

from __future__ import annotations

import importlib
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from serkit._version import __version__
from serkit.devices import gpus, missing

__all__ = ["diagnose"]


def diagnose() -> dict[str, Any]:
    """Check the installation: look at versions, then decode, predict, write and check the cache.

    Returns
    -------
    dict
        JSON-able: ``ok`` (whether everything that ``ser predict`` needs works), ``serkit``, ``python``, ``platform``,
        ``packages``, ``providers``, ``gpu``, ``formats``, ``extras``, ``decoding``, ``model``, ``writing``, ``cache``,
        ``data``. In each of them ``ok`` is None for optional parts that are not installed or not set.
    """
    requirements = _requirements()
    packages = [_package(need) for need in requirements.get("", [])]
    providers, formats = _providers(), _formats()
    model, decoding, writing = _tried("model"), _tried("decoding"), _tried("writing")
    needed = [*(package["ok"] for package in packages), bool(providers), bool(formats), model["ok"]]
    needed += [row["ok"] is not False for row in (*decoding, *writing)]  # None: an extra that is not installed
    return {
        "ok": all(needed),
        "serkit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "packages": packages,
        "providers": providers,
        "gpu": _gpu(providers),
        "formats": formats,
        "extras": [_extra(name, needs) for name, needs in sorted(requirements.items()) if name],
        "decoding": decoding,
        "model": model,
        "writing": writing,
        "cache": _cache(),
        "data": _data(),
    }


def _requirements() -> dict[str, list[str]]:
    """The requirements in serkit's metadata for this machine, by extra ("" for always), such as ``numpy>=1.24``."""
    try:
        listed = metadata.requires("serkit") or []
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        return {"": ["serkit"]}
    found: dict[str, list[str]] = {}
    for text in listed:
        need, _, marker = (part.strip() for part in text.partition(";"))
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        name = extra.group(1) if extra else ""
        if _applies(marker, name):
            found.setdefault(name, []).append(need)
    return found


def _applies(marker: str, extra: str) -> bool:
    """Whether an environment marker holds here. Without ``packaging`` (ONNX Runtime installs it), all do."""
    try:
        from packaging.markers import Marker
    except ImportError:
        return True
    return not marker or Marker(marker).evaluate({"extra": extra})


def _package(need: str) -> dict[str, Any]:
    """Whether a requirement is met and its package can be imported."""
    name = _name(need)
    installed, problem = _installed(name), None
    if installed is None:
        problem = f"is not installed: run pip install '{need}'"
    elif not _recent_enough(need, installed):
        problem = f"{installed} does not meet {need}: run pip install '{need}'"
    else:
        try:
            importlib.import_module(name.replace("-", "_"))
        except Exception as error:  # a broken library may raise anything when it is loaded
            problem = f"{installed} cannot be loaded: {error}"
    return {"name": name, "need": need, "installed": installed, "ok": problem is None, "problem": problem}


def _extra(name: str, needs: list[str]) -> dict[str, Any]:
    """Which packages of an extra are installed; they are not imported, because some take seconds."""
    have: list[str] = []
    missing: list[str] = []
    for need in needs:
        installed = _installed(_name(need))
        good = installed is not None and _recent_enough(need, installed)
        (have if good else missing).append(_name(need))
    install = f"pip install 'serkit[{name}]'"
    return {"name": name, "ok": not missing, "installed": have, "missing": missing, "install": install}


def _name(need: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", need)
    return found.group(0) if found else need


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return _installed("onnxruntime-gpu") if name == "onnxruntime" else None  # which is in its place


def _recent_enough(need: str, installed: str) -> bool:
    """Whether a version meets a requirement. Without ``packaging``, every version does."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return True
    return Requirement(need).specifier.contains(installed, prereleases=True)


def _providers() -> list[str]:
    try:
        import onnxruntime
    except ImportError:
        return []  # the package's own line gives the reason
    return list(onnxruntime.get_available_providers())


def _gpu(providers: list[str]) -> dict[str, Any]:
    """The GPUs, and why models do not run on one; ok is None without a GPU."""
    found = gpus()
    lacks = missing(providers, found)
    return {"ok": (lacks is None) if found else None, "names": found, "problem": lacks}


def _formats() -> list[str]:
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: libsndfile itself is missing
        return []
    return sorted(soundfile.available_formats())


def _tried(trial: str) -> Any:
    """The result of a trial of :mod:`serkit.cli.trials`; it fails if the packages that it needs do not load."""
    try:
        from serkit.cli import trials

        return getattr(trials, f"try_{trial}")()
    except (ImportError, OSError) as error:  # the package's own line gives the command to install it
        problem = f"cannot be tried ({error})."
        if trial == "model":
            return {"ok": False, "name": None, "version": None, "problem": problem}
        return [{"container" if trial == "decoding" else "format": "all", "ok": False, "problem": problem}]


def _cache() -> dict[str, Any]:
    try:
        from serkit.cli.trials import try_cache
    except (ImportError, OSError):
        return {"ok": None, "path": None, "problem": None}
    return try_cache()


def _data() -> dict[str, Any]:
    """The folder of corpora that SERKIT_DATA names; ok is None if none is named."""
    path = os.environ.get("SERKIT_DATA")
    if not path:
        return {"ok": None, "path": None, "problem": None}
    good = Path(path).is_dir()
    return {"ok": good, "path": path, "problem": None if good else f"{path} is not a folder"}
