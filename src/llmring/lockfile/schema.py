"""The JSON Schema of the file, for editors and for programs that write it.

It accepts all that `parsing.parse` accepts. What a schema cannot say is left to `parse`: that the default profile is
there, that no alias is bound twice, that nothing looks like a secret.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from llmring.exceptions import ConfigurationError

from .locking import exclusive
from .model import DEFAULT_PROFILE
from .provider_settings import APIS
from .reading import read
from .writing import replace, target_of

__all__ = ["SCHEMA_FILE", "json_schema", "rendered", "write_beside"]

SCHEMA_FILE = "llmring.schema.json"
"""The name under which a new lockfile refers to its schema, beside it."""

_TITLE = "llmring.lock"
_NAME = r"^\S+$"
_REFERENCE = r"^[^\s:/]+:\S+$"
_PROVIDER = r"^[^\s:/]+$"
# One word of letters, digits, underscores, dots and hyphens, letters of every script included.
_PACKAGE = r"^[^\s!-/:-@\[-^`{-~][^\s!-,/:-@\[-^`{-~]*$"
# A version that equals 1.0: 1, 1.0, 1.0.0, 1.0.0.0.
_VERSION = r"^1(\.0+){0,3}$"


def json_schema() -> dict[str, Any]:
    """The schema, in the dialect 2020-12, as a new dictionary. Unknown keys are allowed everywhere: they are kept."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLE,
        "description": "Which model serves which alias.",
        "type": "object",
        "required": ["version"],
        "properties": {
            "version": {"type": "string", "pattern": _VERSION, "default": "1.0", "description": "Of this format."},
            "default_profile": {
                "type": "string",
                "pattern": _NAME,
                "default": DEFAULT_PROFILE,
                "description": "The profile that serves where no other one is asked for.",
            },
            "profiles": {
                "type": "object",
                "description": "Sets of bindings, by name.",
                "propertyNames": {"pattern": _NAME},
                "additionalProperties": {"$ref": "#/$defs/profile"},
            },
            "extends": {"$ref": "#/$defs/extends"},
            "providers": {
                "type": "object",
                "description": "More endpoints, or settings of the built-in ones, by name.",
                "propertyNames": {"pattern": _PROVIDER},
                "additionalProperties": {"$ref": "#/$defs/provider"},
            },
        },
        "$defs": {
            "reference": {
                "type": "string",
                "pattern": _REFERENCE,
                "description": "provider:model, for example anthropic:claude-haiku-5-5",
            },
            "profile": {
                "type": "object",
                "properties": {
                    "name": {"description": "The profile's name once more, as llmring writes it."},
                    "bindings": {"type": "array", "items": {"$ref": "#/$defs/binding"}},
                },
            },
            "binding": _binding(),
            "extends": {
                "type": ["object", "null"],
                "description": "Packages whose own aliases can be asked for as package:alias.",
                "properties": {"packages": {"type": "array", "items": {"type": "string", "pattern": _PACKAGE}}},
            },
            "provider": _provider(),
        },
    }


def rendered() -> str:
    """The schema as the text of a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def write_beside(path: Path) -> Path:
    """Writes the schema into a lockfile's folder, or renews the one that is there, and returns where it is.

    Raises:
        ConfigurationError: there is a file of that name that is something else. It stays.
        LockfileError: it could not be written.
    """
    target = target_of(path.parent / SCHEMA_FILE)
    with exclusive(target):
        while True:
            before = read(target) if os.path.lexists(target) else None
            if before is not None and not _is_ours(before):
                raise ConfigurationError(f"{target} is no schema of a lockfile, and stays as it is")
            if replace(target, rendered().encode(), before=before):
                return target


def _is_ours(content: bytes) -> bool:
    try:
        return bool(json.loads(content)["title"] == _TITLE)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def _binding() -> dict[str, Any]:
    old_form = {
        "required": ["model"],
        "properties": {
            "models": {"type": "null"},
            "model": {"type": "string", "pattern": _NAME},
            "provider": {"type": ["string", "null"], "pattern": r"^[^\s:/]+(:\S*)?$"},
        },
        "if": {"required": ["provider"], "properties": {"provider": {"type": "string"}}},
        "else": {"properties": {"model": {"$ref": "#/$defs/reference"}}},
    }
    return {
        "type": "object",
        "description": "Who serves an alias.",
        "required": ["alias"],
        "properties": {
            "alias": {"type": "string", "pattern": _NAME, "description": "The name that programs ask for."},
            "models": {
                "type": ["array", "null"],
                "minItems": 1,
                "items": {"$ref": "#/$defs/reference"},
                "description": "The first serves, the rest stand by.",
            },
            "params": {
                "type": ["object", "null"],
                "description": "Defaults for the requests under this alias; a request's own values win.",
                "properties": {name: {"description": text} for name, text in _PARAMS.items()},
            },
            "constraints": {"type": ["object", "null"], "description": "As llmring 1.x wrote them; kept."},
        },
        "anyOf": [
            {"required": ["models"], "properties": {"models": {"type": "array"}}},
            {"description": "As early files have it: one model, its provider apart.", **old_form},
        ],
    }


def _provider() -> dict[str, Any]:
    text = {"type": ["string", "null"]}
    return {
        "type": "object",
        "properties": {
            "sdk": {**text, "description": "Whose API it speaks: openai for every OpenAI-compatible server."},
            "base_url": {**text, "pattern": "^https?://", "description": "Where it is."},
            "api_key_env": {**text, "description": "The environment variable that holds its key, never the key."},
            "api_version": {**text, "description": "Which version of Gemini's API it speaks, as in v1beta."},
            "api": {**text, "enum": [*APIS, None], "description": "Which of OpenAI's APIs it speaks."},
            "think_tags": {
                "type": ["boolean", "null"],
                "description": "Whether what a model writes between <think> and </think> is reasoning, not text.",
            },
            "headers": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "string"},
                "description": "Sent with every request.",
            },
        },
    }


_PARAMS = {
    "temperature": "How freely it chooses its words.",
    "max_tokens": "The most tokens of an answer.",
    "top_p": "The share of likely words that it chooses from.",
    "stop": "Texts at which an answer ends.",
    "seed": "For answers that can be repeated, where a model can do that.",
    "reasoning_effort": "How long it thinks before it answers.",
    "reasoning_tokens": "The most tokens that it thinks.",
    "timeout": "Seconds that every wait may take.",
}
