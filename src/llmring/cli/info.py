"""`llmring info` and `llmring lock show`: all that is known of an alias or a model, and of all that a profile binds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from .. import catalog
from ..capabilities import Capabilities
from ..catalog import ModelInfo, PriceTier
from ..exceptions import LLMRingError
from ..lockfile import Binding, Lockfile, resolve
from ..lockfile.extends import unknown_provider
from . import abilities
from .facts import as_data, facts_of, not_listed, price, remark, tokens, unpriced
from .policies import policy_words, remarks_of
from .project import ProfileOption, argument, bindings_in, lockfile_if_any, open_lockfile, params_data, params_of
from .status import Status, keyring, status_of
from .terminal import columns, note, paint, say, say_json, say_table, warn, working


def info(
    name: Annotated[str, argument("NAME", "An alias, or a provider:model.", "names")],
    profile: ProfileOption = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the providers what the models can do.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is known of an alias or a model.

    Of an alias: who serves it, who stands by, and with which params. Of each model: what a million tokens cost,
    how much fits into its window, what it can do, and by whom that is said, whether its end is announced, and which key
    it needs. With --live the providers are asked what their models can do; else nobody is.

    \b
    Example:
      llmring info chatbot
      llmring info anthropic:claude-haiku-5-5
      llmring info ollama:llama3.2 --live
      llmring info openai:gpt-6-luna --json | jq .context_window
    """
    lockfile = lockfile_if_any()
    binding = resolve(lockfile, name, profile if lockfile is not None else None)
    with working("Looking for keys"):
        models = [facts_of(reference, lockfile) for reference in binding.models]
        keys = _keys(models, lockfile)
    _refuse_nonsense(name, binding, models[0], keys, lockfile)
    caps = (abilities.asked if live else abilities.known)(binding.models, lockfile)
    if as_json:
        described = [
            _as_data(it, keys) | {"capabilities": abilities.as_data(caps[reference])}
            for reference, it in zip(binding.models, models, strict=True)
        ]
        say_json({"name": name, **params_data(binding), "models": described})
        return
    if binding.models != (name,):
        rows = [("serves", binding.models[0])]
        rows += [("stands by" if not number else "", model) for number, model in enumerate(binding.models[1:])]
        rows += [("params", params_of(binding)), *policy_words(binding).items()]
        say(paint(binding.alias, bold=True))
        say(columns([row for row in rows if row[1]], indent="  "))
        say()
    for number, model in enumerate(models):
        say("\n" * (number > 0) + paint(f"{model.provider}:{model.name}", bold=True))
        say(columns(_rows(model, keys[model.provider], caps[binding.models[number]]), indent="  "))
        if said := not_listed(model):
            warn(f"T{said[1:]}")


def show(
    profile: ProfileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the lockfile resolved.

    Every alias of the profile, those of extended packages too: who serves it, who stands by (below it), what a
    million tokens cost in and out, how much fits into the window, and whether the key that it needs is set.

    \b
    Example:
      llmring lock show
      llmring lock show --profile dev
      llmring lock show --json | jq '.aliases.chatbot.models[0].key'
    """
    lockfile = open_lockfile()
    chosen = lockfile.profile(profile)
    bindings = bindings_in(lockfile, chosen)
    with working("Looking for keys"):
        models = {it: facts_of(it, lockfile) for binding in bindings.values() for it in binding.models}
        keys = _keys(models.values(), lockfile)
    if as_json:
        described = {
            "file": str(lockfile.path),
            "profile": chosen.name,
            "profiles": list(lockfile.profiles),
            "default_profile": lockfile.default_profile,
            "extends": list(lockfile.extends),
            "aliases": {
                alias: {**params_data(it), "models": [_as_data(models[model], keys) for model in it.models]}
                for alias, it in bindings.items()
            },
        }
        say_json(described)
        return
    others = [name for name in lockfile.profiles if name != chosen.name]
    also = f" (there is also {', '.join(others)})" if others else ""
    head = [("File", str(lockfile.path)), ("Profile", f"{chosen.name}{also}")]
    head += [("Extends", ", ".join(lockfile.extends))] if lockfile.extends else []
    say(columns(head))
    if not bindings:
        note(f'No aliases in the profile "{chosen.name}". Bind one: llmring bind ALIAS provider:model')
        return
    say()
    rows = [("ALIAS", "MODEL", "IN", "OUT", "WINDOW", "KEY", "REMARKS")]
    for alias, binding in bindings.items():
        for number, reference in enumerate(binding.models):
            model = models[reference]
            figures = price(model.input_price), price(model.output_price), tokens(model.context_window)
            remarks = "; ".join(
                filter(
                    None,
                    (
                        remark(model) or unpriced(model),
                        "" if number else params_of(binding),
                        *remarks_of(binding, number),
                    ),
                )
            )
            names = ("", f"  {reference}") if number else (alias, reference)
            rows.append((*names, *figures, _key_in_table(keys[model.provider]), remarks))
    say_table(rows, 2, 3, 4)


def _keys(models: Iterable[ModelInfo], lockfile: Lockfile | None) -> dict[str, Status]:
    """How the providers of models stand; their keys have been looked for, which may take a while."""
    ring = keyring()
    keys = {name: status_of(name, lockfile, ring) for name in dict.fromkeys(model.provider for model in models)}
    for status in keys.values():
        _ = status.key, status.lacks
    return keys


def _as_data(model: ModelInfo, keys: Mapping[str, Status]) -> dict[str, Any]:
    status = keys[model.provider]
    tools = {"tools": status.endpoint.tools} if status.endpoint and status.endpoint.tools else {}
    return as_data(model) | {"key": status.key_data() | {"problem": status.lacks}} | tools


def _key_in_table(status: Status) -> str:
    if status.key_said:
        return status.key_said
    if status.needs_key:
        return f"{' or '.join(status.key_variables)} (not set)"
    return "none needed" if status.needs_key is False else "no such provider"


def _refuse_nonsense(
    name: str, binding: Binding, model: ModelInfo, keys: Mapping[str, Status], lockfile: Lockfile | None
) -> None:
    """A provider:model that names no provider is a slip, perhaps of an alias."""
    status = keys[model.provider]
    if binding.models == (name,) and status.endpoint is None and not model.known:
        near = ", ".join(catalog.nearest(name))
        said = f"{status.lacks}{f' Models of such a name: {near}.' if near else ''}"
        raise LLMRingError(unknown_provider(lockfile, name, said))


def _rows(model: ModelInfo, status: Status, caps: Capabilities) -> list[tuple[str, str]]:
    window, most = caps.context_window, caps.max_output_tokens
    rows = [
        ("title", model.title or ""),
        ("price", _prices(model) or ("none: it runs at a host of your own" if model.own_host else "not known")),
    ]
    rows += [("", f"{_prices(tier)} with a prompt above {tokens(tier.above)} tokens") for tier in model.tiers]
    rows += [
        ("window", f"{window.value:,} tokens ({abilities.said_by(window)})" if window.value else "not known"),
        ("output", f"at most {most.value:,} tokens ({abilities.said_by(most)})" if most.value else ""),
        *abilities.rows(caps),
        ("status", _status(model)),
        ("key", _key(status)),
        ("tools", (status.endpoint and status.endpoint.tools) or ""),
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
    if not (said := remark(model)):
        return ""
    following = catalog.successor(f"{model.provider}:{model.name}")
    return f"{said}{f'; its successor is {following}' if following else ''}"


def _key(status: Status) -> str:
    if status.endpoint is None:
        return "there is no such provider here"
    if status.lacks:
        return status.lacks
    if source := status.key_source:
        return f"{source} is set" if source in status.key_variables else f"in {source}"
    return "none needed"
