"""Who is measured: reading the bytes and doing nothing, the bare SDK, and this library, on each wire.

A target asks, and gives whatever async iterable is its own, so that nothing of ours is measured along with it.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from llmring import LLMRing
from llmring.wire import anthropic, gemini, ollama, openai_chat, openai_responses

from .measuring import US
from .talks import Talk

__all__ = ["SDK", "WIRES", "Bytes", "Ring", "Target", "lockfile", "target", "targets"]

SDK = "bare SDK"

WIRES = ("openai", "responses", "anthropic", "google", "ollama")
MODEL = {
    "openai": "gpt-5-mini",
    "responses": "gpt-5-mini",
    "anthropic": "claude-haiku-4-5",
    "google": "gemini-2.5-flash",
    "ollama": "llama3.2",
}
_PATH = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "google": f"/v1/models/{MODEL['google']}",
    "ollama": "/api/chat",
}
_KEY = "practice"
_STAMP = re.compile(rb"\d{7}\.\d{6}")


def body(wire: str, talk: Talk, *, stream: bool) -> dict[str, Any]:
    """The JSON that asks this on that wire."""
    request, model = talk.request("-"), MODEL[wire]
    if wire == "openai":
        return openai_chat.render_request(request, model, stream=stream, issuer="openai")
    if wire == "responses":
        return openai_responses.render_request(request, model, stream=stream)
    if wire == "anthropic":
        return anthropic.render_request(request, model, stream=stream, max_tokens=1000)
    if wire == "google":
        return gemini.render_request(request, model)
    return ollama.render_request(request, model, stream=stream)


class Target:
    """Someone who can ask."""

    def ready(self, talk: Talk) -> None:
        """Have the conversation in the form in which a program that uses this target would keep it."""
        self.talk = talk

    async def stream(self) -> Any:
        """Ask, and give the chunks as they come."""
        raise NotImplementedError

    async def whole(self) -> Any:
        """Ask, and give the whole answer."""
        raise NotImplementedError

    def text(self, chunk: Any) -> str:
        """The text of a chunk."""
        raise NotImplementedError

    def stamp(self, chunk: Any) -> str:
        """The time at which the server sent a chunk of text, where that is the text."""
        return self.text(chunk)

    async def close(self) -> None:
        """Leave."""


class Bytes(Target):
    """The floor: an HTTP client that reads and does nothing."""

    NAME = "bytes only"

    def __init__(self, wire: str, url: str) -> None:
        self._wire, self._url = wire, url + _PATH[wire]
        import httpx2

        self._client = httpx2.AsyncClient(timeout=60.0, limits=httpx2.Limits(max_connections=None))

    def ready(self, talk: Talk) -> None:
        self._bodies = {stream: to_json(body(self._wire, talk, stream=stream)) for stream in (True, False)}

    async def stream(self) -> Any:
        return (await self._send(True)).aiter_bytes()

    async def whole(self) -> Any:
        return await (await self._send(False)).aread()

    def text(self, chunk: Any) -> str:
        return "some"

    def stamp(self, chunk: Any) -> str:
        found = _STAMP.search(chunk)
        return found[0].decode() if found else ""

    async def _send(self, stream: bool) -> Any:
        url = self._url
        if self._wire == "google":
            url += ":streamGenerateContent?alt=sse" if stream else ":generateContent"
        headers = {"content-type": "application/json"}
        request = self._client.build_request("POST", url, content=self._bodies[stream], headers=headers)
        return await self._client.send(request, stream=True)

    async def close(self) -> None:
        await self._client.aclose()


class Ring(Target):
    """This library, by an alias of a lockfile."""

    def __init__(self, wire: str, url: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        provider = "openai" if wire == "responses" else wire
        path = Path(self._folder.name) / "llmring.lock"
        path.write_text(lockfile(wire, url))
        keys = {} if wire == "ollama" else {provider: _KEY}
        self._service = LLMRing(path, api_keys=keys)

    async def stream(self) -> Any:
        return self._service.chat_stream(self.talk.request("bench"))

    async def whole(self) -> Any:
        return await self._service.chat(self.talk.request("bench"))

    def text(self, chunk: Any) -> str:
        said: str = chunk.delta
        return said

    async def close(self) -> None:
        await self._service.close()
        self._folder.cleanup()


def lockfile(wire: str, url: str) -> str:
    """A lockfile with one alias for a wire."""
    provider = "openai" if wire == "responses" else wire
    base = f"{url}/v1" if provider == "openai" else url
    api = 'api = "responses"\n' if wire == "responses" else ""
    return (
        'version = "1.0"\ndefault_profile = "default"\n\n[profiles.default]\nname = "default"\n\n'
        f'[[profiles.default.bindings]]\nalias = "bench"\nmodels = ["{provider}:{MODEL[wire]}"]\n\n'
        f'[providers.{provider}]\nbase_url = "{base}"\n{api}'
    )


class OpenAI(Target):
    def __init__(self, wire: str, url: str) -> None:
        import openai

        self._client = openai.AsyncOpenAI(api_key=_KEY, base_url=f"{url}/v1")

    def ready(self, talk: Talk) -> None:
        self._body = body("openai", talk, stream=True)
        self._whole = body("openai", talk, stream=False)

    async def stream(self) -> Any:
        return await self._client.chat.completions.create(**self._body)

    async def whole(self) -> Any:
        return await self._client.chat.completions.create(**self._whole)

    def text(self, chunk: Any) -> str:
        return (chunk.choices[0].delta.content or "") if chunk.choices else ""

    async def close(self) -> None:
        await self._client.close()


class Responses(OpenAI):
    def ready(self, talk: Talk) -> None:
        self._body = body("responses", talk, stream=True)
        self._whole = body("responses", talk, stream=False)

    async def stream(self) -> Any:
        return await self._client.responses.create(**self._body)

    async def whole(self) -> Any:
        return await self._client.responses.create(**self._whole)

    def text(self, chunk: Any) -> str:
        return chunk.delta if chunk.type == "response.output_text.delta" else ""


class Anthropic(Target):
    def __init__(self, wire: str, url: str) -> None:
        import anthropic

        self._client = anthropic.AsyncAnthropic(api_key=_KEY, base_url=url)

    def ready(self, talk: Talk) -> None:
        self._body = body("anthropic", talk, stream=True)
        self._whole = body("anthropic", talk, stream=False)

    async def stream(self) -> Any:
        return await self._client.messages.create(**self._body)

    async def whole(self) -> Any:
        return await self._client.messages.create(**self._whole)

    def text(self, chunk: Any) -> str:
        return chunk.delta.text if chunk.type == "content_block_delta" and chunk.delta.type == "text_delta" else ""

    async def close(self) -> None:
        await self._client.close()


class Google(Target):
    def __init__(self, wire: str, url: str) -> None:
        from google import genai

        self._client = genai.Client(api_key=_KEY, http_options=genai.types.HttpOptions(base_url=url))

    def ready(self, talk: Talk) -> None:
        asked = body("google", talk, stream=True)
        self._asked = {
            "model": MODEL["google"],
            "contents": asked["contents"],
            "config": {
                "system_instruction": asked.get("systemInstruction"),
                "tools": asked.get("tools"),
                "max_output_tokens": asked["generationConfig"]["maxOutputTokens"],
                "automatic_function_calling": {"disable": True},
            },
        }

    async def stream(self) -> Any:
        return await self._client.aio.models.generate_content_stream(**self._asked)

    async def whole(self) -> Any:
        return await self._client.aio.models.generate_content(**self._asked)

    def text(self, chunk: Any) -> str:
        return chunk.text or ""

    async def close(self) -> None:
        await self._client.aio.aclose()


class Ollama(Target):
    def __init__(self, wire: str, url: str) -> None:
        import ollama

        self._client = ollama.AsyncClient(host=url)

    def ready(self, talk: Talk) -> None:
        self._body = body("ollama", talk, stream=True)
        self._whole = body("ollama", talk, stream=False)

    async def stream(self) -> Any:
        return await self._client.chat(**self._body)

    async def whole(self) -> Any:
        return await self._client.chat(**self._whole)

    def text(self, chunk: Any) -> str:
        return chunk.message.content or ""

    async def close(self) -> None:
        await self._client._client.aclose()


_SDKS = {"openai": OpenAI, "responses": Responses, "anthropic": Anthropic, "google": Google, "ollama": Ollama}


def target(who: str, wire: str, url: str, talk: Talk) -> Target:
    """One of a wire's targets, ready to ask."""
    kinds = {Bytes.NAME: Bytes, SDK: _SDKS[wire], US: Ring}
    made: Target = kinds[who](wire, url)
    made.ready(talk)
    return made


def targets(wire: str, url: str, talk: Talk, *, peers: bool = False) -> dict[str, Target]:
    """All targets of a wire, ready to ask."""
    made = {who: target(who, wire, url, talk) for who in (Bytes.NAME, SDK, US)}
    if peers:
        from .peers import peers_of

        for name, peer in peers_of(wire, url).items():
            peer.ready(talk)
            made[name] = peer
    return made
