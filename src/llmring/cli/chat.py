"""`llmring chat`: one question, the answer as it streams."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import AliasNotFoundError, LLMRingError
from .project import ProfileOption, open_lockfile
from .terminal import dollars, note, say, stream

if TYPE_CHECKING:
    from ..schemas import LLMRequest, LLMResponse, StreamChunk
    from ..service import LLMRing

__all__ = ["chat", "usage_line"]

_PREFERRED = ("chatbot", "balanced")


def chat(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="What to ask; - or nothing reads it from a pipe.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="ALIAS",
            help="An alias or a provider:model. Not given: chatbot, else balanced, else the first alias.",
        ),
    ] = None,
    profile: ProfileOption = None,
    system: Annotated[str | None, typer.Option("--system", "-s", metavar="TEXT", help="A system prompt.")] = None,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Wait for the whole answer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, when the answer is whole.")] = False,
) -> None:
    """Ask a model and print its answer as it arrives.

    The answer goes to standard output, what it used and cost to standard error.

    \b
    Example:
      llmring chat "Why is the sky blue?"
      llmring chat "Name three rivers" --model fast --json | jq -r .content
      git diff | llmring chat --system "Review this change"
    """
    text = _asked(prompt)
    if model is None:
        model = _default_model(profile)
    import asyncio

    from ..schemas import LLMRequest, Message

    messages = [Message(role="system", content=system)] if system else []
    request = LLMRequest(model=model, messages=[*messages, Message(role="user", content=text)])
    _show_warnings()
    asyncio.run(_ask(request, profile, no_stream=no_stream, as_json=as_json))


def _asked(prompt: str | None) -> str:
    """The prompt, from the command line or from the pipe."""
    if prompt is None and sys.stdin is not None and sys.stdin.isatty():
        raise typer.BadParameter('nothing was asked. Try: llmring chat "Hello", or echo Hello | llmring chat')
    if prompt in (None, "-"):
        prompt = sys.stdin.buffer.read().decode(errors="replace") if sys.stdin is not None else ""
    if not prompt or not prompt.strip():
        raise typer.BadParameter("the prompt is empty")
    return prompt


def _default_model(profile: str | None) -> str:
    lockfile = open_lockfile()
    bindings = lockfile.profile(profile).bindings
    for alias in (*_PREFERRED, *bindings):
        if alias in bindings:
            return alias
    raise AliasNotFoundError(
        f"{lockfile.path} binds no alias to ask. Bind one: llmring bind chatbot provider:model, "
        "or name a model: llmring chat --model provider:model",
        path=lockfile.path,
    )


def _show_warnings() -> None:
    """What the library warns of, such as moving on to a stand-by, as the other remarks are written."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("Warning: %(message)s"))
    logger = logging.getLogger("llmring")
    logger.handlers[:] = [handler]
    logger.propagate = False


async def _ask(request: LLMRequest, profile: str | None, *, no_stream: bool, as_json: bool) -> None:
    from time import monotonic

    from ..service import LLMRing

    begun = monotonic()
    async with LLMRing(profile=profile) as service:
        if no_stream:
            response = await service.chat(request)
        else:
            response = await _streamed(service, request, show=not as_json)
    if as_json:
        say(_as_json(response))
        return
    if no_stream:
        stream(response.content)
    if response.content and not response.content.endswith("\n"):
        say()
    note(usage_line(response, monotonic() - begun))


async def _streamed(service: LLMRing, request: LLMRequest, *, show: bool) -> LLMResponse:
    async with service.chat_stream(request) as answer:
        try:
            async for chunk in answer:
                if show and chunk.delta:
                    stream(chunk.delta)
        except BaseException as error:
            if show and answer.response.content and not isinstance(error, BrokenPipeError):
                say()
            raise
        return await answer.final_response()


def _as_json(response: LLMResponse) -> str:
    import json
    from dataclasses import asdict

    from ..catalog import cost_of

    cost = asdict(cost_of(response))
    described: dict[str, Any] = {
        "model": response.model,
        "response_model": response.response_model,
        "content": response.content,
        "reasoning": response.reasoning,
        "tool_calls": response.tool_calls,
        "finish_reason": response.finish_reason,
        "usage": response.usage,
        "cost": {key: cost[key] for key in ("input", "output", "total", "reason")},
    }
    return json.dumps(described, indent=2, ensure_ascii=False)


def usage_line(response: LLMResponse | StreamChunk, seconds: float) -> str:
    """Who served, what it took and what it cost, on one line; from a response, or from a stream's final chunk."""
    from ..catalog import cost_of

    parts = [response.model]
    if usage := response.usage:
        cached = f" ({usage['cache_read_tokens']} cached)" if usage.get("cache_read_tokens") else ""
        parts.append(f"tokens: {usage['prompt_tokens']} in{cached}, {usage['completion_tokens']} out")
    if response.finish_reason != "stop":
        parts.append(f"ended by {response.finish_reason}")
    if response.skipped_events:
        parts.append(f"{response.skipped_events} events not understood")
    try:
        cost = cost_of(response)
    except LLMRingError:  # served by an adapter of somebody's own
        cost = None
    if cost is not None and cost.total is not None:
        parts.append(dollars(cost.total))
    return " · ".join([*parts, f"{seconds:.1f} s"])
