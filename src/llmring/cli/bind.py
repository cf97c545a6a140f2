"""`llmring bind` and `unbind`: who serves an alias."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import catalog
from .. import lockfile as lockfiles
from ..exceptions import ConfigurationError, LockfileNotFoundError
from ..lockfile import Lockfile, find_lockfile, rendering, secrets_in
from ..lockfile.extends import declare
from ..providers import kinds
from ..providers.endpoints import near_name
from ..references import FILE_NAME, shown, split_reference
from .facts import facts_of, not_listed, of_some_provider
from .policies import policy_words
from .project import ProfileOption, WrittenOption, argument, lockfile_path
from .terminal import note, say_json, warn, working


def bind(
    ctx: typer.Context,
    alias: Annotated[str, argument("ALIAS", "The name that programs ask for.", "aliases")],
    models: Annotated[
        str, argument("MODEL[,MODEL...]", "provider:model; the first serves, the rest stand by.", "models")
    ],
    profile: ProfileOption = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="WEIGHTS",
            help="Shares of first place, one for each model: 90,10; or none.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if no provider of that name is known.")] = False,
    as_json: WrittenOption = False,
) -> None:
    """Bind an alias to a model, or to several.

    The first model serves, the rest stand by; with --split, each serves its share first. A profile that is not there
    yet is made, and so is the lockfile. Comments, order and everything else in the file stay as they are. A provider
    that is neither built in nor declared in the file is refused.

    \b
    Example:
      llmring bind chatbot anthropic:claude-haiku-5-5
      llmring bind chatbot anthropic:claude-haiku-5-5,openai:gpt-6-luna
      llmring bind chatbot anthropic:claude-haiku-5-5,openai:gpt-6-luna --split 90,10
      llmring bind chatbot ollama:llama3.2 --profile dev --json
    """
    named = _listed(ctx, models)
    weights = _weights(split) if split is not None else None
    path = find_lockfile() or Path(FILE_NAME).absolute()
    try:
        before, new_text = lockfiles.load(path), ""
    except LockfileNotFoundError:
        new_text = rendering.new_text(as_json=path.suffix == ".json")
        before = lockfiles.parse(new_text.encode(), path)
    wanted = list(dict.fromkeys(named))
    for model in wanted:
        if said := check_provider(model, before, force=force):
            warn(said)
    with working(f"Writing {path.name}"):
        if new_text:
            lockfiles.create(path, new_text)
        lockfile = lockfiles.bind(path, alias, wanted, profile=profile, weights=weights)
    chosen = profile or lockfile.default_profile
    if new_text:
        note(f"Made {path}. Commit it: it holds no key.")
    elif chosen not in before.profiles:
        note(f'The profile "{chosen}" is new. There were: {", ".join(before.profiles)}.')
    if len(wanted) < len(named):
        note("A model that is named twice is bound once.")
    for model in wanted:
        if said := doubt_of(model, lockfile):
            warn(f"{said} It is bound.")
    if as_json:
        say_json({"file": str(lockfile.path), "profile": chosen, "alias": alias, "models": wanted})
        return
    first, *rest = wanted
    behind = f", with {', '.join(rest)} standing by" if rest else ""
    if said := policy_words(lockfile.profile(chosen).bindings[alias]).get("split"):
        behind = f"{behind}; first place: {said}"
    note(f'{alias} is served by {first}{behind} (profile "{chosen}" of {lockfile.path})', dim=False)


def _weights(split: str) -> list[float]:
    """The weights that were named; of `none`, none."""
    if split == "none":
        return []
    try:
        found = [float(it) for it in split.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{shown(split)} is no list of weights; write them as in 90,10, or none") from None
    return [int(it) if it.is_integer() else it for it in found]


def _listed(ctx: typer.Context, models: str) -> list[str]:
    """The models that were named, in one word."""
    if ctx.args:
        together = ",".join(it.strip(",") for it in (models, *ctx.args))
        raise typer.BadParameter(f"separate models by commas: {shown(together)}", param_hint="MODEL[,MODEL...]")
    named = [model.strip() for model in models.split(",")]
    if "" in named and any(named):
        raise ConfigurationError(f"There is a comma too many in {shown(models)}. Take it out")
    return named


def check_provider(reference: str, lockfile: Lockfile, *, force: bool = False) -> str | None:
    """Refuse a model whose provider nobody knows; with force, only say so. `None` where it is known."""
    try:
        provider, name = split_reference(reference)
    except ConfigurationError as error:
        if meant := of_some_provider(reference):
            raise ConfigurationError(f"{error}. Did you mean {meant}?") from None
        raise
    if provider in lockfile.providers or secrets_in([reference]) or kinds.origin_of(provider) is not None:
        return None  # a secret is refused by whoever writes, and not repeated here
    meant = f"{near_name(provider, lockfile.providers) or provider}:{name}"
    near = next(iter(catalog.nearest(meant, limit=1)), meant if meant != reference else None)
    problem = (
        f'There is no provider "{provider}".{f" Did you mean {near}?" if near else ""} '
        f"For another endpoint, add to the lockfile: {declare(lockfile, provider)}."
    )
    if not force:
        raise ConfigurationError(f"{problem} To bind it all the same: --force")
    return problem


def doubt_of(reference: str, lockfile: Lockfile) -> str | None:
    """What looks odd about a model. It may be bound all the same: catalogues are never complete."""
    info = facts_of(reference, lockfile)
    if said := not_listed(info):
        return said
    declared = lockfile.providers.get(info.provider)
    if info.own_host and (declared is None or declared.base_url is None):
        # The environment leads to a host of one's own, but the file goes to others, too.
        said = not_listed(catalog.model_info(reference))
        return said and f"{said} Only the host of your own may have it."
    if info.retired:
        return f"{reference} is retired; its last day was {info.retires}."
    if info.deprecated:
        return f"{reference} is deprecated by its vendor{f'; its last day is {info.retires}' if info.retires else ''}."
    return None


def unbind(
    alias: Annotated[str, argument("ALIAS", "The alias to take out.", "aliases")],
    profile: ProfileOption = None,
    as_json: WrittenOption = False,
) -> None:
    """Take an alias out of the lockfile.

    \b
    Example:
      llmring unbind chatbot
      llmring unbind chatbot --profile dev --json
    """
    path = lockfile_path()
    with working(f"Writing {path.name}"):
        lockfile = lockfiles.unbind(path, alias, profile=profile)
    chosen = profile or lockfile.default_profile
    if as_json:
        say_json({"file": str(lockfile.path), "profile": chosen, "alias": alias, "models": []})
        return
    note(f'{alias} is no longer bound (profile "{chosen}" of {lockfile.path})', dim=False)
