"""The last day of a model's service: as the installed SDK announces it, else as its vendor's page records it.

An SDK forgets a model soon after its end, so what ended before is kept in a table here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from .naming import without_issue
from .sdk_lists import announced_ends

__all__ = ["last_day"]


def last_day(provider: str, name: str) -> date | None:
    """The last day of a model's service, past or to come; `None` where none is known.

    Args:
        provider: as in `provider:model`. Only the vendor's own service is meant: others that serve its models keep
            them for as long as they like.
        name: the model's. An issue of a model (`claude-2.1-latest`) ended when the model did.
    """
    announced, past = announced_ends(provider), _PAST.get(provider, {})
    return announced.get(name) or past.get(name) or past.get(without_issue(name))


def _by_name(by_day: Mapping[str, str]) -> Mapping[str, date]:
    return {name: date.fromisoformat(day) for day, names in by_day.items() for name in names.split()}


# What has ended. Only a vendor's own statement of a day is taken, and a name that the vendor has turned to a newer
# model (gemini-3-pro-preview) is left out.
_PAST: Mapping[str, Mapping[str, date]] = {
    # platform.claude.com/docs/en/about-claude/model-deprecations
    "anthropic": _by_name(
        {
            "2024-11-06": "claude-1 claude-1.0 claude-1.1 claude-1.2 claude-1.3 claude-v1"
            " claude-instant-1 claude-instant-1.0 claude-instant-1.1 claude-instant-1.2",
            "2025-07-21": "claude-2 claude-2.0 claude-2.1 claude-3-sonnet",
            "2025-10-28": "claude-3-5-sonnet",
            "2026-01-05": "claude-3-opus",
            "2026-02-19": "claude-3-5-haiku claude-3-7-sonnet",
            "2026-04-20": "claude-3-haiku",
            "2026-06-15": "claude-opus-4 claude-opus-4-0 claude-sonnet-4 claude-sonnet-4-0",
            "2026-08-05": "claude-opus-4-1",
        }
    ),
    # developers.openai.com/api/docs/deprecations
    "openai": _by_name(
        {
            "2024-01-04": "ada babbage curie davinci text-ada-001 text-babbage-001 text-curie-001"
            " text-davinci-001 text-davinci-002 text-davinci-003",
            "2024-09-13": "gpt-3.5-turbo-0301 gpt-3.5-turbo-0613 gpt-3.5-turbo-16k-0613",
            "2024-12-06": "gpt-4-vision-preview gpt-4-1106-vision-preview",
            "2025-06-06": "gpt-4-32k gpt-4-32k-0314 gpt-4-32k-0613",
            "2025-07-14": "gpt-4.5-preview",
            "2025-07-28": "o1-preview",
            "2025-10-27": "o1-mini",
            "2026-02-12": "codex-mini codex-mini-latest",
            "2026-02-17": "chatgpt-4o-latest",
            "2026-03-26": "gpt-4-0314 gpt-4-0125-preview gpt-4-turbo-preview",
            "2026-05-07": "gpt-4o-realtime-preview gpt-4o-mini-realtime-preview gpt-4o-audio-preview"
            " gpt-4o-mini-audio-preview",
            "2026-07-23": "gpt-5-chat-latest gpt-5-codex gpt-5.1-chat-latest gpt-5.1-codex gpt-5.1-codex-max"
            " gpt-5.1-codex-mini gpt-5.2-codex",
            "2026-08-10": "gpt-5.2-chat-latest gpt-5.3-chat-latest",
            "2026-09-28": "gpt-3.5-turbo-instruct babbage-002 davinci-002",
            "2026-10-23": "o1-pro",
        }
    ),
    # Gemini 2: ai.google.dev/gemini-api/docs/deprecations and /changelog. 1.5: Google's notice to developers of the
    # Gemini API. 1.0: cloud.google.com/vertex-ai/generative-ai/docs/deprecations/gemini-1.0-pro, its latest day.
    "google": _by_name(
        {
            "2025-04-09": "gemini-pro gemini-pro-vision gemini-1.0-pro gemini-1.0-pro-vision",
            "2025-05-27": "gemini-1.5-pro-001 gemini-1.5-flash-001",
            "2025-09-24": "gemini-1.5-pro gemini-1.5-flash gemini-1.5-flash-8b",
            "2025-12-02": "gemini-2.5-pro-preview-03-25 gemini-2.5-pro-preview-05-06 gemini-2.5-pro-preview-06-05",
            "2026-01-15": "gemini-2.5-flash-image-preview",
            "2026-06-01": "gemini-2.0-flash gemini-2.0-flash-lite",
        }
    ),
    # console.groq.com/docs/deprecations
    "groq": _by_name(
        {
            "2025-03-20": "mixtral-8x7b-32768",
            "2025-08-30": "llama3-70b-8192",
            "2026-04-15": "moonshotai/kimi-k2-instruct-0905",
            "2026-08-16": "llama-3.1-8b-instant llama-3.3-70b-versatile",
        }
    ),
}
