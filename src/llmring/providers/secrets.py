"""Whose a secret is, and where the requests of a provider take it.

A lockfile names variables and addresses, and may be a stranger's. What is judged here is names: no value is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..addresses import is_below, is_this_machine, same_host
from ..credentials import KEYRING, Keyring, first_set
from ..dialects import Dialect
from ..exceptions import ProviderNotFoundError
from ..vendors import BUILT_IN
from .endpoints import Endpoint, address_of
from .kinds import find

__all__ = ["SDKS_OWN", "Secret", "has_name_of", "is_at_home", "is_owned", "is_set", "owners_at", "secrets_of"]

SDKS_OWN = "the SDK's own"
"""The source of what somebody else's SDK may find by itself: a profile, a file, a token of the machine."""
_GENERIC = re.compile(
    "ACCESS|AI|API|AUTH|BEARER|CHAT|COMPANY|CORP|DEV|GATEWAY|INFERENCE|INTERNAL|KEYS?|LLMS?|LOCAL|LOGIN|MODELS?|MY|OUR"
    "|PROD|PROXY|SERVER|STAGING|TEAM|TEST|TOKENS?|WORK"
)
"""Words that say of a variable nothing but that it is a key of some model's server."""
_OF_NO_ONE = re.compile("AI|API|APP|CLOUD|COM|DEV|EU|EXAMPLE|IO|LOCALHOST|MODELS|NET|ORG|US|V1|WWW")
"""Parts of hosts' names that name nobody."""
_PATIENCE = 2.0
"""Seconds that a keyring has to answer."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that goes with a provider's requests if it is set.

    Attributes:
        source: the environment variable that holds it, `KEYRING`, or `SDKS_OWN`.
        provider: whose requests, as in `provider:model`.
        address: where they go, without a login.
    """

    source: str
    provider: str
    address: str


def secrets_of(target: Endpoint) -> list[Secret]:
    """The secrets that a provider's requests may carry; none where it has no address."""
    if target.address is None:
        return []
    sources = [*target.key_variables, *([KEYRING] if target.keyring else ()), *target.header_variables]
    if target.moved and getattr(target.make, "finds_credentials", target.make is not None):
        sources.append(SDKS_OWN)
    return [Secret(source, target.name, target.address) for source in dict.fromkeys(sources)]


def is_set(secret: Secret, target: Endpoint) -> bool:
    """Whether there is anything to send. A keyring that does not answer in time may do so when it is asked again.

    What an SDK finds, nobody knows before it looks.
    """
    if secret.source == SDKS_OWN:
        return True
    if secret.source == KEYRING:
        keyring = Keyring(_PATIENCE)
        return target.find_key({}) is None and (target.key_of_keyring(keyring) is not None or keyring.waits)
    return first_set([secret.source]) is not None


def is_at_home(secret: Secret) -> bool:
    """Whether a secret stays on this machine, or goes to the vendor whose it is."""
    return is_this_machine(secret.address) or is_owned(secret)


def is_owned(secret: Secret) -> bool:
    """Whether a secret goes to the vendor whose it is, by its name.

    A vendor is also where the environment says that it is: the user has sent its key there.
    """
    owners = list(owners_at(secret.address, secret.provider))
    if secret.source in (KEYRING, SDKS_OWN):
        return bool(owners)
    return any(has_name_of(secret.source, name) for name in owners)


def owners_at(address: str, provider: str | None = None) -> Iterator[str]:
    """The providers whose own place an address is: of the built-in ones, and of a registered or installed one."""
    for name in dict.fromkeys((*BUILT_IN, *filter(None, [provider]))):
        if (row := _known(name)) is None:
            continue
        homes = [it for it in (row.base_url, row.home, address_of(name, None)) if it]
        hosts = (*row.hosts, *filter(None, [row.cloud]))
        if address in homes or is_below(address, hosts) or any(same_host(address, home) for home in homes):
            yield name


def _known(name: str) -> Dialect | None:
    """What is known of a provider's vendor; `None` where nothing is, or its package is broken."""
    try:
        kind = find(name)
    except ProviderNotFoundError:
        return None
    return kind.dialect if kind is not None else None


def has_name_of(variable: str, name: str, address: str | None = None) -> bool:
    """Whether a variable is, by its name, for a provider: one of its words is the provider's, or its host's.

    Args:
        variable: as `WORK_OPENAI_KEY`.
        name: the provider's; a built-in one is also called as its own variables are.
        address: where it is; given, words that name nobody (`LLM_API_KEY`) will do, too.
    """
    row = _known(name)
    listed = {it for it, other in BUILT_IN.items() if variable in (*other.key_variables, other.header_variable)}
    if row is not None and name not in BUILT_IN and variable in (*row.key_variables, row.header_variable):
        return not listed
    if listed and name in BUILT_IN:
        return name in listed
    words = [word for word in variable.upper().split("_") if word]
    own = {name, *(it.partition("_")[0] for it in (row.key_variables if row is not None else ()))}
    names = {part.upper() for it in own for part in (*re.split(r"[\W_]+", it), re.sub(r"[\W_]", "", it)) if part}
    if address is not None:
        host = re.split(r"[\W_]+", re.sub(r"^\w+://(?:[^/@]*@)?([^/?#]*).*", r"\1", address))
        names |= {part.upper() for part in host if len(part) > 2 and not _OF_NO_ONE.fullmatch(part.upper())}
        if all(map(_GENERIC.fullmatch, words)):
            return True
    return any(word == it or (len(it) > 3 and word.startswith(it)) for word in words for it in names)
