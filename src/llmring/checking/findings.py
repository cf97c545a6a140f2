"""What a check has found; and what it finds of models: whether one can serve, and which bound ones end.

That is by its provider, its SDK, and what the catalogue says of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .. import catalog
from ..exceptions import ConfigurationError, ProviderNotFoundError
from ..lockfile import Lockfile
from ..lockfile.extends import declare, to_extend
from ..providers.creation import how_to_install, installed_version
from ..providers.endpoints import Endpoint, endpoint, near_name
from ..providers.kinds import BUILT, origin_of
from ..references import shown, split_reference
from ..vendors import BUILT_IN, SDKS

__all__ = ["CODES", "Ending", "Finding", "Mention", "Severity", "Spot", "check_models", "endings"]

Severity = Literal["error", "warning"]
"""An error is wrong now; a warning is to be looked at."""

CODES: Mapping[str, str] = {
    "lockfile-invalid": "the lockfile cannot be read",
    "key-misspelt": "a key that llmring does not know is nearly one that it does",
    "params-misplaced": "a parameter of requests stands where it does nothing, and not in params",
    "key-misplaced": "a key of another table, or of the old form of a binding, stands where it does nothing",
    "models-repeated": "a binding names a model twice",
    "extends-unresolved": "a package of [extends] is not installed, or ships no valid lockfile",
    "params-invalid": "no request can be made with the params of an alias",
    "params-refused": "a model refuses a parameter that the params of its alias, or the code, set",
    "params-foreign": "a parameter of one vendor's API goes to a stand-by of another, too",
    "budget-unpriced": "an alias has a budget, and one of its models no known price, so that it is never asked",
    "rate-narrow": "the answers that the params of an alias ask for do not fit into its rate",
    "hedge-idle": "an alias is hedged, and has its provider run tools, which are not run twice",
    "constraints-idle": "what llmring 1.x kept in the `constraints` of a binding does nothing",
    "tools-unknown": "`tools` of a binding or a provider names no way in which models are told of tools",
    "provider-unknown": "a model's provider is neither built in nor declared, and no package brings it",
    "provider-broken": "the package that brings a provider cannot be imported, or two bring it",
    "address-missing": "a provider of a name of your own has no base_url, so it is where its SDK's vendor is",
    "key-over-http": "a provider's key goes over plain http to another machine",
    "key-foreign": "a provider is given a variable that is, by its name, somebody else's",
    "sdk-missing": "a provider's SDK is not installed",
    "model-malformed": "a model is not written as provider:model",
    "model-unknown": "the catalogue lists the provider's models, and this one is not among them",
    "model-unable": "a model cannot take what the params of its alias, or the code, ask for",
    "models-unmatched": "a [models] table is of no model that is bound, or named in the code",
    "model-retired": "a model's last day of service has passed",
    "model-retiring": "the last day of a model's service is announced",
    "model-deprecated": "its vendor advises against a model",
    "alias-unbound": "the source code names an alias that a profile does not bind",
    "alias-unused": "the project has code for llmring, and no file of it names an alias that is bound",
    "profile-unknown": "the source code names a profile that the lockfile does not have",
    "template-invalid": "no question can be made of a template beside the lockfile",
    "template-unbound": "a template names an alias that no profile binds",
    "source-unreadable": "a source file cannot be parsed",
}
"""What each code means. They stay the same from release to release."""


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place in a file.

    Attributes:
        path: the file.
        cell: of a notebook, counted from 1; 0 in other files.
        line, column: counted from 1; 0 where it is the file as a whole. In a notebook, `line` is that of the cell.
    """

    path: Path
    cell: int = field(default=0, kw_only=True)
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        cell = f":cell {self.cell}" if self.cell else ""
        return f"{self.path}{cell}" + (f":{self.line}:{self.column}" if self.line else "")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check has found.

    Attributes:
        code: one of `CODES`.
        severity: `"error"` or `"warning"`.
        spot: where.
        message: what it is, in a sentence.
        advice: what to do about it, in a sentence or a command.
    """

    code: str
    severity: Severity
    spot: Spot
    message: str
    advice: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A model that something names.

    Attributes:
        reference: the `provider:model`.
        spot: where.
        fix: how to name another one there.
        bound: whether the lockfile binds it, so that an upgrade of that can move it.
    """

    reference: str
    spot: Spot
    fix: str
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """A model that ends.

    Attributes:
        model: what the catalogue knows of it, its last day included.
        reference: it, as `provider:model`.
        successor: what takes its place; `None` where the catalogue does not make that plain.
        bindings: where it is bound, as profile and alias.
    """

    model: catalog.ModelInfo
    reference: str
    successor: str | None
    bindings: tuple[tuple[str, str], ...]


def check_models(
    lockfile: Lockfile, mentioned: Iterable[Mention], registered: Collection[str] = ()
) -> Iterator[Finding]:
    """What is wrong with the models that are mentioned; what concerns a whole provider is said once.

    Args:
        lockfile: which providers there are.
        mentioned: the models.
        registered: providers that the program registers; what they are, only it knows.
    """
    tables = lockfile.providers
    own = {*registered, *(name for name, table in tables.items() if table.sdk in registered)}
    endpoints: dict[str, Endpoint | None] = dict.fromkeys(own)
    for mention in mentioned:
        try:
            provider, _ = split_reference(mention.reference)
        except ConfigurationError as error:
            yield Finding("model-malformed", "error", mention.spot, str(error), mention.fix)
            continue
        if provider not in endpoints:
            endpoints[provider], findings = _provider(lockfile, provider, mention)
            yield from findings
        if (found := endpoints[provider]) is not None:
            settings = lockfile.providers.get(provider)
            yield from _model(mention, found, settings.base_url if settings is not None else None)


def _provider(lockfile: Lockfile, name: str, mention: Mention) -> tuple[Endpoint | None, list[Finding]]:
    try:
        found = endpoint(name, lockfile.providers.get(name), others=lockfile.providers)
    except ProviderNotFoundError as error:
        return None, [_unknown(lockfile, name, mention, error)]
    package = found.sdk.package
    if not package or installed_version(package) is not None:
        return found, []
    message = f"The SDK for {name} is not installed here."
    return found, [Finding("sdk-missing", "error", mention.spot, message, f"To install it: {how_to_install(package)}")]


def _unknown(lockfile: Lockfile, name: str, mention: Mention, error: ProviderNotFoundError) -> Finding:
    if (origin := origin_of(name)) is not None and origin != BUILT:
        what, _, step = str(error).partition(". ")
        return Finding("provider-broken", "error", mention.spot, f"{what}.", step)
    if name in lockfile.providers:
        message, advice = str(error), f"Correct it in {lockfile.path}."
    else:
        near = near_name(name, lockfile.providers)
        message = f"There is no provider {shown(name)}.{f' Did you mean {shown(near)}?' if near else ''}"
        alias = mention.reference.partition(":")[2]
        advice = "" if mention.bound else to_extend(lockfile, name, alias)
        advice = advice or f"To declare it in {lockfile.path}: {declare(lockfile, name)}."
    return Finding("provider-unknown", "error", mention.spot, message, advice)


def _model(mention: Mention, found: Endpoint, declared: str | None) -> Iterator[Finding]:
    """What the catalogue says against a model. What another host serves under a vendor's name is only a warning.

    Args:
        mention: the model.
        found: its provider.
        declared: where the lockfile has that.
    """
    reference = mention.reference
    info = catalog.model_info(reference, base_url=declared)
    severity: Severity = "error" if found.at_home else "warning"
    if info.retired:
        message = f"{shown(reference)} is retired; its last day was {info.retires}."
        yield Finding("model-retired", severity, mention.spot, message, _replacement(mention))
    elif info.retires is not None:
        message = f"{shown(reference)} retires; its last day is {info.retires}."
        yield Finding("model-retiring", "warning", mention.spot, message, _replacement(mention))
    elif info.deprecated:
        message = f"{shown(reference)} is deprecated by its vendor."
        yield Finding("model-deprecated", "warning", mention.spot, message, _replacement(mention))
    elif not (info.known or info.own_host) and catalog.covers(found.name) and not _has_own_names(found):
        near = " or ".join(catalog.nearest(reference))
        advice = f"Did you mean {near}? " if near else ""
        message = f"The catalogue knows no model {shown(info.name)} of {found.name}."
        advice += "If it is newer than the catalogue: pip install --upgrade genai-prices"
        certain: Severity = severity if info.taken_for is None else "warning"
        yield Finding("model-unknown", certain, mention.spot, message, advice)


def _has_own_names(found: Endpoint) -> bool:
    """Whether its customers name its models, as they name their deployments on Azure."""
    return found.name in BUILT_IN and found.name not in SDKS and BUILT_IN[found.name].base_url is None


def _replacement(mention: Mention) -> str:
    new = catalog.successor(mention.reference)
    if new is None:
        return mention.fix
    return f"To move to {new}: llmring lock upgrade" if mention.bound else f"{new} follows. {mention.fix}"


def endings(lockfile: Lockfile, profile: str | None = None) -> Iterator[Ending]:
    """The models that a lockfile binds and whose vendor has retired them, says when it will, or advises against them.

    Args:
        lockfile: what binds them.
        profile: the only profile to look at; `None` is every profile.

    Raises:
        ConfigurationError: there is no such profile.
    """
    bound: dict[str, list[tuple[str, str]]] = {}
    for chosen in lockfile.profiles.values() if profile is None else [lockfile.profile(profile)]:
        for binding in chosen.bindings.values():
            for reference in dict.fromkeys(binding.models):
                bound.setdefault(reference, []).append((chosen.name, binding.alias))
    for reference, bindings in bound.items():
        provider, _ = split_reference(reference)
        settings = lockfile.providers.get(provider)
        info = catalog.model_info(reference, base_url=settings.base_url if settings is not None else None)
        if info.deprecated and _is_at_home(lockfile, provider):
            yield Ending(info, reference, catalog.successor(reference), tuple(bindings))


def _is_at_home(lockfile: Lockfile, provider: str) -> bool:
    """Whether a provider is where its vendor has it: another host keeps a model for as long as it likes."""
    try:
        return endpoint(provider, lockfile.providers.get(provider)).at_home
    except ProviderNotFoundError:
        return False
