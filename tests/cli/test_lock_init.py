"""`llmring lock init`: what it finds, what it binds, what it says."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

from llmring import catalog, lockfile
from llmring.cli import init, status
from llmring.lockfile.rendering import json_schema
from llmring.providers.endpoints import endpoint
from llmring.testing import PracticeServer
from llmring.vendors import BUILT_IN

from .conftest import LOCKFILE, Command, Run


@pytest.fixture(autouse=True)
def _nobody_at_home(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server, even on a machine that has one."""
    monkeypatch.setattr(init, "BUILT_IN", {})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{closed.getsockname()[1]}")


def bindings(path: Path) -> dict[str, tuple[str, ...]]:
    return {alias: binding.models for alias, binding in lockfile.load(path).profile().bindings.items()}


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "practice")


def test_nothing_set_up_gives_a_file_that_says_how_to_go_on(bare: Path, run: Run) -> None:
    result = run("lock", "init")
    assert (result.exit_code, result.stdout) == (0, "")
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "no server answers at http://127.0.0.1"):
        assert variable in result.stderr
    assert str(bare / "llmring.lock") in result.stderr
    text = (bare / "llmring.lock").read_text()
    assert "# `llmring lock init` wrote this file where it found neither a key" in text
    assert "ANTHROPIC_API_KEY" in text
    assert bindings(bare / "llmring.lock") == {}
    assert run("bind", "chatbot", "ollama:llama3.2").exit_code == 0
    assert bindings(bare / "llmring.lock") == {"chatbot": ("ollama:llama3.2",)}


def test_one_key_binds_every_alias(bare: Path, run: Run, key: None) -> None:
    result = run("lock", "init")
    assert result.exit_code == 0
    assert "ANTHROPIC_API_KEY is set" in result.stderr
    found = bindings(bare / "llmring.lock")
    assert list(found) == ["chatbot", "fast", "balanced", "deep"]
    assert found["chatbot"] == found["balanced"]
    for role in catalog.ROLES:
        assert found[role] == (f"anthropic:{catalog.suggested(role)['anthropic']}",)
        assert found[role][0] in result.stderr
    assert 'llmring chat "Hello"' in result.stderr


def test_several_providers_stand_by_for_each_other(bare: Path, run: Run, server: PracticeServer) -> None:
    server.models["ollama"] = ["llama3.2:latest", "qwen3:30b", "nomic-embed-text:latest"]
    result = run("lock", "init")
    assert f"answers at {server.url} with 3 models" in result.stderr
    found = bindings(bare / "llmring.lock")
    for role in catalog.ROLES:
        first = catalog.suggested(role)
        vendors = tuple(f"{name}:{first[name]}" for name in ("openai", "anthropic", "google"))
        assert found[role][:3] == vendors
        assert found[role][3] in ("ollama:llama3.2", "ollama:qwen3:30b")
        for model in vendors:
            assert catalog.known(model)
    assert [request.path for request in server.requests] == ["/api/tags"], "no provider is asked, only this machine"


def test_only_local_models(bare: Path, run: Run, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name)
    run("lock", "init")
    assert set(bindings(bare / "llmring.lock").values()) == {("ollama:llama3.2",)}


def test_a_provider_whose_sdk_is_missing_is_named_and_not_bound(
    bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "practice")
    monkeypatch.setenv("OPENAI_API_KEY", "practice")
    monkeypatch.setattr(status, "installed_version", lambda package: "1.0" if package == "anthropic" else None)
    result = run("lock", "init")
    assert "pip install 'google-genai>=" in result.stderr
    assert "pip install 'anthropic" not in result.stderr
    order = [model.partition(":")[0] for model in bindings(bare / "llmring.lock")["fast"]]
    assert order == ["anthropic"]


def test_where_every_sdk_is_missing_it_says_what_to_install_and_goes_on_without_force(
    bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(status, "installed_version", lambda package: None)
        result = run("lock", "init")
    assert bindings(bare / "llmring.lock") == {}
    steps = result.stderr.partition("Next\n")[2].splitlines()
    assert re.match(r" *pip install 'anthropic>=", steps[0])
    assert steps[1].strip() == "llmring lock init"
    assert "python -m llmring.testing" in steps[2]
    assert run("lock", "check").exit_code == 0
    assert run("lock", "init").exit_code == 0
    assert bindings(bare / "llmring.lock")["fast"]
    assert run("lock", "check").exit_code == 0
    assert run("lock", "init").exit_code == 1


@pytest.mark.parametrize("name", ["llmring.lock", "models.json"])
def test_its_own_empty_file_is_replaced(bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    run("lock", "init", "--file", name)
    assert "llmring lock init\n" in run("lock", "init", "--file", name).stderr
    (bare / name).write_text((bare / name).read_text() + "\n")
    assert run("lock", "init", "--file", name).exit_code == 1


def test_a_server_is_found_though_its_sdk_is_missing(
    bare: Path, run: Run, server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "installed_version", lambda package: None if package == "ollama" else "1.0")
    result = run("lock", "init")
    assert f"answers at {server.url} with 1 model; its SDK is missing: pip install 'ollama>=" in result.stderr
    assert "ollama" not in str(bindings(bare / "llmring.lock")["fast"])


LISTED = {
    "vllm": {"object": "list", "data": [{"id": "Qwen/Qwen3-32B", "object": "model", "owned_by": "vllm"}]},
    "llamacpp": {
        "object": "list",
        "data": [{"id": it, "meta": {"size": size}} for it, size in (("medium", 8), ("large", 40), ("small", 1))],
    },
    "lmstudio": {"object": "list", "data": [{"id": "text-embedding-nomic"}, {"id": "google/gemma-3"}, {"id": "a b"}]},
}
CHOSEN = {
    "vllm": dict.fromkeys(catalog.ROLES, "vllm:Qwen/Qwen3-32B"),
    "llamacpp": {"fast": "llamacpp:small", "balanced": "llamacpp:medium", "deep": "llamacpp:large"},
    "lmstudio": dict.fromkeys(catalog.ROLES, "lmstudio:google/gemma-3"),
}


@contextlib.contextmanager
def at_usual_port(name: str, said: Any) -> Iterator[list[str]]:
    """A server on the port that its like take, for a test that has it to itself; gives what was asked there."""
    address = urlsplit(BUILT_IN[name].base_url or "")
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization')}")
            content = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = HTTPServer((address.hostname or "", address.port or 0), Handler)
    except OSError:
        pytest.skip(f"the port {address.port} of this machine is taken")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("name", LISTED)
def test_a_server_on_its_usual_port_is_found(
    bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(init, "BUILT_IN", {name: BUILT_IN[name]})
    monkeypatch.setenv(BUILT_IN[name].key_variables[0], "practice")
    with at_usual_port(name, LISTED[name]) as asked:
        said = run("lock", "init").stderr
    assert "/v1/models Bearer practice" in asked
    assert re.search(rf"{name} +answers at {BUILT_IN[name].base_url} with \d models?\n", said)
    found = bindings(bare / "llmring.lock")
    assert {role: found[role][-1] for role in catalog.ROLES} == CHOSEN[name]
    assert all(models[0].startswith("anthropic:") for models in found.values()), "the machine's own come last"


@pytest.mark.parametrize("said", [{"data": [{"id": "x"}]}, {"object": "list"}, [], {"object": "list", "data": [1]}, 7])
def test_what_is_no_such_server_on_its_port_is_none(
    bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    monkeypatch.setattr(init, "BUILT_IN", {"llamacpp": BUILT_IN["llamacpp"]})
    with at_usual_port("llamacpp", said) as asked:
        assert "llamacpp" not in run("lock", "init").stderr
    assert asked  # by others of this machine, too
    assert bindings(bare / "llmring.lock") == {}


def test_a_server_without_models_is_named(bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "BUILT_IN", {"lmstudio": BUILT_IN["lmstudio"]})
    with at_usual_port("lmstudio", {"object": "list", "data": []}):
        assert "/v1 with no models" in run("lock", "init").stderr
    assert bindings(bare / "llmring.lock") == {}


def test_a_vendor_with_a_key_is_bound(bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "practice")
    monkeypatch.setenv("VLLM_API_KEY", "practice")
    result = run("lock", "init")
    assert "DEEPSEEK_API_KEY is set" in result.stderr
    assert "groq" not in result.stderr, "it has no key"
    assert "vllm" not in result.stderr, "nobody knows what it serves"
    found = bindings(bare / "llmring.lock")
    for role in catalog.ROLES:
        names = catalog.suggested(role)
        assert found[role] == (f"anthropic:{names['anthropic']}", f"deepseek:{names['deepseek']}")
        assert catalog.known(found[role][1])


@pytest.mark.parametrize("vendor", ["openrouter", "together", "fireworks", "azure"])
def test_no_model_is_made_up_for_a_vendor_without_a_line_up(
    bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch, vendor: str
) -> None:
    [variable] = BUILT_IN[vendor].key_variables
    monkeypatch.setenv(variable, "practice")
    if vendor == "azure":
        assert "no address for azure. Set AZURE_OPENAI_ENDPOINT " in run("lock", "init").stderr
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com")
    result = run("lock", "init", "--force")
    assert f"{variable} is set" in result.stderr
    assert f"none of its models is suggested: llmring bind ALIAS {vendor}:MODEL" in result.stderr
    assert bindings(bare / "llmring.lock") == {}


def test_a_file_that_is_there_is_kept(project: Path, run: Run, key: None) -> None:
    kept = run("lock", "init")
    assert (kept.exit_code, kept.stdout) == (1, "")
    assert "llmring lock init --force" in kept.stderr
    assert project.read_text() == LOCKFILE
    assert [file.name for file in project.parent.iterdir()] == ["llmring.lock"]
    named = run("lock", "init", "--file", "llmring.lock")
    assert "llmring lock init --file llmring.lock --force" in named.stderr


def test_a_file_that_is_replaced_is_kept_beside(project: Path, run: Run, key: None) -> None:
    project.chmod(0o600)
    replaced = run("lock", "init", "--force")
    assert (replaced.exit_code, replaced.stdout) == (0, "")
    assert "fast" in bindings(project)
    backup = project.with_name("llmring.lock.bak")
    assert f"Kept what was there as {backup}" in replaced.stderr
    assert backup.read_text() == LOCKFILE
    assert backup.stat().st_mode == project.stat().st_mode
    run("bind", "chatbot", "ollama:llama3.2")
    changed = project.read_bytes()
    run("lock", "init", "--force")
    assert backup.read_text() == LOCKFILE
    assert project.with_name("llmring.lock.bak1").read_bytes() == changed
    assert "Kept" not in run("lock", "init", "--force").stderr, "nothing was lost"


def test_a_file_that_says_nothing_yet_advises_nothing_that_would_replace_it_later(bare: Path, run: Run) -> None:
    run("lock", "init")
    run("bind", "chatbot", "ollama:llama3.2")
    written = (bare / "llmring.lock").read_text()
    assert "ANTHROPIC_API_KEY" in written
    assert "--force" not in written


def test_a_file_that_says_nothing_yet_is_not_kept(bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("lock", "init")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "practice")
    assert run("lock", "init", "--force").exit_code == 0
    assert "fast" in bindings(bare / "llmring.lock")
    assert {file.name for file in bare.iterdir()} == {"llmring.lock", "llmring.schema.json"}


def test_another_place(bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = bare / "config" / "models.lock"
    refused = run("lock", "init", "--file", str(elsewhere))
    assert refused.exit_code == 1
    assert "mkdir -p" in refused.stderr
    elsewhere.parent.mkdir()
    result = run("lock", "init", "--file", "config/models.lock")
    assert f"export LLMRING_LOCKFILE_PATH={elsewhere}" in result.stderr
    assert "fast" in bindings(elsewhere)
    assert not (bare / "llmring.lock").exists()
    elsewhere.unlink()
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", str(elsewhere))
    assert "export LLMRING_LOCKFILE_PATH" in run("lock", "init", "--file", "third.lock").stderr
    assert "export LLMRING_LOCKFILE_PATH" not in run("lock", "init").stderr
    assert "fast" in bindings(elsewhere)


def test_as_json(bare: Path, run: Run, key: None) -> None:
    assert run("lock", "init", "--file", "llmring.json").exit_code == 0
    assert json.loads((bare / "llmring.json").read_text())["version"] == "1.0"
    assert list(bindings(bare / "llmring.json")) == ["chatbot", "fast", "balanced", "deep"]


def test_an_address_of_ones_own_is_pointed_out(
    bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://somebody:hunter2@gateway.internal")
    said = run("lock", "init").stderr
    assert "asked at http://gateway.internal, which" in said
    assert "hunter2" not in said


@pytest.fixture(params=["mute", "slow", "gibberish", "not JSON", "no models", "other JSON"])
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    """Something that listens where Ollama should, and is not Ollama."""
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
    said = {
        "gibberish": b"SSH-2.0-OpenSSH\r\n",
        "not JSON": head % 2 + b"<>",
        "no models": head % 13 + b'{"models":[]}',
        "other JSON": head % 9 + b'{"a":"b"}',
        "slow": head % 100,
    }.get(request.param, b"")
    listening = socket.create_server(("127.0.0.1", 0))
    connections = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connections.append(connection)
            connection.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()
    for connection in connections:
        connection.close()


def test_what_is_no_ollama_is_passed_by_at_once(
    bare: Path, run: Run, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", stranger)
    begun = time.monotonic()
    assert run("lock", "init").exit_code == 0
    assert time.monotonic() - begun < 30
    assert bindings(bare / "llmring.lock") == {}


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("", ("127.0.0.1", 11434, False, "")),
        ("0.0.0.0", ("127.0.0.1", 11434, False, "")),
        (":8000", ("127.0.0.1", 8000, False, "")),
        ("box.local", ("box.local", 11434, False, "")),
        ("box.local:99", ("box.local", 99, False, "")),
        ("http://box.local", ("box.local", 80, False, "")),
        ("https://box.local/ollama/", ("box.local", 443, True, "/ollama")),
        ("[::1]:99", ("::1", 99, False, "")),
        ("::", ("::1", 11434, False, "")),
        ("'box.local'", ("box.local", 11434, False, "")),
        ("ollama.com", ("ollama.com", 443, True, "")),
    ],
)
def test_the_addresses_that_ollama_takes(
    bare: Path, monkeypatch: pytest.MonkeyPatch, host: str, address: tuple[str, int, bool, str]
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert init._address(endpoint("ollama").address or "") == address


@pytest.mark.parametrize("host", ["box:notaport", "http://", "box:99999", "a b"])
def test_an_address_that_ollama_does_not_take(
    bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert "OLLAMA_HOST is no address to ask" in run("lock", "init").stderr


def test_local_models_are_ordered_by_size() -> None:
    listed = [
        {"name": "large:70b", "size": 40},
        {"name": "small:1b", "size": 1},
        {"name": "medium:latest", "size": 8},
        {"name": "elsewhere:480b-cloud", "size": 0, "remote_host": "https://somewhere"},
        {"name": "nomic-embed-text", "size": 0},
    ]
    assert init._by_size(listed) == {"fast": "small:1b", "balanced": "medium", "deep": "large:70b"}
    assert init._by_size(listed[:1]) == dict.fromkeys(catalog.ROLES, "large:70b")
    assert init._by_size([]) == {}


def test_the_program_itself(bare: Path, command: Command, server: PracticeServer) -> None:
    made = command("lock", "init")
    assert (made.returncode, made.stdout) == (0, "")
    again = command("lock", "init")
    assert (again.returncode, again.stdout) == (1, "")
    answer = command("chat", "hello", "--model", "fast")
    assert (answer.returncode, answer.stdout) == (0, "You said: hello\n")


def test_editors_find_the_schema(bare: Path, run: Run, key: None) -> None:
    schema = bare / "llmring.schema.json"
    assert "llmring.schema.json" in run("lock", "init").stderr
    assert (bare / "llmring.lock").read_text().startswith("#:schema ./llmring.schema.json\n")
    assert json.loads(schema.read_text()) == json_schema()
    run("lock", "init", "--file", "llmring.json")
    named = json.loads((bare / "llmring.json").read_text())
    assert next(iter(named)) == "$schema"
    assert named["$schema"] == "./llmring.schema.json"
    Draft202012Validator(json_schema()).validate(named)
    schema.write_text('{"title": "llmring.lock", "of": "an older release"}')
    run("lock", "init", "--force")
    assert json.loads(schema.read_text()) == json_schema()


def test_a_schema_of_someone_elses_is_kept(bare: Path, run: Run, key: None) -> None:
    schema = bare / "llmring.schema.json"
    for text in ('{"title": "mine"}', "[]", "mine"):
        schema.write_text(text)
        result = run("lock", "init", "--force")
        assert result.exit_code == 0
        assert "llmring.schema.json is no schema of a lockfile" in result.stderr
        assert schema.read_text() == text


def test_what_was_written_as_json(bare: Path, run: Run) -> None:
    for kept in (None, "llmring.lock.bak"):
        said = json.loads(run("lock", "init", "--force", "--json").stdout)
        assert said["file"] == str(bare / "llmring.lock")
        assert said["kept_as"] == (kept and str(bare / kept))
        bound = lockfile.load(bare / "llmring.lock").profile(said["profile"]).bindings
        assert said["aliases"] == {alias: list(it.models) for alias, it in bound.items()}
        (bare / "llmring.lock").write_text(LOCKFILE)


@pytest.mark.parametrize("more", [[], ["--force"]])
def test_a_name_that_no_file_can_have(bare: Path, command: Command, more: list[str]) -> None:
    for name in ("n" * 300, f"{'n' * 300}/llmring.lock"):
        done = command("lock", "init", "--file", name, *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: ")
        assert "not foreseen" not in done.stderr
