"""What a service knows of models: what they are, what their answers cost, and how each of them stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from . import breaker, catalog
from .aliases import Aliases
from .lazy import Later
from .providers import endpoints

if TYPE_CHECKING:
    from . import schemas
    from .lockfile import ProviderSettings
    from .providers import kinds
else:
    schemas = Later("llmring.schemas")

__all__ = ["Models"]


class Models(Aliases):
    """What `LLMRing` knows of models. Its methods hand over to the packages that know."""

    _breakers: breaker.Breakers

    def calculate_cost(self, response: schemas.LLMResponse | schemas.StreamChunk) -> catalog.Cost:
        """What an answer cost, in US dollars, each model that served and its service tier at its own price.

        Where one is not priced, `reason` says so.

        Args:
            response: a whole answer, or the final chunk of one.
        """
        return catalog.cost_of(response, base_url=self._address)

    def get_model_info(self, model: str, *, profile: str | None = None) -> catalog.ModelInfo:
        """What the catalogue knows of a model: its limits and its prices.

        Args:
            model: an alias (then: of the model that serves it), or `provider:model`.
            profile: instead of the service's.
        """
        reference = self.resolve_alias(model, profile)
        return catalog.model_info(reference, base_url=self._address(reference))

    def breakers(self) -> list[breaker.BreakerState]:
        """How the circuit breakers of this service stand: one for each model that it was asked for of late.

        Other services, and other processes, have their own.
        """
        return self._breakers.states()

    def reset_breaker(self, model: str, *, profile: str | None = None) -> None:
        """Close the circuit breaker of a model and forget its failures, if it has one.

        Args:
            model: an alias (then: of all its models), or `provider:model`.
            profile: instead of the service's.

        Raises:
            AliasNotFoundError: no such alias.
        """
        for reference in self._resolve(model, profile).models:
            self._breakers.reset(reference)

    def _address(self, reference: str) -> str | None:
        """Where the provider of a `provider:model` is asked."""
        provider = reference.partition(":")[0]
        return endpoints.address_of(provider, self._declared().get(provider), self._kinds())

    def _kinds(self) -> kinds.Kinds | None:
        """What was registered with the service."""
        return None

    def _declared(self) -> Mapping[str, ProviderSettings]:
        """What the lockfile says of providers, by name."""
        lockfile = self._lockfile()
        return lockfile.providers if lockfile is not None else {}
