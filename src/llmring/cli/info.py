"""`llmring info`: all that is known of one alias or model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import LLMRingError
from . import completion
from .figures import price, remark, tokens
from .known import described, key_of, known_of, lockfile_if_any
from .printing import say_json
from .project import ProfileOption
from .terminal import columns, paint, say, warn

if TYPE_CHECKING:
    from ..catalog import ModelInfo, PriceTier
    from ..lockfile import Binding, Lockfile

__all__ = ["info"]


def info(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="An alias, or a provider:model.",
            show_default=False,
            autocompletion=completion.names,
        ),
    ],
    profile: ProfileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is known of an alias or a model.

    Of an alias: who serves it, who stands by, and with which params. Of each model: what a million tokens cost,
    how much fits into its window, whether its end is announced, and which key it needs.

    \b
    Example:
      llmring info chatbot
      llmring info anthropic:claude-haiku-5-5
      llmring info openai:gpt-6-luna --json | jq .context_window
    """
    from ..lockfile import resolve
    from .progress import working

    lockfile = lockfile_if_any()
    binding = resolve(lockfile, name, profile if lockfile is not None else None)
    models = [known_of(reference, lockfile) for reference in binding.models]
    _refuse_nonsense(name, binding, models, lockfile)
    with working("Looking for keys"):
        keys = {model.provider: key_of(model.provider, lockfile) for model in models}
    if as_json:
        listed = [described(model) | {"key": keys[model.provider]} for model in models]
        say_json({"name": name, "params": dict(binding.params), "models": listed})
        return
    if binding.models != (name,):
        _print_alias(binding)
        say()
    for number, model in enumerate(models):
        say("\n" * (number > 0) + paint(f"{model.provider}:{model.name}", bold=True))
        say(columns(_rows(model, keys[model.provider]), indent="  "))
        _question(model)


def _refuse_nonsense(name: str, binding: Binding, models: list[ModelInfo], lockfile: Lockfile | None) -> None:
    """A provider:model that names no provider is a slip, perhaps of an alias."""
    from ..catalog import nearest
    from ..lockfile.extends import unknown_provider

    (model, *_) = models
    problem = key_of(model.provider, lockfile)
    if binding.models == (name,) and problem["needed"] is None and not model.known:
        near = ", ".join(nearest(name))
        said = f"{problem['problem']}{f' Models of such a name: {near}.' if near else ''}"
        raise LLMRingError(unknown_provider(lockfile, name, said))


def _print_alias(binding: Binding) -> None:
    rows = [("serves", binding.models[0])]
    rows += [("stands by" if not number else "", model) for number, model in enumerate(binding.models[1:])]
    rows += [("params", ", ".join(f"{key} = {value!r}" for key, value in binding.params.items()))]
    say(paint(binding.alias, bold=True))
    say(columns([row for row in rows if row[1]], indent="  "))


def _rows(model: ModelInfo, key: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("title", model.title or ""),
        ("price", _prices(model) or ("none: it runs at a host of your own" if model.own_host else "not known")),
    ]
    rows += [("", f"{_prices(tier)} with a prompt above {tokens(tier.above)} tokens") for tier in model.tiers]
    rows += [
        ("window", f"{model.context_window:,} tokens" if model.context_window else "not known"),
        ("output", f"at most {model.max_output_tokens:,} tokens" if model.max_output_tokens else ""),
        ("status", _status(model)),
        ("key", _key(key)),
    ]
    return [row for row in rows if row[1]]


def _prices(rates: ModelInfo | PriceTier) -> str:
    """For a million tokens; empty where neither side is known."""
    if rates.input_price is None and rates.output_price is None:
        return ""
    parts = [f"{price(rates.input_price)} in", f"{price(rates.output_price)} out"]
    parts += [f"{price(rates.cache_read_price)} read from a cache"] if rates.cache_read_price is not None else []
    parts += [f"{price(rates.cache_write_price)} written to one"] if rates.cache_write_price is not None else []
    return ", ".join(parts)


def _status(model: ModelInfo) -> str:
    from ..catalog import successor

    if not (said := remark(model)):
        return ""
    following = successor(f"{model.provider}:{model.name}")
    return f"{said}{f'; its successor is {following}' if following else ''}"


def _key(key: dict[str, Any]) -> str:
    if key["needed"] is None:
        return "there is no such provider here"
    if key["problem"]:
        return str(key["problem"])
    if key["source"]:
        return f"{key['source']} is set" if key["source"] in key["variables"] else f"in {key['source']}"
    return "none needed"


def _question(model: ModelInfo) -> None:
    """Say so where the catalogue, which lists this provider's models, lacks this one."""
    from ..catalog import covers, nearest

    if not (model.known or model.own_host) and covers(model.provider):
        near = ", ".join(nearest(f"{model.provider}:{model.name}"))
        warn(f'The catalogue does not know "{model.name}" of {model.provider}.{f" Near it: {near}." if near else ""}')
