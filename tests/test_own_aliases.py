"""Aliases that a program gives its service, without a file or beside one."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring import LLMRing, lockfile, sync
from llmring.checking import check
from llmring.exceptions import (
    AliasNotFoundError,
    ConfigurationError,
    LockfileNotFoundError,
    LockfileParseError,
)
from llmring.testing import PracticeServer

from .conftest import bind
from .faults.ground import ask


async def test_no_file_is_needed(server: PracticeServer, bare: Path) -> None:
    server.reply("Hello.")
    async with LLMRing(aliases={"chatbot": "anthropic:m"}) as service:
        assert (await service.chat(ask("chatbot"))).model == "anthropic:m"
        assert service.resolve_alias("chatbot") == "anthropic:m"
        assert service.resolve_alias("chatbot", "dev") == "anthropic:m"
        assert service.has_alias("chatbot")
        assert not service.has_alias("fast")
        assert service.list_aliases() == {"chatbot": "anthropic:m"}
        service.require_aliases(["chatbot"])
        service.reset_breaker("chatbot")
        with pytest.raises(AliasNotFoundError, match="fast"):
            service.require_aliases(["chatbot", "fast"])
    assert os.listdir(bare) == []


@pytest.mark.parametrize(
    "models", [["anthropic:m", "openai:n", "openai:n"], "anthropic:m, openai:n", ("anthropic:m", "openai:n")]
)
async def test_the_first_serves_and_the_rest_stand_by(server: PracticeServer, models: Sequence[str]) -> None:
    server.reply(status=500, wire="anthropic")
    server.reply("Hello.", wire="openai-chat")
    async with LLMRing(aliases={"chatbot": models}) as service:
        response = await service.chat(ask("chatbot"))
    assert (response.model, len(response.attempts)) == ("openai:n", 1)


async def test_they_win_over_the_files(server: PracticeServer) -> None:
    bind({"chatbot": ["openai:file"], "fast": ["openai:fast"]}, "params = { temperature = 0.5 }\n")
    async with LLMRing(aliases={"chatbot": "anthropic:own", "anthropic:own": "ollama:colon"}) as service:
        assert service.list_aliases() == {
            "chatbot": "anthropic:own",
            "fast": "openai:fast",
            "anthropic:own": "ollama:colon",
        }
        assert service.resolve_alias("fast") == "openai:fast"
        assert service.resolve_alias("chatbot") == "anthropic:own"
        assert service.resolve_alias("anthropic:own") == "ollama:colon"
        await service.chat(ask("chatbot"))
        await service.chat(ask("fast"))
    first, second = server.requests
    assert (first.model, second.model) == ("own", "fast")
    assert "temperature" not in first.body
    assert second.body["temperature"] == 0.5


async def test_settings_of_providers_are_still_the_files(server: PracticeServer) -> None:
    bind({}, f'[providers.mine]\nsdk = "anthropic"\nbase_url = "{server.url}"\napi_key_env = "ANTHROPIC_API_KEY"\n')
    async with LLMRing(aliases={"chatbot": "mine:m"}) as service:
        assert (await service.chat(ask("chatbot"))).model == "mine:m"


async def test_an_edit_writes_the_file_and_says_what_wins(
    server: PracticeServer, caplog: pytest.LogCaptureFixture
) -> None:
    path = bind({"fast": ["openai:fast"]})
    caplog.set_level(logging.WARNING, "llmring")
    async with LLMRing(aliases={"chatbot": "anthropic:own"}) as service:
        await service.bind_alias("fast", "openai:faster")
        assert not caplog.records
        await service.bind_alias("chatbot", "openai:file")
        (said,) = [it.getMessage() for it in caplog.records]
        assert '"chatbot"' in said
        assert str(path) in said
        assert "anthropic:own, and wins" in said
        assert service.resolve_alias("chatbot") == "anthropic:own"
        assert lockfile.load(path).profile().bindings["chatbot"].models == ("openai:file",)
        await service.unbind_alias("chatbot")
        assert len(caplog.records) == 2
        assert service.has_alias("chatbot")
    async with LLMRing() as service:
        assert not service.has_alias("chatbot")


async def test_an_edit_without_a_file_says_how_to_make_one(bare: Path) -> None:
    async with LLMRing(aliases={"chatbot": "anthropic:own"}) as service:
        with pytest.raises(LockfileNotFoundError, match="lock init"):
            service.bind_alias("chatbot", "openai:file")


async def test_the_error_of_an_unknown_one_lists_them(server: PracticeServer) -> None:
    async with LLMRing(aliases={"chatbot": "anthropic:m", "fast": "ollama:m"}) as service:
        with pytest.raises(LockfileNotFoundError, match=r'LLMRing\(aliases=\.\.\.\) binds: "chatbot", "fast"'):
            await service.chat(ask("chatbott"))
        bind({"deep": ["openai:m"]})
        service.clear_alias_cache()
        with pytest.raises(AliasNotFoundError, match=r'No alias "chatbott".* binds: "chatbot", "fast"'):
            service.resolve_alias("chatbott")


async def test_a_file_that_is_named_or_broken(bare: Path) -> None:
    service = LLMRing(bare / "nowhere.lock", aliases={"chatbot": "anthropic:m"})
    assert service.resolve_alias("chatbot") == "anthropic:m"
    with pytest.raises(LockfileNotFoundError):
        service.resolve_alias("fast")
    (bare / "llmring.lock").write_text("version = ")
    with pytest.raises(LockfileParseError):
        LLMRing(aliases={"chatbot": "anthropic:m"}).resolve_alias("chatbot")


@pytest.mark.parametrize(
    ("aliases", "words"),
    [
        (["chatbot"], "aliases is of type list; it takes a table"),
        ("chatbot", "aliases is of type str"),
        ({"": "anthropic:m"}, "empty"),
        ({"chat bot": "anthropic:m"}, "white space"),
        ({3: "anthropic:m"}, "no text"),
        ({"chatbot": ""}, '"chatbot": The model reference "" is empty'),
        ({"chatbot": []}, "bound to nothing"),
        ({"chatbot": None}, "bound to no model"),
        ({"chatbot": ["anthropic:m", None]}, "bound to no model"),
        ({"chatbot": {"models": "anthropic:m"}}, "bound to no model"),
        ({"chatbot": "claude"}, '"chatbot": The model reference "claude" names no provider'),
        ({"chatbot": "anthropic:m,"}, "is empty"),
        ({"chatbot": "anthropic/m"}, "names no provider"),
    ],
)
@pytest.mark.parametrize("kind", [LLMRing, sync.LLMRing])
def test_what_is_none_is_refused_at_once(bare: Path, kind: Any, aliases: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        kind(aliases=aliases)


def test_the_synchronous_face(server: PracticeServer) -> None:
    server.reply("Hello.")
    with sync.LLMRing(aliases={"chatbot": "anthropic:m"}) as service:
        assert service.chat(ask("chatbot")).content == "Hello."
        assert service.list_aliases() == {"chatbot": "anthropic:m"}


def test_what_is_given_is_a_copy(bare: Path) -> None:
    aliases = {"chatbot": ["anthropic:m"]}
    service = LLMRing(aliases=aliases)
    aliases["chatbot"].append("openai:n")
    aliases["fast"] = ["ollama:m"]
    assert service.list_aliases() == {"chatbot": "anthropic:m"}


NAMES = st.from_regex(r"[a-z][a-z0-9:_-]{0,8}", fullmatch=True)
MODELS = st.builds(
    "{}:{}".format, st.sampled_from(["openai", "mine"]), st.from_regex(r"[a-z0-9.:/-]{1,8}", fullmatch=True)
)


@given(st.dictionaries(NAMES, st.lists(MODELS, min_size=1, max_size=3), max_size=4))
def test_what_is_bound_is_what_serves(aliases: dict[str, list[str]]) -> None:
    bound = lockfile.bindings_of(aliases)
    assert {alias: [*binding.models] for alias, binding in bound.items()} == {
        alias: list(dict.fromkeys(models)) for alias, models in aliases.items()
    }


def test_lock_check_takes_them_for_bound(bare: Path) -> None:
    bind({"deep": ["openai:gpt-6-luna"]})
    code = bare / "program.py"
    code.write_text(
        "from llmring import LLMRequest, LLMRing\n"
        'service = LLMRing(aliases={"chatbot": "anthropic:claude-haiku-5-5"})\n'
        'request = LLMRequest(model="chatbot", messages=[])\n'
        'other = service.conversation("fast")\n'
        'deep = service.conversation(model="deep")\n'
    )
    found = [it for it in check(bare / "llmring.lock", [code]).findings if it.code == "alias-unbound"]
    assert ["fast" in it.message for it in found] == [True]


@pytest.mark.parametrize("name", [None, 5, ["chatbot"], b"chatbot"])
async def test_what_is_no_text_names_nothing(bare: Path, name: Any) -> None:
    async with LLMRing(aliases={"chatbot": "openai:gpt-5-mini"}) as service:
        for method in (service.capabilities, service.get_available_models):
            with pytest.raises(ConfigurationError, match=f"of type {type(name).__name__}, names no"):
                await method(name)
        for asked in (
            *(service.resolve_alias, service.has_alias, service.reset_breaker, service.get_model_info),
            *(service.get_provider, service.warm_up),
        ):
            with pytest.raises(ConfigurationError, match=f"of type {type(name).__name__}, names no"):
                asked(name)
