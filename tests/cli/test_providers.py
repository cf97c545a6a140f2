"""`llmring providers`: what is listed, what is said of keys, and what the providers themselves answer."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from llmring.testing import PracticeServer
from llmring.vendors import BUILT_IN, SDKS

from ..conftest import bind
from .conftest import LOCKFILE, Command, Run
from .test_command import on_a_terminal

KEY = "practice-" + "of-the-environment"


def table(result: Any) -> dict[str, str]:
    """The lines of the table, by provider; between their cells is one " | "."""
    assert result.stdout.startswith("PROVIDER ")
    return {line.split()[0]: re.sub(" {3,}", " | ", line) for line in result.stdout.splitlines()[1:]}


def said(result: Any) -> dict[str, dict[str, Any]]:
    return {one["provider"]: one for one in json.loads(result.stdout)}


@pytest.fixture
def nobody(bare: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nobody is; Ollama is there, too."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("OLLAMA_HOST", address)
    return address


def test_without_a_lockfile_and_keys(bare: Path, run: Run) -> None:
    result = run("providers")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = table(result)
    assert list(lines) == list(SDKS)
    assert "not set: ANTHROPIC_API_KEY" in lines["anthropic"]
    assert "none needed" in lines["ollama"]
    assert list(table(run("providers", "--all"))) == list(BUILT_IN)


def test_what_the_lockfile_needs_is_listed(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_API_KEY", KEY)
    monkeypatch.setenv("GROQ_API_KEY", " ")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:secret@proxy.invalid/v1?key=secret")
    bindings = '[[profiles.dev.bindings]]\nalias = "deep"\nmodels = ["groq:openai/gpt-oss-120b", "mystery:m"]\n'
    gateway = '[providers.gateway]\nsdk = "openai"\nbase_url = "https://gateway.invalid/v1"\n'
    project.write_text(f"{LOCKFILE}\n{bindings}\n{gateway}")
    result = run("providers")
    lines = table(result)
    assert list(lines) == [*SDKS, "groq", "xai", "gateway", "mystery"]
    assert lines["anthropic"].endswith(" | chatbot")
    assert lines["ollama"].endswith(" | dev: chatbot")
    assert lines["groq"].endswith(" | not set: GROQ_API_KEY | https://api.groq.com/openai/v1 | dev: deep")
    assert lines["xai"].endswith(" | XAI_API_KEY | https://api.x.ai/v1")
    assert " | https://proxy.invalid/v1 | chatbot" in lines["openai"]
    assert "https://gateway.invalid/v1" in lines["gateway"]
    assert "secret" not in result.stdout + result.stderr
    assert KEY not in result.stdout + result.stderr
    assert "There is no key for groq. Set GROQ_API_KEY in the environment." in result.stderr
    assert "There is no provider 'mystery'" in result.stderr
    assert "no key for google" not in result.stderr, "nothing here needs it"


def test_where_they_are(bare: Path, run: Run) -> None:
    """Where a table names no address, that of the vendor whose SDK it takes."""
    bind({}, '[providers.gateway]\nsdk = "openai"\n')
    lines, found = table(run("providers", "--all")), said(run("providers", "--all", "--json"))
    for name, address in {
        "openai": "https://api.openai.com/v1",
        "anthropic": "https://api.anthropic.com",
        "google": "https://generativelanguage.googleapis.com",
        "ollama": "http://127.0.0.1:11434",
        "gateway": "https://api.openai.com/v1",
    }.items():
        assert f" | {address}" in lines[name]
        assert found[name]["address"] == address
    assert (" | -" in lines["azure"], found["azure"]["address"]) == (True, None)


def test_many_aliases_are_counted(bare: Path, run: Run) -> None:
    bind({f"a{number}": ["anthropic:claude-haiku-5-5"] for number in range(5)})
    assert table(run("providers"))["anthropic"].endswith(" | a0, a1, a2 and 2 more")


def test_json(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    result = run("providers", "--json")
    assert KEY not in result.stdout
    found = said(result)
    assert list(found) == list(SDKS)
    anthropic = found["anthropic"]
    assert anthropic["sdk"]["package"] == "anthropic"
    assert anthropic["sdk"]["version"].split(".")[0].isdigit()
    assert anthropic["sdk"]["requirement"].startswith("anthropic>=")
    assert anthropic["key"] == {
        "needed": True,
        "set": True,
        "source": "ANTHROPIC_API_KEY",
        "variables": ["ANTHROPIC_API_KEY"],
        "wrong": None,
    }
    assert (anthropic["aliases"], anthropic["problem"]) == ({"default": ["chatbot"]}, None)
    assert found["ollama"]["aliases"] == {"dev": ["chatbot"]}
    assert found["openai"]["problem"] == "There is no key for openai. Set OPENAI_API_KEY in the environment."
    assert "check" not in anthropic


KEYRING = """
def get_password(service, name):
    return "practice-of-the-keyring" if (service, name) == ("llmring", "groq") else None
"""


def test_a_key_in_the_keyring(bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "modules").mkdir()
    (bare / "modules" / "keyring.py").write_text(KEYRING)
    monkeypatch.setenv("PYTHONPATH", f"{bare / 'modules'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert said(command("providers", "--json"))["groq"]["key"]["source"] == "the keyring"
    assert "the keyring" in table(command("providers"))["groq"]


# Asking them


def test_all_answer(server: PracticeServer, project: Path, run: Run) -> None:
    result = run("providers", "--check")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = table(result)
    for name in ("openai", "anthropic", "google"):
        assert " | 2 models, key accepted" in lines[name]
    assert " | 1 model" in lines["ollama"]
    checked = {name: one["check"] for name, one in said(run("providers", "--check", "--json")).items()}
    assert checked["anthropic"] == {"reachable": True, "key_accepted": True, "models": 2, "error": None}
    assert checked["ollama"] == {"reachable": True, "key_accepted": None, "models": 1, "error": None}
    assert {request.method for request in server.requests} == {"GET"}


def test_a_listing_for_everybody_proves_no_key(
    server: PracticeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", KEY)
    for name in ("openrouter", "groq"):
        bind({}, f'[providers.{name}]\nbase_url = "{server.url}/v1"\napi_key_env = "MINE"\n')
        [check] = [
            one["check"] for one in json.loads(run("providers", "--check", "--json").stdout) if one["provider"] == name
        ]
        assert (check["reachable"], check["key_accepted"]) == (True, True if name == "groq" else None)


def test_one_that_is_needed_does_not_answer(nobody: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", nobody)
    result = run("providers", "--check")
    assert result.exit_code == 1, "its key is set"
    lines = table(result)
    assert " no answer" in lines["anthropic"]
    assert " no answer" in lines["ollama"]
    assert " not asked" in lines["openai"]
    assert "Warning: anthropic cannot be reached" in result.stderr
    checked = said(run("providers", "--check", "--json"))
    assert checked["openai"]["check"] is None
    assert checked["anthropic"]["check"]["reachable"] is False
    assert "cannot be reached" in checked["anthropic"]["check"]["error"]


def test_a_server_of_ones_own_that_nothing_needs_may_be_off(nobody: str, run: Run) -> None:
    assert run("providers", "--check").exit_code == 0
    bind({"chatbot": ["ollama:llama3.2"]})
    assert run("providers", "--check").exit_code == 1


def test_a_key_that_is_missing_fails_what_needs_it(nobody: str, run: Run) -> None:
    bind({"chatbot": ["anthropic:claude-haiku-5-5"]})
    result = run("providers", "--check")
    assert result.exit_code == 1
    assert "There is no key for anthropic" in result.stderr


def test_a_key_that_is_refused(nobody: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    with refusing() as url:
        bind({}, f'[providers.groq]\nbase_url = "{url}/v1"\napi_key_env = "GROQ_API_KEY"\n')
        result = run("providers", "--check")
        checked = said(run("providers", "--check", "--json"))["groq"]["check"]
    assert result.exit_code == 1
    assert " key refused" in table(result)["groq"]
    assert "Check GROQ_API_KEY." in result.stderr
    assert KEY not in result.stdout + result.stderr + json.dumps(checked)
    assert (checked["reachable"], checked["key_accepted"], checked["models"]) == (True, False, None)


class refusing:
    """A server that refuses every key, and repeats it."""

    def __enter__(self) -> str:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                asked = connection.recv(65536).decode()
                body = json.dumps({"error": {"message": f"You sent {asked}"}}).encode()
                head = f"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
                connection.sendall(f"{head}connection: close\r\n\r\n".encode() + body)

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


def test_what_takes_long_is_said_on_a_terminal(
    nobody: str, bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMRING_PROVIDER_TIMEOUT_S", "1.5")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{silent.getsockname()[1]}")
        assert "Asking ollama" in on_a_terminal("providers", "--check")
        assert "Asking" not in command("providers", "--check").stderr


SLOW = """
import time
from pathlib import Path

folder = Path(__file__).parent.parent
Path(__file__).with_name("begun").touch()
for _ in range(3000):
    if len(list(folder.glob("*/begun"))) == 2:
        Path(__file__).with_name("together").touch()
        break
    time.sleep(0.01)
raise ImportError("it is none")
"""


@pytest.mark.parametrize("args", [["providers", "--check"], ["models", "--live"]])
def test_one_sdk_is_imported_while_another_is(
    nobody: str, bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    for name in ("anthropic", "ollama"):
        (bare / "slow" / name).mkdir(parents=True)
        (bare / "slow" / name / "__init__.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", f"{bare / 'slow'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert "The SDK for anthropic cannot be imported (ImportError: it is none)" in command(*args).stderr
    assert len(list((bare / "slow").glob("*/together"))) == 2, "each was imported while the other was"


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "ollama"])
def test_a_socks_proxy_that_lacks_its_package(
    bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    (bare / "without").mkdir()
    (bare / "without" / "socksio.py").write_text("raise ImportError('it is not there')")
    monkeypatch.setenv("PYTHONPATH", f"{bare / 'without'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    asked = command("chat", "hi", "--model", f"{provider}:m")
    assert (asked.returncode, asked.stderr) == (
        1,
        f"Error: {provider} cannot be asked: ALL_PROXY names a SOCKS proxy, which needs one more package. "
        "Install it: pip install socksio. Or take it out of the environment: unset ALL_PROXY\n",
    )


def test_an_sdk_that_is_not_there(bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is what it would have brought, and it is the SDK that is named."""
    (bare / "without").mkdir()
    for name in ("ollama", "httpx"):
        code = f"raise ModuleNotFoundError('No module named {name}', name='{name}')"
        (bare / "without" / f"{name}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{bare / 'without'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    asked = command("chat", "hi", "--model", "ollama:m")
    assert "The SDK for ollama is not installed (No module named ollama): pip install 'ollama>=" in asked.stderr
