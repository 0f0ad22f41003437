"""A plot area written as SVG; its colours come from the page's CSS classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

__all__ = ["Axes"]


@dataclass
class Axes:
    """A plot area of `width` x `height` units with margins, and the marks drawn on it so far."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 360
    height: float = 300
    left: float = 52
    right: float = 14
    top: float = 12
    bottom: float = 42
    marks: list[str] = field(default_factory=list)

    def px(self, x: float) -> float:
        """Convert a value on the x axis to drawing units."""
        low, high = self.x
        return self.left + (x - low) / (high - low) * (self.width - self.left - self.right)

    def py(self, y: float) -> float:
        """Convert a value on the y axis to drawing units; values grow upwards if y[0] < y[1]."""
        low, high = self.y
        return self.height - self.bottom - (y - low) / (high - low) * (self.height - self.top - self.bottom)

    def line(self, points: Sequence[tuple[float, float]], css: str, *, title: str = "") -> None:
        """Draw a line through points in data units; NaN leaves a gap."""
        d, pen = "", "M"
        for x, y in points:
            if math.isnan(x) or math.isnan(y):
                pen = "M"
                continue
            d += f"{pen}{self.px(x):.1f} {self.py(y):.1f}"
            pen = "L"
        self.marks.append(f'<path class="{css}" d="{d}">{_hint(title)}</path>')

    def box(self, x: float, y: float, width: float, height: float, css: str, *, title: str = "") -> None:
        """Draw a box in drawing units from its upper left corner; `title` is shown on hovering."""
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        self.marks.append(f'<rect class="{css}" {place}>{_hint(title)}</rect>')

    def dot(self, x: float, y: float, css: str, *, r: float = 3.5, title: str = "") -> None:
        """Draw a dot at a point in data units."""
        self.marks.append(
            f'<circle class="{css}" cx="{self.px(x):.1f}" cy="{self.py(y):.1f}" r="{r}">{_hint(title)}</circle>'
        )

    def text(self, x: float, y: float, text: str, css: str = "tick", *, anchor: str = "middle") -> None:
        """Write text at a point in drawing units."""
        self.marks.append(f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def grid(self, xs: Mapping[float, str], ys: Mapping[float, str], x_name: str, y_name: str) -> None:
        """Draw ticks (position -> text) with hairlines, and the names of the axes."""
        for value, text in xs.items():
            self.line([(value, self.y[0]), (value, self.y[1])], "grid")
            self.text(self.px(value), self.height - self.bottom + 16, text)
        for value, text in ys.items():
            self.line([(self.x[0], value), (self.x[1], value)], "grid")
            self.text(self.left - 7, self.py(value) + 4, text, anchor="end")
        self.text(self.px(sum(self.x) / 2), self.height - 6, x_name, "axis")
        if y_name:
            across = self.py(sum(self.y) / 2)
            self.marks.append(
                f'<text class="axis" transform="translate(11 {across:.1f}) rotate(-90)" text-anchor="middle">'
                f"{escape(y_name)}</text>"
            )

    def svg(self, label: str) -> str:
        """Return the element with all marks; `label` describes it in words."""
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{escape(label)}">'
            f"{''.join(self.marks)}</svg>"
        )


def _hint(title: str) -> str:
    return f"<title>{escape(title)}</title>" if title else ""
