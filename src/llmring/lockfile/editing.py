"""What an edit means: the data that it should give, and the text that says so.

Each function takes the text of a valid file with what it says, and returns the new text with the data that it is
meant to hold: the old data with only the edit made. Whoever writes the text parses it first and asks whether it
`says` exactly that.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from llmring.exceptions import ConfigurationError

from .document import Document
from .parsing import holds_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .model import Lockfile
    from .places import Place

__all__ = [
    "Edited",
    "says",
    "with_binding",
    "with_copy",
    "with_profile",
    "with_replacements",
    "without_binding",
    "without_profile",
]

Edited = tuple[str, dict[str, Any]]
"""A text, and the data that it is meant to hold."""
Relisting = tuple["Place", dict[str, Any], list[str]]
"""A binding's place, its own data, and the models that it shall have."""


def with_binding(
    text: str,
    lockfile: Lockfile,
    profile: str,
    alias: str,
    models: Sequence[str],
    params: Mapping[str, Any] | None,
) -> Edited:
    """The alias bound in a profile, which is made if there is none; `params=None` leaves those there are."""

    def edit(document: Document, data: dict[str, Any]) -> Document:
        document, raw = _profile(document, data, profile)
        bindings = raw.setdefault("bindings", [])
        place: Place = ("profiles", profile, "bindings")
        for index, binding in enumerate(bindings):
            if binding["alias"] == alias:
                document = _relisted(document, [((*place, index), binding, list(models))], {})
                return _with_params(document, binding, (*place, index), params)
        binding = {"alias": alias, "models": list(models), **({"params": dict(params)} if params else {})}
        bindings.append(binding)
        return document.append(place, binding)

    return _edited(text, lockfile, edit)


def with_replacements(text: str, lockfile: Lockfile, models: Mapping[str, str], profile: str | None) -> Edited:
    """Other models in the place of some, wherever they are bound; `profile=None` is every profile.

    A model that is then bound twice under an alias keeps its first place.
    """

    def edit(document: Document, data: dict[str, Any]) -> Document:
        changes: list[Relisting] = []
        for chosen in lockfile.profiles.values() if profile is None else [lockfile.profile(profile)]:
            for index, binding in enumerate(chosen.bindings.values()):
                if not models.keys().isdisjoint(binding.models):
                    new = list(dict.fromkeys(models.get(model, model) for model in binding.models))
                    raw = data["profiles"][chosen.name]["bindings"][index]
                    changes.append((("profiles", chosen.name, "bindings", index), raw, new))
        return _relisted(document, changes, models)

    return _edited(text, lockfile, edit)


def without_binding(text: str, lockfile: Lockfile, profile: str, alias: str) -> Edited:
    """The alias, which must be there, taken out of a profile with the comments about it; the profile stays."""

    def edit(document: Document, data: dict[str, Any]) -> Document:
        bindings = data["profiles"][profile]["bindings"]
        index = next(index for index, binding in enumerate(bindings) if binding["alias"] == alias)
        del bindings[index]
        document = document.remove(("profiles", profile, "bindings", index), comments=True)
        if not document.holds(("profiles", profile)):
            document = document.put_table(("profiles", profile), {})
        return document

    return _edited(text, lockfile, edit)


def with_profile(text: str, lockfile: Lockfile, name: str) -> Edited:
    """One more profile, without bindings."""
    return _edited(text, lockfile, lambda document, data: _profile(document, data, name)[0])


def without_profile(text: str, lockfile: Lockfile, name: str) -> Edited:
    """A profile, which must be there, taken out with all its bindings and the comments about them."""

    def edit(document: Document, data: dict[str, Any]) -> Document:
        del data["profiles"][name]
        return document.remove(("profiles", name), comments=True)

    return _edited(text, lockfile, edit)


def with_copy(text: str, lockfile: Lockfile, source: str, name: str) -> Edited:
    """One more profile that says what another one, which must be there, says."""

    def edit(document: Document, data: dict[str, Any]) -> Document:
        copy = {**deepcopy(data.get("profiles", {}).get(source, {})), "name": name}
        data.setdefault("profiles", {})[name] = copy
        rest = {key: value for key, value in copy.items() if key != "bindings"}
        document = document.put_table(("profiles", name), {"name": name, **rest})
        bindings = copy.get("bindings")
        return document.append(("profiles", name, "bindings"), *bindings) if bindings else document

    return _edited(text, lockfile, edit)


def _profile(document: Document, data: dict[str, Any], name: str) -> tuple[Document, dict[str, Any]]:
    """A profile's own data, and the document with the profile in it."""
    profiles = data.setdefault("profiles", {})
    if name not in profiles:
        profiles[name] = {"name": name}
        document = document.put_table(("profiles", name), {"name": name})
    raw: dict[str, Any] = profiles[name]
    return document, raw


def _relisted(document: Document, changes: Sequence[Relisting], renamed: Mapping[str, str]) -> Document:
    """Other models for bindings; those of early 1.x files get a `models` in the place of their `model`.

    However many they are, the text is scanned three times at most.
    """
    early = [(place, binding) for place, binding, _ in changes if binding.get("models") is None]
    for key in ("models", "provider"):
        document = document.remove_pairs(*((*place, key) for place, binding in early if key in binding))
    splices = []
    for place, binding, models in changes:
        if binding.get("models") is None:
            splices.append(document.renaming((*place, "model"), "models", models))
            for key in ("model", "provider"):
                binding.pop(key, None)
        elif binding["models"] != models:
            splices.append(document.relisting((*place, "models"), binding["models"], models, renamed))
        binding["models"] = models
    return document.spliced(*splices)


def _with_params(
    document: Document, binding: dict[str, Any], place: Place, params: Mapping[str, Any] | None
) -> Document:
    """Other params for a binding; `None` leaves those there are."""
    if params is None or _same(params, binding.get("params") or {}):
        return document
    if "params" in binding:
        del binding["params"]
        document = document.remove((*place, "params"))
    if params:
        binding["params"] = dict(params)
        document = document.put((*place, "params"), binding["params"])
    return document


def says(made: Mapping[str, Any], meant: Mapping[str, Any]) -> bool:
    """Whether parsed data is what an edit was meant to give, in value and in type."""
    return _same(_without_emptiness(made), _without_emptiness(meant))


def _edited(text: str, lockfile: Lockfile, edit: Callable[[Document, dict[str, Any]], Document]) -> Edited:
    data = deepcopy(dict(lockfile.data))
    try:
        document = edit(Document(text, is_json=holds_json(text, lockfile.path)), data)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The params cannot be written to {lockfile.path}: {error}") from None
    return document.text, data


def _without_emptiness(data: Mapping[str, Any]) -> dict[str, Any]:
    """An array of tables cannot be written empty: a profile without bindings is one that does not name them."""
    profiles = {name: dict(raw) for name, raw in data.get("profiles", {}).items()}
    for raw in profiles.values():
        if not raw.get("bindings"):
            raw.pop("bindings", None)
    return {key: value for key, value in {**data, "profiles": profiles}.items() if key != "profiles" or profiles}


def _same(one: Any, other: Any) -> bool:
    """Equal in value and in type, so that `1`, `1.0` and `true` differ; not-a-number is equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or (isinstance(one, float) and math.isnan(one) and math.isnan(other))
