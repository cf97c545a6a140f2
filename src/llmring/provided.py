"""What a service knows of providers: which there are, and how a program has one of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from . import concealment, dialects, references
from . import lockfile as lockfiles
from .aliases import Aliases
from .credentials import kept
from .exceptions import LLMRingError, ProviderNotFoundError
from .providers import base, kinds, registry

__all__ = ["Lender", "Provided"]


class Provided(Aliases):
    """What `LLMRing` does about providers. Its methods hand over to the registry, which keeps them."""

    _registry: registry.Registry

    def get_provider(self, name: str) -> base.Provider:
        """A provider's adapter; its `client` is the official SDK's async client.

        Raises:
            ProviderNotFoundError: no such provider, no key for it, or its SDK is not installed.
        """
        lockfile = self._lockfile()
        self._vet(references.text_of(name, "provider", 'as "openai"'), lockfile)
        declared = lockfile.providers if lockfile is not None else {}
        try:
            return self._registry.get(name, declared.get(name), declared)
        except LLMRingError as error:
            raise concealment.bare(error)  # noqa: B904 - it is the same error

    def warm_up(self, *models: str, profile: str | None = None) -> None:
        """Import the SDKs that these aliases need, in threads, while the program is busy with something else.

        Returns at once. Without it the first request to a provider waits for the import, a second or so; if there is
        something wrong with a provider, its first request says so in either case.

        Args:
            models: aliases, or `provider:model`; of an alias, the model that serves.
            profile: instead of the service's.

        Raises:
            AliasNotFoundError: no such alias.
        """
        declared = self._declared()
        for provider in dict.fromkeys(
            lockfiles.split_reference(self.resolve_alias(model, profile))[0] for model in models
        ):
            self._registry.warm_up(provider, declared.get(provider))

    def register_provider(
        self,
        name: str,
        provider: base.Provider
        | type[base.Provider]
        | Callable[[base.ProviderConfig], base.Provider]
        | dialects.Dialect,
        *,
        api_key: str | None = None,
    ) -> None:
        """Serve `name:model` by a provider of your own, in this service; `llmring.register` does so in a process.

        It takes the place of any other of that name, a built-in one too.

        Args:
            name: what stands before the colon; `sdk = "NAME"` in the lockfile means it, too, unless it is made already.
            provider: a class derived from `llmring.providers.Provider`, a function that makes one of a
                `ProviderConfig`, or a `Dialect`: of these, each event loop has one of its own, with the key that is
                found as for a built-in one. Or a provider that is made already, for one event loop.
            api_key: its key; not given: from `api_keys`, the environment or the keyring.

        Raises:
            ConfigurationError: the name is none, or was registered with this service before.
        """
        keys = kept({name: api_key})
        del api_key
        self._registry.register(name, provider, keys)

    def _kinds(self) -> kinds.Kinds:
        """What was registered with this service."""
        return self._registry.kinds

    def _no_provider(self, name: str, error: ProviderNotFoundError) -> ProviderNotFoundError:
        # What brings it has said what is wrong with it.
        known = kinds.origin_of(name.partition(":")[0], self._kinds())
        return error if known is not None else super()._no_provider(name, error)

    def _vet(self, name: str, lockfile: lockfiles.Lockfile | None) -> None:
        """Called before a provider comes to life; the command line refuses here what its user has not agreed to."""

    def _declared(self) -> Mapping[str, lockfiles.ProviderSettings]:
        """What the lockfile says of providers, by name."""
        lockfile = self._lockfile()
        return lockfile.providers if lockfile is not None else {}


class Lender:
    """What the calls of one request have of its service: each provider, and for one that stands before others, these.

    Args:
        service: whose they are.
        lockfile: the one that holds for the request.
        timeout: seconds that a key is waited for.
    """

    __slots__ = ("_lockfile", "_service", "_timeout")

    def __init__(self, service: Provided, lockfile: lockfiles.Lockfile | None, timeout: float | None) -> None:
        self._service = service
        self._lockfile = lockfile
        self._timeout = timeout

    @property
    def folder(self) -> Path:
        """The project's: where its lockfile is, else the working directory."""
        path = self._lockfile.path if self._lockfile is not None else None
        return path.absolute().parent if path is not None else Path.cwd()

    async def lend(self, reference: str) -> tuple[base.Provider, Callable[[], None]]:
        """The provider that serves a `provider:model`, and what lets go of it again.

        Raises:
            ProviderNotFoundError: it is not configured.
        """
        service, lockfile, name = self._service, self._lockfile, references.split_reference(reference)[0]
        service._vet(name, lockfile)
        declared = lockfile.providers if lockfile is not None else {}
        try:
            return await service._registry.borrow(name, declared.get(name), declared, self._timeout)
        except ProviderNotFoundError as error:
            raise service._no_provider(reference, error) from error.__cause__
