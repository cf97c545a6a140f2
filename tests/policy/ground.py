"""A practice server and aliases with policies that lead to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llmring import LLMRequest, LLMResponse, LLMRing, Message
from llmring.lockfile.rendering import toml_value

from ..faults.ground import PROVIDERS, Ground, ground

__all__ = ["PROVIDERS", "Practice", "answer", "ask", "practice"]


class Practice(Ground):
    """Writes the policy of the alias `chatbot`."""

    def policy(self, models: Sequence[Any], said: str = "", **keys: Any) -> None:
        """Bind it to models, with these keys of its binding."""
        self.bind({})
        lines = ["[[profiles.default.bindings]]", 'alias = "chatbot"', f"models = {toml_value(list(models))}", said]
        lines += [f"{key} = {toml_value(value)}" for key, value in keys.items()]
        head, table, rest = self.path.read_text().partition("[providers.")
        # In one step, as an editor does: of what is written into a file, a moment has to tell if it is all.
        new = self.path.with_suffix(".new")
        new.write_text("\n".join([head.rstrip(), *lines, ""]) + table + rest)
        new.replace(self.path)


@contextmanager
def practice() -> Iterator[Practice]:
    with ground() as made:
        yield Practice(made.server, made.path)


def ask(*said: str, **fields: Any) -> LLMRequest:
    """A request of the alias."""
    messages = [Message(role=("user", "assistant")[at % 2], content=text) for at, text in enumerate(said or ("Hi",))]
    return LLMRequest(model="chatbot", messages=messages, **fields)


async def answer(service: LLMRing, request: LLMRequest | None = None, *, way: str = "whole") -> LLMResponse:
    """The answer, by one of the ways to it."""
    request = request or ask()
    if way == "whole":
        return await service.chat(request)
    if way == "gathered":
        return await service.chat_stream(request).final_response()
    stream = service.chat_stream(request)
    models = {chunk.model async for chunk in stream}
    assert len(models) == 1, "every chunk names the one that serves"
    return stream.response
