"""An alias with a rate or a budget, on a practice server that has its vendor's name, so that a model has a price."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.lockfile.rendering import toml_value
from llmring.testing import PracticeServer

MODEL = "gpt-4o-mini"
_HEAD = """version = "1.0"
default_profile = "default"
[profiles.default]
name = "default"
[providers.openai]
api = "chat"
base_url = "http://api.openai.com/v1"
[providers.other]
sdk = "openai"
api = "chat"
base_url = "http://api.openai.com/v1"
api_key_env = "OPENAI_API_KEY"
"""


class Counting:
    """Writes the lockfile, and makes services that read it.

    Attributes:
        server: answers for the vendor.
        path: of the lockfile.
    """

    def __init__(self, server: PracticeServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.path = path
        self._patch = monkeypatch
        monkeypatch.setenv("HTTP_PROXY", server.url)
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "practice")

    def bind(self, *models: str, url: str = "", on_failure: str = "open", alias: str = "chatbot", **keys: Any) -> None:
        """Write the lockfile, with one alias."""
        lines = [_HEAD]
        if url:
            self._patch.setenv("COUNTS", url)
            lines += ["[state]", 'url_env = "COUNTS"', f'on_failure = "{on_failure}"']
        lines += ["[[profiles.default.bindings]]", f'alias = "{alias}"']
        lines += [f"models = {toml_value(list(models) or [f'openai:{MODEL}'])}"]
        lines += [f"{key} = {toml_value(value)}" for key, value in keys.items()]
        self.path.write_text("\n".join(lines) + "\n")

    def key(self, name: str) -> None:
        """Have a provider's key in the environment."""
        self._patch.setenv(name, "practice")

    def service(self, **options: Any) -> LLMRing:
        return LLMRing(self.path, **options)


@pytest.fixture
def counting(server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(server, bare / "llmring.lock", monkeypatch)


def ask(text: str = "Hi", **fields: Any) -> LLMRequest:
    return LLMRequest(model="chatbot", messages=[Message(role="user", content=text)], **fields)
