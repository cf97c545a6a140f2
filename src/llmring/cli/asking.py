"""Providers asked for the models that they list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..exceptions import LLMRingError

if TYPE_CHECKING:
    from ..providers.listing import ListedModel
    from ..service import LLMRing

__all__ = ["ask"]

PATIENCE = 10.0
"""Seconds that a provider has at most to answer."""


def ask(names: Sequence[str]) -> Mapping[str, list[ListedModel] | LLMRingError]:
    """Ask providers at the same time, as the lockfile and the environment have them.

    Args:
        names: as in `provider:model`.

    Returns:
        What each one lists, or the error that it came to.

    Raises:
        ConfigurationError: the user has not agreed to where the lockfile has their secrets sent.
    """
    if not names:
        return {}
    import asyncio

    from .known import lockfile_if_any
    from .progress import working
    from .trusted import require

    require(lockfile_if_any(), names)

    with working(f"Asking {', '.join(names)}"):
        return asyncio.run(_ask(names))


async def _ask(names: Sequence[str]) -> Mapping[str, list[ListedModel] | LLMRingError]:
    import asyncio

    from .trusted import Service

    async with Service(max_retries=0) as service:
        answers = await asyncio.gather(*(_listed(service, name) for name in names))
    return dict(zip(names, answers, strict=True))


async def _listed(service: LLMRing, name: str) -> list[ListedModel] | LLMRingError:
    import asyncio

    from ..providers.listing import list_models

    try:
        await asyncio.to_thread(service.get_provider, name)  # imports its SDK: the others are asked meanwhile
        return await list_models(service.get_provider(name), timeout=min(service.timeout or PATIENCE, PATIENCE))
    except LLMRingError as error:
        return error
