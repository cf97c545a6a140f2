"""The provider: where Larkspur is, what is sent there, and who reads the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llmring.providers import Call, Decoder, Dialect, HTTPProvider, ListedModel, WireError, Words

from .answer import trouble_of
from .request import body_of
from .tools import ToolDecoder, in_words


class Larkspur(HTTPProvider):
    """Larkspur's API, version 2."""

    dialect = Dialect(
        "larkspur",
        source="https://api.larkspur.example/docs",
        base_url="https://api.larkspur.example/v2",
        key_variables=["LARKSPUR_API_KEY"],
        words=[
            Words("no_model", codes=["voice"]),
            Words("no_credit", codes=["purse"]),
            Words("too_long", codes=["long"]),
        ],
    )
    headers = {"X-Larkspur-Key": "{key}"}

    def path(self, call: Call) -> str:
        """Where a request is posted, below the base URL."""
        return "/answers"

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        return body_of(in_words(call.request), call.model, live=call.stream)

    def decoder(self, call: Call) -> Decoder:
        """What reads the answer."""
        return ToolDecoder(f"{self.name}:{call.model}", call.request)

    def read_error(self, body: bytes, status: int, headers: Mapping[str, str]) -> WireError:
        """What the body of a refusal says."""
        return trouble_of(json.loads(body)["trouble"], status)

    async def list_models(self) -> list[ListedModel]:
        """The voices that there are now."""
        return [ListedModel(voice["name"], voice["hears"], voice["speaks"]) for voice in await self.voices()]

    async def describe_model(self, model: str) -> dict[str, Any]:
        """What a voice can do, by the names of `Capabilities`."""
        voice = next((it for it in await self.voices() if it["name"] == model), None)
        if voice is None:
            return {}
        limits = {"context_window": voice["hears"], "max_output_tokens": voice["speaks"]}
        return {"reasoning": voice["ponders"], "images": False, **limits}

    async def voices(self) -> list[dict[str, Any]]:
        """What the vendor says of its voices. `client` is an HTTP client with its address and the key."""
        answer = await self.client.get("/voices")
        answer.raise_for_status()
        voices: list[dict[str, Any]] = answer.json()["voices"]
        return voices
