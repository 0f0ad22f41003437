"""The networks of :mod:`serkit.models.system_networks` by the names and parameters that recipes use."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from serkit.errors import nearest
from serkit.models import system_networks

__all__ = ["NETWORKS", "make_network", "network_parameters", "sees_time"]

#: The networks by the names that recipes use.
NETWORKS: dict[str, type[nn.Module]] = {
    "dense": system_networks.Dense,
    "attention": system_networks.Attention,
    "cnn1d": system_networks.VectorCNN,
    "cnn_frames": system_networks.FramesCNN,
    "cnn_bilstm": system_networks.CNNBiLSTM,
    "eca_cnn": system_networks.ECACNN,
}


def sees_time(name: str) -> bool:
    """Return whether the network reshapes its vector to (rows, frames).

    Examples
    --------
    >>> sees_time("cnn_frames"), sees_time("cnn1d")
    (True, False)
    """
    return "rows" in inspect.signature(NETWORKS[name]).parameters


def network_parameters(name: str, net: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all parameters of the network: its defaults, overridden by ``net``.

    Raises
    ------
    ValueError
        If a key is unknown or a value is of the wrong kind: expected a share in [0, 1), a size of at least 1 or a
        list of such sizes, like the default.

    Examples
    --------
    >>> network_parameters("dense", {"hidden": [32]})
    {'hidden': [32], 'dropout': 0.3}
    """
    if not (net is None or isinstance(net, Mapping)):
        raise ValueError(f"[net] must be a table, got {net!r}.")
    found = inspect.signature(NETWORKS[name]).parameters.values()
    parameters = {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY}
    for key, value in (net or {}).items():
        if key not in parameters:
            hint = nearest(str(key), parameters)
            raise ValueError(f"unknown key '{key}' in [net] of '{name}'{hint} Known keys are {', '.join(parameters)}.")
        if isinstance(parameters[key], float):
            wanted, fits = "a number from 0 to below 1", _is_share(value)
        elif isinstance(parameters[key], int):
            wanted, fits = "an integer of at least 1", _is_size(value)
        else:
            wanted = "a list of integers of at least 1"
            fits = isinstance(value, list | tuple) and bool(value) and all(map(_is_size, value))
        if not fits:
            raise ValueError(f"{key} in [net] of '{name}' must be {wanted}, got {value!r}.")
    return {**parameters, **(net or {})}


def make_network(
    name: str, net: Mapping[str, Any] | None, *, n_features: int, n_classes: int, rows: int | None = None
) -> nn.Module:
    """Build the network for vectors of ``n_features`` values, in ``rows`` rows if it sees time.

    Raises
    ------
    ValueError
        As :func:`network_parameters`, and if the vector cannot be reshaped.
    """
    parameters = network_parameters(name, net)
    if not sees_time(name):
        return NETWORKS[name](n_features, n_classes, **parameters)
    if rows is None or n_features % rows:
        raise ValueError(
            f"'{name}' reshapes a vector into rows of frames, and ({n_features},) does not fit ({rows}, frames): "
            "set layout = 'flat' and a window length, and use no feature selection."
        )
    return NETWORKS[name](rows, n_classes, **parameters)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
