"""`llmring chat`: one question, the answer as it streams; or a conversation in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer

from ..events import Listener
from ..exceptions import ConfigurationError, LLMRingError, ProviderError
from ..parts import decoded
from ..schemas import LLMResponse, Message
from ..service import LLMRing
from ..talk import ToolCalled, ToolResult
from .attachments import content_of, file_part, picture_part
from .beginning import Wanted
from .facts import usage_line
from .functions import Asked, named
from .logs import listener
from .parameters import MaxTokensOption, ReasoningOption, SchemaOption, TemperatureOption, fields_of
from .project import ProfileOption, argument, offers
from .templates import chosen, values_of
from .terminal import Line, hear_warnings, json_text, note, say, warn, working
from .transcript import Transcript, is_kept, keep, pending_of, whole_of
from .trust import Service

_PATIENCE = 2.0
"""Seconds before a pipe that stays open is spoken of."""


def chat(
    prompt: Annotated[
        str | None,
        argument(
            "PROMPT",
            "What to ask, about what comes through a pipe if anything does. Without it, a terminal opens a "
            "conversation.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="ALIAS",
            help="An alias or a provider:model. Not given: chatbot, else balanced, else the first alias.",
            autocompletion=offers("names"),
        ),
    ] = None,
    profile: ProfileOption = None,
    system: Annotated[str | None, typer.Option("--system", "-s", metavar="TEXT", help="A system prompt.")] = None,
    image: Annotated[
        list[str] | None, typer.Option("--image", "-i", metavar="PATH|URL", help="A picture to attach; repeatable.")
    ] = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", "-f", metavar="PATH|URL", help="A file to attach; repeatable.")
    ] = None,
    schema: SchemaOption = None,
    reasoning: ReasoningOption = None,
    max_tokens: MaxTokensOption = None,
    temperature: TemperatureOption = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            metavar="KEY VALUE",
            help="Any other parameter, of LLMRequest or in the provider's own words; the value as JSON, else as text; "
            "repeatable.",
        ),
    ] = None,
    go_on: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the last conversation of this lockfile.")
    ] = False,
    load: Annotated[
        Path | None,
        typer.Option("--load", metavar="FILE", help="Go on with a conversation that /save wrote as JSON."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            "-t",
            metavar="NAME",
            help="Ask by llmring.templates/NAME.toml, beside the lockfile.",
            autocompletion=offers("templates"),
        ),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option("--var", metavar="NAME VALUE", help="What $NAME of the template stands for; repeatable."),
    ] = None,
    tools: Annotated[
        list[str] | None,
        typer.Option(
            "--tools",
            metavar="MODULE:FUNCTION",
            help="A typed function that the model may call, of this folder or installed; asks before each call; "
            "repeatable.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --tools: call without asking.")] = False,
    log: Annotated[
        bool | None,
        typer.Option("--log/--no-log", help="Keep what is asked and answered, for llmring log and llmring stats."),
    ] = None,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Wait for the whole answer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, when the answer is over.")] = False,
    no_history: Annotated[
        bool, typer.Option("--no-history", help="Keep neither what is typed nor what is said.")
    ] = False,
) -> None:
    """Ask a model, or talk with it.

    With a prompt or a pipe, the answer goes to standard output, what it used and cost to standard error. With
    neither, a terminal opens a conversation; /help in it lists its commands.

    The last conversation of each lockfile is kept for --continue, for you alone, in ~/.local/state/llmring; with
    --no-history, or LLMRING_HISTORY=off, it is not. With --log, or LLMRING_CHAT_LOG=1, each request is logged there.

    \b
    Example:
      llmring chat
      llmring chat "Why is the sky blue?"
      llmring chat "Name three rivers" --model fast --json | jq -r .content
      llmring chat "Prove it" --reasoning high --max-tokens 4000 -o timeout 120
      git diff | llmring chat "Review this change"
      llmring chat "What does it say?" --image receipt.png --schema receipt.schema.json
      llmring chat --continue "And then?"
      llmring chat --template translate --var language Danish "Good morning"
      llmring chat "Is it warm in Oslo?" --tools weather:get_weather
    """
    _check_argument(prompt, "PROMPT")
    _check_argument(system, "--system")
    fields = fields_of(option or (), "-o", reasoning_effort=reasoning, max_tokens=max_tokens, temperature=temperature)
    if load is not None and go_on:
        raise typer.BadParameter(
            "--continue is the last conversation, and --load another; take one", param_hint="--load"
        )
    if var and template is None:
        raise typer.BadParameter("it goes with --template", param_hint="--var")
    form = chosen(template) if template is not None else None
    values = values_of(var or ())
    asked = _tools(tools or [], yes=yes)
    if prompt is None and _on_a_terminal() and (form is None or form.prompt is None):
        wanted = Wanted(load, model, profile, system, fields, asked.functions, go_on=go_on)
        begin = (wanted if form is None else wanted.by(form, form.filled("", values)[1])).begin
        for given, name in ((as_json, "--json"), (schema, "--schema"), (no_stream, "--no-stream")):
            if given:
                raise typer.BadParameter(f'nothing was asked; {name} takes a prompt: llmring chat "..." {name}')
        from .conversation import converse

        converse(begin, profile, _attached(image, file), asked, keep_history=not no_history, on_event=listener(log))
        return
    if schema is not None:
        fields["response_format"] = response_format(schema)
    text = _asked(prompt, needed=form is None or form.prompt is None)
    wanted = Wanted(load, model, profile, system, fields, asked.functions, go_on=go_on)
    if form is not None:
        text, said = form.filled(text, values)
        wanted = wanted.by(form, said)
    question = Message(role="user", content=content_of(text, _attached(image, file)))
    hear_warnings()
    keeps = not no_history and is_kept()
    heard = listener(log)
    asyncio.run(
        _ask(wanted.begin, question, profile, asked, keeps=keeps, no_stream=no_stream, as_json=as_json, on_event=heard)
    )


def _tools(names: list[str], *, yes: bool) -> Asked:
    """The functions to call, and how to ask before."""
    if yes and not names:
        raise typer.BadParameter("it goes with --tools", param_hint="--yes")
    if names and not yes and not all(it is not None and it.isatty() for it in (sys.stdin, sys.stderr)):
        raise typer.BadParameter(
            "there is no terminal to ask on before each call; to have them called without: --yes", param_hint="--tools"
        )
    return Asked(named(names) if names else [], yes=yes)


def _on_a_terminal() -> bool:
    return all(it is not None and it.isatty() for it in (sys.stdin, sys.stdout))


def _check_argument(argument: str | None, name: str) -> None:
    """Refuse an argument with bytes that are no text: a model would be asked something else."""
    wrong = next((it for it, letter in enumerate(argument or "") if "\ud800" <= letter <= "\udfff"), None)
    if wrong is not None:
        what = "it is no UTF-8 text from its character {} on; the terminal, or the script, has another encoding"
        raise typer.BadParameter(what.format(wrong + 1), param_hint=name)


def _asked(prompt: str | None, *, needed: bool = True) -> str:
    """What to ask: what comes through the pipe, and the prompt about it; nothing only where it is not needed."""
    typed_in = sys.stdin is not None and sys.stdin.isatty()
    if prompt is None and typed_in:
        if not needed:
            return ""
        raise typer.BadParameter('nothing was asked. Try: llmring chat "Hello", or echo Hello | llmring chat')
    about = "" if prompt in (None, "-") else prompt or ""
    piped = "" if typed_in and prompt != "-" else _standard_input(needed=needed and not about)
    if piped.strip() and about.strip():
        return f"{piped.rstrip()}\n\n{about}"
    if not (text := piped if piped.strip() else about).strip() and needed:
        raise typer.BadParameter("the prompt is empty")
    return text


def _standard_input(*, needed: bool) -> str:
    """All the text on standard input. Where it is not needed, one that is not open for reading, as nohup gives it,
    says nothing."""
    if sys.stdin is None:
        return ""
    remark = "Reading standard input to its end before asking. To ask without it: llmring chat ... </dev/null"
    patience = threading.Timer(_PATIENCE, note, [remark])
    patience.daemon = True
    patience.start()
    try:
        data = sys.stdin.buffer.read()
    except (OSError, ValueError) as error:  # a ValueError says that it is closed
        number = getattr(error, "errno", None)
        if not needed and number in (None, errno.EBADF):
            return ""
        reason = getattr(error, "strerror", None) or error
        raise LLMRingError(
            f"standard input cannot be read: {reason}. "
            + ('Give the prompt itself: llmring chat "..."' if needed else "Without it: </dev/null")
        ) from None
    finally:
        patience.cancel()
    return decoded(data, "Standard input")


def _attached(images: list[str] | None, files: list[str] | None) -> list[dict[str, Any]]:
    return [*map(picture_part, images or ()), *map(file_part, files or ())]


def response_format(path: str) -> dict[str, Any]:
    """The form of the answer that a file with a JSON Schema asks for."""
    try:
        schema = json.loads(Path(os.path.expanduser(path)).read_bytes())
    except OSError as error:
        raise ConfigurationError(f"The schema {path} cannot be read: {error.strerror}.") from None
    except RecursionError:
        raise ConfigurationError(f"The schema {path} is nested too deeply.") from None
    except ValueError as error:
        raise ConfigurationError(f"The schema {path} is not JSON: {error}.") from None
    if not isinstance(schema, dict):
        raise ConfigurationError(f'{path} is no JSON Schema: it takes an object such as {{"type": "object", ...}}.')
    name = schema.get("title") or Path(path).name.partition(".")[0]
    return {"type": "json_schema", "json_schema": {"name": str(name), "schema": schema}}


async def _ask(
    begin: Callable[[LLMRing], Transcript],
    question: Message,
    profile: str | None,
    tools: Asked,
    *,
    keeps: bool,
    no_stream: bool,
    as_json: bool,
    on_event: list[Listener] | None,
) -> None:
    begun, line = monotonic(), Line()
    async with Service(profile=profile, on_event=on_event) as service:
        conversation = begin(service)
        formed = conversation.has_form
        shown = not (no_stream or as_json or formed)
        with contextlib.ExitStack() as waiting:
            waiting.enter_context(working(f"waiting for {conversation.model}"))
            hear_warnings(before=line.make_way)
            first = waiting.close if shown else None
            tools.pause = lambda _: waiting.close()
            try:
                asked = (
                    conversation.ask(question) if no_stream else _streamed(conversation, question, first, tools, line)
                )
                response = await asked
            except ProviderError as error:
                waiting.close()
                if error.partial is not None and not shown:
                    _show_partial(service, error, error.partial, as_json=as_json)
                raise
        turn = conversation.turns[-1]
        response = whole_of(turn, response)
        if pending := pending_of(turn):
            warn(
                f"the model calls {', '.join(pending)}, and no function of that name was given: --tools module:function"
            )
        elif keeps:
            keep(conversation)
        if as_json:
            say(_as_json(service, response))
            return
        text = _formed(response) if formed else response.content
        if not shown:
            line.stream(text)
        line.end()
        note(usage_line(response, service.calculate_cost(response).total, monotonic() - begun))


async def _streamed(
    conversation: Transcript, question: Message, first: Callable[[], None] | None, tools: Asked, line: Line
) -> LLMResponse:
    """The whole answer; `first` is called before it is shown while it arrives, and `None` shows nothing of it."""
    async with conversation.stream(question) as answer:
        try:
            async for step in answer:
                if isinstance(step, ToolResult):
                    tools.tell(step)
                elif isinstance(step, ToolCalled):
                    if first is not None:
                        first()
                        line.end()
                elif first is not None and step.delta:
                    first()
                    line.stream(step.delta)
        except BaseException as error:
            if not isinstance(error, BrokenPipeError):
                line.end()
            raise
        return (await answer.final_run()).response


def _show_partial(service: LLMRing, error: ProviderError, partial: LLMResponse, *, as_json: bool) -> None:
    """What had arrived of an answer that is not shown while it arrives."""
    if as_json:
        partial.finish_reason = None
        say(_as_json(service, partial, error))
    elif partial.content and partial.content not in str(error):
        note(f"What had arrived: {partial.content}")


def _formed(response: LLMResponse) -> str:
    """The answer in the form that was asked for, as JSON."""
    if response.parsed is None and response.finish_reason == "content_filter":
        raise LLMRingError(f"{response.model} withheld its answer (content_filter), so there is no JSON to print.")
    return json_text(response.parsed, is_for_people=True)


def _as_json(service: LLMRing, response: LLMResponse, error: LLMRingError | None = None) -> str:
    """All of an answer, or what had arrived of it before the error."""
    cost = asdict(service.calculate_cost(response))
    described: dict[str, Any] = {
        "model": response.model,
        "response_model": response.response_model,
        "content": response.content,
        "parsed": response.parsed,
        "reasoning": response.reasoning,
        "tool_calls": response.tool_calls,
        "finish_reason": response.finish_reason,
        "usage": response.usage,
        "cost": {key: cost[key] for key in ("input", "output", "total", "reason")},
    }
    if error is not None:
        described["error"] = {"class": type(error).__name__, "message": str(error)}
    return json_text(described)
