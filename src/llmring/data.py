"""The data files of the package: what is known of vendors and of models, each row with where it is from.

A file is read when something in it is first asked for. They are written by hand, and `tests/test_data.py` says what may
stand in them.
"""

from __future__ import annotations

import json  # and not pydantic's parser: importing that takes longer than all of this, and Tab waits for it
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["also_called", "load", "of_vendors"]


@cache
def load(name: str) -> Mapping[str, Any]:
    """What a file says; nobody may change it.

    Args:
        name: its path below the package (`"vendors.json"`).
    """
    loaded: Mapping[str, Any] = json.loads(Path(__file__).parent.joinpath(name).read_bytes())
    return loaded


def of_vendors(section: str, file: str = "vendors.json") -> Mapping[str, Any]:
    """One section of a file, by vendor; those that have none are left out.

    Args:
        section: of `vendors.json`: `"provider"`, how it is reached; `"chat"`, its ways of Chat Completions; `"prices"`,
            how it is found on price lists; `"parameters"`, its words for those of a request; `"words"`, what its words
            mean; `"statuses"`, which statuses they stand for. Of `catalog/models.json`: `"roles"`, `"limits"`,
            `"retired"`.
        file: which one.
    """
    return {name: row[section] for name, row in load(file).items() if section in row}


@cache
def also_called() -> Mapping[str, str]:
    """What people call the vendors, too: their names here by the others."""
    return {other: name for name, row in of_vendors("provider").items() for other in row.get("also_called", ())}
