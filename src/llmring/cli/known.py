"""What is known of a model here: by the catalogue, with what the lockfile says of its provider, and its key."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..catalog import ModelInfo
    from ..lockfile import Lockfile

__all__ = ["described", "key_of", "known_of", "lockfile_if_any", "of_some_provider"]


def lockfile_if_any() -> Lockfile | None:
    """The lockfile of the working directory; `None` where there is none.

    Raises:
        LockfileError: there is one that cannot be read.
    """
    from ..exceptions import LockfileNotFoundError
    from ..lockfile import find_lockfile, load

    path = find_lockfile()
    try:
        return load(path) if path is not None else None
    except LockfileNotFoundError:
        return None


def known_of(reference: str, lockfile: Lockfile | None) -> ModelInfo:
    """What the catalogue knows of a model at its provider's address, by the lockfile or the environment."""
    from ..catalog import model_info
    from ..providers.endpoints import address_of

    provider = reference.partition(":")[0]
    settings = lockfile.providers.get(provider) if lockfile is not None else None
    return model_info(reference, base_url=address_of(provider, settings))


def of_some_provider(name: str) -> str | None:
    """The `provider:model` that the catalogue has for the name of a model alone; `None` if it has none."""
    from ..catalog import covers, known
    from ..lockfile.model import is_name
    from ..providers.vendors import BUILT_IN

    if ":" in name or not is_name(name):
        return None
    return next((f"{it}:{name}" for it in BUILT_IN if covers(it) and known(f"{it}:{name}")), None)


def described(info: ModelInfo) -> dict[str, Any]:
    """All that is known of a model, for `--json`: prices in US dollars for a million tokens, windows in tokens."""
    fields = asdict(info)
    del fields["dearer_above"]
    retires = info.retires.isoformat() if info.retires is not None else None
    reference = {"model": f"{info.provider}:{info.name}"}
    return reference | fields | {"tiers": list(fields["tiers"]), "retires": retires, "retired": info.retired}


def key_of(provider: str, lockfile: Lockfile | None) -> dict[str, Any]:
    """What a provider needs before it can serve: its key, without the key itself, as `standing.key_of` has it.

    Returns:
        Also the `problem`, `None` where it can serve, its SDK apart.
    """
    from . import standing

    one = standing.standing(provider, lockfile, standing.keyring())
    return standing.key_of(one) | {"problem": one.lacks}
