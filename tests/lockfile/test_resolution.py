from __future__ import annotations

import asyncio
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import (
    AliasNotFoundError,
    ConfigurationError,
    LockfileError,
    LockfileNotFoundError,
    LockfileParseError,
    ProviderNotFoundError,
)
from llmring.lockfile import Binding, Lockfile, extends, load, package_lockfile, reachable, resolve
from llmring.lockfile.resolution import nearest

Write = Callable[..., Path]

SHIPPED = """\
version = "1.0"
default_profile = "base"
[extends]
packages = ["further"]
[[profiles.base.bindings]]
alias = "summarizer"
models = ["openai:gpt-5"]
params = { temperature = 0 }
[[profiles.base.bindings]]
alias = "translator"
models = ["openai:gpt-5-mini"]
[[profiles.dev.bindings]]
alias = "summarizer"
models = ["ollama:llama3.2"]
"""
OWN = """\
version = "1.0"
[extends]
packages = ["{}"]
[[profiles.default.bindings]]
alias = "chatbot"
models = ["anthropic:claude-haiku-4-5"]
[[profiles.default.bindings]]
alias = "openai:gpt-5"
models = ["ollama:llama3.2"]
[profiles.dev]
[profiles.prod]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages; importing one of them fails."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)
    forget()
    yield site
    forget()
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] in {"somelib", "acme", "some_lib"}}


def forget() -> None:
    """Nothing is known of packages any more."""
    package_lockfile.cache_clear()
    extends._known_file.cache_clear()


def package(site: Path, name: str, shipped: str | None = SHIPPED) -> Path:
    folder = site.joinpath(*name.split("."))
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text('raise RuntimeError("imported")')
    if shipped is not None:
        (folder / "llmring.lock").write_text(shipped)
    importlib.invalidate_caches()
    return folder


def distribution(site: Path, name: str, package: str) -> Path:
    """What an installer leaves of a distribution with that package."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{package}/__init__.py,,\n{package}/llmring.lock,,\n")
    return info


def test_an_alias_comes_first(write: Write) -> None:
    lockfile = load(write(OWN.format("somelib")))
    assert resolve(lockfile, "chatbot") is lockfile.profile().bindings["chatbot"]
    assert resolve(lockfile, "openai:gpt-5").models == ("ollama:llama3.2",)
    assert resolve(lockfile, "openai:gpt-5", "dev") == Binding("openai:gpt-5", ("openai:gpt-5",))


def test_a_model_needs_no_lockfile() -> None:
    assert resolve(None, "ollama:llama3.2:3b") == Binding("ollama:llama3.2:3b", ("ollama:llama3.2:3b",))
    for name in ("openai:", ":gpt-5", "open ai:gpt-5"):
        with pytest.raises(ConfigurationError, match="Write it as provider:model"):
            resolve(None, name)


def test_an_alias_needs_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LockfileNotFoundError, match="llmring lock init") as caught:
        resolve(None, "chatbot")
    assert f"no llmring.lock in {tmp_path} or above it" in str(caught.value)


def test_an_unknown_name_says_what_to_do(write: Write, plain: str) -> None:
    path = write(plain.replace('alias = "chatbot"\nmodels = ["ollama', 'alias = "chatter"\nmodels = ["ollama'))
    lockfile = load(path)
    with pytest.raises(AliasNotFoundError) as caught:
        resolve(lockfile, "chatbto")
    assert caught.value.path == path
    assert str(caught.value) == (
        f'No alias "chatbto" in the profile "default" of {path}. Did you mean "chatbot"? It binds "chatbot". '
        "To bind it: llmring bind chatbto provider:model. A model is named directly as provider:model"
    )
    with pytest.raises(AliasNotFoundError, match=r"It is bound in: dev\. .*bind chatter provider:model\."):
        resolve(lockfile, "chatter")
    with pytest.raises(AliasNotFoundError, match=r"bind xyz provider:model --profile dev\."):
        resolve(lockfile, "xyz", "dev")
    with pytest.raises(ConfigurationError, match="There are: default, dev"):
        resolve(lockfile, "chatbot", "prod")
    with pytest.raises(AliasNotFoundError):
        resolve(Lockfile(), "chatbot")


def test_a_package_ships_aliases(site: Path, write: Write) -> None:
    package(site, "somelib")
    lockfile = load(write(OWN.format("somelib")))
    assert resolve(lockfile, "somelib:summarizer") == Binding(
        "somelib:summarizer", ("openai:gpt-5",), {"temperature": 0}
    )
    assert resolve(lockfile, "somelib:summarizer", "prod").models == ("openai:gpt-5",)
    assert resolve(lockfile, "somelib:summarizer", "dev").models == ("ollama:llama3.2",)
    assert resolve(lockfile, "somelib:translator", "dev").models == ("openai:gpt-5-mini",)
    assert list(reachable(lockfile)) == ["chatbot", "openai:gpt-5", "somelib:summarizer", "somelib:translator"]
    assert reachable(lockfile, "dev")["somelib:summarizer"] == resolve(lockfile, "somelib:summarizer", "dev")


def test_the_file_itself_overrides_a_package(site: Path, write: Write) -> None:
    package(site, "somelib")
    own = OWN.format("somelib").replace('"openai:gpt-5"\n', '"somelib:summarizer"\n')
    lockfile = load(write(own))
    assert resolve(lockfile, "somelib:summarizer").models == ("ollama:llama3.2",)
    assert reachable(lockfile)["somelib:summarizer"].models == ("ollama:llama3.2",)


def test_a_package_that_is_not_extended_is_a_provider(site: Path, write: Write) -> None:
    package(site, "somelib")
    lockfile = load(write(OWN.format("other")))
    assert resolve(lockfile, "somelib:summarizer").models == ("somelib:summarizer",)


def test_one_level_deep(site: Path, write: Write) -> None:
    package(site, "somelib")
    package(site, "further")
    lockfile = load(write(OWN.format("somelib")))
    with pytest.raises(AliasNotFoundError):
        resolve(lockfile, "somelib:further:summarizer")
    assert resolve(lockfile, "further:summarizer").models == ("further:summarizer",)


def test_an_alias_that_the_package_does_not_ship(site: Path, write: Write) -> None:
    package(site, "somelib")
    lockfile = load(write(OWN.format("somelib")))
    with pytest.raises(AliasNotFoundError) as caught:
        resolve(lockfile, "somelib:sumarizer")
    assert str(caught.value) == (
        'The package "somelib" ships no alias "sumarizer". Did you mean "summarizer"? It has: summarizer, translator. '
        "To bind it here: llmring bind somelib:sumarizer provider:model"
    )
    with pytest.raises(AliasNotFoundError, match='Did you mean "somelib:summarizer"'):
        resolve(lockfile, "somelib.summarizer")


def test_the_three_nearest_names_are_told() -> None:
    names = ["chatbot1", "chatbot2", "chatbot3", "chatbot4", "summarizer"]
    assert re.fullmatch(r'\. Did you mean "chatbot\d" or "chatbot\d" or "chatbot\d"\?', nearest("chatbot", names))
    assert nearest("chatbot", names[4:]) == "."


def test_a_package_that_ships_no_alias_at_all(site: Path, write: Write) -> None:
    package(site, "somelib", shipped='version = "1.0"\n')
    with pytest.raises(AliasNotFoundError, match=r'ships no alias "summarizer"\. It has: none\. To bind it here:'):
        resolve(load(write(OWN.format("somelib"))), "somelib:summarizer")


def test_a_package_that_is_missing_is_named(site: Path, write: Write) -> None:
    lockfile = load(write(OWN.format("somelib")))
    with pytest.raises(
        LockfileError, match=r'"somelib", which is not installed here. Install it \(pip install somelib'
    ):
        resolve(lockfile, "somelib:summarizer")
    with pytest.raises(LockfileError, match="somelib"):
        reachable(lockfile)
    assert resolve(lockfile, "chatbot").models == ("anthropic:claude-haiku-4-5",)
    with pytest.raises(AliasNotFoundError):
        resolve(lockfile, "chatter")
    package(site, "somelib")
    assert resolve(lockfile, "somelib:summarizer").models == ("openai:gpt-5",)


def test_a_package_without_a_good_lockfile(site: Path) -> None:
    package(site, "somelib", shipped=None)
    with pytest.raises(LockfileError, match='"somelib", which is installed but ships no'):
        package_lockfile("somelib")
    (site / "somelib" / "llmring.lock").write_text("version = ")
    with pytest.raises(LockfileParseError, match="not valid TOML") as caught:
        package_lockfile("somelib")
    assert caught.value.path == site / "somelib" / "llmring.lock"
    (site / "single.py").write_text("raise RuntimeError")
    importlib.invalidate_caches()
    with pytest.raises(LockfileError, match="single"):
        package_lockfile("single")


def test_packages_are_found_by_their_other_names(site: Path) -> None:
    folder = package(site, "acme.tools.deep")
    assert package_lockfile("acme.tools.deep").path == folder / "llmring.lock"
    folder = package(site, "some_lib")
    assert package_lockfile("some-lib").path == folder / "llmring.lock"
    package(site, "inner")
    info = distribution(site, "outer-name", "inner")
    assert package_lockfile("outer-name").path == site / "inner" / "llmring.lock"
    package_lockfile.cache_clear()
    (info / "RECORD").unlink()
    (info / "top_level.txt").write_text("inner\n")
    assert package_lockfile("outer-name").path == site / "inner" / "llmring.lock"


def test_names_that_are_no_package() -> None:
    for name in ("no.such.package", "no-such-package", "__main__"):
        with pytest.raises(LockfileError, match="is not installed here"):
            package_lockfile(name)


@pytest.mark.parametrize(("listed", "asked"), [("some-lib", "somelib"), ("somelib", "some-lib")])
def test_both_names_of_a_package_are_good(site: Path, write: Write, listed: str, asked: str) -> None:
    package(site, "somelib")
    distribution(site, "some-lib", "somelib")
    path = write(OWN.format(listed))
    lockfile = load(path)
    assert resolve(lockfile, f"{asked}:summarizer") == Binding(
        f"{asked}:summarizer", ("openai:gpt-5",), {"temperature": 0}
    )
    LLMRing(lockfile_path=path).require_aliases(["somelib:summarizer", "some-lib:translator"], context="somelib")
    with pytest.raises(AliasNotFoundError, match=f"llmring bind {asked}:nothing provider:model"):
        resolve(lockfile, f"{asked}:nothing")
    assert resolve(lockfile, "ollama:llama3.2", "dev").models == ("ollama:llama3.2",)


@pytest.mark.parametrize(("listed", "own"), [("some-lib", "somelib"), ("somelib", "some-lib"), ("somelib", "somelib")])
def test_what_overrides_a_package_does_so_under_both_names(site: Path, write: Write, listed: str, own: str) -> None:
    package(site, "somelib")
    distribution(site, "some-lib", "somelib")
    lockfile = load(write(OWN.format(listed).replace('"openai:gpt-5"\n', f'"{own}:summarizer"\n')))
    for asked in ("somelib", "some-lib"):
        assert resolve(lockfile, f"{asked}:summarizer") == Binding(f"{asked}:summarizer", ("ollama:llama3.2",))
    named = {name: binding.models for name, binding in reachable(lockfile).items() if name.endswith("summarizer")}
    assert named == dict.fromkeys({f"{own}:summarizer", f"{listed}:summarizer"}, ("ollama:llama3.2",))
    assert resolve(lockfile, "somelib:summarizer", "prod").models == ("openai:gpt-5",)


def asked(path: Path, name: str) -> str:
    """What a request for that name is told."""

    async def ask() -> str:
        async with LLMRing(lockfile_path=path) as service:
            with pytest.raises(ProviderNotFoundError) as caught:
                await service.chat(LLMRequest(model=name, messages=[Message(role="user", content="Hi")]))
            return str(caught.value)

    return asyncio.run(ask())


def test_a_package_that_is_not_listed_is_told_of(site: Path, write: Write) -> None:
    package(site, "somelib")
    package(site, "other")
    path = write(OWN.format("other"))
    service = LLMRing(lockfile_path=path)
    with pytest.raises(AliasNotFoundError) as caught:
        service.require_aliases(["somelib:summarizer", "somelib:nothing", "openai:gpt-5-mini"], context="somelib")
    assert str(caught.value).endswith(
        '. The installed package "somelib" ships the alias "summarizer". To have its aliases, write under [extends] in '
        f'{path}: packages = ["other", "somelib"]'
    )
    assert asked(path, "somelib:summarizer") == (
        'There is no provider \'somelib\'. The installed package "somelib" ships the alias "summarizer". To have its '
        f'aliases, write under [extends] in {path}: packages = ["other", "somelib"]'
    )
    assert "declare" in asked(path, "somelib:nothing").lower()


@pytest.mark.parametrize("installed", [True, False])
def test_a_slip_in_extends_is_told_of(site: Path, write: Write, installed: bool) -> None:
    if installed:
        package(site, "somelib")
    path = write(OWN.format("somelibb"))
    with pytest.raises(AliasNotFoundError) as caught:
        LLMRing(lockfile_path=path).require_aliases(["somelib:summarizer"])
    assert '. [extends] names the package "somelibb", which is not installed here. ' in str(caught.value)
    assert str(caught.value).endswith('packages = ["somelib"]') is installed
    assert ("or take it out of [extends]. The installed package" in str(caught.value)) is installed
    said = asked(path, "somelib:summarizer")
    assert ('packages = ["somelib"]' if installed else '"somelibb", which is not installed here') in said
    assert "somelib" not in asked(path, "openai:gpt-5-mini"), "that it has no key has to do with no package"


def test_without_a_lockfile_an_installed_package_is_told_of(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(site, "somelib")
    monkeypatch.chdir(site)
    with pytest.raises(AliasNotFoundError, match=r'lock init.* in llmring\.lock: packages = \["somelib"\]'):
        LLMRing().require_aliases(["somelib:summarizer"])


def test_an_installed_distribution_without_a_lockfile_is_installed(site: Path) -> None:
    (distribution(site, "outer-name", "inner") / "RECORD").unlink()
    with pytest.raises(LockfileError, match='"outer-name", which is installed but ships no'):
        package_lockfile("outer-name")
