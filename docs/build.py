"""Write what the documentation takes from elsewhere: scores, the comparison, the model card, the command reference.

Run ``make docs``. README.md keeps everything outside the marked regions.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click

ROOT = Path(__file__).resolve().parent.parent
SCORES = ROOT / "docs" / "scores"
COMPARISON = ROOT / "docs" / "results.json"
PACKAGED = ROOT / "src" / "serkit" / "yardstick" / "results.json"
CARD = ROOT / "src" / "serkit" / "bundles" / "default" / "README.md"
ORDER = ("speaker", "speaker+enrolled", "leave-one-speaker-out", "random", "augmented-random")


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return "–" if value is None else f"{100 * value:.1f}"


def row(document: dict[str, Any]) -> str:
    """One line of the table of scores."""
    metrics = document["metrics"]
    low, high = metrics["intervals"]["uar"]
    cells = [f"`{document['recipe']}`", f"`{document['protocol']}`"]
    for channel in ("speech", "song"):
        group = metrics["groups"]["channel"].get(channel)
        cells.append(f"{percent(group['accuracy'])} / {percent(group['uar'])}" if group else "–")
    cells.append(f"{percent(metrics['accuracy'])} / {percent(metrics['uar'])} [{percent(low)}, {percent(high)}]")
    cells.append(percent(metrics["ece"]))
    cells.append(f"{document['folds']} folds, seed {document['seed']}, {document['date'][:10]}")
    line = "| " + " | ".join(cells) + " |"
    if document["warning"]:
        line += f"\n| | ⚠ | {document['warning']} | | | | |"
    return line


def scores() -> str:
    """The table of the shipped model's scores, the headline protocol first."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(SCORES.glob("*.json"))]
    documents.sort(key=lambda d: ORDER.index(d["protocol"]))
    head = (
        "| recipe | protocol | speech: accuracy / UAR | song: accuracy / UAR "
        "| all: accuracy / UAR [95 % of UAR] | ECE | made by |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
    )
    return head + "\n".join(map(row, documents))


def comparison() -> str:
    """The first table of docs/results.md, with its warning."""
    from serkit.compare_report import overview

    return overview(json.loads(COMPARISON.read_text(encoding="utf-8")))


def fill(path: Path, region: str, text: str) -> None:
    """Replace what stands between ``<!-- region -->`` and ``<!-- /region -->``."""
    old = path.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {region} -->\n).*?(\n<!-- /{region} -->)", re.DOTALL)
    if not pattern.search(old):
        sys.exit(f"{path.name} has no region <!-- {region} --> … <!-- /{region} -->.")
    path.write_text(pattern.sub(lambda m: m[1] + text + m[2], old), encoding="utf-8")


def demo() -> str:
    """What ``make demo`` prints."""
    command = [Path(sys.executable).with_name("ser"), "predict", "examples/"]
    environment = {**os.environ, "COLUMNS": "110"}
    shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment).stdout
    return "```\n" + "\n".join(line.rstrip() for line in shown.splitlines()) + "\n```"


def reference() -> str:
    """Every command and option of ``ser``, as Markdown."""
    from serkit.cli import COMMANDS, app

    for name in sorted(set(COMMANDS.values())):
        importlib.import_module(f"serkit.cli.{name}")  # registers its commands
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="ser")
    return get_docs_for_click(obj=command, ctx=context, name="ser").strip() + "\n"


def main() -> None:
    """Write README's demo, scores and comparison, docs/model-card.md, docs/cli.md and the rows that ser score knows."""
    fill(ROOT / "README.md", "demo", demo())
    fill(ROOT / "README.md", "scores", scores())
    fill(ROOT / "README.md", "comparison", comparison())
    PACKAGED.write_bytes(COMPARISON.read_bytes())
    (ROOT / "docs" / "model-card.md").write_text(CARD.read_text(encoding="utf-8"), encoding="utf-8")
    (ROOT / "docs" / "cli.md").write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
