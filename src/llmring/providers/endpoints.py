"""What a provider's name means here: a built-in one's data, with what the lockfile says laid over it.

Nothing is imported and nobody is asked, so that commands can say what a service would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import tool_dialects
from ..addresses import can_be_asked, completed, escaping, is_below, network_of, same_host, without_login
from ..credentials import Key, Keyring, find_key, first_set
from ..dialects import Dialect
from ..exceptions import LLMRingError, ProviderNotFoundError
from ..references import alike
from ..vendors import ALSO_CALLED, BUILT_IN, SDKS
from . import kinds
from .headers import asking_for, expanded, variables_in

if TYPE_CHECKING:
    from ..lockfile import ProviderSettings
    from .kinds import Kind, Kinds, Maker

__all__ = ["Endpoint", "address_of", "endpoint", "made_of", "near_name"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a provider is reached, before anything is done about it.

    Attributes:
        name: as in `provider:model`.
        sdk: the data of the SDK that speaks to it, or of the class that does.
        make: makes its provider, where that is no built-in one.
        dialect: what is known of its vendor, or of whom it is like; `None` where nothing is.
        origin: `"built in"`, `"lockfile"`, `"registered"`, or `"package NAME VERSION"`.
        needs_address: whether its SDK does not know where it is.
        key_variables: the environment variables that may hold its key, the first one set wins.
        needs_key: whether it is of any use without a key.
        at_home: whether it is where its name says, and not at a gateway.
        keyring: whether the keyring's entry of that name is its key.
        base_url: without the name and password that it may have been given with; `None` leaves the SDK its own.
        login: those, as they stood in the address.
        address_variables: those that say where it is, where nothing else does.
        moved: whether the lockfile's table says where it is.
        address_source: what says where it is: a variable, or the lockfile's table; empty where nothing does.
        api: for the openai wrapper, `"chat"` or `"responses"`.
        api_version: for the google wrapper.
        think_tags: whether thinking that a model writes into its text is told apart.
        tools: how models are told of tools.
        headers: as the lockfile has them, references to the environment unexpanded.
        header_variable: the environment variable whose headers its SDK sends, too.
        local: whether it is a server of one's own, with models that nobody bills for.
    """

    name: str
    sdk: Dialect
    make: Maker | None = None
    dialect: Dialect | None = None
    origin: str = kinds.BUILT
    needs_address: bool = False
    key_variables: Sequence[str] = ()
    needs_key: bool = False
    at_home: bool = True
    keyring: bool = True
    base_url: str | None = None
    login: str | None = field(default=None, repr=False)
    address_variables: Sequence[str] = ()
    moved: bool = False
    address_source: str = ""
    api: str | None = None
    api_version: str | None = None
    think_tags: bool | None = None
    tools: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    header_variable: str | None = None
    local: bool = False

    def find_key(self, given: Mapping[str, Key | None]) -> Key | None:
        """Its key, from those given by provider, else the environment; `None` if neither has one."""
        return find_key(self.name, self.key_variables, given)

    def key_of_keyring(self, keyring: Keyring) -> Key | None:
        """Its key in the keyring, which may take its time; `None` if there is none for it."""
        return keyring.find(self.name) if self.keyring else None

    def key(self, keyring: Keyring) -> Key | None:
        """Its key, of the environment, else of the keyring. `None` if there is none."""
        return self.find_key({}) or self.key_of_keyring(keyring)

    @property
    def header_variables(self) -> tuple[str, ...]:
        """The environment variables that its headers name, and the one whose headers its SDK sends."""
        named = [variable for written in self.headers.values() for variable in variables_in(written)]
        return (*dict.fromkeys(named), *filter(None, [self.header_variable]))

    @property
    def address(self) -> str | None:
        """Where it is, what its SDK knows by itself included; `None` where nobody knows."""
        return self.base_url or (None if self.needs_address else self.sdk.home)

    def lacks(self, keyring: Keyring) -> str | None:
        """What is missing before it can serve, and what to do about it; `None` where nothing is, its SDK apart."""
        key = self.key(keyring)
        if self.needs_key and key is None:
            if not keyring.waits or not self.keyring:
                return self.lacks_key
            return (
                f"There is no key for {self.name} in the environment, and the system's keyring does not answer. "
                f"{asking_for(self.key_variables)}, or unlock the keyring."
            )
        if obstacle := self.lacks_address or self.wrong_address or self.wrong_tools or self.wrong_key(key):
            return obstacle
        try:
            self.expand_headers()
        except LLMRingError as error:
            return str(error)
        return None

    @property
    def lacks_key(self) -> str:
        """What to say where it has no key."""
        return f"There is no key for {self.name}. {asking_for(self.key_variables)}."

    @property
    def lacks_address(self) -> str | None:
        """What to say where a vendor has no address. `None` where it has one, or its SDK knows it."""
        if self.base_url is not None or not self.needs_address:
            return None
        step = (
            asking_for(self.address_variables) if self.address_variables else f"Set base_url in [providers.{self.name}]"
        )
        return f"There is no address for {self.name}. {step}."

    @property
    def wrong_address(self) -> str | None:
        """What to say of an address that is no URL, without it, for it may hold a password; else `None`."""
        if self.base_url is None or can_be_asked(self.base_url):
            return None
        said_by = f", as {self.address_source} has it" if self.address_source else ""
        return (
            f"The address of {self.name} is no URL to ask{said_by}. Write it as https://host/path"
            f"{escaping(self.base_url)}."
        )

    @property
    def wrong_tools(self) -> str | None:
        """What to say of a `tools` that names no way of telling of them; `None` where it does, or there is none."""
        if self.tools is None:
            return None
        try:
            tool_dialects.tool_mode(self.tools, f"[providers.{self.name}]")
        except LLMRingError as error:
            return str(error)
        return None

    def wrong_key(self, key: Key | None) -> str | None:
        """What to say of a key that cannot be sent; `None` where it can."""
        if key is None or key.wrong is None:
            return None
        return f"The key for {self.name}, from {key.source}, holds {key.wrong}, which cannot be sent. Copy it anew."

    def expand_headers(self) -> tuple[dict[str, Key], tuple[Key, ...]]:
        """The headers to send, and what is secret of them; see `expanded`, which says what it raises."""
        return expanded(self.name, self.headers, self.header_variable, self.login)


def endpoint(
    name: str, settings: ProviderSettings | None = None, *, others: Iterable[str] = (), own: Kinds | None = None
) -> Endpoint:
    """What a name means. That of a package is imported.

    Args:
        name: as in `provider:model`.
        settings: the lockfile's `[providers.NAME]`, `None` where it has none.
        others: further names that there are, to suggest one.
        own: what was registered with the service.

    Raises:
        ProviderNotFoundError: there is no such provider, or no such SDK, or its package cannot be imported.
    """
    wanted = settings.sdk if settings is not None else None
    kind = _meant(name, wanted, own)
    row = kind.dialect if kind is not None else None
    if kind is None and not wanted:
        if settings is not None and name not in ALSO_CALLED:
            raise ProviderNotFoundError(
                f"[providers.{name}] does not say which SDK speaks to it. Most vendors are spoken to with "
                'sdk = "openai".',
                provider=name,
            )
        raise _unknown(name, others, own)
    sdk, make, like = _speaking(name, wanted, own) if wanted or kind is None else _of_kind(name, kind, own)
    moved = settings.base_url if settings is not None else None
    address, is_vendors, at_home = _place(row, sdk, moved)
    base_url, login = without_login(address)
    if base_url is not None and sdk.port is not None:
        base_url = completed(base_url, sdk.port, sdk.cloud)
    address_variables = row.address_variables if row is not None and is_vendors else ()
    others_say = () if is_vendors else sdk.address_variables
    said_by = next((it for it in (*address_variables, *others_say) if first_set([it])), "")
    key_variables = row.key_variables if row is not None and is_vendors else ()
    needs_key = row is not None and at_home and bool(row.needs_key)
    if settings is not None and settings.api_key_env:
        key_variables, needs_key = (settings.api_key_env,), True
    api_version = row.api_version if row is not None else None
    return Endpoint(
        name=name,
        sdk=sdk,
        make=make,
        dialect=row or like,
        origin=kind.origin if kind is not None else "lockfile",
        needs_address=row is not None and row is not sdk,
        key_variables=key_variables,
        needs_key=needs_key,
        at_home=row is None or at_home,
        keyring=row is None or is_vendors,
        base_url=base_url,
        login=login,
        address_variables=address_variables,
        moved=bool(moved),
        address_source=f"base_url in [providers.{name}]" if moved else said_by,
        api=settings.api if settings is not None else None,
        api_version=(settings.api_version if settings is not None else None) or api_version,
        think_tags=settings.think_tags if settings is not None else None,
        tools=settings.tools if settings is not None else None,
        headers=settings.headers if settings is not None else {},
        header_variable=sdk.header_variable if sdk is row else None,
        local=row is not None and row.local and network_of(base_url) != "internet",
    )


def _meant(name: str, wanted: str | None, own: Kinds | None) -> Kind | None:
    """What a name stands for. Where the lockfile has another speak to it, that is no package's, imported or not.

    Else its vendor's key would go wherever the table says as soon as the package was imported for another's sake.
    """
    if wanted and wanted != name and not kinds.is_declared(name, own):
        return None
    return kinds.find(name, own)


def _speaking(name: str, wanted: str | None, own: Kinds | None) -> tuple[Dialect, Maker | None, Dialect | None]:
    """Who speaks to a provider, by what the lockfile names: the SDK's data, what makes one, and whom it is like."""
    if wanted and wanted in SDKS:
        return SDKS[wanted], None, None
    kind = kinds.find(wanted, own) if wanted and wanted not in BUILT_IN else None
    if kind is None:
        there = [*SDKS, *(it for it in kinds.names(own) if it not in BUILT_IN)]
        raise ProviderNotFoundError(
            f"[providers.{name}] names the SDK {wanted!r}, which is none of: {', '.join(there)}. "
            'Most vendors are spoken to with sdk = "openai".',
            provider=name,
        )
    return _of_kind(name, kind, own)


def _of_kind(name: str, kind: Kind, own: Kinds | None, depth: int = 0) -> tuple[Dialect, Maker | None, Dialect | None]:
    """The same of what stands for a name: a class speaks for itself, a dialect names who does."""
    if kind.make is not None:
        return kind.dialect, kind.make, kind.dialect
    sdk = kind.dialect.sdk or ""
    if sdk in SDKS:
        return SDKS[sdk], None, kind.dialect
    following = kinds.find(sdk, own)
    if following is None or depth > kinds.DEEPEST or following.name in BUILT_IN:
        raise ProviderNotFoundError(
            f"{name} is spoken to by the SDK {sdk!r}, as its dialect says, and there is none. There are: "
            f"{', '.join(SDKS)}.",
            provider=name,
        )
    found, make, _ = _of_kind(name, following, own, depth + 1)
    return found, make, kind.dialect


def address_of(name: str, settings: ProviderSettings | None, own: Kinds | None = None) -> str | None:
    """Where a provider is, by the lockfile, else the environment; `None` where its SDK knows, or nobody.

    Args:
        name, settings, own: as for `endpoint`; a name that is none of ours is no error.
    """
    try:
        return endpoint(name, settings, own=own).base_url
    except ProviderNotFoundError:
        return settings.base_url if settings is not None else None


def made_of(name: str, settings: ProviderSettings | None, own: Kinds | None = None) -> tuple[list[str], list[object]]:
    """The environment variables on which an endpoint depends, and what stands for its name and its SDK."""
    kind = _meant(name, settings.sdk if settings is not None else None, own)
    sdk = kinds.find(settings.sdk, own) if settings is not None and settings.sdk else None
    row = kind.dialect if kind is not None else None
    variables = [*row.key_variables, *row.address_variables] if row is not None else []
    variables += [row.header_variable] if row is not None and row.header_variable else []
    if settings is not None:
        variables += sdk.dialect.address_variables if sdk is not None else ()
        variables += [settings.api_key_env] if settings.api_key_env else []
        variables += [variable for value in settings.headers.values() for variable in variables_in(value)]
    return variables, [it for it in (kind, sdk) if it is not None]


def near_name(name: str, others: Iterable[str] = (), own: Kinds | None = None) -> str | None:
    """The provider that was probably meant by a name that is none.

    Args:
        name: as it was written.
        others: names that the lockfile declares.
        own: what was registered with the service.
    """
    if name in ALSO_CALLED:
        return ALSO_CALLED[name]
    return next(iter(alike(name.lower(), {*kinds.names(own), *others}, 1, 0.7)), None)


def _unknown(name: str, others: Iterable[str], own: Kinds | None) -> ProviderNotFoundError:
    if name in ALSO_CALLED:
        said = f"There is no provider {name!r}; it is called {ALSO_CALLED[name]!r} here."
        return ProviderNotFoundError(said, provider=name)
    near = near_name(name, others, own)
    return ProviderNotFoundError(
        f"There is no provider {name!r}.{f' Did you mean {near!r}?' if near else ''} "
        f"There are: {', '.join(sorted({*kinds.names(own), *others}))}. Declare another endpoint in the lockfile: "
        f'[providers.{name}] with sdk = "openai" and its base_url.',
        provider=name,
    )


def _place(row: Dialect | None, sdk: Dialect, moved: str | None) -> tuple[str | None, bool, bool]:
    """Where a provider is; whether its vendor's variables are for it; and whether it is at its vendor's own place.

    A vendor's key follows the lockfile's table of the vendor's name, as it follows the SDK's own `base_url`; a gateway
    there may need none.

    Args:
        row: the vendor's data, `None` for a provider that only the lockfile knows.
        sdk: the data of the SDK that speaks to it, or of the class that does.
        moved: where the lockfile says that it is.
    """
    if row is None:
        return moved or _address_in_environment(sdk) or sdk.base_url, False, False
    own = sdk is row or row.sdk == sdk.name or row.base_url is not None
    homes = [home for home in (_address_in_environment(row), row.base_url) if home]
    if moved:
        at_home = any(same_host(moved, home) for home in homes) or is_below(moved, row.hosts)
        return moved, own, own and at_home
    return next(iter(homes), None) if own else _address_in_environment(sdk), own, own


def _address_in_environment(row: Dialect) -> str | None:
    value = first_set(row.address_variables)
    if value is None or not row.address_path:
        return value
    return value.rstrip("/").removesuffix(row.address_path.rstrip("/")) + row.address_path
