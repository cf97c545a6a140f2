"""The text of a new lockfile, written to be read by the people who will edit it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..catalog import ROLES, suggested
from ..lockfile.schema import SCHEMA_FILE

if TYPE_CHECKING:
    from ..catalog import Role
    from .machine import Found

__all__ = ["PURPOSE", "bound", "render"]

_HEAD = """\
#:schema ./{schema}
# Which model serves which alias: the first of its models, while the rest stand by. A program names the alias; to swap
# the provider, edit this file, and a running program follows with its next request. Commit it: it holds no key.
#
#   llmring aliases                      what is bound
#   llmring bind chatbot {example}
#   llmring chat "Hello" --model chatbot
version = "1.0"
default_profile = "default"

[profiles.default]
name = "default"
"""

PURPOSE: Mapping[Role, str] = {
    "fast": "Cheap and quick: sorting, extracting, short answers.",
    "balanced": "Everyday work.",
    "deep": "The hardest questions, where thinking longer is worth it.",
}
"""What each alias is for."""

_UNBOUND = """
# `llmring lock init` wrote this file where it found neither a key that it could use nor an Ollama server, and bound
# nothing. To have an alias served:
#
#   export ANTHROPIC_API_KEY=...         or OPENAI_API_KEY, or GEMINI_API_KEY
#   ollama serve && ollama pull MODEL    models of your own machine, no key
#
# and bind it with `llmring bind`, as above, or by hand:
#
# [[profiles.default.bindings]]
# alias = "chatbot"
# models = ["{example}"]
"""


def bound(found: list[Found]) -> dict[Role, list[str]]:
    """The models of each role as `provider:model`: SDKs that are installed before others, local servers last."""
    able = [(one.standing, one.models) for one in found if one.models]
    able.sort(key=lambda pair: (pair[0].version is None, not pair[0].needs_key))
    return {role: [f"{standing.name}:{models[role]}" for standing, models in able] for role in ROLES} if able else {}


def render(found: list[Found], *, as_json: bool = False) -> str:
    """A lockfile that binds what was found, or says how to go on if nothing was.

    Args:
        found: the providers, usable or not.
        as_json: JSON, which has no place for remarks, instead of TOML.
    """
    bindings = bound(found)
    if as_json:
        listed = [{"alias": role, "models": models} for role, models in bindings.items()]
        profiles = {"default": {"name": "default", "bindings": listed}}
        named = {"$schema": f"./{SCHEMA_FILE}", "version": "1.0", "default_profile": "default"}
        return json.dumps({**named, "profiles": profiles}, indent=2) + "\n"
    example = bindings["fast"][0] if bindings else f"anthropic:{suggested('fast')['anthropic']}"
    text = _HEAD.format(schema=SCHEMA_FILE, example=example)
    if not bindings:
        return text + _UNBOUND.format(example=example)
    for role, models in bindings.items():
        text += f"\n# {PURPOSE[role]}\n[[profiles.default.bindings]]\nalias = {json.dumps(role)}\n"
        text += f"models = {json.dumps(models)}\n"
    return text
