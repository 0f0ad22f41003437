"""Write the generated parts of the documentation: the demo, the scores, the command reference.

Run ``make docs``. In README.md and the pages of docs/ that it names, only the marked regions change.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import typer
from corpora_table import table as corpora
from emobox import emobox
from score_tables import headline, scores, targets
from stories import doubt, leakage
from stories import main as pictures
from typer.cli import get_docs_for_click

ROOT = Path(__file__).resolve().parent.parent
COMPARISON = ROOT / "docs" / "results.json"
PACKAGED = ROOT / "src" / "serkit" / "protocol" / "yardstick" / "results.json"


def fill(path: Path, region: str, text: str) -> None:
    """Replace the text between ``<!-- region -->`` and ``<!-- /region -->``."""
    old = path.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {region} -->\n).*?(\n<!-- /{region} -->)", re.DOTALL)
    if not pattern.search(old):
        sys.exit(f"{path.name} has no region <!-- {region} --> … <!-- /{region} -->: add both markers.")
    path.write_text(pattern.sub(lambda m: m[1] + text + m[2], old), encoding="utf-8")


def demo() -> str:
    """Return what ``make demo`` prints."""
    command = [Path(sys.executable).with_name("ser"), "predict", "examples/"]
    environment = {**os.environ, "COLUMNS": "110"}
    shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment).stdout
    return "```\n" + "\n".join(line.rstrip() for line in shown.splitlines()) + "\n```"


def settings() -> str:
    """Return the table of the service's settings."""
    from serkit.service.settings import Settings

    def shown(value: object) -> str:
        if isinstance(value, list):
            return ", ".join(f"`{one}`" for one in value)
        if isinstance(value, bool):
            return f"`{str(value).lower()}`"
        if isinstance(value, (int, float)):
            return f"{value:,g}" if isinstance(value, float) else f"{value:,}"
        return "" if value is None else f"`{value}`"

    rows = [
        f"| `{name}` | {shown(field.get_default(call_default_factory=True))} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows])


def reference() -> str:
    """Return every command and option of ``ser`` as Markdown."""
    from serkit.cli import COMMANDS, app

    for name in sorted(set(COMMANDS.values())):
        importlib.import_module(f"serkit.cli.{name}")  # registers its commands
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="ser")
    return get_docs_for_click(obj=command, ctx=context, name="ser").strip() + "\n"


def main() -> None:
    """Write README's regions, docs/cli.md and the results that ``ser score`` compares with."""
    fill(ROOT / "README.md", "demo", demo())
    fill(ROOT / "README.md", "headline", headline())
    fill(ROOT / "docs" / "models.md", "scores", scores())
    fill(ROOT / "docs" / "models.md", "targets", targets())
    fill(ROOT / "docs" / "corpora.md", "corpora", corpora())
    fill(ROOT / "docs" / "service.md", "settings", settings())
    fill(ROOT / "docs" / "yardstick.md", "emobox", emobox())
    fill(ROOT / "docs" / "leakage.md", "leakage", leakage())
    fill(ROOT / "docs" / "doubt.md", "doubt", doubt())
    pictures()
    PACKAGED.write_bytes(COMPARISON.read_bytes())
    (ROOT / "docs" / "cli.md").write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
