"""`require_aliases`: what a library says of the aliases that it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmring import LLMRing
from llmring.exceptions import AliasNotFoundError, ConfigurationError, LockfileError

Write = Callable[..., Path]


def test_every_missing_alias_is_named_with_who_needs_it_where_it_is_missing_and_the_command(
    write: Write, plain: str
) -> None:
    path = write(plain)
    service = LLMRing(lockfile_path=path)
    service.require_aliases(["chatbot"], context="somelib")
    with pytest.raises(AliasNotFoundError) as caught:
        service.require_aliases(["summarizer", "chatbot", "somelib:translator"], context="somelib")
    assert str(caught.value) == (
        f'somelib needs aliases that the profile "default" of {path} does not bind: "summarizer", '
        '"somelib:translator". Bind each: llmring bind summarizer provider:model; '
        "llmring bind somelib:translator provider:model"
    )
    assert caught.value.path == path


def test_the_profile_is_the_one_that_is_in_force(write: Write, plain: str) -> None:
    path = write(plain.replace('alias = "chatbot"\nmodels = ["ollama', 'alias = "other"\nmodels = ["ollama'))
    LLMRing(lockfile_path=path).require_aliases(["other"], profile="dev")
    with pytest.raises(
        AliasNotFoundError, match=r'^This program needs .* profile "dev" .* provider:model --profile dev$'
    ):
        LLMRing(lockfile_path=path, profile="dev").require_aliases(["chatbot"])
    with pytest.raises(ConfigurationError, match="There are: default, dev"):
        LLMRing(lockfile_path=path).require_aliases(["chatbot"], profile="prod")


def test_without_a_lockfile_the_first_step_is_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    LLMRing().require_aliases([])
    with pytest.raises(AliasNotFoundError, match=r'somelib needs the aliases "a", "b", .* llmring lock init') as caught:
        LLMRing().require_aliases(["a", "b"], context="somelib")
    assert "llmring bind b provider:model" in str(caught.value)
    assert caught.value.path is None


def test_what_cannot_be_read_is_said_as_it_is(write: Write, plain: str) -> None:
    path = write(plain + '\n[extends]\npackages = ["no_such_package"]\n')
    with pytest.raises(LockfileError, match="which is not installed here"):
        LLMRing(lockfile_path=path).require_aliases(["no_such_package:a"])
    with pytest.raises(ConfigurationError, match="a list of names"):
        LLMRing(lockfile_path=path).require_aliases("chatbot")


def test_only_what_the_lockfile_binds_is_an_alias(write: Write, plain: str) -> None:
    own = '\n[[profiles.default.bindings]]\nalias = "{0}"\nmodels = ["{0}"]\n'
    service = LLMRing(lockfile_path=write(plain + own.format("ollama:llama3.2")))
    assert service.has_alias("chatbot")
    assert service.has_alias("ollama:llama3.2"), "it is bound to itself, and could be bound to another"
    service.require_aliases(["ollama:llama3.2"])
    no_aliases = ["ollama:llama3.2:3b", "", "foo:", ":foo", "a b:c", "a/b:c", "chat bot"]
    assert [name for name in no_aliases if service.has_alias(name)] == []
    with pytest.raises(AliasNotFoundError, match='does not bind: "foo:", "a b:c"'):
        service.require_aliases(["chatbot", "foo:", "a b:c"])


ODD = "a$(id)"


def test_a_command_to_copy_runs_nothing_else_and_repeats_no_key(write: Write, plain: str) -> None:
    service = LLMRing(lockfile_path=write(plain))
    key = "sk-" + "practice" * 4
    with pytest.raises(AliasNotFoundError, match=r"llmring bind 'a\$\(id\)' provider:model") as caught:
        service.resolve_alias(ODD)
    with pytest.raises(AliasNotFoundError, match=r"bind 'a\$\(id\)' provider:model; llmring bind ALIAS prov") as caught:
        service.require_aliases([ODD, key])
    assert key not in str(caught.value)
    with pytest.raises(AliasNotFoundError, match="llmring bind ALIAS provider:model") as caught:
        service.resolve_alias(key)
    assert key not in str(caught.value)


def test_a_profile_in_a_command_to_copy_is_quoted(write: Write, plain: str) -> None:
    service = LLMRing(lockfile_path=write(plain + "\n[profiles.'a;b']\n"))
    for ask in (service.require_aliases, lambda names, profile: service.resolve_alias(names[0], profile)):
        with pytest.raises(AliasNotFoundError, match="--profile 'a;b'"):
            ask(["odd"], profile="a;b")
    with pytest.raises(ConfigurationError, match=r"--profile 'a\$\(id\)'$"):
        service.require_aliases(["odd"], profile=ODD)


def test_the_command_in_the_message_of_a_broken_file_is_quoted(write: Write) -> None:
    for models in ("", "models = []"):
        path = write(f"version = '1.0'\n[[profiles.default.bindings]]\nalias = '{ODD}'\n{models}\n")
        with pytest.raises(LockfileError, match=r"llmring bind 'a\$\(id\)' provider:model"):
            LLMRing(lockfile_path=path).list_aliases()
