"""What a lockfile says: profiles of bindings, and settings of providers. Plain values; nothing is read here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError
from ..references import is_name, shown, word

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .policy import Policy, StateSettings

__all__ = [
    "DEFAULT_PROFILE",
    "VERSION",
    "Binding",
    "Lockfile",
    "Misfit",
    "ModelSettings",
    "OtherVersion",
    "Place",
    "Profile",
    "ProviderSettings",
]

VERSION = "1.0"
"""The version of the file that this release reads and writes."""
DEFAULT_PROFILE = "default"
"""The default profile of a file that names none."""
Place = tuple[str | int, ...]
"""The keys and indices that lead to a value, as in `("profiles", "default", "bindings", 0, "models")`."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Who serves an alias.

    Attributes:
        alias: the name that a program asks for.
        models: `provider:model` references, at least one; the first serves, the rest stand by.
        params: defaults for the requests made under this alias; a request's own values win.
        constraints: as llmring 1.x wrote them; kept, and what they say of a rate is in `policy`.
        tools: how its models are told of tools, before what their providers' tables say.
        policy: how they serve, beside that they do: shares, limits, time; `None` where the file says nothing of it.
        extra: the keys of the binding that this release does not know.
    """

    alias: str
    models: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    constraints: Mapping[str, Any] | None = None
    tools: str | None = None
    policy: Policy | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of bindings by alias, in the file's order."""

    name: str
    bindings: Mapping[str, Binding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One `[providers.NAME]` table. What the file does not say is `None` or empty.

    Attributes:
        sdk: which wrapper speaks to it (`"openai"`, ...).
        base_url: where it is.
        api_key_env: the environment variable that holds its key.
        api: for the openai wrapper, `"chat"` or `"responses"`.
        api_version: for the google wrapper, the version of the API, as in `"v1beta"`.
        think_tags: whether what a model writes between `<think>` and `</think>` before its text is reasoning.
        tools: how models are told of tools: `"native"`, `"prompt:NAME"`, `"read:NAME"`.
        headers: sent with every request.
        extra: the keys of the table that this release does not know.
    """

    sdk: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    api: str | None = None
    api_version: str | None = None
    think_tags: bool | None = None
    tools: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """One `[models."PATTERN"]` table: what its author says that these models can do.

    Attributes:
        facts: values by the names of `vendors.FACTS`; what the file does not say is not there.
        extra: the keys of the table that this release does not know.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lockfile:
    """A lockfile that has been read and found valid.

    Attributes:
        default_profile: the name of a profile in `profiles`.
        profiles: by name, in the file's order.
        extends: the packages whose aliases are reachable as `package:alias`.
        providers: by name, in the file's order.
        models: what the file says of models, by pattern, in its order.
        state: where counts, budgets and breakers live; `None` where the file does not say.
        path: where it was read from; `None` if it was not read from a file.
        is_json: whether it is written in JSON, and not in TOML; files that differ in that alone are equal.
        data: all of the file as it was parsed, keys unknown to this release included.
    """

    default_profile: str = DEFAULT_PROFILE
    profiles: Mapping[str, Profile] = field(default_factory=lambda: {DEFAULT_PROFILE: Profile(DEFAULT_PROFILE)})
    extends: tuple[str, ...] = ()
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    state: StateSettings | None = None
    path: Path | None = None
    is_json: bool = field(default=False, compare=False)
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def profile(self, name: str | None = None) -> Profile:
        """The profile of that name; the file's default profile for `None`.

        Raises:
            ConfigurationError: there is none of that name; the message lists those there are.
        """
        wanted = self.default_profile if name is None else name
        try:
            return self.profiles[wanted]
        except KeyError:
            where, name = self.path or "the lockfile", word(wanted, "NAME") if is_name(wanted) else "NAME"
            raise ConfigurationError(
                f"No profile {shown(wanted)} in {where}. There are: {', '.join(self.profiles)}. To make it: "
                f"llmring bind ALIAS provider:model --profile {name}"
            ) from None


class Misfit(Exception):
    """Something in the data of a file that does not fit; whoever holds the text says on which line.

    Attributes:
        place: where in the data.
        offset: where in the text, if that is already known.
    """

    def __init__(self, message: str, place: Place = (), *, offset: int | None = None) -> None:
        super().__init__(message)
        self.place = place
        self.offset = offset


class OtherVersion(Misfit):
    """The version of a format that this release does not read."""
