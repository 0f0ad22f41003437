"""``ser encoders``: download pretrained encoders and list them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from serkit.cli import app

encoders = typer.Typer(help="List your pretrained encoders, or download one.")
app.add_typer(encoders, name="encoders")


@encoders.callback(invoke_without_command=True)
def list_encoders(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", "-f", help="The folder of all encoders; by default the one that SERKIT_ENCODERS names."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only a JSON list.")] = False,
) -> None:
    """List your encoders: type, blocks, size and checksum of each, for the section [encoder] of a recipe."""
    if context.invoked_subcommand is not None:
        return
    import json

    from serkit.encoders.hub import root_folder
    from serkit.encoders.installed import installed
    from serkit.terminal import printable

    root = root_folder(folder, option="--folder")
    rows = installed(root)
    whole = [row for row in rows if "error" not in row]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif whole:
        _show(whole)
    else:
        typer.echo(f"No encoders below {root}. 'ser encoders get openai/whisper-base' fetches one.")
    for row in rows:
        if "error" in row:
            typer.echo(f"ser: {printable(row['error'])}", err=True)
    raise typer.Exit(0 if len(whole) == len(rows) else 1)


@encoders.command()
def get(
    name: Annotated[str, typer.Argument(help="Owner and model on the hub, such as openai/whisper-base.")],
    revision: Annotated[
        str, typer.Option(help="Branch, tag or commit; a commit always gives the same files.")
    ] = "main",
    sha256: Annotated[str | None, typer.Option(metavar="HEX", help="The checksum that the weights must have.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of all encoders; by default the one that SERKIT_ENCODERS names."),
    ] = None,
    mirror: Annotated[str | None, typer.Option(metavar="URL", help="Another server with the same models.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace other weights of this name.")] = False,
    part: Annotated[
        str | None,
        typer.Option(
            "--encoder-as",
            metavar="NAME",
            help="Also write Whisper's encoder alone, without the decoder, under this name beside it: whisper-base, as "
            "the recipe default names it.",
        ),
    ] = None,
) -> None:
    """Download an encoder from the hub of Hugging Face and verify its checksum; an interrupted download resumes."""
    from serkit.encoders import fetch_encoder
    from serkit.encoders.hub import HUB, read_origin, root_folder
    from serkit.encoders.part import write_encoder_part

    folder = fetch_encoder(name, revision=revision, sha256=sha256, to=to, force=force, base_url=mirror or HUB)
    origin = read_origin(folder)
    assert origin is not None
    typer.echo(f"{folder}: checksum correct")
    typer.echo(f"revision  {origin.revision}")
    typer.echo(f"licence   {origin.licence or f'not stated: see {HUB}/{name}'}")
    used, sha256 = name, origin.sha256
    if part is not None:
        used, sha256 = part, write_encoder_part(folder, root_folder(to) / part)
        typer.echo(f"{root_folder(to) / part}: its encoder alone")
    typer.echo("\nIn a recipe:\n")
    typer.echo(f'[encoder]\nname = "{used}"\nsha256 = "{sha256}"\nblocks = [1, 2]')


def _show(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from serkit.terminal import console, printable

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title in ("encoder", "type", "blocks", "width", "size", "licence", "sha256"):
        table.add_column(title, justify="right" if title in ("blocks", "width", "size") else "left", overflow="fold")
    for row in rows:
        cells = (
            row["name"],
            row["type"],
            str(row["blocks"]),
            str(row["width"]),
            f"{row['bytes'] / 1e6:,.0f} MB",
            row["licence"] or "–",
            row["sha256"],
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    console().print(table)
