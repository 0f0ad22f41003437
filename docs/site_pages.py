"""What the site needs beyond docs/: pages from elsewhere in the checkout, an API page a room, and links between them.

MkDocs calls the functions (``hooks`` in mkdocs.yml).
"""

from __future__ import annotations

import importlib
import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("audio", "features", "bundle", "recognition", "encoders", "corpora", "protocol", "models", "training")
ROOMS += ("evaluation", "compare", "scale", "client", "errors")
_LINK = re.compile(r"(\]\()(?!\w+:|#)([^)\s#]+)((?:#[^)\s]*)?\))|(src=\")(?!\w+:)([^\"#]+)(\")")


def _moved() -> dict[str, str]:
    """Files outside docs/ that become pages: path in the checkout -> path in the site."""
    found = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "examples/README.md": "examples.md"}
    found |= {"SECURITY.md": "security-policy.md"}
    for card in sorted(ROOT.glob("src/serkit/bundles/*/README.md")):
        found[card.relative_to(ROOT).as_posix()] = f"cards/{card.parent.name}.md"
    for notebook in sorted(ROOT.glob("notebooks/*.ipynb")):
        found[notebook.relative_to(ROOT).as_posix()] = f"notebooks/{notebook.stem}.md"
    return found


MOVED = _moved()
_ORIGIN = {site: path for path, site in MOVED.items()}
_FOLDERS = {"docs/decisions": "decisions/index.md", "notebooks": "notebooks/index.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""

    def add(path: str, content: str | bytes) -> None:
        files.append(File.generated(config, path, content=content))

    for path, site in MOVED.items():
        if path.endswith(".ipynb"):
            from nbconvert import MarkdownExporter

            body, resources = MarkdownExporter().from_filename(str(ROOT / path))
            add(site, body)
            for name, picture in resources["outputs"].items():
                add(posixpath.join(posixpath.dirname(site), name), picture)
        else:
            add(site, (ROOT / path).read_text(encoding="utf-8"))
    for room in ROOMS:
        add(f"api/{room}.md", _api(f"serkit.{room}"))
    decisions = sorted(path for path in (ROOT / "docs" / "decisions").glob("*.md"))
    add("decisions/index.md", _index("Decisions", decisions))
    add("notebooks/index.md", _index("Notebooks", [ROOT / p for p in MOVED if p.endswith(".ipynb")]))
    add("cards/index.md", _index("Model cards", [ROOT / p for p in MOVED if p.startswith("src/")]))
    add("api/index.md", _public())
    config.nav = _with_folders(config.nav, sorted(file.src_uri for file in files.documentation_pages()))
    return files


def _with_folders(nav: Any, pages: list[str]) -> Any:
    """Replace each folder in the navigation (a path that ends in /) by its pages, index.md first."""
    if isinstance(nav, list):
        return [_with_folders(entry, pages) for entry in nav]
    if isinstance(nav, dict):
        return {name: _with_folders(entry, pages) for name, entry in nav.items()}
    if not nav.endswith("/"):
        return nav
    return sorted((page for page in pages if page.startswith(nav)), key=lambda page: (page != f"{nav}index.md", page))


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links between files of the checkout links between pages; what is not in the site becomes plain text."""
    site = page.file.src_uri
    origin = PurePosixPath(_ORIGIN.get(site, f"docs/{site}"))

    def change(match: re.Match[str]) -> str:
        before, target, after = match[1] or match[4], match[2] or match[5], match[3] or match[6]
        path = posixpath.normpath(posixpath.join(origin.parent.as_posix(), target))
        wanted = MOVED.get(path) or _FOLDERS.get(path) or path.removeprefix("docs/")
        if files.get_file_from_path(wanted) is None and (ROOT / path).exists() and not path.startswith("docs/pictures"):
            return f"{before}{_NOWHERE}{after}"
        return before + posixpath.relpath(wanted, posixpath.dirname(site) or ".") + after

    changed = markdown if site in _GENERATED else _LINK.sub(change, markdown)
    return re.sub(rf"\[([^\]]*)\]\({_NOWHERE}[^)]*\)", r"\1", changed)


_NOWHERE = "not-in-the-site"
_GENERATED = {"decisions/index.md", "notebooks/index.md", "cards/index.md", "api/index.md"}
_GENERATED |= {f"api/{room}.md" for room in ROOMS}


def _index(title: str, paths: list[Path]) -> str:
    rows = []
    for path in paths:
        name = MOVED.get(path.relative_to(ROOT).as_posix(), path.name)
        rows.append(f"- [{_title(path)}]({posixpath.basename(name)})")
    return f"# {title}\n\n" + "\n".join(rows) + "\n"


def _title(path: Path) -> str:
    heading = re.search(r"#+ ([^\n\"\\]+)", path.read_text(encoding="utf-8"))
    return heading[1].strip() if heading else path.stem


def _objects(names: list[str], module: Any) -> list[tuple[str, str]]:
    """Public name and the place of its definition, for functions and classes."""
    found = []
    for name in names:
        thing = getattr(module, name)
        if hasattr(thing, "__qualname__"):
            found.append((name, f"{thing.__module__}.{thing.__qualname__}"))
    return found


def _api(name: str) -> str:
    import serkit

    module = importlib.import_module(name)
    objects = _objects(getattr(module, "__all__", []), module) or [
        found for found in _objects(serkit.__all__, serkit) if found[1].startswith(f"{module.__name__}.")
    ]
    return f"# {name}\n\n{module.__doc__ or ''}\n\n" + "\n\n".join(f"::: {place}" for _, place in objects) + "\n"


def _public() -> str:
    """The names that ``import serkit`` gives, each with its first sentence and a link."""
    import serkit

    lines = ["# Python", "", "What `import serkit` gives; each room below has more.", "", "| name | what it is |"]
    lines.append("| --- | --- |")
    for name, place in _objects(sorted(serkit.__all__), serkit):
        first = (getattr(serkit, name).__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        first = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", first).replace("``", "`")
        room = place.split(".")[1]
        lines.append(f"| [`serkit.{name}`]({room}.md#{place}) | {' '.join(first.split())} |")
    return "\n".join([*lines, "", *(f"- [serkit.{room}]({room}.md)" for room in ROOMS)]) + "\n"
