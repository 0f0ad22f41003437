"""The encoder of a whole Whisper model in a folder of its own: what the recipes of the shipped models name."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np

from serkit.encoders.folder import CONFIG, WEIGHTS, read_config, weights_hash
from serkit.errors import FeatureError, MissingExtraError
from serkit.files import write_atomic

__all__ = ["write_encoder_part"]

_PREFIXES = ("model.encoder.", "encoder.")


def write_encoder_part(
    source: str | os.PathLike[str], folder: str | os.PathLike[str], *, sha256: str | None = None
) -> str:
    """Write the encoder of a whole Whisper model, without its decoder, into a folder.

    Equal weights give equal bytes: tensors in float32, under the names of a whole model.

    Parameters
    ----------
    source : path
        The folder of a whole model.
    folder : path
        Made if it is not there; weights in it are replaced.
    sha256 : str, optional
        The checksum that the result must have, hex; otherwise nothing is written.

    Returns
    -------
    str
        The checksum of the weights, SHA-256 in hex.

    Raises
    ------
    FeatureError
        If the source is no Whisper model, or the result has another checksum.
    MissingExtraError
        If the extra ``encoders`` is not installed.

    See Also
    --------
    serkit.encoders.fetch_encoder : Downloads a whole model.
    """
    try:
        from safetensors import SafetensorError, safe_open
        from safetensors.numpy import save
    except ModuleNotFoundError:
        raise MissingExtraError("Writing an encoder", "safetensors", "encoders") from None
    whole, target = Path(source), Path(folder)
    if read_config(whole).get("model_type") != "whisper":
        raise FeatureError(f"{whole} holds no Whisper model: only of these is the encoder taken out.")
    try:
        with safe_open(whole / WEIGHTS, framework="numpy") as opened:
            found = {}
            for prefix in _PREFIXES:
                names = [name for name in opened.keys() if name.startswith(prefix)]  # noqa: SIM118 - not a mapping
                if names:
                    found = {
                        "model.encoder." + name.removeprefix(prefix): np.asarray(opened.get_tensor(name), np.float32)
                        for name in names
                    }
                    break
    except (SafetensorError, OSError) as error:
        raise FeatureError(f"{whole / WEIGHTS} is truncated or damaged ({error}): fetch the model again.") from None
    if not found:
        raise FeatureError(f"{whole / WEIGHTS} has no encoder: its tensors are named otherwise than Whisper's.")
    data = save(dict(sorted(found.items())), metadata={"format": "pt"})
    made = hashlib.sha256(data).hexdigest()
    if sha256 is not None and made != sha256:
        raise FeatureError(
            f"The encoder of {whole} has the SHA-256 {made}, expected {sha256}: it is another model or revision."
        )
    write_atomic(data, target / WEIGHTS)
    shutil.copyfile(whole / CONFIG, target / CONFIG)
    return weights_hash(target)
