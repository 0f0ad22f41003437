"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["ForceOption"]

ForceOption = Annotated[bool, typer.Option("--force", help="Replace what --out names if it exists.")]
