"""What vendors of Chat Completions want otherwise than the format has it: a row of data for each, with its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ChatDialect", "dialect_of"]


@dataclass(frozen=True, slots=True)
class ChatDialect:
    """What a vendor wants otherwise.

    Attributes:
        hosts: the vendor's own, with all that is below them.
        max_tokens: the name of the limit of the output.
        seed: the name of the seed.
        call_id: what it takes for a call's id.
        id_length: of the ids that are made for others' calls.
        custom_tools: whether it has tools that take text of any form.
        reasoning: the field that every assistant's turn must have once the conversation has calls.
        foreign_call: what the first call of a turn must have, where its own issuer gave no such thing.
        service_tiers: those that it takes; others, which are meant for a stand-by, are not sent. `None` takes any.
        think_tags: whether its models may write their thinking into the text.
        stream_options: whether it is to be asked for a stream's usage; else it tells that by itself.
        schemas: whether it holds an answer to a schema; else the model is told of it in words.
        silent_turns: whether a turn of the model's may say nothing, or be missing between results and a question.
    """

    hosts: tuple[str, ...] = ()
    max_tokens: str = "max_tokens"
    seed: str = "seed"
    call_id: re.Pattern[str] = re.compile(r"[a-zA-Z0-9_-]{1,40}")
    id_length: int = 24
    custom_tools: bool = False
    reasoning: str | None = None
    foreign_call: Mapping[str, Any] | None = None
    service_tiers: frozenset[str] | None = None
    think_tags: bool = True
    stream_options: bool = True
    schemas: bool = True
    silent_turns: bool = True


_PLAIN = ChatDialect()
_DIALECTS: Mapping[str, ChatDialect] = {
    # The vendor's reference "Create chat completion": max_tokens is "not compatible with o-series models".
    "openai": ChatDialect(("api.openai.com",), "max_completion_tokens", custom_tools=True, think_tags=False),
    # One API on both hosts: learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
    "azure": ChatDialect(("openai.azure.com", "services.ai.azure.com"), "max_completion_tokens", custom_tools=True),
    # docs.mistral.ai/api: `random_seed`, tiers of its own; fields that it does not know, `stream_options` among them,
    # are a 422. "Tool call id must be a-z, A-Z, 0-9, with a length of 9"; "Assistant message must have either
    # content or tool_calls"; "Unexpected role 'user' after role 'tool'".
    "mistral": ChatDialect(
        ("mistral.ai",),
        seed="random_seed",
        call_id=re.compile(r"[a-zA-Z0-9]{9}"),
        id_length=9,
        service_tiers=frozenset({"auto", "standard_only"}),
        stream_options=False,
        silent_turns=False,
    ),
    # api-docs.deepseek.com/guides/thinking_mode, "Tool Calls": 400 without it. guides/json_mode: of the forms of an
    # answer only `json_object`; with another, "This response_format type is unavailable now".
    "deepseek": ChatDialect(("deepseek.com",), reasoning="reasoning_content", schemas=False),
    # platform.moonshot.ai, "Use Kimi K2 Thinking": "reasoning_content is missing in assistant tool call message".
    "moonshot": ChatDialect(("moonshot.ai", "moonshot.cn", "kimi.com"), reasoning="reasoning_content"),
    # platform.xiaomimimo.com, "Deep thinking": as with DeepSeek.
    "mimo": ChatDialect(("xiaomimimo.com",), reasoning="reasoning_content"),
    # ai.google.dev/gemini-api/docs/thought-signatures, "FAQs": the word for calls of other models; a call without a
    # signature is a 400. Its compatible endpoint has the signature in `extra_content`.
    "gemini": ChatDialect(
        ("generativelanguage.googleapis.com", "aiplatform.googleapis.com"),
        foreign_call={"extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}},
    ),
    # console.groq.com/docs/service-tiers
    "groq": ChatDialect(("groq.com",), service_tiers=frozenset({"auto", "on_demand", "flex", "performance"})),
}


def dialect_of(host: str, name: str) -> ChatDialect:
    """The dialect of a provider: that of its host, else of its name, which a gateway before the vendor has, too.

    Args:
        host: of its address.
        name: as in `provider:model`. That of OpenAI stands for any server.
    """
    for dialect in _DIALECTS.values():
        if any(host == own or host.endswith((f".{own}", f"-{own}")) for own in dialect.hosts):
            return dialect
    return _PLAIN if name == "openai" else _DIALECTS.get(name, _PLAIN)
