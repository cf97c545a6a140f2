"""What a model's name says: a gateway, a cloud or a router writes more into it than the model.

`us.anthropic.claude-haiku-4-5-20251001-v1:0`, `anthropic/claude-haiku-4.5` and `claude-haiku-4-5@20251001` name one
model. A name that the rules here cannot read is of a model that is not known: it is never taken for another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ..vendors import also_called, of_vendors

__all__ = [
    "bare",
    "billed_by",
    "forms",
    "is_issue",
    "listed_as",
    "model_of",
    "served_by",
    "vendor_of",
    "without_issue",
]

# A day (2025-08-07, 20250929, 0613), a build (001) or "latest" at the end of a name: which issue of the same model.
_ISSUE = re.compile(r"[-@](?:\d{4}-\d\d-\d\d|\d{8}|\d{4}|\d{3}|latest|default)$")
# A whole day says the same of every vendor's names. Fewer digits may tell models apart, whose prices differ
# (mistral-large-2402 and -2407).
_DATED = re.compile(r"(?:-(?:\d{4}-\d\d-\d\d|\d{8}|latest)|@\w+)$")
# Bedrock's version, and how much context it has been given: -v1:0, -v1:0:24k.
_VERSION = re.compile(r"(?:-v\d+)?:\d+(?::\d+k)?$|-v1$")

# Where a model's name is the end of a path: the pattern of what stands before it, and the provider that it is of.
# docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations, ai.google.dev/api/models,
# docs.fireworks.ai/getting-started/concepts (other accounts' models are their own),
# docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html and /inference-profiles-support.html
_ON_BEDROCK = "ai21|amazon|anthropic|cohere|deepseek|meta|minimax|mistral|moonshot|nvidia|openai|qwen|writer|zai"
_PATHS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("google", re.compile(r"(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/[^/]+/)?models/")),
    ("fireworks", re.compile(r"accounts/fireworks/models/")),
    ("aws", re.compile(r"arn:aws[\w-]*:bedrock:[^/]*:(?:foundation-model|inference-profile)/")),
    ("aws", re.compile(rf"(?:[\w-]+/)*(?=(?:[a-z-]+\.)?(?:{_ON_BEDROCK})\.)")),
)

# A generation in the other spelling: OpenRouter writes claude-haiku-4.5, Anthropic claude-haiku-4-5.
_DASHED = re.compile(r"(?<![\d.])(\d{1,2})-(\d{1,2})(?![\w.])")
_DOTTED = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})(?![\w.])")


@cache
def _lists() -> Mapping[str, Mapping[str, Any]]:
    """How vendors are found on price lists, by their names there: the `prices` of `vendors.json`."""
    return {row.get("listed_as", name): {"vendor": name, **row} for name, row in of_vendors("prices").items()}


@cache
def _by_prefix() -> Mapping[str, str]:
    """The provider on price lists that the first part of a model's name says it is served by.

    Who has published a model's weights (meta-llama/, mistralai/) is not who serves it.
    """
    return {first: there for there, row in _lists().items() for first in row.get("prefixes", ())}


def listed_as(provider: str) -> str:
    """A provider's name in the price data."""
    name = also_called().get(provider, provider)
    return next((there for there, row in _lists().items() if row["vendor"] == name), name)


def vendor_of(there: str) -> str:
    """Whose a price list is, by its provider's name in the price data, as in `provider:model`."""
    return str(_lists().get(there, {}).get("vendor", there))


def served_by(name: str) -> tuple[str, str] | None:
    """Who serves a model, by its name in the price data, and the model's name there; `None` where it does not say.

    Args:
        name: as it stands behind the colon of `provider:model` (`"anthropic/claude-haiku-4-5"`).
    """
    for provider, path in _PATHS:
        if (match := path.match(name)) is not None:
            return provider, name[match.end() :]
    first, _, rest = name.partition("/")
    named = _by_prefix().get(first.lower())
    return (named, rest) if rest and named is not None else None


def billed_by(name: str) -> tuple[str, str] | None:
    """As `served_by`; `None` also where a model's weights are published: anybody may serve openai/gpt-oss-20b."""
    there = served_by(name)
    if there is None:
        return None
    published = _lists().get(there[0], {}).get("open_weights", ())
    return None if there[1].lower().startswith(tuple(published)) else there


def bare(provider: str, name: str) -> str:
    """A model's name without what says that this provider serves it (by its name in the price data)."""
    while (there := served_by(name)) is not None and there[0] == provider and there[1] != name:
        name = there[1]
    return name


def forms(provider: str, name: str) -> Iterator[str]:
    """The names under which a provider's list may have a model, the most exact one first.

    A variant (`:free`, `:nitro`) is never left out: it is served by others, at other prices.

    Args:
        provider: its name in the price data.
        name: as it was written.
    """
    yield name
    if (short := bare(provider, name)) != name:
        yield short
    if (undated := _DATED.sub("", _VERSION.sub("", short) if ":" in short else short)) != short:
        yield undated
    if "/" in short:  # at a gateway: a vendor's own names have one spelling
        for spelt in dict.fromkeys((short, undated)):
            yield _DASHED.sub(r"\1.\2", spelt)
            yield _DOTTED.sub(r"\1-\2", spelt)


def is_issue(rest: str) -> bool:
    """Whether the rest of a name, behind a model's, only says which issue or version of this model is meant."""
    return not _ISSUE.sub("", _VERSION.sub("", rest))


def without_issue(name: str) -> str:
    """A model's name without the day, the build or the `latest` that says which issue of it is meant."""
    return _ISSUE.sub("", name)


def model_of(name: str) -> str:
    """A model's own name in one spelling, whoever serves it: `"claude-haiku-4-5-20251001"` of any of its names.

    Without the path, the region and the vendor before it, and the version and variant behind it.
    """
    last = re.sub(r".*/|~", "", name.lower())
    plain = re.sub(r"^(?:[a-z-]+\.)?[a-z]\w*\.(?=[a-z])", "", _VERSION.sub("", last) if ":" in last else last)
    return re.sub(r"@|(?<=\d)\.(?=\d)", "-", plain.partition(":")[0])
