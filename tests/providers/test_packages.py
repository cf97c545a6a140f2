"""Providers that installed packages bring: found without being imported, and each by itself where one is broken."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import llmring
from llmring import LLMRequest, LLMRing, Message
from llmring.cli import trust
from llmring.exceptions import (
    ConfigurationError,
    ModelNotFoundError,
    ProviderNotFoundError,
    ProviderResponseError,
)
from llmring.providers import Dialect, kinds, register, unregister
from llmring.testing import PracticeServer, Reply

from ..cli.conftest import Run, run
from ..conftest import bind
from ..plugins import CLASS, Install, install

__all__ = ["install", "run"]

KEY = "practice-of-acme-1234567890"
DIALECT = """
from llmring.providers import ChatDialect, Dialect
BLOOM = Dialect("bloom", sdk="openai", base_url="{url}", key_variables=["BLOOM_API_KEY"],
                chat=ChatDialect(max_tokens="most_tokens", refuses=["seed"]))
"""


def ask(model: str, **more: object) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")], **more)  # type: ignore[arg-type]


@pytest.fixture
def acme(install: Install, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The package `acme-llm`, whose provider is the practice server, and its key."""
    monkeypatch.setenv("ACME_API_KEY", KEY)
    install("acme_llm", CLASS.format(url=f"{server.url}/v1"), {"acme": "acme_llm:Acme"})
    return "acme_llm"


async def test_it_serves_an_alias(acme: str, server: PracticeServer) -> None:
    bind({"helper": ["acme:m-1"]})
    server.default = Reply("Grüße")
    async with LLMRing() as service:
        assert acme not in sys.modules, "it is imported when it is asked"
        assert [chunk.delta async for chunk in service.chat_stream(ask("helper"))] == ["Grüße", ""]
        assert acme in sys.modules
        response = await service.chat(ask("helper"))
        assert (response.content, response.model) == ("Grüße", "acme:m-1")
        assert service.get_provider("acme").client.base_url.host == "127.0.0.1"
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


async def test_a_dialect_of_one(install: Install, server: PracticeServer, caplog: pytest.LogCaptureFixture) -> None:
    install("bloom_llm", DIALECT.format(url=f"{server.url}/v1"), {"bloom": "bloom_llm:BLOOM"})
    caplog.set_level(logging.INFO)
    async with LLMRing(api_keys={"bloom": KEY}) as service:
        await service.chat(ask("bloom:m", max_tokens=7, seed=3))
    body = server.requests[-1].body
    assert body["most_tokens"] == 7
    assert not {"seed", "max_tokens"} & body.keys()
    assert "left out seed" in caplog.text


async def test_its_own_words_are_its_own(acme: str, server: PracticeServer) -> None:
    """What its dialect says of an unknown model holds for it, and for nobody else."""
    bind({}, f'[providers.gateway]\nsdk = "openai"\nbase_url = "{server.url}/v1"\n')
    async with LLMRing() as service:
        server.reply(Reply(status=400, error="rocket-1 is not on our shelf"))
        with pytest.raises(ModelNotFoundError):
            await service.chat(ask("acme:rocket-1"))
        server.reply(Reply(status=400, error="rocket-1 is not on our shelf"))
        with pytest.raises(ProviderResponseError) as found:
            await service.chat(ask("gateway:rocket-1"))
        assert not isinstance(found.value, ModelNotFoundError)


async def test_a_kind_of_the_lockfile(acme: str, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAST_KEY", "practice-of-the-east-123456")
    table = f'[providers.east]\nsdk = "acme"\nbase_url = "{server.url}/east"\napi_key_env = "EAST_KEY"\n'
    bind({"helper": ["east:m-1"]}, table)
    async with LLMRing() as service:
        assert (await service.chat(ask("helper"))).model == "east:m-1"
        server.reply(Reply(status=400, error="m-1 is not on our shelf"))
        with pytest.raises(ModelNotFoundError):
            await service.chat(ask("helper"))
    assert server.requests[0].path == "/east/chat/completions"
    assert server.requests[0].headers["authorization"] == "Bearer practice-of-the-east-123456"


async def test_another_speaks_for_a_name_that_a_package_brings(acme: str, server: PracticeServer) -> None:
    """The lockfile's word counts: the package is not even looked for."""
    bind({}, f'[providers.acme]\nsdk = "openai"\nbase_url = "{server.url}/v1"\n')
    async with LLMRing() as service:
        assert (await service.chat(ask("acme:m"))).model == "acme:m"
        assert acme not in sys.modules
        assert KEY not in str(server.requests[-1].headers)
        # Whether it was imported meanwhile, for whatever else, makes no difference.
        assert kinds.find("acme") is not None
        assert (await service.chat(ask("acme:m"))).model == "acme:m"
        assert KEY not in str(server.requests[-1].headers)


BROKEN = {
    "raises": ("raise RuntimeError('not on this machine')", "broken_llm:It", "RuntimeError: not on this machine"),
    "leaves": ("import sys\nsys.exit(3)", "broken_llm:It", "SystemExit: 3"),
    "lacks": ("import nowhere_to_be_found", "broken_llm:It", "It needs nowhere_to_be_found, which is not installed."),
    "has no such name": ("", "broken_llm:It", "AttributeError"),
    "brings something else": ("It = 3", "broken_llm:It", '"3" is no provider'),
    "brings half a class": (
        "from llmring.providers import HTTPProvider\nclass It(HTTPProvider): ...",
        "broken_llm:It",
        "does not say how it does: decoder, render",
    ),
    "has a wrong dialect": (
        'from llmring.providers import Dialect\nIt = Dialect("x", sdk="openai", base_url="nowhere")',
        "broken_llm:It",
        "base_url is no URL to ask",
    ),
    "names no sdk": ('from llmring.providers import Dialect\nIt = Dialect("x")', "broken_llm:It", "which SDK speaks"),
    "names itself as its sdk": (
        'from llmring.providers import Dialect\nIt = Dialect("x", sdk="broken", base_url="https://x.example")',
        "broken_llm:It",
        "spoken to by the SDK 'broken'",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_broken_one_is_its_own_failure(how: str, install: Install, server: PracticeServer) -> None:
    text, entry, said = BROKEN[how]
    install("broken_llm", text, {"broken": entry})
    bind({"helper": ["broken:m", "ollama:m"]})
    server.default = Reply("I stand by.")
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError) as found:
            await service.chat(ask("broken:m"))
        assert said in str(found.value)
        assert found.value.provider == "broken"
        if how != "names itself as its sdk":
            assert "broken-llm 1.0" in str(found.value)
            assert "pip install --upgrade --force-reinstall broken-llm" in str(found.value)
        response = await service.chat(ask("helper"))
    assert (response.content, response.model) == ("I stand by.", "ollama:m")
    assert said in str(response.attempts[0])


async def test_a_factory_that_gives_something_else(install: Install, server: PracticeServer) -> None:
    install("odd_llm", "def make(config):\n    return config.name", {"odd": "odd_llm:make"})
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=r"package odd-llm 1\.0.* gave no Provider, but of type str"):
            await service.chat(ask("odd:m"))


def test_a_name_that_two_bring_means_neither(install: Install) -> None:
    install("one_llm", "", {"same": "one_llm:It", "other": "one_llm:It"})
    install("two_llm", "", {"same": "two_llm:It"}, version="2.1")
    with pytest.raises(ProviderNotFoundError, match=r"(?s)one-llm 1\.0.*two-llm 2\.1|two-llm 2\.1.*one-llm 1\.0"):
        kinds.find("same")
    with pytest.raises(ProviderNotFoundError, match="AttributeError"):
        kinds.find("other")


async def test_a_built_in_name_stays_what_it_is(install: Install, server: PracticeServer, run: Run) -> None:
    install("greedy_llm", "raise RuntimeError('imported')", {"ollama": "greedy_llm:It", "openai": "greedy_llm:It"})
    server.default = Reply("It is I.")
    async with LLMRing() as service:
        assert (await service.chat(ask("ollama:m"))).content == "It is I."
    assert "greedy_llm" not in sys.modules
    said = run("providers").stderr
    assert "The package greedy-llm 1.0 brings a provider 'openai', which is built in: that one serves." in said
    assert "pip uninstall greedy-llm" in run("doctor").stdout


def test_a_package_whose_data_is_broken_hides_no_other(install: Install) -> None:
    folder = install("sound_llm", DIALECT.format(url="https://bloom.example"), {"bloom": "sound_llm:BLOOM"})
    for name, text in {"a": f"[{kinds.GROUP}]\nnonsense", "b": f"[{kinds.GROUP}\nx = y", "c": ""}.items():
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(text)
    (folder / "d-1.0.dist-info").write_text("a file, and no folder")
    found = kinds.find("bloom")
    assert found is not None
    assert (found.dialect.base_url, found.origin) == ("https://bloom.example", "package sound-llm 1.0")


def test_what_is_installed_later_is_found(install: Install) -> None:
    assert kinds.find("bloom") is None
    install("late_llm", DIALECT.format(url="https://bloom.example"), {"bloom": "late_llm:BLOOM"})
    assert "bloom" in kinds.names()
    assert kinds.find("bloom") is not None


# Registered beside them


def test_a_name_of_a_package_is_not_registered(acme: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'acme'.*the package acme-llm 1\.0 brings a provider of that name"):
        register("acme", Dialect("acme", sdk="openai", base_url="https://acme.example"))
    assert acme not in sys.modules


# The commands


def test_where_each_comes_from(acme: str, run: Run) -> None:
    bind({"helper": ["acme:m-1"]}, '[providers.gateway]\nsdk = "openai"\nbase_url = "https://gateway.example/v1"\n')
    register("mine", Dialect("mine", sdk="openai", base_url="https://mine.example", key_variables=["MINE_KEY"]))
    try:
        found = {one["provider"]: one for one in json.loads(run("providers", "--json").stdout)}
        lines = {line.split()[0]: line for line in run("providers").stdout.splitlines()}
    finally:
        unregister("mine")
    origins = {name: one["origin"] for name, one in found.items()}
    assert origins["openai"] == "built in"
    assert origins["acme"] == "package acme-llm 1.0"
    assert origins["gateway"] == "lockfile"
    assert origins["mine"] == "registered"
    assert all(origins[name] in lines[name] for name in ("openai", "acme", "gateway", "mine"))
    assert found["acme"]["key"] == {
        "needed": True,
        "set": True,
        "source": "ACME_API_KEY",
        "variables": ["ACME_API_KEY"],
        "wrong": None,
    }
    assert found["acme"]["aliases"] == {"default": ["helper"]}
    assert found["acme"]["problem"] is None
    assert KEY not in str(found)


def test_a_broken_one_in_the_commands(install: Install, run: Run) -> None:
    install("broken_llm", "import nowhere_to_be_found", {"broken": "broken_llm:It"})
    bind({"helper": ["broken:m-1"]})
    listed = run("providers")
    assert "package broken-llm 1.0" in listed.stdout
    assert "It needs nowhere_to_be_found" in listed.stderr
    [finding] = json.loads(run("lock", "check", "--json").stdout)["findings"]
    assert (finding["code"], finding["severity"]) == ("provider-broken", "error")
    assert "broken-llm 1.0" in finding["message"]
    doctor = run("doctor")
    assert doctor.exit_code == 1
    assert "It needs nowhere_to_be_found" in doctor.stdout


def test_the_other_commands_know_it(acme: str, run: Run) -> None:
    bind({"helper": ["ollama:m"]})
    assert "is served by acme:m-1" in run("bind", "helper", "acme:m-1").stderr
    assert run("lock", "check").exit_code == 0
    assert "ACME_API_KEY is set" in run("info", "acme:m-1").stdout
    near = run("info", "acmee:m-1")
    assert "Did you mean 'acme'?" in near.stderr
    assert "Did you mean acme:m-1?" in run("bind", "helper", "acmee:m-1").stderr


def test_a_stranger_s_lockfile_chooses_no_address_for_its_key(
    acme: str, run: Run, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server.url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bind({"helper": ["acme:m-1"]}, '[providers.acme]\nbase_url = "http://models.example.com/v1"\n')
    said = run("chat", "Hi", "--model", "helper")
    assert said.exit_code == 1
    assert "llmring trust" in said.stderr
    assert server.requests == []
    bind({"helper": ["acme:m-1"]}, '[providers.acme]\nbase_url = "https://eu.models.acme.example/v1"\n')
    assert "llmring trust" not in run("doctor").stdout, "its vendor's own host"


async def test_nor_does_one_that_has_another_speak_for_it(
    acme: str, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """To see whose an address is imports the package; what the name means stays what was judged."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server.url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bind({}, '[providers.acme]\nsdk = "openai"\nbase_url = "http://models.example.com/v1"\n')
    async with trust.Service() as service:
        await service.chat(ask("acme:m"))
    assert KEY not in str(server.requests[-1].headers)


# What it costs those who have none


def test_nobody_else_has_packages_looked_through(server: PracticeServer) -> None:
    """Neither importing, nor a quick command, nor the first request of a built-in provider."""
    bind({"helper": ["ollama:m"]})
    program = """
import asyncio, sys
import llmring
assert "importlib.metadata" not in sys.modules
from llmring.cli.app import app
try:
    app(["aliases"])
except SystemExit:
    pass
async def main():
    async with llmring.LLMRing() as service:
        await service.chat(llmring.LLMRequest(model="helper", messages=[llmring.Message(role="user", content="Hi")]))
asyncio.run(main())
from llmring.providers import kinds
assert kinds._PROCESS._offers is None
assert kinds.names() and kinds._PROCESS._offers is not None
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300, capture_output=True)


def test_the_door_loads_no_sdk() -> None:
    program = """
import sys
import threading
from llmring.providers import Call, Decoder, Dialect, Provider, ProviderConfig, WireError, register
loaded = {"openai", "anthropic", "google.genai", "ollama", "httpx", "httpx2"} & {*sys.modules}
assert not loaded, loaded
from llmring.providers import *
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
    assert llmring.register is register


async def test_one_that_a_dialect_names_is_imported_in_a_thread(
    acme: str, install: Install, server: PracticeServer
) -> None:
    """No import holds up an event loop, neither its own nor that of whom it has speak to it."""
    text = 'from llmring.providers import Dialect\nIt = Dialect("like", sdk="acme", base_url="{}")\n'
    folder = install("like_llm", text.format(f"{server.url}/v1"), {"like": "like_llm:It"})
    module = folder / "acme_llm.py"
    module.write_text(f"import threading\nWHERE = threading.current_thread()\n{module.read_text()}")
    async with LLMRing() as service:
        assert (await service.chat(ask("like:m"))).model == "like:m"
    assert KEY not in str(server.requests[-1].headers)
    assert sys.modules["acme_llm"].WHERE is not threading.main_thread()
