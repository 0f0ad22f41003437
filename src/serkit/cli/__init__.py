"""The command line: ``ser``. One file a group of commands; heavy modules are imported inside the commands."""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from serkit.errors import SerkitError

#: The commands in the order of ``ser --help``, by what they are for.
_PANELS = {
    "Answer": ("predict", "timeline", "listen", "explain", "features", "app", "serve"),
    "Adapt": ("enrol", "adapt"),
    "Train and measure": ("train", "evaluate", "transfer", "compare", "score", "attach", "recipes", "data", "encoders"),
    "Look": ("models", "doctor"),
}


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        """Those that are registered, in the order of the panels."""
        panels = {name: panel for panel, names in _PANELS.items() for name in names if name in self.commands}
        for name, panel in panels.items():
            self.commands[name].rich_help_panel = panel  # type: ignore[attr-defined]
        return [*panels, *(name for name in self.commands if name not in panels)]


app = typer.Typer(
    name="ser",
    cls=_Commands,
    help="Speech emotion recognition: from a recording to emotions you can trust.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


#: Command -> the file that registers it on `app`. Only the command in use is imported, which is faster.
COMMANDS = {
    "adapt": "adapt",
    "compare": "compare",
    "data": "data",
    "encoders": "encoders",
    "enrol": "enrol",
    "explain": "explain",
    "features": "features",
    "models": "info",
    "doctor": "info",
    "predict": "predict",
    "score": "score",
    "serve": "serve",
    "timeline": "timeline",
    "listen": "listen",
    "train": "train",
    "evaluate": "evaluate",
    "attach": "train",
    "recipes": "recipes",
    "transfer": "transfer",
    "app": "web",
}


def main() -> None:
    """Run ``ser``; a user's mistake is one sentence on standard error and exit code 2, Ctrl-C is exit code 130."""
    asked = COMMANDS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if asked in ("adapt", "features", "predict", "timeline", "listen") and "numpy" not in sys.modules:
        # Each core has a recording of its own; a BLAS would take them all.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in sorted({"info", asked} if asked else set(COMMANDS.values())):  # info holds the options of `ser` itself
        importlib.import_module(f"serkit.cli.{name}")

    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a pipe on Windows or in the C locale lacks many characters
    try:
        app()
    except (SerkitError, OSError) as error:
        from serkit.terminal import printable

        says = str(error)
        if isinstance(error, OSError) and error.strerror:  # a full disk, a folder that may not be written
            says = f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
        says = re.sub(r" \((force|resume)=True\)", "", says)  # which is for those who call from Python
        print(f"ser: {printable(says)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ser: interrupted; finished work is kept.", file=sys.stderr)
        sys.exit(130)
