"""`llmring lock chat`: say in words what is needed; an alias's model proposes bindings, a person's yes writes them.

What the model says is judged by the same rules as what a person types: the names of aliases, the form of models, the
catalogue, and which providers can be asked here. What does not pass is refused whole.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field

from .. import catalog
from ..catalog import ModelInfo
from ..exceptions import LLMRingError
from ..lockfile import Lockfile, Proposal, load, propose, secrets_in
from ..providers import kinds
from ..references import shown, split_reference
from ..schemas import LLMRequest, Message
from ..vendors import BUILT_IN
from .diff import data_of_change, show_change
from .facts import facts_of, not_listed, price, tokens
from .project import ProfileOption, argument, default_model, lockfile_path, offers
from .status import ask, keyring, status_of
from .terminal import note, say, say_json, warn, working
from .trust import Service, require_for_model

_MOST = 150
"""Models of one provider that the model is told of; it may propose others of the catalogue."""
_YES, _NO = ("y", "yes"), ("", "n", "no", "q", "quit", "exit")
_CHANGES = 20
"""Bindings in one proposal, at most: a person is to read all of them."""


class Suggested(BaseModel):
    """One binding, as the model is to say it."""

    model_config = ConfigDict(extra="forbid")

    alias: str = Field(description="The alias to bind: one word.")
    models: list[str] = Field(
        description="provider:model references as they stand in the list, the one that serves first, then stand-bys. "
        "Empty to take the alias out."
    )
    why: str = Field(description="Why these, in one short sentence.")


class Suggestion(BaseModel):
    """The model's whole answer."""

    model_config = ConfigDict(extra="forbid")

    bindings: list[Suggested] = Field(description="Only what is to change. Empty if nothing fits.")
    remark: str = Field(description="What the person should know or is to be asked; may be empty.")


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be proposed here.

    Attributes:
        models: by provider; those of the catalogue, or those that a server of one's own lists.
        lacks: what keeps each other provider from being asked.
    """

    models: Mapping[str, Mapping[str, ModelInfo]]
    lacks: Mapping[str, str]


def chat(
    wish: Annotated[str | None, argument("WISH", "What you need, in your words; not given, a terminal asks.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="ALIAS",
            help="Who proposes: an alias or a provider:model. Not given: chatbot, else balanced, else the first alias.",
            autocompletion=offers("names"),
        ),
    ] = None,
    profile: ProfileOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write what is proposed, without being asked.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the diff; never asks.")
    ] = False,
) -> None:
    """Say in words what you need, and have a model propose bindings.

    The model is told your words, the aliases that are bound, and which models can be had here, at what price. What it
    proposes is held to the catalogue and to the providers that are set up, and shown as lock diff shows changes. The
    file is written on a yes, or with --yes; any other answer goes to the model, which proposes anew. With no terminal
    to ask on, the status is 1 and nothing changes.

    \b
    Example:
      llmring lock chat "a cheap model for sorting mail, with a stand-by of another vendor"
      llmring lock chat "something that reads pictures, as vision" --model balanced
      llmring lock chat "drop the alias old" --yes
    """
    path = lockfile_path()
    lockfile = load(path)
    asks = _on_a_terminal() and not (yes or as_json)
    wish = wish if wish is not None else (_answer("What do you need? ") if asks else None)
    if not (wish or "").strip():
        raise LLMRingError('Nothing was asked for. Say what you need: llmring lock chat "a cheap model as fast"')
    who = model or default_model(profile)
    require_for_model(who, profile)
    with working("Looking at what can be had here"):
        offer = offered(lockfile)
    talk = _Talk(who, profile, offer, lockfile, [Message(role="user", content=wish)])
    while True:
        suggestion, proposal, refused = talk.next(path)
        if as_json:
            written = bool(proposal and yes)
            if written and proposal is not None:
                proposal.write()
            say_json(_described(path, suggestion, proposal, refused, written=written))
            if not written:
                raise typer.Exit(1)
            return
        _show(suggestion, proposal, refused)
        if proposal and yes:
            _write(proposal)
            return
        if not asks:
            _stop(proposal)
        said = _answer("Write it? yes, no, or what to change: " if proposal else "Say it otherwise, or no: ")
        if said.lower() in _YES and proposal:
            _write(proposal)
            return
        if said.lower() in (*_NO, *_YES):
            note("Nothing was changed.", dim=False)
            raise typer.Exit(1)
        talk.messages.append(Message(role="user", content=said))


class _Talk:
    """The words that go to and fro, and what came of the last ones."""

    def __init__(
        self, model: str, profile: str | None, offer: Offer, lockfile: Lockfile, messages: list[Message]
    ) -> None:
        self.messages = messages
        self._model, self._profile = model, profile
        self._offer = offer
        self._system = Message(role="system", content=_instructions(offer, lockfile, profile))

    def next(self, path: Path) -> tuple[Suggestion, Proposal | None, list[str]]:
        """What the model proposes now; `None`, and why, where that is refused. It is told once, and asked again."""
        for again in (False, True):
            with working(f"Asking {self._model}"):
                suggestion = asyncio.run(self._asked())
            proposal, refused = judged(suggestion, path, self._offer, self._profile)
            if not refused or again:
                break
            words = "\n".join(f"- {it}" for it in refused)
            self.messages.append(
                Message(role="user", content=f"That cannot be bound:\n{words}\nPropose only models of the list.")
            )
        return suggestion, proposal, refused

    async def _asked(self) -> Suggestion:
        async with Service() as service:
            request = LLMRequest(
                model=self._model,
                messages=[self._system, *self.messages],
                response_format=Suggestion,
                retries_on_misfit=1,
            )
            response = await service.chat(request, profile=self._profile)
        if not isinstance(response.parsed, Suggestion):
            raise LLMRingError(f"{response.model} proposed nothing that can be read. Nothing was changed.")
        self.messages.append(response.to_message())
        return response.parsed


# What may be proposed


def offered(lockfile: Lockfile) -> Offer:
    """What can be had here: of providers that have what they need, and of this machine's own servers that answer."""
    keys = keyring()
    models: dict[str, dict[str, ModelInfo]] = {}
    lacks: dict[str, str] = {}
    local = []
    for name in dict.fromkeys((*kinds.names(), *lockfile.providers)):
        status = status_of(name, lockfile, keys)
        row = BUILT_IN.get(name)
        if status.problem is not None:
            lacks[name] = status.problem
        elif row is not None and row.local and name not in lockfile.providers:
            local.append(name)
        else:
            settings = lockfile.providers.get(name)
            entries = catalog.models(name, base_url=settings.base_url if settings is not None else None)
            models[name] = {it.name: it for it in entries if not it.deprecated and catalog.other_use(it.name) is None}
    for name, answer in ask(local).items():
        if isinstance(answer, LLMRingError):
            lacks[name] = str(answer)
        else:
            models[name] = {it.name: facts_of(f"{name}:{it.name}", lockfile) for it in answer}
    for profile in lockfile.profiles.values():  # what a person has bound is known to be had
        for binding in profile.bindings.values():
            for reference in binding.models:
                provider, name = split_reference(reference)
                if provider not in lacks:
                    models.setdefault(provider, {}).setdefault(name, facts_of(reference, lockfile))
    return Offer(models, lacks)


def judged(suggestion: Suggestion, path: Path, offer: Offer, profile: str | None) -> tuple[Proposal | None, list[str]]:
    """The edit that was proposed, and why it is refused; there is none where there is a reason, or nothing to do."""
    lockfile = load(path)
    bindings: dict[str, Sequence[str] | None] = {}
    refused: list[str] = []
    for one in suggestion.bindings:
        if one.alias in bindings:
            refused.append(f"The alias {shown(one.alias)} is proposed twice.")
        bindings[one.alias] = one.models or None
        refused += (said for model in dict.fromkeys(one.models) if (said := _against(model, offer, lockfile)))
    if len(bindings) > _CHANGES:
        refused.append(f"{len(bindings)} bindings at once are more than a person reads; {_CHANGES} is the most.")
    if refused or not bindings:
        return None, refused
    try:
        proposal = propose(path, bindings, profile=profile)
    except LLMRingError as error:
        return None, [str(error)]
    return proposal or None, []


def _against(reference: str, offer: Offer, lockfile: Lockfile) -> str | None:
    """What speaks against a model; `None` where nothing does."""
    if secrets_in([reference]):
        return "What looks like a secret is no model, and is not repeated here."
    try:
        provider, name = split_reference(reference)
    except LLMRingError as error:
        return str(error)
    if why := offer.lacks.get(provider):
        return f"{shown(reference)}: {why}"
    if provider not in offer.models:
        return f"{shown(reference)}: there is no provider {shown(provider)} here."
    if name in offer.models[provider]:
        return None
    settings = lockfile.providers.get(provider)
    info = catalog.model_info(reference, base_url=settings.base_url if settings is not None else None)
    if said := not_listed(info):
        return f"{shown(reference)}: {said}"
    if info.retired or info.deprecated:
        return f"{shown(reference)} is on its way out{f'; its last day is {info.retires}' if info.retires else ''}."
    if use := catalog.other_use(name):
        return f"{shown(reference)} is for {use}, not for chat."
    if info.own_host or not info.known or info.taken_for is not None:
        return f"{shown(reference)}: nobody here knows such a model. To bind it all the same: llmring bind"
    return None


# What the model is told


def _instructions(offer: Offer, lockfile: Lockfile, profile: str | None) -> str:
    bound = "\n".join(_bound(lockfile, profile)) or "none"
    listed = "\n".join(_listed(offer))
    return (
        "You help somebody to choose which models serve the aliases of a program. A program names an alias; a file "
        "binds it to models, of which the first serves and the rest stand by for when it fails. Propose the bindings "
        "that the person asks for, and nothing beside. Take models only from the list, written exactly as there. "
        "Prefer few stand-bys, of another provider. If nothing fits, propose nothing and say why in the remark.\n\n"
        f"Bound now:\n{bound}\n\n"
        "The models that can be had, with US dollars for a million tokens in and out, and the window in tokens:\n"
        f"{listed}"
    )


def _bound(lockfile: Lockfile, profile: str | None) -> Iterator[str]:
    chosen = lockfile.profiles.get(profile or lockfile.default_profile)
    for binding in chosen.bindings.values() if chosen is not None else ():
        yield f"{binding.alias} = {', '.join(binding.models)}"


def _listed(offer: Offer) -> Iterator[str]:
    for provider, models in offer.models.items():
        for info in list(models.values())[:_MOST]:
            able = ", ".join(fact for fact, value in catalog.abilities(info.name)[0].items() if value is True)
            figures = f"{price(info.input_price)} {price(info.output_price)} {tokens(info.context_window)}"
            yield f"{provider}:{info.name} {figures}{f' ({able})' if able else ''}"


# What the person sees


def _show(suggestion: Suggestion, proposal: Proposal | None, refused: Sequence[str]) -> None:
    for reason in refused:
        warn(reason)
    if refused:
        note("So the proposal was refused.", dim=False)
    elif proposal is None:
        note("Nothing to change was proposed.", dim=False)
    else:
        show_change(proposal.before, proposal.after)
        say()
        for one in suggestion.bindings:
            note(f"{one.alias}: {_sentence(one.why)}", dim=False)
    if suggestion.remark.strip():
        note(_sentence(suggestion.remark), dim=False)


def _sentence(words: str) -> str:
    """What a model says, on one line that a person reads."""
    return " ".join(words.split())[:500]


def _described(
    path: Path, suggestion: Suggestion, proposal: Proposal | None, refused: Sequence[str], *, written: bool
) -> dict[str, Any]:
    return {
        "file": str(path),
        "written": written,
        "bindings": [it.model_dump() for it in suggestion.bindings],
        "remark": suggestion.remark,
        "refused": list(refused),
        "change": data_of_change(proposal.before, proposal.after) if proposal is not None else None,
    }


def _write(proposal: Proposal) -> None:
    with working(f"Writing {proposal.path.name}"):
        proposal.write()
    note(f"Changed {proposal.path}.", dim=False)


def _stop(proposal: Proposal | None) -> None:
    if proposal is None:
        note("Nothing was changed.")
        raise typer.Exit(1)
    raise LLMRingError(
        "Nothing was changed: there is no terminal to ask on. To write what is proposed: llmring lock chat ... --yes"
    )


def _on_a_terminal() -> bool:
    return all(it is not None and it.isatty() for it in (sys.stdin, sys.stderr))


def _answer(question: str) -> str:
    """A line that the person types; empty where they are done."""
    try:
        typed: str = typer.prompt(question.rstrip(), default="", show_default=False, prompt_suffix=" ", err=True)
    except typer.Abort:
        note()
        return ""
    return typed.strip()
