"""The results as one SVG, for people who read no tables: `python -m benchmarks.drawing RESULTS.json DRAWING.svg`."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["draw"]

_PANELS = {
    "CPU per streamed chunk of text, µs": ("CPU per text chunk, ", 1),
    "CPU per streamed request of a 200 KB conversation, µs": ("CPU per request, 200 KB, streamed, ", 1000),
    "Streams of 50 chunks a second that one core holds": ("streams that one core holds, ", 1),
}
"""By title: how the figures' names begin, and what makes whole numbers of them."""
_COLOURS = {"bytes only": "#a8b0ba", "llmring": "#2563eb", "bare SDK": "#d99a5b"}
_WIDTH, _LEFT, _BARS, _BAR = 720, 96, 540, 13


def draw(results: dict[str, Any]) -> str:
    """An SVG of the panels for which there are figures."""
    lines, y = [], 30
    x = _LEFT
    for who, colour in _COLOURS.items():
        lines.append(f'<rect x="{x}" y="{y - 10}" width="11" height="11" fill="{colour}"/>')
        lines.append(_text(x + 17, y, who))
        x += 110
    for title, (prefix, scale) in _PANELS.items():
        rows = {
            f["name"].removeprefix(prefix): {who: [it * scale for it in values] for who, values in f["samples"].items()}
            for f in results["figures"]
            if f["name"].startswith(prefix)
        }
        if rows:
            lines.append(_text(_LEFT, y + 38, title, weight="600"))
            y += 46
            panel, y = _panel(rows, y)
            lines += panel
    y += 30
    where = f"Python {results['python']}, {results['system']}; medians of one run, over loopback"
    lines.append(_text(_LEFT, y, where, fill="#6b7280"))
    box = f'viewBox="0 0 {_WIDTH} {y + 20}" font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
    return "\n".join([head, '<rect width="100%" height="100%" rx="8" fill="#fff"/>', *lines, "</svg>\n"])


def _panel(rows: dict[str, dict[str, list[float]]], y: int) -> tuple[list[str], int]:
    """A bar for each who of each row, from there down; and where it ends."""
    most = max(statistics.median(values) for samples in rows.values() for values in samples.values())
    lines = []
    for name, samples in rows.items():
        known = [who for who in _COLOURS if who in samples]
        lines.append(_text(_LEFT - 8, y + len(known) * _BAR / 2 + 4, name, anchor="end"))
        for who, value in _medians(samples, known):
            width = max(1, round(value / most * _BARS))
            lines.append(f'<rect x="{_LEFT}" y="{y}" width="{width}" height="{_BAR - 2}" fill="{_COLOURS[who]}"/>')
            lines.append(_text(_LEFT + width + 5, y + 10, f"{value:,.0f}", fill="#374151"))
            y += _BAR
        y += 7
    return lines, y


def _medians(samples: dict[str, list[float]], known: list[str]) -> Iterator[tuple[str, float]]:
    for who in known:
        yield who, statistics.median(samples[who])


def _text(x: float, y: float, text: str, *, fill: str = "#111827", anchor: str = "start", weight: str = "400") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{fill}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text())))
