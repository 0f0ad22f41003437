"""``ser --version``, ``ser models`` and ``ser doctor``: what is installed and whether it works."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serkit._version import __version__
from serkit.cli import app
from serkit.errors import BundleError

if TYPE_CHECKING:
    from serkit.bundle import Bundle

models = typer.Typer(help="List the available models with their scores, or show a model's card.")
app.add_typer(models, name="models")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"serkit {__version__}")
        raise typer.Exit


@app.callback(help="Speech emotion recognition: from a recording to emotions you can trust.")
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@models.callback(invoke_without_command=True)
def list_models(
    context: typer.Context,
    folder: Annotated[str | None, typer.Option("--folder", "-f", help="Also list the bundles in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only a JSON list.")] = False,
) -> None:
    """List the available models with their scores, or show a model's card."""
    if context.invoked_subcommand is not None:
        return
    from serkit.bundle import find_bundles, read_bundle

    rows: list[dict[str, Any]] = []
    for name, path in find_bundles(folder).items():
        try:
            rows.append(_describe(name, read_bundle(path)))
        except BundleError as error:
            rows.append({"model": name, "path": str(path), "error": str(error)})
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        _print_models([row for row in rows if "error" not in row])
    broken = [row for row in rows if "error" in row]
    for row in broken:
        typer.echo(f"ser: {_safe(row['error'])}", err=True)
    raise typer.Exit(1 if broken else 0)


@models.command()
def show(model: Annotated[str, typer.Argument(help="Name of a packaged model, or a bundle.")] = "default") -> None:
    """Print a model's card."""
    from serkit.bundle import read_bundle

    typer.echo("\n".join(_safe(line) for line in read_bundle(model).card.splitlines()))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print only a JSON object.")] = False,
) -> None:
    """Check the installation: look at packages and extras, then decode, predict, write and check the cache.

    Exit code 1 if something that `ser predict` needs is missing or broken.
    """
    from serkit.cli.diagnosis import diagnose

    found = diagnose()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print_diagnosis(found)
    raise typer.Exit(0 if found["ok"] else 1)


def _describe(name: str, bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "model": name,
        "name": manifest.name,
        "version": manifest.version,
        "description": manifest.description,
        "bytes": bundle.size,
        "labels": list(manifest.labels),
        "dimensions": manifest.dimensions,
        "sample_rate": manifest.sample_rate,
        "adapts": bool(manifest.adaptation),
        "scores": manifest.scores,
        "corpus": manifest.corpus,
        "licence": manifest.licence,
        "created": manifest.created,
        "path": str(bundle.path),
    }


def _print_models(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from serkit.terminal import console

    if not rows:
        typer.echo("No models found.")
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title in ("model", "what it is", "version", "size", "labels", "adapts", "scores", "licence"):
        table.add_column(title, overflow="fold")
    for row in rows:
        scores = "\n".join(_score(protocol, score) for protocol, score in row["scores"].items())
        adapts = "yes" if row["adapts"] else "no"
        size = f"{row['bytes'] / 1e6:.1f} MB"
        numbers = [f"{name} ({ends['low']:g} to {ends['high']:g})" for name, ends in row["dimensions"].items()]
        cells = [row["model"], row["description"], row["version"], size, ", ".join([*row["labels"], *numbers]), adapts]
        table.add_row(*(Text(_safe(cell)) for cell in cells), Text(scores), Text(_safe(_names(row["licence"]))))
    console().print(table)


def _names(licence: str) -> str:
    """Return the licences that a manifest names, each once, without addresses: ``CC BY 4.0, MIT``."""
    parts = [re.sub(r"\s*\(https?://[^)]*\)", "", part) for part in licence.split(";")]
    return ", ".join(dict.fromkeys(part.rpartition(": ")[2].strip() for part in parts))


def _score(protocol: str, score: dict[str, Any]) -> str:
    """Return one protocol's scores as one line: ``speaker: UAR 61.0 % (58.2 to 63.9), accuracy 62.1 %``."""
    parts = []
    for key, title in (("uar", "UAR"), ("accuracy", "accuracy")):
        value, interval = score.get(key), score.get(f"{key}_interval")
        if not isinstance(value, (int, float)):
            continue
        text = f"{title} {100 * value:.1f} %"
        if isinstance(interval, list) and len(interval) == 2:
            text += f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
        parts.append(text)
    dimensions = score.get("dimensions")
    for name, row in dimensions.items() if isinstance(dimensions, dict) else ():
        if isinstance(row, dict) and isinstance(row.get("ccc"), (int, float)):
            parts.append(f"{name} CCC {row['ccc']:.2f}")
    return _safe(f"{protocol}: {', '.join(parts) or 'no scores'}")


def _print_diagnosis(found: dict[str, Any]) -> None:
    from rich.text import Text

    from serkit.terminal import console

    out = console()
    unicode = out.encoding.lower().startswith("utf")

    def line(good: bool | None, name: str, says: str) -> None:
        mark, style = {
            True: ("✓" if unicode else "+", "green"),
            False: ("✗" if unicode else "x", "bold red"),
            None: ("–" if unicode else "-", "dim"),
        }[good]
        out.print(Text.assemble((mark, style), f" {name:<15} {_safe(says)}"))

    line(True, "serkit", f"{found['serkit']}, Python {found['python']}, {found['platform']}")
    for package in found["packages"]:
        line(package["ok"], package["name"], package["problem"] or package["installed"])
    providers = found["providers"]
    line(bool(providers), "providers", ", ".join(providers) or "ONNX Runtime offers none")
    gpu = found["gpu"]
    none = "no NVIDIA GPU: models run on the processor"
    line(gpu["ok"], "GPU", _joined(gpu) if gpu["names"] else none)
    line(bool(found["formats"]), "formats", ", ".join(found["formats"]) or "libsndfile reads none")
    for extra in found["extras"]:
        missing = ", ".join(extra["missing"])
        says = (
            f"installed ({', '.join(extra['installed'])})" if extra["ok"] else f"missing {missing}: {extra['install']}"
        )
        line(True if extra["ok"] else None, f"[{extra['name']}]", says)
    for row in found["decoding"]:
        line(row["ok"], f"read {row['container']}", row["problem"] or "a tone was decoded")
    model = found["model"]
    line(model["ok"], "default model", model["problem"] or f"{model['name']} {model['version']} answers")
    for row in found["writing"]:
        line(row["ok"], f"write {row['format']}", row["problem"] or "a row was written and read back")
    cache = found["cache"]
    line(cache["ok"], "cache", cache["problem"] or cache["path"] or "not checked; only training uses it")
    data = found["data"]
    line(data["ok"], "SERKIT_DATA", data["problem"] or data["path"] or "not set; only tests and training use it")
    out.print(
        "Everything that ser predict needs works." if found["ok"] else "Something that ser predict needs does not work."
    )


def _joined(gpu: dict[str, Any]) -> str:
    """The names of the GPUs, and what is missing to use them."""
    return ", ".join(gpu["names"]) + (f", not used: {gpu['problem']}" if gpu["problem"] else "")


def _safe(text: str) -> str:
    from serkit.terminal import printable

    return printable(text)
