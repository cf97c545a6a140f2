"""What the vendors' pages say of models, as `models.json` records it: limits, ends, and what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Final, Literal

from ..data import of_vendors
from .naming import model_of, without_issue
from .vendor_files import announced_ends

__all__ = ["ROLES", "Role", "last_day", "max_output_tokens", "suggested"]

Role = Literal["fast", "balanced", "deep"]
"""What a model is wanted for: cheap and quick, everyday work, or the hardest of it."""
ROLES: Final[tuple[Role, ...]] = ("fast", "balanced", "deep")

_FILE = "catalog/models.json"


def suggested(role: Role) -> Mapping[str, str]:
    """Current models that fit a role: the newest stable one of a family, by provider.

    Vendors that serve everybody's models have no line-up to choose from.
    """
    return {provider: row[role] for provider, row in of_vendors("roles", _FILE).items()}


def max_output_tokens(name: str) -> int | None:
    """The most tokens that a model generates, whoever serves it; `None` where it is not known.

    Args:
        name: the model's, as its vendor or a gateway writes it (`"claude-haiku-4-5-20251001"`,
            `"anthropic/claude-haiku-4.5"`).
    """
    model = model_of(name)
    limits = {
        start: most for row in of_vendors("limits", _FILE).values() for start, most in row["max_output_tokens"].items()
    }
    fitting = [start for start in limits if model == start or model.startswith(f"{start}-")]
    return limits[max(fitting, key=len)] if fitting else None


def last_day(provider: str, name: str) -> date | None:
    """The last day of a model's service, past or to come; `None` where none is known.

    The installed SDK's word goes first. It forgets a model soon after its end, so what ended before is recorded.

    Args:
        provider: as in `provider:model`. Only the vendor's own service is meant: others that serve its models keep
            them for as long as they like.
        name: the model's. An issue of a model (`claude-2.1-latest`) ended when the model did.
    """
    announced, ended = announced_ends(provider), _ended().get(provider, {})
    return announced.get(name) or ended.get(name) or ended.get(without_issue(name))


@cache
def _limits() -> Mapping[str, int]:
    """By the beginning of a model's name; the longest that fits decides."""
    rows = of_vendors("limits", _FILE).values()
    return {start: most for row in rows for start, most in row["max_output_tokens"].items()}


@cache
def _ended() -> Mapping[str, Mapping[str, date]]:
    """Only a vendor's own statement of a day is recorded, and no name that it has turned to a newer model."""
    return {
        provider: {name: date.fromisoformat(day) for day, names in row["on"].items() for name in names}
        for provider, row in of_vendors("retired", _FILE).items()
    }
