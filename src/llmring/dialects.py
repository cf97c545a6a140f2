"""A vendor as data: where it is, whose key it takes, which SDK speaks to it, and its ways and words.

The rows of `vendors.json` are such data, and so is what a program or a package registers: one form, read and checked by
the same code. Each part says where it is from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from .addresses import can_be_asked, is_below, is_this_machine, same_host, without_login
from .exceptions import ConfigurationError
from .references import alike, is_name, shown

__all__ = ["PARAMETERS", "ChatDialect", "Dialect", "Meaning", "Words"]

Meaning = Literal["no_model", "no_credit", "too_long", "bad_key", "no_route", "filtered"]
"""What words of several kinds mean is the first of these."""

PARAMETERS = (
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "reasoning_effort",
    "reasoning_tokens",
    "response_format",
    "tool_choice",
    "tools",
)
"""Those of a request that a vendor may refuse, or call otherwise."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_API = ("chat", "responses")
_CALLED: Mapping[type, str] = {str: "text", int: "a number", Mapping: "a table"}
_Part = TypeVar("_Part")


def _list(what: str, value: Any, of: type = str) -> tuple[Any, ...]:
    """A list of texts, of numbers or of tables, checked."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{what} is {shown(value)}; it takes a list.")
    listed = tuple(value)
    for it in listed:
        if not isinstance(it, of) or isinstance(it, bool) or (of is str and not it):
            raise ConfigurationError(f"{what} holds {shown(it)}; each is {_CALLED[of]}.")
    return listed


def _statuses(what: str, values: Iterable[int]) -> None:
    for it in values:
        if not isinstance(it, int) or isinstance(it, bool) or not 400 <= it < 600:
            raise ConfigurationError(f"{what} holds {shown(it)}; an HTTP status of a failure is 400 to 599.")


def _text(what: str, value: Any) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(f"{what} is {shown(value)}; it takes text.")


@dataclass(frozen=True, slots=True)
class ChatDialect:
    """What a vendor wants otherwise than OpenAI's Chat Completions has it.

    Attributes:
        source: where that is documented, or was seen.
        max_tokens: the name of the limit of the output.
        seed: the name of the seed.
        call_id: a regular expression of the ids of calls that it takes.
        id_length: of the ids that are made for others' calls.
        usage: further places where usage stands in an event, as `"x_groq.usage"`.
        thoughts: the fields of a message in which thinking stands as text.
        refuses: fields of the body that it does not take: they are left out, and the log says so.
        custom_tools: whether it has tools that take text of any form.
        reasoning: the field that every assistant's turn must have once the conversation has calls.
        foreign_call: what the first call of a turn must have, where its own issuer gave no such thing.
        service_tiers: those that it takes; others, which are meant for a stand-by, are not sent. `None` takes any.
        think_tags: whether its models may write their thinking into the text.
        stream_options: whether it is to be asked for a stream's usage; else it tells that by itself.
        schemas: whether it holds an answer to a schema; else the model is told of it in words.
        silent_turns: whether a turn of the model's may say nothing, or be missing between results and a question.
        by_name: whether a provider of the vendor's name has these ways, too, at an address that is not the vendor's.
    """

    _: KW_ONLY
    source: str = ""
    max_tokens: str = "max_tokens"
    seed: str = "seed"
    call_id: str | re.Pattern[str] = "[a-zA-Z0-9_-]{1,40}"
    id_length: int = 24
    usage: Sequence[str] = ()
    thoughts: Sequence[str] = ("reasoning_content", "reasoning")
    refuses: Sequence[str] = ()
    custom_tools: bool = False
    reasoning: str | None = None
    foreign_call: Mapping[str, Any] | None = None
    service_tiers: Sequence[str] | None = None
    think_tags: bool = True
    stream_options: bool = True
    schemas: bool = True
    silent_turns: bool = True
    by_name: bool = True

    def __post_init__(self) -> None:
        for name in ("max_tokens", "seed", "reasoning"):
            _text(f"chat.{name}", getattr(self, name))
        for name in ("usage", "thoughts", "refuses"):
            object.__setattr__(self, name, _list(f"chat.{name}", getattr(self, name)))
        if self.service_tiers is not None:
            object.__setattr__(self, "service_tiers", _list("chat.service_tiers", self.service_tiers))
        try:
            object.__setattr__(self, "call_id", re.compile(self.call_id))
        except (re.error, TypeError) as error:
            raise ConfigurationError(f"chat.call_id is no regular expression: {error}.") from None
        if not isinstance(self.id_length, int) or self.id_length < 1:
            raise ConfigurationError(f"chat.id_length is {shown(self.id_length)}; it takes a number above 0.")
        if self.foreign_call is not None and not isinstance(self.foreign_call, Mapping):
            raise ConfigurationError(f"chat.foreign_call is {shown(self.foreign_call)}; it takes a table.")
        for it in fields(self):
            if isinstance(it.default, bool) and not isinstance(getattr(self, it.name), bool):
                raise ConfigurationError(f"chat.{it.name} is {shown(getattr(self, it.name))}; it is true or false.")

    @property
    def id_form(self) -> re.Pattern[str]:
        """What it takes for a call's id."""
        return re.compile(self.call_id)


@dataclass(frozen=True, slots=True)
class Words:
    """What a vendor says of a failure, and what that means.

    Attributes:
        means: `"no_model"`, it has no such model, or no more; `"no_credit"`, the account is empty; `"too_long"`, the
            prompt does not fit; `"bad_key"`; `"no_route"`, the address has nothing; `"filtered"`, a filter of the
            vendor's refused what was said.
        source: where that is documented, or was seen.
        codes: said as such, as an error's code or type; in lower case.
        words: stand in the message, in lower case; `*` is at most some words of one sentence.
        statuses: those for which it holds; none named: any.
        unless: words that say, in a `*` or right behind, that it is about something else.
    """

    means: Meaning
    _: KW_ONLY
    source: str = ""
    codes: Sequence[str] = ()
    words: Sequence[str] = ()
    statuses: Sequence[int] = ()
    unless: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.means not in get_args(Meaning):
            raise ConfigurationError(
                f"words mean {shown(self.means)}; they mean one of {', '.join(get_args(Meaning))}."
            )
        for name in ("codes", "words", "unless"):
            listed = _list(f"words.{name}", getattr(self, name))
            if odd := next((it for it in listed if it != it.lower() or not it.strip("* ")), None):
                raise ConfigurationError(f"words.{name} holds {shown(odd)}; write it in lower case.")
            object.__setattr__(self, name, listed)
        object.__setattr__(self, "statuses", _list("words.statuses", self.statuses, int))
        _statuses("words.statuses", self.statuses)
        if not self.codes and not self.words:
            raise ConfigurationError(f"words that mean {self.means} are none: name codes or words.")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is known of one vendor.

        Dialect("acme", sdk="openai", base_url="https://api.acme.example/v1", key_variables=["ACME_API_KEY"])

    Raises `ConfigurationError` where a part is not what it should be.

    Attributes:
        name: the vendor's, as in `provider:model`.
        source: where all this is documented.
        sdk: whose wire it speaks: `"openai"`, `"anthropic"`, `"google"`, `"ollama"`, or a kind that is registered;
            `None` for what a class of your own speaks to, and for a vendor of which only ways and words are known.
        base_url: where it is; `None` where that is the SDK's own knowledge, or the environment's.
        key_variables: the environment variables that may hold its key, the first one set wins.
        needs_key: whether it is of any use without a key. Not given: whether there is a variable for one.
        hosts: further hosts that are the vendor's own, with all that is below them.
        also_called: what people call it, too.
        api: for the openai SDK, `"chat"` or `"responses"`, at the vendor's own place; `None` is Chat Completions.
        api_version: for the google SDK, as in `"v1beta"`.
        local: whether it is a server of one's own, with models that nobody bills for.
        start, fetch: the command that starts such a server, and the one that gets it a model, whose name follows.
        lists_to_all: whether it lists its models to anybody, so that the listing proves no key.
        chat: its ways of Chat Completions.
        words: what its words mean.
        statuses: the HTTP statuses that its words stand for, by word in lower case: an error inside a stream has none.
        parameters: what it calls those of a request, by our names.
        sources: where `statuses` and `parameters` are from, by these names.
        address_variables: environment variables that may hold the base URL.
        address_path: what follows the value of such a variable.
        header_variable: the one that holds headers, a line each, which the SDK sends with every request.
        package, adapter: of an SDK, the package as pip knows it, and the class here that speaks through it.
        home: where an SDK goes if it is told nothing.
        port, cloud: for an address that names no scheme (`addresses.completed`).
    """

    name: str
    _: KW_ONLY
    source: str = ""
    sdk: str | None = None
    base_url: str | None = None
    key_variables: Sequence[str] = ()
    needs_key: bool | None = None
    hosts: Sequence[str] = ()
    also_called: Sequence[str] = ()
    api: str | None = None
    api_version: str | None = None
    local: bool = False
    start: str = ""
    fetch: str = ""
    lists_to_all: bool = False
    chat: ChatDialect | None = None
    words: Sequence[Words] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    address_variables: Sequence[str] = ()
    address_path: str = ""
    header_variable: str | None = None
    package: str = ""
    adapter: str = ""
    home: str | None = None
    port: int | None = None
    cloud: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not is_name(self.name) or set(self.name) & set(":/"):
            raise ConfigurationError(
                f"{shown(self.name)} cannot name a provider: visible characters, no colon, no slash, no white space."
            )
        try:
            self._check()
        except ConfigurationError as error:
            raise ConfigurationError(f"The dialect {self.name!r} is not right: {error}") from None

    def _check(self) -> None:
        for name in ("key_variables", "address_variables", "hosts", "also_called"):
            object.__setattr__(self, name, _list(name, getattr(self, name)))
        for variable in (*self.key_variables, *self.address_variables, *filter(None, [self.header_variable])):
            if not isinstance(variable, str) or not _VARIABLE.fullmatch(variable):
                raise ConfigurationError(f"{shown(variable)} cannot name an environment variable.")
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise ConfigurationError(f"hosts holds {shown(host)}; write a host in lower case, as api.example.com.")
        for name in ("sdk", "base_url", "home", "api", "api_version", "header_variable"):
            _text(name, getattr(self, name))
        for it in fields(self):
            value = getattr(self, it.name)
            if isinstance(it.default, bool) and not isinstance(value, bool):
                raise ConfigurationError(f"{it.name} is {shown(value)}; it is true or false.")
            if it.default == "" and not isinstance(value, str):
                raise ConfigurationError(f"{it.name} is {shown(value)}; it takes text.")
        if self.needs_key not in (None, True, False) or not isinstance(self.port, int | None):
            raise ConfigurationError("needs_key is true or false, and port a number.")
        for name, address in (("base_url", self.base_url), ("home", self.home)):
            if address is not None and (without_login(address)[1] or not can_be_asked(address)):
                raise ConfigurationError(
                    f"{name} is no URL to ask, or holds a password. Write it as https://host/path."
                )
        if self.api not in (None, *_API):
            raise ConfigurationError(f"api is {shown(self.api)}; it takes {' or '.join(_API)}.")
        if self.needs_key is None:
            object.__setattr__(self, "needs_key", bool(self.key_variables))
        if self.needs_key and not self.key_variables:
            raise ConfigurationError("it needs a key, and key_variables names no variable for it.")
        if self.chat is not None and not isinstance(self.chat, ChatDialect):
            raise ConfigurationError(f"chat is {shown(self.chat)}; it takes a ChatDialect. {_FROM_DATA}")
        words = tuple(self.words) if isinstance(self.words, Iterable) else (self.words,)
        if odd := next((it for it in words if not isinstance(it, Words)), None):
            raise ConfigurationError(f"words holds {shown(odd)}; each is a Words. {_FROM_DATA}")
        object.__setattr__(self, "words", words)
        self._check_tables()

    def _check_tables(self) -> None:
        for name in ("statuses", "parameters", "sources"):
            if not isinstance(getattr(self, name), Mapping):
                raise ConfigurationError(f"{name} is {shown(getattr(self, name))}; it takes a table.")
        _statuses("statuses", self.statuses.values())
        if odd := next((it for it in self.statuses if not isinstance(it, str) or it != it.lower()), None):
            raise ConfigurationError(f"statuses holds {shown(odd)}; write it as text in lower case.")
        object.__setattr__(self, "statuses", dict(self.statuses))
        if unknown := next((it for it in self.parameters if it not in PARAMETERS), None):
            raise ConfigurationError(f"parameters holds {shown(unknown)}, which is none of {', '.join(PARAMETERS)}.")
        listed = {name: _list(f"parameters.{name}", said) for name, said in self.parameters.items()}
        object.__setattr__(self, "parameters", listed)

    def __hash__(self) -> int:
        return hash((self.name, self.sdk, self.base_url))

    def is_at(self, address: str | None) -> bool:
        """Whether an address is the vendor's own."""
        if not address:
            return False
        return is_below(address, self.hosts) or any(
            same_host(address, home) for home in (self.base_url, self.home) if home
        )

    def has_host(self, host: str) -> bool:
        """Whether a host is the vendor's own, however it is spoken to."""
        # This machine is nobody's own.
        home = self.base_url if self.base_url is not None and not is_this_machine(self.base_url) else ""
        own = (*self.hosts, *filter(None, [urlsplit(home).hostname]))
        return any(host == it or host.endswith(f".{it}") for it in own)

    @classmethod
    def from_data(cls, name: str, row: Mapping[str, Any]) -> Dialect:
        """A vendor's row, as JSON or TOML has it and `vendors.json` is written.

        Raises:
            ConfigurationError: a field is not known, or not what it should be.
        """
        row = dict(_known(cls, row, f"The dialect {name!r}"))
        try:
            if "chat" in row:
                row["chat"] = ChatDialect(**_known(ChatDialect, row["chat"], "chat"))
            if "words" in row:
                said = _list("words", row["words"], Mapping)
                row["words"] = [Words(**_known(Words, it, "words", "means")) for it in said]
        except ConfigurationError as error:
            raise ConfigurationError(f"The dialect {name!r} is not right: {error}") from None
        return cls(name, **row)


_FROM_DATA = "What is read from a file is read by Dialect.from_data."


def _known(form: type[_Part], row: Any, where: str, *needed: str) -> Mapping[str, Any]:
    """A table of which each field is one of the form's."""
    if not isinstance(row, Mapping):
        raise ConfigurationError(f"{where} is {shown(row)}; it takes a table.")
    names = [it.name for it in fields(form) if it.name != "name"]  # type: ignore[arg-type]
    for key in row:
        if key not in names:
            near = next(iter(alike(str(key), names)), None)
            raise ConfigurationError(f"{where} has no field {shown(key)}.{f' Did you mean {near}?' if near else ''}")
    for key in needed:
        if key not in row:
            raise ConfigurationError(f"{where} must say {key!r}.")
    return row
