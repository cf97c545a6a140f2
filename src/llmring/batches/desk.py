"""The vendors' side of the batches of a journal: each provider as it was when a batch was made, or an error."""

from __future__ import annotations

from contextlib import AsyncExitStack
from hashlib import blake2b
from typing import TYPE_CHECKING

from ..exceptions import ConfigurationError, ProviderError
from ..provided import Lender
from ..providers import batch_protocols, uploading

if TYPE_CHECKING:
    from ..providers.base import Provider
    from ..providers.batching import Batches
    from ..talking import Talks
    from .journal import Journal, Shard

__all__ = ["Desk"]


class Desk(AsyncExitStack):
    """Lends what a journal's batches are asked for with, and lets go of it at the end.

    Args:
        service: whose providers these are.
        salt: of the journal.
    """

    def __init__(self, service: Talks, salt: str) -> None:
        super().__init__()
        self._service = service
        self._salt = bytes.fromhex(salt)
        self._lent: dict[str, Provider] = {}
        self._batches: dict[str, Batches] = {}

    async def provider(self, model: str) -> Provider:
        """Who serves a `provider:model`.

        Raises:
            ProviderNotFoundError: it is not configured.
        """
        name = model.partition(":")[0]
        if name not in self._lent:
            lender = Lender(self._service, self._service._lockfile(), self._service.timeout)
            self._lent[name], let_go = await lender.lend(model)
            self.callback(let_go)
        return self._lent[name]

    async def batches(self, model: str) -> Batches:
        """A model's batches.

        Raises:
            ConfigurationError: its provider takes none.
        """
        if model not in self._batches:
            provider = await self.provider(model)
            found = batch_protocols.batches_of(provider, model.partition(":")[2], self._service.timeout)
            if found is None:
                raise ConfigurationError(f"{model} is asked at {provider.issuer}, which takes no batches.")
            self._batches[model] = found
        return self._batches[model]

    async def of(self, shard: Shard) -> Batches:
        """Those of a shard's model.

        Raises:
            ConfigurationError: its provider is asked elsewhere now.
        """
        there, _ = await self.whose(shard.model)
        if there != shard.issuer:
            raise ConfigurationError(f"{_named(shard)} is at {shard.issuer}, and its provider is now {there}.")
        return await self.batches(shard.model)

    async def check_key(self, shard: Shard) -> None:
        """Called where a batch is not found: another key of the same account finds it, and that of another does not.

        Raises:
            ConfigurationError: the key is not the one that it was made with.
        """
        provider = await self.provider(shard.model)
        if (await self.whose(shard.model))[1] != shard.account:
            raise ConfigurationError(
                f"{_named(shard)} is not found with the key of {provider.name} that {provider.config.key_source} has "
                "now, and was made with another one. Go on with that, so that nothing is paid for twice."
            )

    async def cancel(self, shard: Shard, journal: Journal) -> tuple[str, bool]:
        """End a batch; gives what is to be said of that, and whether it is ended.

        Raises:
            Unsure: whether it was made cannot be told yet.
            ProviderError: the vendor did not end it.
        """
        batches = await self.of(shard)
        id = shard.batch
        if id is None and shard.step == "creating":
            id = await batches.find(shard.tag, shard.at, shard.count, journal.known)
            if id is None:
                await self.check_key(shard)
                return f"{_named(shard)} is not at {batches.name} yet, and may still come. The next run looks.", False
            journal.note(shard.tag, "created", batch=id)
        if id is None:
            files = (shard.upload,) if shard.upload else await batches.uploaded(shard.tag)
            journal.note(shard.tag, "dropped", why="it was not made", files=files)
            if await batches.tidy(files):
                journal.note(shard.tag, "tidied")
            return f"{_named(shard)} was not made.", True
        try:
            await batches.cancel(id)
        except ProviderError as error:
            if error.status_code == 404:
                await self.check_key(shard)
                journal.note(shard.tag, "dropped", why=str(error))
                return f"{_named(shard)} is not at {batches.name} any more; its rows are to be asked again.", True
            if (await batches.look(id)).state == "running":
                raise
            journal.note(shard.tag, "cancelled")
            return f"{_named(shard)} is over already; llmring batch collect takes its answers.", True
        journal.note(shard.tag, "cancelled")
        return f"{_named(shard)} is being cancelled; llmring batch collect takes what is answered.", True

    async def whose(self, model: str) -> tuple[str, str]:
        """Where a model is asked, and a digest of with whose key."""
        provider = await self.provider(model)

        def digest(said: bytes) -> str:
            return blake2b(said, key=self._salt, digest_size=12).hexdigest()

        return provider.issuer, uploading.account_of(provider, digest)


def _named(shard: Shard) -> str:
    return f"The batch {shard.batch or shard.tag} of {shard.count:,} rows"
