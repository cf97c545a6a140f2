"""The JSON Schema of the file, `schema.json`, for editors and for programs that write it.

It accepts all that `parsing.parse` accepts. What a schema cannot say is left to `parse`: that the default profile is
there, that no alias is bound twice, that nothing looks like a secret.
"""

from __future__ import annotations

import json
import os
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError
from .files import read
from .locking import exclusive
from .writing import replace, target_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SCHEMA_FILE", "json_schema", "rendered", "write_beside"]

SCHEMA_FILE = "llmring.schema.json"
"""The name under which a new lockfile refers to its schema, beside it."""


def json_schema() -> dict[str, Any]:
    """The schema, in the dialect 2020-12, as a new dictionary. Unknown keys are allowed everywhere: they are kept."""
    schema: dict[str, Any] = json.loads(rendered())
    return schema


def rendered() -> str:
    """The schema as the text of a file."""
    return (files(__package__) / "schema.json").read_text(encoding="utf-8")


def write_beside(path: Path) -> Path:
    """Writes the schema into a lockfile's folder, or renews the one that is there, and returns where it is.

    Raises:
        ConfigurationError: there is a file of that name that is something else. It stays.
        LockfileError: it could not be written.
    """
    target, content = target_of(path.parent / SCHEMA_FILE), rendered()
    with exclusive(target):
        while True:
            before = read(target) if os.path.lexists(target) else None
            if before is not None and not _is_ours(before):
                raise ConfigurationError(f"{target} is no schema of a lockfile, and stays as it is")
            if replace(target, content.encode(), before=before):
                return target


def _is_ours(content: bytes) -> bool:
    try:
        return bool(json.loads(content)["title"] == json_schema()["title"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
