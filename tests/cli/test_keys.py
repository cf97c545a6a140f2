"""`llmring keys`: into a real keyring and out of it, and never onto the screen."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from llmring.testing import PracticeServer

from ..conftest import bind
from ..program import PROGRAM
from .conftest import Command
from .terminal import Terminal

KEY = "practice-" + "of-the-keyring"

# A backend as keyring wants it, which keeps what it has in a file.
BACKEND = """
import json, os
from pathlib import Path
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

class Keyring(KeyringBackend):
    priority = 1
    file = Path(os.environ["FILED_KEYRING"])

    def _kept(self):
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def get_password(self, service, username):
        return self._kept().get(f"{service}/{username}")

    def set_password(self, service, username, password):
        if self.file.name == "locked.json":
            raise KeyringLocked(f"cannot keep {password}")
        if self.file.name != "lost.json":
            self.file.write_text(json.dumps(self._kept() | {f"{service}/{username}": password}))

    def delete_password(self, service, username):
        kept = self._kept()
        if kept.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("not there")
        self.file.write_text(json.dumps(kept))
"""


@pytest.fixture
def filed(bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a keyring, by keyring's own setting."""
    folder = tmp_path_factory.mktemp("backend")
    (folder / "filed_keyring.py").write_text(BACKEND)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "filed_keyring.Keyring")
    monkeypatch.setenv("FILED_KEYRING", str(folder / "keys.json"))
    return folder / "keys.json"


def kept(filed: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(filed.read_text()) if filed.exists() else {}
    return found


def test_a_key_by_a_pipe_is_kept_listed_and_removed(filed: Path, command: Command) -> None:
    done = command("keys", "set", "anthropic", input=f"  {KEY}\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "The keyring has the key of anthropic now.\n"
    assert kept(filed) == {"llmring/anthropic": KEY}
    listed = command("keys", "list")
    assert [line.split(maxsplit=1) for line in listed.stdout.splitlines()] == [
        ["PROVIDER", "KEY"],
        ["anthropic", "the keyring"],
    ]
    [said] = json.loads(command("keys", "list", "--json").stdout)
    assert (said["provider"], said["set"], said["source"]) == ("anthropic", True, "the keyring")
    assert KEY not in f"{done} {listed} {said}"
    done = command("keys", "remove", "anthropic")
    assert (done.returncode, done.stderr) == (0, "The keyring has no key of anthropic any more.\n")
    assert kept(filed) == {}
    done = command("keys", "remove", "anthropic")
    assert done.returncode == 1
    assert "The keyring has no key of anthropic: nothing was changed" in done.stderr


def test_a_key_that_is_typed_is_not_shown(filed: Path) -> None:
    with Terminal("keys", "set", "anthropic") as terminal:
        terminal.expect("Key of anthropic: ")
        assert not terminal.echoes()
        terminal.say(KEY)
        terminal.expect("The keyring has the key of anthropic now.")
        assert terminal.ended() == 0
        assert KEY not in terminal.raw
    assert kept(filed) == {"llmring/anthropic": KEY}


def test_ctrl_c_and_ctrl_d_change_nothing(filed: Path) -> None:
    for press in ("\x03", "\x04"):
        with Terminal("keys", "set", "anthropic") as terminal:
            terminal.expect("Key of anthropic: ")
            terminal.type(press)
            assert terminal.ended() == 130
            assert "Traceback" not in terminal.raw
    assert kept(filed) == {}


def test_a_request_is_sent_with_it(
    filed: Path, command: Command, server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a program of its own, which finds the same keyring."""
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert command("keys", "set", "anthropic", input=KEY).returncode == 0
    assert command("chat", "Hello", "--model", "anthropic:claude-haiku-4-5").returncode == 0
    asked = [it for it in server.requests if it.wire == "anthropic"]
    # In one header or another, as the SDK's version has it.
    assert [any(value.endswith(KEY) for value in it.headers.values()) for it in asked] == [True]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "There was no key: nothing was changed."),
        (" \n", "There was no key: nothing was changed."),
        ("two words", "What was given holds white space"),
        ("schlüssel", "What was given holds a character of no key"),
        ("x" * 70_000, "too long for a key"),
    ],
    ids=["nothing", "blank", "white space", "no ascii", "too long"],
)
def test_what_is_no_key_is_refused(filed: Path, command: Command, given: str, said: str) -> None:
    done = command("keys", "set", "anthropic", input=given)
    assert done.returncode == 1
    assert said in done.stderr
    assert kept(filed) == {}
    assert given.strip() == "" or given not in done.stderr


def test_bytes_that_are_no_text_are_refused(filed: Path, command: Command) -> None:
    done = subprocess.run([PROGRAM, "keys", "set", "anthropic"], input=b"\xff\xfe\n", capture_output=True, timeout=300)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert kept(filed) == {}


def test_a_provider_that_is_none_is_told_with_the_one_that_was_meant(filed: Path, command: Command) -> None:
    for words in (("set",), ("remove",)):
        done = command("keys", *words, "antropic", input=KEY)
        assert done.returncode == 1
        assert "There is no provider 'antropic'. Did you mean 'anthropic'?" in done.stderr
    assert kept(filed) == {}


def test_a_provider_of_the_lockfile_is_one(filed: Path, command: Command) -> None:
    bind({"chatbot": ["gateway:m"]}, '[providers.gateway]\nsdk = "openai"\nbase_url = "https://gateway.invalid/v1"\n')
    assert command("keys", "set", "gateway", input=KEY).returncode == 0
    assert kept(filed) == {"llmring/gateway": KEY}


def test_the_environment_goes_before_it_and_that_is_said(
    filed: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "practice-" + "of-the-environment")
    done = command("keys", "set", "anthropic", input=KEY)
    assert done.returncode == 0
    assert "ANTHROPIC_API_KEY is set, and goes before it. To use the keyring's: unset ANTHROPIC_API_KEY" in done.stderr
    assert ["anthropic", "ANTHROPIC_API_KEY"] in [line.split() for line in command("keys", "list").stdout.splitlines()]


def test_without_any_key(filed: Path, command: Command) -> None:
    done = command("keys", "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No key is set. To set one: llmring keys set PROVIDER" in done.stderr
    every = command("keys", "list", "--all").stdout
    assert "not set: ANTHROPIC_API_KEY" in every
    assert next(it for it in every.splitlines() if it.startswith("ollama")).endswith("none needed")


def test_a_system_without_a_keyring_says_so(bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    for words in (("set",), ("remove",)):
        done = command("keys", *words, "anthropic", input=KEY)
        assert done.returncode == 1
        assert "This system has no keyring that can be used" in done.stderr
        assert KEY not in done.stderr
    assert command("keys", "list").returncode == 0


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("nowhere.Keyring", "The system's keyring failed (ModuleNotFoundError)"),
        ("keyring.backends.null.Keyring", "took the key, and has not kept it"),
    ],
)
def test_a_keyring_that_does_not_work_says_so(
    bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch, setting: str, said: str
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", setting)
    done = command("keys", "set", "anthropic", input=KEY)
    assert done.returncode == 1
    assert said in done.stderr
    assert KEY not in done.stderr


def test_what_a_locked_keyring_says_is_not_repeated(
    filed: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILED_KEYRING", str(filed.with_name("locked.json")))
    monkeypatch.setenv("LLMRING_DEBUG", "1")
    done = command("keys", "set", "anthropic", input=KEY)
    assert done.returncode == 1
    assert "The system's keyring failed (KeyringLocked): nothing was changed" in done.stderr
    assert KEY not in done.stderr


def test_without_the_package_it_says_what_to_install(
    bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody finds its metadata, as where it is not installed.
    (bare / "sitecustomize.py").write_text(
        "from importlib import metadata\nfrom importlib.metadata import version\n"
        "def none(name):\n"
        "    if name == 'keyring':\n        raise metadata.PackageNotFoundError(name)\n    return version(name)\n"
        "metadata.version = none\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(bare))
    for words in (("set",), ("remove",)):
        done = command("keys", *words, "anthropic", input=KEY)
        assert done.returncode == 1
        assert "The package keyring is not installed. To install it: pip install 'keyring>=25'" in done.stderr
