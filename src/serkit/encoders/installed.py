"""The encoders at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serkit.encoders.folder import CONFIG, WEIGHTS, weights_hash
from serkit.encoders.hub import read_origin
from serkit.encoders.registry import read_encoder
from serkit.errors import SerkitError

__all__ = ["installed"]


def installed(root: Path) -> list[dict[str, Any]]:
    """The encoders one or two levels below a folder, by name: facts of each, or the key "error" with the reason."""
    rows: list[dict[str, Any]] = []
    for file in sorted([*root.glob(f"*/{CONFIG}"), *root.glob(f"*/*/{CONFIG}")]):
        folder = file.parent
        row: dict[str, Any] = {"name": folder.relative_to(root).as_posix(), "path": str(folder)}
        try:
            encoder = read_encoder(folder, blocks=[1])
            origin = read_origin(folder)
            row |= {
                "type": encoder.family,
                "blocks": encoder.n_blocks,
                "width": encoder.width,
                "bytes": (folder / WEIGHTS).stat().st_size,
                "sha256": weights_hash(folder),
                "revision": origin.revision if origin else "",
                "licence": origin.licence if origin else "",
            }
        except SerkitError as error:
            row["error"] = str(error)
        rows.append(row)
    return rows
