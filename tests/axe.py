"""Accessibility of a page by axe-core, whose script comes with axe-playwright-python."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: What axe finds in Streamlit's own elements, and why it is not ours to mend.
STREAMLIT = {
    "presentation-role-conflict": "the drop zone of st.file_uploader has a label and the role of a decoration",
}

_RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    rule => [rule.id, rule.help, rule.nodes.map(node => node.html.slice(0, 120))])"""


def violations(page: Page, known: Mapping[str, str] | None = None) -> list[str]:
    """Return the rules that the page breaks, each with the elements that do.

    Parameters
    ----------
    page : Page
    known : mapping of str to str, optional
        Rules to leave out, with the reason.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(_RUN)
    return [f"{rule}: {says}: {elements}" for rule, says, elements in found if rule not in (known or {})]
