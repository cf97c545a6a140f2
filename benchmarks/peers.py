"""Other unified libraries, as far as they are installed. None is a dependency."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .talks import Talk
from .targets import MODEL, Target, body

__all__ = ["installed", "peers_of"]


class _Completion(Target):
    """A library whose `acompletion` takes OpenAI's arguments, the provider named in the model."""

    def __init__(self, module: str, model: str, url: str) -> None:
        self._ask = import_module(module).acompletion
        self._where = {"model": model, "api_base": url, "api_key": "practice"}

    def ready(self, talk: Talk) -> None:
        asked = body("openai", talk, stream=False)
        self._what = {key: asked[key] for key in ("messages", "tools", "max_tokens") if key in asked}

    async def stream(self) -> Any:
        return await self._ask(**self._where, **self._what, stream=True)

    async def whole(self) -> Any:
        return await self._ask(**self._where, **self._what)

    def text(self, chunk: Any) -> str:
        return (chunk.choices[0].delta.content or "") if chunk.choices else ""


# By library: what stands between the provider and the model, and which address each provider wants.
_LIBRARIES = {"litellm": "/", "any_llm": ":"}
_ADDRESS = {"openai": "/v1", "anthropic": ""}


def installed() -> list[str]:
    """The libraries that are there."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its prices from the network
    return [module for module in _LIBRARIES if find_spec(module)]


def peers_of(wire: str, url: str) -> dict[str, Target]:
    """Those that can ask on a wire."""
    if wire not in _ADDRESS:
        return {}
    address = url + _ADDRESS[wire]
    return {module: _Completion(module, f"{wire}{_LIBRARIES[module]}{MODEL[wire]}", address) for module in installed()}
