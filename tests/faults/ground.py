"""A practice server, and services that reach it over every wire, with nothing taken from the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llmring import LLMRequest, LLMRing, Message
from llmring.testing import PracticeServer

PROVIDERS = {
    "openai-chat": "openai",
    "openai-responses": "responses",
    "anthropic": "anthropic",
    "gemini": "google",
    "ollama": "ollama",
}
"""The provider that serves each wire in the lockfile below."""

KEY_VARIABLE = "PRACTICE_KEY"

_SDK = {"openai-chat": "openai", "openai-responses": "openai", "anthropic": "anthropic", "gemini": "google"}


def bind(path: Path, places: Mapping[str, str], aliases: Mapping[str, Sequence[str]]) -> None:
    """Write a lockfile.

    Args:
        path: where.
        places: addresses, by what the names of the providers there begin with.
        aliases: the models of each.
    """
    lines = ['version = "1.0"', 'default_profile = "default"', "[profiles.default]", 'name = "default"']
    for alias, models in aliases.items():
        lines += ["[[profiles.default.bindings]]", f'alias = "{alias}"', f"models = {json.dumps(list(models))}"]
    for wire, provider in PROVIDERS.items():
        for place, url in places.items():
            lines += [f"[providers.{place}{provider}]", f'sdk = "{_SDK.get(wire, wire)}"']
            lines += [
                f'api_key_env = "{KEY_VARIABLE}"',
                f'base_url = "{url}{"/v1" if _SDK.get(wire) == "openai" else ""}"',
            ]
            if _SDK.get(wire) == "openai":
                lines.append(f'api = "{wire.removeprefix("openai-")}"')
    path.write_text("\n".join(lines) + "\n")


class Ground:
    """A practice server and a lockfile that leads to it.

    Attributes:
        server: the server.
        path: the lockfile.
        places: as `bind` takes them.
    """

    def __init__(self, server: PracticeServer, path: Path) -> None:
        self.server = server
        self.path = path
        self.places = {"": server.url, "refused-": server.refused_url()}
        self.bind({})

    def bind(self, aliases: Mapping[str, Sequence[str]]) -> None:
        """Write the lockfile anew, with these aliases."""
        bind(self.path, self.places, aliases)

    def service(self, **options: Any) -> LLMRing:
        """A service without breakers, unless `options` say otherwise; with keys, unless the environment has them."""
        options.setdefault("breaker_threshold", 0)
        if KEY_VARIABLE not in os.environ:
            names = [place + provider for provider in PROVIDERS.values() for place in self.places]
            options.setdefault("api_keys", dict.fromkeys(names, "practice"))
        return LLMRing(self.path, **options)


@contextmanager
def ground() -> Iterator[Ground]:
    """Start one."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    with TemporaryDirectory() as folder, PracticeServer() as server:
        yield Ground(server, Path(folder) / "llmring.lock")


def ask(model: str, **fields: Any) -> LLMRequest:
    """A question."""
    return LLMRequest(model=model, messages=[Message(role="user", content="Go on")], **fields)
