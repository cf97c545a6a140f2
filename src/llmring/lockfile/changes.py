"""What an edit changes: the data that it should give, and the text that says so.

An edit takes the text of a valid file with what it says, and gives the new text with the data that it is meant to hold:
the old data with only the edit made. Whoever writes the text parses it first and asks whether it `says` exactly that.
JSON is written anew, as it was laid out; the text of TOML is changed where the data is.
"""

from __future__ import annotations

import json
import math
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError
from ..references import shown
from .document import Document, named
from .model import Misfit
from .parsing import validated
from .rendering import json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .model import Lockfile, Place

__all__ = ["Edited", "check_sense", "edited", "says", "with_binding", "with_replacements"]

Edited = tuple[str, dict[str, Any]]
"""A text, and the data that it is meant to hold."""


def edited(
    text: str, lockfile: Lockfile, edit: Callable[[dict[str, Any]], object], *, renamed: Mapping[str, str] | None = None
) -> Edited:
    """The text and the data after an edit of the data.

    Args:
        text: of a valid file,
        lockfile: and what it says.
        edit: changes the data that it is given; of TOML, only what stands in profiles.
        renamed: what takes the place of a model, and inherits the comments about it.

    Raises:
        ConfigurationError: the format has no such value.
    """
    data = deepcopy(dict(lockfile.data))
    try:
        edit(data)
        if _same(data, lockfile.data):
            return text, data
        return json_text(data, text) if lockfile.is_json else _followed(text, lockfile.data, data, renamed or {}), data
    except UnicodeError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The params cannot be written to {lockfile.path}: {error}") from None


def with_binding(
    text: str,
    lockfile: Lockfile,
    profile: str,
    alias: str,
    models: Sequence[str],
    params: Mapping[str, Any] | None,
    weights: Sequence[float] | None = None,
) -> Edited:
    """The alias bound in a profile, which is made if there is none; `None` leaves the params or weights there are."""

    def edit(data: dict[str, Any]) -> None:
        if lockfile.is_json:
            json.dumps(params, allow_nan=False, ensure_ascii=False).encode()
        raw = data.setdefault("profiles", {}).setdefault(profile, {"name": profile})
        bindings = raw.setdefault("bindings", [])
        binding = next((it for it in bindings if it["alias"] == alias), None)
        if binding is None:
            binding = {"alias": alias, "models": list(models), **({"params": dict(params)} if params else {})}
            bindings.append(binding | ({"split": {"weights": list(weights)}} if weights else {}))
            return
        _relist(binding, list(models))
        if params is not None and not _same(params, binding.get("params") or {}):
            binding.pop("params", None)
            binding.update({"params": dict(params)} if params else {})
        if weights:
            binding["split"] = {**(binding.get("split") or {}), "weights": list(weights)}
        elif weights is not None:
            binding.pop("split", None)

    return edited(text, lockfile, edit)


def with_replacements(text: str, lockfile: Lockfile, models: Mapping[str, str], profile: str | None) -> Edited:
    """Other models in the place of some, wherever they are bound; `profile=None` is every profile.

    A model that is then bound twice under an alias keeps its first place.
    """

    def edit(data: dict[str, Any]) -> None:
        for chosen in lockfile.profiles.values() if profile is None else [lockfile.profile(profile)]:
            for index, binding in enumerate(chosen.bindings.values()):
                if not models.keys().isdisjoint(binding.models):
                    new = list(dict.fromkeys(models.get(model, model) for model in binding.models))
                    _relist(data["profiles"][chosen.name]["bindings"][index], new, models)

    return edited(text, lockfile, edit, renamed=models)


def says(made: Mapping[str, Any], meant: Mapping[str, Any]) -> bool:
    """Whether parsed data is what an edit was meant to give, in value and in type."""
    return _same(_without_emptiness(made), _without_emptiness(meant))


def check_sense(meant: dict[str, Any], path: Path | None) -> None:
    """Refuse the data of an edit that leaves no sense, such as other models than the binding's split has weights for.

    Raises:
        ConfigurationError: of the binding that would make none, and why.
    """
    try:
        validated(meant)
    except Misfit as misfit:
        match misfit.place:
            case ("profiles", profile, "bindings", int(index), *_):
                alias = meant["profiles"][profile]["bindings"][index]["alias"]
                whose = f"The binding of {shown(alias)} in {path}"
            case _:
                whose = str(path)
        advice = ", or bind it with --split and its weights, or with --split none" * ("split" in misfit.place)
        raise ConfigurationError(
            f"{whose} would make no sense after this edit, and is as it was: {misfit}{advice}"
        ) from None


def _relist(binding: dict[str, Any], models: list[str], renamed: Mapping[str, str] | None = None) -> None:
    """Other models for a binding; one of early 1.x files gets a `models` in the place of its `model`.

    The table of a model that stays goes with it, and to what takes its place.
    """
    if binding.get("models") is None:
        pairs = [("models" if key == "model" else key, value) for key, value in binding.items() if key != "models"]
        binding.clear()
        binding.update((key, value) for key, value in pairs if key != "provider")
    were: dict[str, Any] = {}
    for item in binding.get("models") or ():
        model = (renamed or {}).get(named(item), named(item))
        were.setdefault(model, {**item, "model": model} if isinstance(item, dict) else model)
    binding["models"] = [were.get(model, model) for model in models]


def _followed(text: str, old: Mapping[str, Any], new: Mapping[str, Any], renamed: Mapping[str, str]) -> str:
    """The text of a TOML file, changed to say what the profiles of the new data say."""
    document, before, after = Document(text), old.get("profiles", {}), new.get("profiles", {})
    for name in before.keys() - after.keys():
        document = document.remove(("profiles", name), comments=True)
    stay = [name for name in before if name in after]
    changed = [it for name in stay for it in _changed_bindings(name, before[name], after[name])]
    document = _relisted(document, changed, renamed)
    for place, was, binding in changed:
        for key in ("params", "split"):
            if not _same(was.get(key), binding.get(key)):
                where = (*place, key)
                if key not in binding:
                    document = document.remove(where)
                elif key not in was:
                    document = document.put(where, binding[key])
                else:
                    document = document.change(where, was[key], binding[key])
    for name in stay:
        were, are = ({it["alias"]: it for it in profiles[name].get("bindings", [])} for profiles in (before, after))
        for index, alias in reversed(list(enumerate(were))):
            if alias not in are:
                document = document.remove(("profiles", name, "bindings", index), comments=True)
        if not document.holds(("profiles", name)):
            document = document.put_table(("profiles", name), {})
        for alias in are:
            if alias not in were:
                document = document.append(("profiles", name, "bindings"), are[alias])
    for name in after:
        if name not in before:
            document = document.put_table(("profiles", name), after[name])
    return document.text


_Change = tuple["Place", dict[str, Any], dict[str, Any]]
"""A binding's place, and its own data before and after."""


def _changed_bindings(profile: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[_Change]:
    new = {it["alias"]: it for it in after.get("bindings", [])}
    for index, binding in enumerate(before.get("bindings", [])):
        if binding["alias"] in new and not _same(binding, new[binding["alias"]]):
            yield ("profiles", profile, "bindings", index), binding, new[binding["alias"]]


def _relisted(document: Document, changed: Sequence[_Change], renamed: Mapping[str, str]) -> Document:
    """Other models for bindings. However many they are, the text is scanned twice at most."""
    early = {place: was for place, was, binding in changed if "models" in binding and "models" not in was}
    document = document.remove_pairs(*((*place, "provider") for place, was in early.items() if "provider" in was))
    splices = []
    for place, was, binding in changed:
        if place in early:
            splices.append(document.renaming((*place, "model"), "models", binding["models"]))
        elif "models" in was and was["models"] != binding["models"]:
            splices.append(document.relisting((*place, "models"), was["models"], binding["models"], renamed))
    return document.spliced(*splices)


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
