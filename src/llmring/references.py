"""What a name is, how `provider:model` is read, and how a message quotes either: never a key, nothing that steers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from .exceptions import ConfigurationError

__all__ = [
    "FILE_NAME",
    "KEY_SHAPE",
    "alike",
    "bind_command",
    "escaped",
    "is_header_value",
    "is_name",
    "shown",
    "split_reference",
    "text_of",
    "unbind_command",
    "word",
]

FILE_NAME = "llmring.lock"
"""What a lockfile is called."""
KEY_SHAPE = re.compile(
    r"(?<![\w-])(?:"
    r"(?:sk|csk|xai|pplx|nvapi)-[\w-]{20,}"  # OpenAI, Anthropic, OpenRouter, DeepSeek, Cerebras, xAI, ...
    r"|AIza[\w-]{30,}|AQ\.[\w-]{30,}|ya29\.[\w-]{20,}"  # Google
    r"|(?:gsk|hf|fw|r8|tgp_v1|gh[opsur]|github_pat)_\w{20,}"  # Groq, Hugging Face, Fireworks, Replicate, GitHub
    r"|(?:sk|rk)_(?:live|test)_\w{16,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}"  # Stripe, GitLab, Slack
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)"  # AWS
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}"  # a JSON web token
    r")"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|://[^\s/@:\"'$]+:[^\s/@\"'$]+@"  # a password in an address
    r"|[?&](?:api[-_]?key|subscription[-_]?key|key|token|access[-_]token|sig|secret|password)=[\w.~%-]{8,}"  # a query
)
"""What is a key, a token or a password by its form, wherever it stands."""
_HEADER_VALUE = re.compile(r"(?:bearer|basic) +(?=\S*[\d=])[\w.~+/-]{8,}=*", re.IGNORECASE)


def alike(name: str, names: Iterable[str], most: int = 1, likeness: float = 0.6) -> list[str]:
    """The names that somebody may have meant who wrote this one, the likeliest first."""
    from difflib import get_close_matches

    return get_close_matches(name, list(names), most, likeness)


def split_reference(reference: str) -> tuple[str, str]:
    """`"anthropic:claude-haiku-5-5"` as `("anthropic", "claude-haiku-5-5")`.

    The first colon divides; a model's name may hold more of them, and slashes (`ollama:llama3.2:3b`).

    Raises:
        ConfigurationError: it is not of that form; the message says what is wrong and how to write it.
    """
    provider, colon, model = reference.partition(":")
    if provider and model and "/" not in provider and is_name(reference):
        return provider, model
    if not is_name(reference):
        problem = "is empty or holds white space"
    elif not colon or "/" in provider:
        problem = "names no provider"
    else:
        problem = "names no provider before the colon" if not provider else "names no model after the colon"
    raise ConfigurationError(
        f"The model reference {shown(reference)} {problem}. "
        "Write it as provider:model, for example anthropic:claude-haiku-5-5"
    )


def text_of(name: object, what: str, example: str) -> str:
    """The name, if it is text at all.

    Raises:
        ConfigurationError: it is not; the message says what was to be named, with an example.
    """
    if isinstance(name, str):
        return name
    raise ConfigurationError(f"{shown(name)}, of type {type(name).__name__}, names no {what}: that is text, {example}.")


def is_name(text: str) -> bool:
    """Whether it can name an alias, a profile, a provider or a model: visible characters, no white space."""
    return bool(text) and text.isprintable() and " " not in text


def is_header_value(text: str) -> bool:
    """Whether a text is all that a header says to authorise somebody, as in `Bearer abc123def`."""
    return bool(_HEADER_VALUE.fullmatch(text))


def shown(value: object) -> str:
    """A value as a message quotes it: shortened, in visible characters, and never a key."""
    text = str(value)
    if KEY_SHAPE.search(text) or is_header_value(text):
        return "(a secret, not shown)"
    text = escaped(text)
    return f'"{text}"' if len(text) <= 80 else f'"{text[:77]}..."'


def escaped(text: str) -> str:
    """The text with what steers a terminal, or cannot be sent to one, as escapes: ESC becomes `\\x1b`."""
    return "".join(it if it.isprintable() else it.encode("unicode_escape").decode() for it in text)


def word(name: str, otherwise: str) -> str:
    """A name as a shell takes it; a stand-in for none, and for one that is better not repeated."""
    return shlex.quote(name) if name and shown(name) == f'"{name}"' else otherwise


def bind_command(alias: str, profile: str | None = None) -> str:
    """The command that binds an alias, in a profile or in the default one."""
    return f"llmring bind {word(alias, 'ALIAS')} provider:model{_option(profile)}"


def unbind_command(alias: str, profile: str | None = None) -> str:
    """The command that takes an alias out of a profile, or out of the default one."""
    return f"llmring unbind {word(alias, 'ALIAS')}{_option(profile)}"


def _option(profile: str | None) -> str:
    return f" --profile {word(profile, 'NAME')}" if profile else ""
