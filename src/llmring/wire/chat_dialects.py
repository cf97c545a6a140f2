"""What vendors of Chat Completions want otherwise than the format has it: the `chat` section of `vendors.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..vendors import also_called, of_vendors

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


@cache
def _dialects() -> Mapping[str, ChatDialect]:
    return {name: _dialect(row) for name, row in of_vendors("chat").items()}


def _dialect(row: Mapping[str, Any]) -> ChatDialect:
    fields = {key: value for key, value in row.items() if key != "source"} | {"hosts": tuple(row["hosts"])}
    if "call_id" in row:
        fields["call_id"] = re.compile(row["call_id"])
    if "service_tiers" in row:
        fields["service_tiers"] = frozenset(row["service_tiers"])
    return ChatDialect(**fields)


def dialect_of(host: str, name: str) -> ChatDialect:
    """The dialect of a provider: that of its host, else of its name, which a gateway before the vendor has, too.

    Args:
        host: of its address.
        name: as in `provider:model`. That of OpenAI stands for any server.
    """
    for dialect in _dialects().values():
        if any(host == own or host.endswith((f".{own}", f"-{own}")) for own in dialect.hosts):
            return dialect
    vendor = also_called().get(name, name)
    return _PLAIN if vendor == "openai" else _dialects().get(vendor, _PLAIN)
