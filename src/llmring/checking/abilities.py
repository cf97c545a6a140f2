"""What the models that a lockfile binds cannot do, and is asked of them: by the params of a binding, or by the code.

It goes by what is known offline: what the lockfile says of models, and the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..capabilities import Ability, Capabilities, Place, known_of, made_up_for, needs_of, unable
from ..exceptions import ConfigurationError, LLMRingError, ProviderNotFoundError
from ..lockfile import Binding, Lockfile, fits, split_reference
from ..lockfile.rendering import toml_key
from ..providers.endpoints import endpoint
from ..references import shown
from ..request import with_params
from ..schemas import LLMRequest
from ..structured import answer_format
from ..tools import definitions
from .findings import Finding, Mention, Severity, Spot
from .source import is_set

if TYPE_CHECKING:
    from ..providers.endpoints import Endpoint
    from .source import Use
    from .text import Text

__all__ = ["loose_patterns", "unfit"]


@dataclass
class _Asked:
    """What is asked of the models of a binding, and where it says so.

    Attributes:
        binding: whose models.
        spots: where each of these stands.
        needs, sets: who asks for an ability, in words, and who sets a parameter.
        own: who sets a parameter for one model alone, by the model.
        own: who sets a parameter for one model alone, by the model.
    """

    binding: Binding
    spots: Sequence[Spot]
    needs: dict[Ability, str] = field(default_factory=dict)
    sets: dict[str, tuple[str, Spot]] = field(default_factory=dict)
    own: dict[str, dict[str, tuple[str, Spot]]] = field(default_factory=dict)


def unfit(text: Text, uses: Iterable[Use]) -> Iterator[Finding]:
    """The models that cannot take what is asked of them, and parameters that one refuses.

    Args:
        text: the lockfile.
        uses: what the code names; that of a request has what it asks for.
    """
    for asked in _asked(text, [use for use in uses if use.needs or use.sets]):
        yield from _of_binding(text.lockfile, asked)


def loose_patterns(text: Text, mentioned: Iterable[Mention]) -> Iterator[Finding]:
    """The `[models."PATTERN"]` that are of no model that the file binds, or the code names."""
    names = [it.reference for it in mentioned]
    for pattern in text.lockfile.models:
        if not any(fits(pattern, name) for name in names):
            message = f"[models.{toml_key(pattern)}] is of no model that is bound, or named in the code."
            step = 'Write a provider:model, with * for any letters, or take it out: [models."ollama:*"]'
            yield Finding("models-unmatched", "warning", text.spot("models", pattern, key=True), message, step)


def _asked(text: Text, uses: Sequence[Use]) -> Iterator[_Asked]:
    for profile in text.lockfile.profiles.values():
        for alias, binding in profile.bindings.items():
            spots = [text.spot_in_binding(profile.name, alias, "models", it) for it in range(len(binding.models))]
            asked = _Asked(binding, spots)
            _by_params(text, profile.name, asked)
            for use in uses:
                if use.name == alias and use.profile in (None, profile.name):
                    _by_code(use, asked)
            yield asked
    bound = {alias for profile in text.lockfile.profiles.values() for alias in profile.bindings}
    for use in uses:
        if ":" in use.name and use.name not in bound:
            asked = _Asked(Binding(use.name, (use.name,)), [use.spot])
            _by_code(use, asked)
            yield asked


def _by_params(text: Text, profile: str, asked: _Asked) -> None:
    """What the params of a binding ask for; those that no request can be made with are another finding."""
    binding = asked.binding
    who = f"the params of {shown(binding.alias)}"
    try:
        request = with_params(LLMRequest(model=binding.models[0], messages=[]), replace(binding, tools=None))
        request = definitions(request) if request.tools is not None else request
        asked.needs |= dict.fromkeys(needs_of(*answer_format(request)), who)
    except LLMRingError:
        return
    for name in binding.params:
        if is_set(name, binding.params[name]):
            asked.sets[name] = who, text.spot_in_binding(profile, binding.alias, "params", name)
    for model, own in (binding.policy.params if binding.policy is not None else {}).items():
        place = ("models", binding.models.index(model), "params")
        asked.own[model] = {
            name: (
                f"its own params under {shown(binding.alias)}",
                text.spot_in_binding(profile, binding.alias, *place, name),
            )
            for name in own
            if is_set(name, own[name])
        }


def _by_code(use: Use, asked: _Asked) -> None:
    who = f"requests at {use.spot.path.name}:{use.spot.line}"
    for need in use.needs:
        asked.needs.setdefault(need, who)
    for name in use.sets:
        asked.sets.setdefault(name, (who, use.spot))


def _of_binding(lockfile: Lockfile, asked: _Asked) -> Iterator[Finding]:
    lacking: list[Finding] = []
    models = asked.binding.models
    for reference, spot in zip(models, asked.spots, strict=True):
        found = _known(lockfile, reference)
        if found is None:
            continue
        known, target = found
        if asked.binding.policy is None or asked.binding.policy.on_refused_param == "error":
            yield from _refused(known, target, asked.sets | asked.own.get(reference, {}))
        tools = asked.binding.tools or target.tools
        row = Place(target.sdk.package, _address(target, lockfile)).row(target.name)
        if lacks := unable(known, tuple(asked.needs), made_up_for(row, tools)):
            who = " and ".join(dict.fromkeys(asked.needs[it] for it in lacks.lacks))
            message = f"{shown(reference)} {lacks.why}, which {who} ask for."
            step = f"Requests pass over it. Bind another model. {lacks.advice}"
            lacking.append(Finding("model-unable", "warning", spot, message, step))
    if len(lacking) == len(models):
        lacking = [
            replace(it, severity="error", advice=it.advice.replace("Requests pass over it.", "No model of it can."))
            for it in lacking
        ]
    yield from lacking


def _refused(known: Capabilities, target: Endpoint, sets: Mapping[str, tuple[str, Spot]]) -> Iterator[Finding]:
    """The parameters that a model refuses. What a gateway does about one, nobody knows."""
    severity: Severity = "error" if target.at_home and "/" not in known.model else "warning"
    for name in known.refused_parameters.value or ():
        if name in sets:
            who, spot = sets[name]
            source = known.refused_parameters.source
            message = f"{shown(known.model)} refuses {name} (as the {source} says), which {who} set."
            step = "Take it out, or bind another model."
            yield Finding("params-refused", severity, spot, message, step)


def _known(lockfile: Lockfile, reference: str) -> tuple[Capabilities, Endpoint] | None:
    """What is known of a model offline, and its provider; `None` where there is none, which is another finding."""
    try:
        name, _ = split_reference(reference)
        target = endpoint(name, lockfile.providers.get(name), others=lockfile.providers)
    except (ConfigurationError, ProviderNotFoundError):
        return None
    place = Place(target.sdk.package, _address(target, lockfile))
    return known_of(reference, lockfile, place, limits=False), target


def _address(target: Endpoint, lockfile: Lockfile) -> str | None:
    """Where a provider is by the lockfile, else where its vendor is: not where the environment has it today."""
    settings = lockfile.providers.get(target.name)
    if settings is not None and settings.base_url:
        return settings.base_url
    return (target.dialect.base_url if target.dialect is not None else None) or target.sdk.home
