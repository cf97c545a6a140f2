"""Where a lockfile that came from elsewhere has secrets sent: nowhere, until the user has agreed to it."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmring.cli
from llmring import LLMRequest, LLMRing, Message
from llmring.cli import trust
from llmring.exceptions import ConfigurationError
from llmring.lockfile import bind, load, parse
from llmring.testing import PracticeServer

from ..conftest import bind as written
from ..plugins import Install, install
from .conftest import Command, Run

__all__ = ["install"]

FAR = "http://models.example.com"
"""What the practice server is, as the proxy of everything but this machine."""
NEAR = "http://192.0.2.7:8000"
"""A private address as Python sees it; it is kept for examples, and nobody's."""
KEY, OTHER = "canary-openai-1234567890", "canary-other-1234567890"
BARE = '[providers.mirror]\nsdk = "openai"\nbase_url = "{url}/v1"\n'
MIRROR = BARE + 'api_key_env = "AWS_SECRET_ACCESS_KEY"\n'
OPENAI = '[providers.openai]\nbase_url = "{url}/v1"\n'


@pytest.fixture(autouse=True)
def abroad(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeServer]:
    """Every address of plain http but this machine's own is the practice server, and two secrets are set."""
    with PracticeServer() as server:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.setenv("OLLAMA_HOST", server.refused_url())
        monkeypatch.setenv("XDG_STATE_HOME", str(bare / "state"))
        monkeypatch.setenv("LLMRING_HISTORY", "off")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OTHER)
        yield server


def lockfile(*tables: str, url: str = FAR, model: str = "mirror:m") -> Path:
    return written({"chatbot": [model]}, "".join(it.replace("{url}", url) for it in tables))


def arrived(server: PracticeServer) -> set[str]:
    """The secrets that have reached the server."""
    heard = "".join(f"{it.path}{it.headers}{it.raw!r}" for it in server.requests)
    return {secret for secret in (KEY, OTHER) if secret in heard}


COMMANDS = [
    (["chat", "hello"], FAR, "mirror:m"),
    (["chat", "hello", "--no-stream", "--json"], FAR, "openai:m"),
    (["chat", "hello", "--model", "mirror:m"], FAR, "openai:m"),
    (["models", "--live", "--provider", "mirror"], FAR, "mirror:m"),
    (["models", "--live"], FAR, "mirror:m"),
    (["providers", "--check"], FAR, "mirror:m"),
    (["doctor"], NEAR, "mirror:m"),
]


@pytest.mark.parametrize(("words", "url", "model"), COMMANDS, ids=lambda it: " ".join(it) if type(it) is list else "")
def test_a_secret_is_sent_after_the_word_of_the_user_alone(
    abroad: PracticeServer, command: Command, words: list[str], url: str, model: str
) -> None:
    lockfile(MIRROR, OPENAI, url=url, model=model)
    done = command(*words)
    assert done.returncode == 1
    assert "llmring trust" in done.stdout + done.stderr
    assert not abroad.requests
    assert command("trust", "--yes").returncode == 0
    done = command(*words)
    assert arrived(abroad), done.stderr
    assert "llmring trust" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("table", "secret", "variable"),
    [
        (MIRROR, OTHER, ""),
        (OPENAI, KEY, ""),
        (BARE + 'headers = { X-A = "${AWS_SECRET_ACCESS_KEY}" }\n', OTHER, ""),
        (OPENAI + 'api_key_env = "NOTHING"\n', OTHER, f"OPENAI_CUSTOM_HEADERS=X-Team: {OTHER}"),
        ('[providers.ollama]\nbase_url = "{url}"\n', OTHER, f"OLLAMA_API_KEY={OTHER}"),
        ('[providers.mirror]\nsdk = "anthropic"\nbase_url = "{url}"\napi_key_env = "OPENAI_API_KEY"\n', KEY, ""),
        ('[providers.mirror]\nsdk = "google"\nbase_url = "{url}"\napi_key_env = "OPENAI_API_KEY"\n', KEY, ""),
    ],
)  # fmt: skip
def test_every_kind_of_secret(
    abroad: PracticeServer, command: Command, monkeypatch: pytest.MonkeyPatch, table: str, secret: str, variable: str
) -> None:
    name = table.partition("providers.")[2].partition("]")[0]
    if variable:
        monkeypatch.setenv(*variable.split("=", 1))
    if "NOTHING" in table:
        monkeypatch.setenv("NOTHING", "k")
    lockfile(table, model=f"{name}:m")
    assert command("chat", "hello").returncode == 1
    assert not abroad.requests
    monkeypatch.setenv("LLMRING_TRUST", "1")
    command("chat", "hello")
    assert secret in arrived(abroad)


def test_a_key_of_the_keyring(
    abroad: PracticeServer, bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "modules").mkdir()
    (bare / "modules" / "keyring.py").write_text(f"def get_password(service, name):\n    return {OTHER!r}\n")
    monkeypatch.setenv("PYTHONPATH", f"{bare / 'modules'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    lockfile(f'[providers.mirror]\nsdk = "openai"\nbase_url = "{FAR}/v1"\n')
    done = command("chat", "hello")
    assert done.returncode == 1
    assert 'the keyring\'s entry "mirror" to models.example.com (plain http)' in done.stderr
    assert not abroad.requests
    command("trust", "--yes")
    assert command("chat", "hello").returncode == 0
    assert arrived(abroad) == {OTHER}


def test_a_stand_by_needs_it_too(abroad: PracticeServer, command: Command) -> None:
    """Who would be asked only after a failure is agreed to before: nothing moves on to another one in silence."""
    lockfile(MIRROR, model='ollama:llama3.2", "mirror:m')
    assert command("chat", "hello").returncode == 1
    assert not abroad.requests


def needs_none() -> Iterator[tuple[str, str, str, dict[str, str]]]:
    far = {"url": FAR}
    yield "this machine", MIRROR, "mirror", {"url": "{server}"}
    yield "this machine by name", MIRROR, "mirror", {"url": "{localhost}"}
    yield "nothing is set", MIRROR, "mirror", {**far, "AWS_SECRET_ACCESS_KEY": ""}
    yield "no key", '[providers.mirror]\nsdk = "ollama"\nbase_url = "{url}"\n', "mirror", far
    yield (
        "a header without one",
        '[providers.mirror]\nsdk = "ollama"\nbase_url = "{url}"\nheaders.X-A = "b"\n',
        "mirror",
        far,
    )
    yield "the environment's address", '[providers.openai]\napi = "chat"\n', "openai", {"OPENAI_BASE_URL": f"{FAR}/v1"}
    yield "the same in the file", OPENAI, "openai", {**far, "OPENAI_BASE_URL": f"{FAR}/v2"}
    yield "said for this run", MIRROR, "mirror", {**far, "LLMRING_TRUST": "1"}


@pytest.mark.parametrize(("why", "table", "name", "settings"), list(needs_none()), ids=[it[0] for it in needs_none()])
def test_what_needs_none(
    abroad: PracticeServer,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
    table: str,
    name: str,
    settings: dict[str, str],
) -> None:
    here = abroad.url
    places = {"{server}": here, "{localhost}": here.replace("127.0.0.1", "localhost")}
    url = settings.get("url", "")
    for variable, value in settings.items():
        if variable != "url":
            monkeypatch.setenv(variable, value)
    lockfile(table, url=places.get(url, url), model=f"{name}:m")
    done = command("chat", "hello")
    assert "llmring trust" not in done.stderr, why
    if settings.get("AWS_SECRET_ACCESS_KEY") != "":
        assert abroad.requests, done.stderr


@pytest.mark.parametrize(
    ("table", "asked"),
    [
        ("[providers.openai]\n", False),
        ('[providers.openai]\nbase_url = "https://api.openai.com/v1"\n', False),
        (BARE.format(url="https://api.openai.com") + 'api_key_env = "OPENAI_API_KEY"\n', False),
        ('[providers.openai]\napi_key_env = "WORK_OPENAI_KEY"\n', False),
        ('[providers.openai]\nheaders = { OpenAI-Project = "$OPENAI_PROJECT" }\n', False),
        ('[providers.google]\napi_key_env = "TEAM_GEMINI_KEY"\n', False),
        ('[providers.azure]\nbase_url = "https://we.openai.azure.com/openai/v1"\n', False),
        ('[providers.groq]\napi_key_env = "AWS_SECRET_ACCESS_KEY"\n', True),
        ('[providers.groq]\napi_key_env = "OPENAI_API_KEY"\n', True),
        ('[providers.openrouter]\nheaders = { X-Title = "$DATABASE_URL" }\n', True),
        ('[providers.openai]\napi_key_env = "AZURE_OPENAI_API_KEY"\n', True),
        ('[providers.openai]\nbase_url = "http://api.openai.com/v1"\n', True),
        ('[providers.openai]\nbase_url = "https://api.openai.com.example/v1"\n', True),
        ('[providers.openai]\nbase_url = "https://api.openai.com@example.com/v1"\n', None),
        ('[providers.openai]\nbase_url = "https://example.com/api.openai.com"\n', True),
        ('[providers.openai]\nbase_url = "https://127.0.0.1.example.com/v1"\n', True),
        ('[providers.openai]\nbase_url = "http://10.0.0.1/v1"\n', True),
        ('[providers.openai]\nbase_url = "http://169.254.169.254/v1"\n', True),
        ('[providers.openai]\nbase_url = "http://gateway:4000/v1"\n', True),
        ('[providers.openai]\nbase_url = "http://127.9.9.9/v1"\n', False),
        ('[providers.openai]\nbase_url = "http://[::ffff:127.0.0.1]/v1"\n', False),
        ('[providers.openai]\nbase_url = "http://[::1]:80/v1"\n', False),
        ('[providers.openai]\nbase_url = "http://[fe80::1]/v1"\n', True),
        ('[providers.openai]\nbase_url = "http://2130706433/v1"\n', True),
        ('[providers.openai]\nbase_url = "http://localhost.example.com/v1"\n', True),
    ],
)  # fmt: skip
def test_whose_host_it_is(bare: Path, table: str, asked: bool | None) -> None:
    text = f'version = "1.0"\n{table}'.encode()
    if asked is None:
        with pytest.raises(Exception, match="secret"):
            parse(text, bare / "llmring.lock")
        return
    named = [it for it in trust.away(parse(text, bare / "llmring.lock")) if it.source != "the keyring"]
    assert bool(named) == asked


def test_it_holds_until_what_the_file_says_of_providers_changes(
    bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", OTHER)
    path = lockfile(MIRROR, OPENAI)
    assert run("trust", "--yes").exit_code == 0
    text = path.read_text()
    bind(path, "another", ["openai:x"])
    path.write_text(f"# a remark\n{path.read_text()}\n")
    assert trust.is_trusted(load(path))
    swapped = text.partition("[providers")[0] + OPENAI.format(url=FAR) + MIRROR.format(url=FAR)
    path.write_text(swapped)
    assert trust.is_trusted(load(path)), "their order is no matter"
    for before, after in (
        ("models.example.com", "models.example.org"),
        ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"),
        ("[providers.openai]\n", '[providers.openai]\nheaders = { X = "$HOME" }\n'),
        ("[providers.openai]\n", '[providers.openai]\nnot_known_yet = "x"\n'),
        ("[providers.openai]\n", '[providers.third]\nsdk = "openai"\n[providers.openai]\n'),
    ):
        path.write_text(text.replace(before, after, 1))
        assert not trust.is_trusted(load(path)), after
        assert "has changed since you agreed" in run("chat", "hello").stderr
    path.write_text(text)
    assert trust.is_trusted(load(path))
    os.rename(path, bare / "elsewhere.lock")
    assert not trust.is_trusted(load(bare / "elsewhere.lock")), "another file is another question"


def test_the_same_in_json_is_the_same(bare: Path, run: Run) -> None:
    path = lockfile(MIRROR)
    before = trust.digest_of(load(path))
    data = load(path).data
    assert trust.digest_of(parse(json.dumps(data).encode(), bare / "x.json")) == before


@pytest.mark.parametrize("value", ["0", "", "no", "2", "true", "yes", "TRUE"])
def test_only_1_is_a_word(run: Run, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Another one is said to be none."""
    monkeypatch.setenv("LLMRING_TRUST", value)
    assert not trust.is_trusted(load(lockfile(MIRROR)))
    said = run("chat", "hello").stderr
    assert "LLMRING_TRUST=1" in said
    assert ("it takes 1, and nothing else: what it holds now is ignored" in said) == bool(value)


# What is kept


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
def test_it_is_kept_for_the_user_alone(bare: Path, run: Run) -> None:
    lockfile(MIRROR)
    assert run("trust", "--yes").exit_code == 0
    modes = {it: stat.S_IMODE(it.stat().st_mode) for it in (bare / "state").rglob("*")}
    assert {mode for it, mode in modes.items() if it.is_dir()} == {0o700}
    (kept,) = [it for it in modes if it.is_file()]
    assert modes[kept] == 0o600
    assert OTHER not in kept.read_text()
    assert trust.is_trusted(load("llmring.lock"))
    kept.chmod(0o620)
    assert not trust.is_trusted(load("llmring.lock")), "others can write it"
    kept.chmod(0o600)
    for broken in (b"", b"[]", b'{"path": 1}', b"\xff", b'{"path": "x", "digest": "y", "sends": [1], "since": ""}'):
        kept.write_bytes(broken)
        assert not trust.is_trusted(load("llmring.lock"))
    kept.unlink()
    os.mkfifo(kept)
    assert not trust.is_trusted(load("llmring.lock"))


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() != 0, reason="giving a file away takes root")
def test_another_users_word_is_none(bare: Path, run: Run) -> None:
    lockfile(MIRROR)
    run("trust", "--yes")
    (kept,) = (bare / "state").rglob("*.json")
    os.chown(kept, 65534, 65534)
    assert not trust.is_trusted(load("llmring.lock"))


def test_it_can_be_seen_and_taken_back(bare: Path, run: Run) -> None:
    path = lockfile(MIRROR, OPENAI)
    assert run("trust", "--list").output == "Nothing is trusted.\n"
    run("trust", "--yes")
    (entry,) = json.loads(run("trust", "--list", "--json").stdout)
    assert entry["path"] == str(path)
    assert {"secret": "AWS_SECRET_ACCESS_KEY", "host": "models.example.com", "provider": "mirror"} in entry["sends"]
    listed = run("trust", "--list").stdout
    assert str(path) in listed
    assert "OPENAI_API_KEY" in listed
    assert run("trust", "--revoke").exit_code == 0
    assert not trust.is_trusted(load(path))
    assert run("trust", "--list", "--json").stdout == "[]\n"
    result = run("trust", "--revoke")
    assert result.exit_code == 1
    assert "was not trusted. To see what is: llmring trust --list" in result.stderr
    run("trust", "--yes", str(path))
    path.unlink()
    result = run("trust", "--revoke")
    assert result.exit_code == 1
    assert f"llmring trust --revoke {path}. To see what is trusted" in result.stderr
    assert run("trust", "--revoke", str(path)).exit_code == 0, "of a file that is gone, too"
    assert "llmring trust --revoke FILE. To see" in run("trust", "--revoke").stderr


def test_a_long_path_is_named_whole(bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bare / ("a long name " * 12).strip()
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = lockfile(MIRROR)
    assert run("trust", "--yes").exit_code == 0
    path.unlink()
    assert f"llmring trust --revoke '{path}'. To see" in run("trust", "--revoke").stderr


def test_what_holds_no_longer(bare: Path, run: Run) -> None:
    path = lockfile(MIRROR)

    def listed() -> str | None:
        (entry,) = json.loads(run("trust", "--list", "--json").stdout)
        assert entry["holds"] == (entry["why"] is None)
        assert f"holds no longer: {entry['why']}" in run("trust", "--list").stdout or entry["holds"]
        why: str | None = entry["why"]
        return why

    run("trust", "--yes")
    assert listed() is None
    text = path.read_text()
    path.write_text(text.replace("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"))
    assert listed() == "what it says of providers has changed"
    path.write_text("not = [one")
    assert listed() == "the file cannot be read"
    path.unlink()
    assert listed() == "the file is gone"
    path.write_text(text)
    assert listed() is None


def test_what_was_agreed_to_already_is_not_asked_again(run: Run, bare: Path) -> None:
    lockfile(MIRROR)
    run("trust", "--yes")
    again = run("trust")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "You have agreed to that already. To take it back: llmring trust --revoke\n" in again.stderr
    assert json.loads(run("trust", "--json").stdout)["trusted"]


@pytest.mark.parametrize("options", [[], ["--yes"], ["--json"]])
def test_a_file_that_is_not_there(run: Run, bare: Path, options: list[str]) -> None:
    result = run("trust", "nope.lock", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("There is no lockfile nope.lock. To make it: llmring lock init --file nope.lock\n")


def test_nothing_to_agree_to(run: Run, bare: Path) -> None:
    lockfile()
    result = run("trust")
    assert result.exit_code == 0
    assert "nothing to agree to" in result.stderr
    assert not (bare / "state").exists()


def test_it_is_not_kept_without_an_answer(run: Run, bare: Path) -> None:
    lockfile(MIRROR)
    result = run("trust", input="y\n")
    assert result.exit_code == 1
    assert "llmring trust --yes" in result.stderr
    assert not trust.is_trusted(load("llmring.lock"))
    assert run("trust", "--list", "--revoke").exit_code == 2


def test_a_folder_that_cannot_be_written(run: Run, bare: Path) -> None:
    lockfile(MIRROR)
    (bare / "state").touch()
    result = run("trust", "--yes")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert "LLMRING_TRUST=1" in result.stderr


def test_what_is_shown_steers_nothing_and_can_be_told_apart(run: Run) -> None:
    """Parsing refuses what cannot be seen; other alphabets are spelt out, and what is long is cut."""
    long = "X" * 500
    lockfile(
        '[providers."m\\"irror"]\nsdk = "openai"\nbase_url = "https://\u0430pi.openai.com/v1"\n'
        f'api_key_env = "{long}"\nheaders = {{ X = "$HOME" }}\n'
    )
    result = run("trust", "--yes")
    assert "xn--pi-6kc.openai.com" in result.stderr
    assert "\u0430pi" not in result.stderr
    assert long not in result.stderr
    assert '"HOME"' in result.stderr


# On a terminal


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
def test_a_terminal_is_asked(abroad: PracticeServer) -> None:
    from .terminal import Terminal

    lockfile(MIRROR, OPENAI)
    question = ("models.example.com (plain http)", '"AWS_SECRET_ACCESS_KEY"', '"OPENAI_API_KEY"', "trust it with that?")
    with Terminal("chat", "hello") as terminal:
        terminal.expect(*question)
        terminal.say("n")
        terminal.expect("Nothing was sent.")
        assert terminal.ended() == 1
    assert not abroad.requests
    with Terminal("chat", "hello") as terminal:
        terminal.expect(*question)
        terminal.say("y")
        assert terminal.ended() == 0
    assert arrived(abroad) == {OTHER}
    with Terminal("chat", "hello") as terminal:
        assert terminal.ended() == 0
        assert "trust" not in terminal.raw, "it is asked once"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
def test_a_conversation_goes_on_asking_what_was_agreed_to(abroad: PracticeServer) -> None:
    """The file is followed: an edit of what it says of providers is not in force until it was agreed to."""
    from .terminal import Terminal

    path = lockfile(OPENAI, model="openai:m")
    with Terminal("chat") as terminal:
        terminal.expect("trust it with that?")
        terminal.say("y")
        terminal.expect("chatbot> ")
        terminal.say("one")
        abroad.wait_request(1, timeout=60)
        terminal.expect("tokens", "chatbot> ")
        abroad.clear()
        path.write_text(path.read_text().replace("models.example.com", "models.example.org"))
        terminal.say("two")
        terminal.expect("has changed since you agreed to it", "llmring trust", "chatbot> ")
        terminal.say("/model mirror:m")
        terminal.expect("> ")
        terminal.type("\x04")
        assert terminal.ended() == 0
    assert not abroad.requests


# What is asked nothing


def test_a_program_is_asked_nothing(abroad: PracticeServer) -> None:
    lockfile(OPENAI, model="openai:m")

    async def ask() -> None:
        async with LLMRing() as service:
            await service.chat(LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")]))

    asyncio.run(ask())
    assert arrived(abroad) == {KEY}


ITS_OWN = """
from llmring.providers import Provider


class Acme(Provider):
    finds_credentials = {finds}

    def __init__(self, config):
        super().__init__(config)
        raise SystemError("the SDK has looked for its credentials")

    def render(self, call): ...
    def decoder(self, call): ...
    async def send(self, call, body): ...
    async def close(self): ...


def made(config):
    return Acme(config)
"""


@pytest.mark.parametrize("brings", ["Acme", "made"])
@pytest.mark.parametrize("name", ["acme", "mirror"])
def test_what_somebodys_sdk_finds_by_itself_is_a_secret(
    abroad: PracticeServer, run: Run, install: Install, brings: str, name: str
) -> None:
    """Nobody knows what it is, so that it goes to no address that a lockfile chose before the user agrees."""
    install("acme_llmring", ITS_OWN.format(finds=True), {"acme": f"acme_llmring:{brings}"})
    table = f'[providers.{name}]\nsdk = "acme"\nbase_url = "{{url}}"\n'
    lockfile(table, model=f"{name}:m")
    result = run("chat", "hello")
    assert result.exit_code == 1
    assert f'what the SDK of "{name}" finds by itself to models.example.com' in result.stderr
    assert "llmring trust" in result.stderr
    assert run("trust", "--yes").exit_code == 0
    assert "has looked for its credentials" in run("chat", "hello").stderr
    lockfile(table, url="http://127.0.0.1:9", model=f"{name}:m")
    assert "has looked for its credentials" in run("chat", "hello").stderr


def test_an_sdk_that_finds_nothing_by_itself_has_no_secret(run: Run, install: Install) -> None:
    install("acme_llmring", ITS_OWN.format(finds=False), {"acme": "acme_llmring:Acme"})
    lockfile('[providers.acme]\nbase_url = "{url}"\n', model="acme:m")
    assert "has looked for its credentials" in run("chat", "hello").stderr


async def test_the_service_of_the_commands_refuses_by_itself(abroad: PracticeServer) -> None:
    """Whatever a command forgets to ask first: no provider comes to life, for a request or by its name."""
    lockfile(MIRROR)
    async with trust.Service(max_retries=0) as service:
        with pytest.raises(ConfigurationError, match="llmring trust"):
            service.get_provider("mirror")
        with pytest.raises(ConfigurationError, match="llmring trust"):
            await service.chat(LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")]))
        assert service.get_provider("ollama").name == "ollama"
    assert not abroad.requests


def test_no_command_asks_through_anything_else() -> None:
    """All but the demo, whose lockfile is its own, and a look at the settings, which asks nobody."""
    folder = Path(llmring.cli.__file__).parent
    made = {
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "LLMRing"
    }
    assert made == {"demo.py", "doctor.py"}
