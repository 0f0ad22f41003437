"""From the folder of an encoder to its front end: ``config.json`` names the family."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from serkit.encoders.base import Encoder, natural
from serkit.encoders.folder import find_encoder, read_config
from serkit.encoders.wav2vec2 import Wav2Vec2Encoder
from serkit.encoders.whisper import WhisperEncoder
from serkit.errors import FeatureError

if TYPE_CHECKING:
    from serkit.encoders.layers import Precision

__all__ = ["FAMILIES", "known_family", "read_encoder"]

#: Model type in ``config.json`` -> the class that reads it.
FAMILIES: dict[str, type[Encoder]] = {
    **dict.fromkeys(WhisperEncoder.families, WhisperEncoder),
    **dict.fromkeys(Wav2Vec2Encoder.families, Wav2Vec2Encoder),
}


def read_encoder(
    name_or_path: str | os.PathLike[str],
    *,
    blocks: Sequence[int],
    layout: Literal["mean_std", "frames"] = "mean_std",
    precision: Precision = "float32",
) -> Encoder:
    """Read an encoder of any known family as a front end.

    Parameters
    ----------
    name_or_path : str or path
        A folder in Hugging Face's layout, or the name of one; see :func:`find_encoder`.
    blocks : sequence of int
        The blocks whose output is taken, counted from 1, in rising order.
    layout : {"mean_std", "frames"}
        Means and standard deviations over time, or every frame; see :class:`Encoder`.
    precision : {"float32", "float16", "int8"}
        How weights are stored; int8 products are also computed in int8.

    Returns
    -------
    Encoder
        A :class:`WhisperEncoder` or :class:`Wav2Vec2Encoder`, by ``model_type`` in ``config.json``.

    Raises
    ------
    FeatureError
        If there is no such folder, its model type is unknown, or the class refuses it.

    See Also
    --------
    fetch_encoder : Download one from the hub.

    Examples
    --------
    >>> encoder = read_encoder("openai/whisper-base", blocks=[2, 3, 4], precision="int8")   # doctest: +SKIP
    >>> encoder.shape                                                                       # doctest: +SKIP
    (3072,)
    """
    folder = find_encoder(name_or_path)
    family = known_family(read_config(folder), str(folder))
    return FAMILIES[family](folder, blocks=blocks, layout=layout, precision=precision)


def known_family(config: Mapping[str, Any], where: str) -> str:
    """The model type that ``config.json`` states; FeatureError if serkit does not know it."""
    family = config.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        raise FeatureError(
            f"{where} holds a model of type {family!r}; serkit knows encoders of the types {natural(FAMILIES, 'and')}."
        )
    return family
