"""Run the commands of a page and write what they print below them: ``python docs/console.py docs/long-recordings.md``.

Blocks of ``console`` hold lines that begin with ``$ `` and what they print; blocks of ``python`` with the comment
``# run`` are scripts. They run one after the other in a folder that holds ``examples/``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MOST = 24  # lines of output that a page shows


def main() -> None:
    """Rewrite the page."""
    page = Path(sys.argv[1])
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "examples").symlink_to(ROOT / "examples", target_is_directory=True)
        page.write_text(_BLOCK.sub(lambda block: _run(block, folder), text), encoding="utf-8")


def _run(block: re.Match[str], folder: str) -> str:
    kind, content = block.groups()
    if kind == "python":
        if content.startswith("# run\n"):
            _output([sys.executable, "-c", content], folder)
        return block[0]
    lines = []
    for command in (line[2:] for line in content.splitlines() if line.startswith("$ ")):
        printed = _output(["bash", "-c", command], folder).rstrip().splitlines()
        more = ["..."] if len(printed) > _MOST else []
        lines += [f"$ {command}", *(line.rstrip() for line in printed[:_MOST]), *more]
    return "```console\n" + "\n".join(lines) + "\n```"


def _output(words: list[str], folder: str) -> str:
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONUTF8": "1",
    }
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(words)} fails: {done.stderr}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
