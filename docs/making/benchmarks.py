"""The figures of one run of the benchmarks, as tables."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "benchmarks_tables"]

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "latest.json"
_TITLES = {
    "chunks": "Chunks of a stream",
    "faces": "`llmring.sync` beside asyncio",
    "requests": "Requests",
    "streams": "Many streams at once",
    "memory": "Memory",
    "imports": "Starting",
    "aliases": "Aliases",
    "recordings": "Recordings replayed",
    "mapping": "Rows through a model",
}


def benchmarks_tables() -> str:
    """A table for each group of figures: llmring, and what stands beside it."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    packages = ", ".join(f"{name} {version}" for name, version in results["packages"].items())
    parts = [f"Python {results['python']}, {results['system']}; {packages}. Each is the median of its samples."]
    figures = results["figures"]
    for group in dict.fromkeys(figure["group"] for figure in figures):
        rows = [_row(figure) for figure in figures if figure["group"] == group]
        head = "| | llmring | beside it |\n|---|---|---|"
        parts.append(f"### {_TITLES.get(group, group)}\n\n{head}\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _row(figure: dict[str, Any]) -> str:
    unit = f" {figure['unit']}" if figure["unit"] else ""
    medians = {who: statistics.median(values) for who, values in figure["samples"].items()}
    ours = medians.pop("llmring")
    beside = [
        f"{who} {_number(value)}{unit} ({_number(ours / value)} of it)" if value else who
        for who, value in medians.items()
    ]
    return f"| {figure['name']} | {_number(ours)}{unit} | {'; '.join(beside)} |"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
