"""Aliases that a program binds itself, without a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..exceptions import ConfigurationError
from ..references import is_name, shown, split_reference
from .model import Binding

__all__ = ["bindings_of"]

_FORM = 'LLMRing(aliases={"chatbot": "provider:model", "fast": ["provider:model", "provider:stand-by"]})'


def bindings_of(aliases: Mapping[str, str | Sequence[str]] | None) -> dict[str, Binding]:
    """The bindings of a table of aliases: of each one `provider:model`, several separated by commas, or a sequence.

    Raises:
        ConfigurationError: it is no table, an alias is no name, or what it is bound to is no model.
    """
    if not isinstance(aliases, Mapping | None):
        raise ConfigurationError(f"aliases is of type {type(aliases).__name__}; it takes a table: {_FORM}")
    return {alias: Binding(alias, _models(alias, models)) for alias, models in (aliases or {}).items()}


def _models(alias: object, models: object) -> tuple[str, ...]:
    if not isinstance(alias, str) or not is_name(alias):
        raise ConfigurationError(f"The alias {shown(alias)} is empty, no text, or holds white space: {_FORM}")
    listed = [it.strip() for it in models.split(",")] if isinstance(models, str) else models
    if not isinstance(listed, Sequence) or not all(isinstance(it, str) for it in listed):
        raise ConfigurationError(f"The alias {shown(alias)} is bound to no model, and no list of them: {_FORM}")
    if not listed:
        raise ConfigurationError(f"The alias {shown(alias)} is bound to nothing; give at least one provider:model.")
    for model in listed:
        try:
            split_reference(model)
        except ConfigurationError as error:
            raise ConfigurationError(f"The alias {shown(alias)}: {error}") from None
    return tuple(dict.fromkeys(listed))
