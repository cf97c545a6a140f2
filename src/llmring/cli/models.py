"""`llmring models`: what the catalogue knows, and what the providers list now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from .. import catalog
from ..catalog import ModelInfo
from ..exceptions import LLMRingError
from ..lockfile import Lockfile
from ..providers import kinds, listing
from ..providers.endpoints import endpoint
from ..vendors import SDKS
from .facts import as_data, facts_of, price, remark_in_list, tokens
from .project import lockfile_if_any, offers
from .status import KEYRING_WAITS, ask, keyring, status_of
from .terminal import note, say_json, say_table, warn, working

if TYPE_CHECKING:
    from ..providers.listing import ListedModel


def models(
    provider: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Those of one provider. Not given: openai, anthropic, google, and the lockfile's own.",
            autocompletion=offers("providers"),
        ),
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", "-s", metavar="TEXT", help="Those whose name or title has these words.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the providers, or the Ollama that runs here, what they serve now.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Retired ones too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List models, with their prices and windows.

    Prices are US dollars for a million tokens in and out ($/1M); a window is how many tokens fit. Those for chat come
    first, then those for pictures, speech and other uses. All of it is the catalogue's, which needs no network. With
    --live the models are those that the providers list now: all that have a key here, and Ollama; the status is 1 if
    one of these vendors does not answer. With --json, input_price, output_price and the like are US dollars for a
    million tokens, context_window and max_output_tokens are tokens, and what is not known is null.

    \b
    Example:
      llmring models --provider anthropic
      llmring models --search flash
      llmring models --live --provider ollama
      llmring models --json | jq -r '.[] | select(.input_price < 1) | .model'
    """
    lockfile = lockfile_if_any()
    found, failed = _served(provider, lockfile) if live else (catalogued(provider, lockfile), False)
    chosen = [info for info in found if has_words(info, search) and (every or live or not info.retired)]
    chosen.sort(key=lambda info: catalog.other_use(info.name) is not None)
    if as_json:
        say_json([as_data(info) for info in chosen])
    elif chosen:
        rows = [("MODEL", "$/1M IN", "$/1M OUT", "WINDOW", "REMARK")]
        for it in chosen:
            figures = price(it.input_price), price(it.output_price), tokens(it.context_window)
            rows.append((f"{it.provider}:{it.name}", *figures, remark_in_list(it)))
        say_table(rows, 1, 2, 3)
    if not chosen:
        note("No models." if not found else f"None of {len(found)} models. With the retired ones: --all")
    elif not live and provider is None and not as_json:
        note("Those of other providers: llmring models --provider NAME")
    if failed:
        raise typer.Exit(1)


def has_words(info: ModelInfo, search: str | None) -> bool:
    """Whether the name or the title of a model has all the words."""
    text = f"{info.provider}:{info.name} {info.title or ''}".lower()
    return all(word in text for word in (search or "").lower().split())


def catalogued(provider: str | None, lockfile: Lockfile | None) -> list[ModelInfo]:
    """The catalogue's models of a provider, or of the vendors and the lockfile's own."""
    declared = lockfile.providers if lockfile is not None else {}
    vendors = [name for name, sdk in SDKS.items() if not sdk.local]
    names = [provider] if provider is not None else dict.fromkeys((*vendors, *declared))
    found = []
    for name in names:
        settings = declared.get(name)
        found += catalog.models(name, base_url=settings.base_url if settings is not None else None)
    if provider is not None and not found:
        endpoint(provider, declared.get(provider), others=declared)
        raise LLMRingError(
            f"The catalogue lists no models of {provider}. "
            f"To ask it itself: llmring models --live --provider {provider}"
        )
    return found


def _served(provider: str | None, lockfile: Lockfile | None) -> tuple[list[ModelInfo], bool]:
    """What the providers list; where several are asked, those that answer, and whether one did not that should."""
    with working("Looking for keys"):
        names = [provider] if provider is not None else _usable(lockfile)
    answers = ask(names)
    found: list[ModelInfo] = []
    failed = False
    for name, answer in answers.items():
        if not isinstance(answer, LLMRingError):
            found += [_merged(facts_of(f"{name}:{listed.name}", lockfile), listed) for listed in answer]
        elif provider is not None:
            raise answer
        elif _is_local(name, lockfile) or isinstance(answer, listing.NoListing):
            note(f"{answer}")
        else:
            failed = True
            warn(f"{answer}")
    if all(isinstance(answer, LLMRingError) for answer in answers.values()):
        raise LLMRingError("No provider listed its models. To see which keys are set here: llmring providers")
    return found, failed


def _is_local(name: str, lockfile: Lockfile | None) -> bool:
    place = status_of(name, lockfile, keyring()).endpoint
    return place is not None and place.dialect is not None and place.dialect.local


def _usable(lockfile: Lockfile | None) -> list[str]:
    """The providers that can be asked here: those with a key, those that the lockfile declares, and Ollama."""
    declared = lockfile.providers if lockfile is not None else {}
    local = [name for name, sdk in SDKS.items() if sdk.local]
    usable, keys = [], keyring()
    for name in dict.fromkeys((*kinds.names(), *declared)):
        place = status_of(name, lockfile, keys)
        wanted = name in declared or name in local or place.key_source is not None
        if wanted and place.lacks is None:
            usable.append(name)
        elif wanted:
            note(f"Not asked: {place.lacks}")
    if keys.waits:
        note(KEYRING_WAITS)
    return usable


def _merged(info: ModelInfo, listed: ListedModel) -> ModelInfo:
    """What the catalogue knows, with what the provider itself says in its place."""
    said = {
        key: value
        for key in ("context_window", "max_output_tokens", "retires")
        if (value := getattr(listed, key)) is not None
    }
    return replace(info, **said, deprecated=info.deprecated or listed.retires is not None)
