"""The command line: ``ser``. One file a group of commands; heavy modules are imported inside the commands."""

from __future__ import annotations

import sys

import typer

from serkit.errors import SerkitError

app = typer.Typer(
    name="ser",
    help="Speech emotion recognition: from a recording to emotions you can trust.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run ``ser``; a user's mistake is one sentence on standard error and exit code 2, Ctrl-C is exit code 130."""
    from serkit.cli import data, info, predict, train  # noqa: F401  (each registers its commands on `app`)

    try:
        app()
    except SerkitError as error:
        from serkit.output import printable

        print(f"ser: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ser: interrupted; finished work is kept.", file=sys.stderr)
        sys.exit(130)
