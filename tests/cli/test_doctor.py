"""`llmring doctor`: what it finds, with the step that mends it, and with the status that programs go by."""

from __future__ import annotations

import json
import os
import socket
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from llmring.catalog.prices import is_own_host
from llmring.testing import PracticeServer
from llmring.vendors import BUILT_IN

from ..conftest import bind
from ..program import PROGRAM
from .conftest import Command, Run
from .test_providers import refusing

KEY = "practice-" + "of-the-environment"
HAIKU = "anthropic:claude-haiku-5-5"


@pytest.fixture(autouse=True)
def _nobody(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ollama, even on a machine that has one."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{closed.getsockname()[1]}")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def examine(run: Run) -> tuple[int, dict[str, Any]]:
    """The status and what is said to programs; what is said to people must say the same."""
    told, counted = run("doctor"), run("doctor", "--json")
    assert told.exit_code == counted.exit_code
    assert counted.stderr == ""
    whole: dict[str, Any] = json.loads(counted.stdout)
    assert whole["ok"] == (counted.exit_code == 0)
    for trouble in whole["troubles"]:
        assert f"  {trouble['what']}\n    {trouble['mend']}\n" in told.stdout
    assert ("Problems" in told.stdout) == (not whole["ok"])
    assert KEY not in told.stdout + counted.stdout
    return counted.exit_code, whole


def troubles(whole: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(it["severity"], it["what"], it["mend"]) for it in whole["troubles"]]


def test_all_is_well(bare: Path, run: Run, key: None) -> None:
    path = bind({"chatbot": [HAIKU]})
    status, whole = examine(run)
    assert (status, troubles(whole)) == (0, [])
    assert (whole["lockfile"], whole["profile"]) == (str(path), "default")
    assert whole["aliases"] == [{"alias": "chatbot", "models": [HAIKU], "served_by": HAIKU, "obstacles": {}}]
    assert {"llmring", "python", "genai-prices", "keyring"} == set(whole["versions"])
    told = run("doctor")
    assert "ANTHROPIC_API_KEY" in told.stdout
    assert "No problems." in told.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_it_ends_with_the_verdict_where_both_outputs_are_one(bare: Path, command: Command, key: None) -> None:
    bind({"chatbot": [HAIKU]})
    done = command("-c", '"$0" doctor 2>&1 | cat', PROGRAM, program="sh")
    assert done.stdout.startswith("llmring ")
    assert done.stdout.endswith("\n\nNo problems.\n")


def test_a_key_that_is_missing(bare: Path, run: Run) -> None:
    bind({"chatbot": [HAIKU], "fast": ["groq:openai/gpt-oss-20b"]})
    status, whole = examine(run)
    assert status == 1
    assert troubles(whole) == [
        ("problem", f"There is no key for {name}: nothing serves {alias}.", f"Set {variable} in the environment.")
        for name, alias, variable in (
            ("anthropic", "chatbot", "ANTHROPIC_API_KEY"),
            ("groq", "fast", "GROQ_API_KEY"),
        )
    ]
    assert [it["served_by"] for it in whole["aliases"]] == [None, None]


def test_a_stand_by_serves(bare: Path, run: Run, key: None) -> None:
    bind({"chatbot": ["groq:openai/gpt-oss-20b", HAIKU], "careful": [HAIKU, "groq:openai/gpt-oss-20b"]})
    status, whole = examine(run)
    assert status == 0
    assert [it["served_by"] for it in whole["aliases"]] == [HAIKU, HAIKU]
    [(severity, what, _)] = troubles(whole)
    assert (severity, what) == ("warning", "There is no key for groq: a stand-by serves chatbot.")
    bind({"careful": [HAIKU, "groq:openai/gpt-oss-20b"]})
    _, whole = examine(run)
    assert troubles(whole)[0][1] == "There is no key for groq: a stand-by of careful cannot serve."


DEV = """
[profiles.dev]
name = "dev"

[[profiles.dev.bindings]]
alias = "chatbot"
models = ["ollama:llama3.2"]
"""


def test_only_the_profile_in_force_counts(bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    bind({"chatbot": [HAIKU]}, DEV)
    assert run("doctor").exit_code == 0, "Ollama is for dev"
    monkeypatch.setenv("LLMRING_PROFILE", "dev")
    status, whole = examine(run)
    assert (status, whole["profile"]) == (1, "dev")
    [(_, what, mend)] = [it for it in troubles(whole) if it[0] == "problem"]
    assert what.startswith("ollama does not answer at ")
    assert what.endswith(": nothing serves chatbot.")
    assert mend == "Start it: ollama serve, or correct OLLAMA_HOST"
    monkeypatch.setenv("LLMRING_PROFILE", "prod")
    status, whole = examine(run)
    assert (status, whole["profile"]) == (1, None)
    assert any("LLMRING_PROFILE is 'prod'" in what for _, what, _ in troubles(whole))


def test_what_ollama_has(server: PracticeServer, run: Run) -> None:
    server.models["ollama"] = ["llama3.2:latest", "qwen3:30b"]
    bind({"a": ["ollama:llama3.2"], "b": ["ollama:llama3.2:latest"], "c": ["ollama:qwen3:30b"]})
    assert examine(run)[0] == 0
    bind({"a": ["ollama:llama3.2"], "d": ["ollama:mistral"]})
    status, whole = examine(run)
    assert status == 1
    problem = ("problem", "Ollama does not have mistral: nothing serves d.", "To get it: ollama pull mistral")
    assert troubles(whole) == [problem]
    assert [it["served_by"] for it in whole["aliases"]] == ["ollama:llama3.2", None]


def test_a_server_that_is_off(bare: Path, run: Run) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    bind({"chatbot": ["vllm:m"]}, f'[providers.vllm]\nbase_url = "{url}"\n')
    _, whole = examine(run)
    what, mend = troubles(whole)[-1][1:]
    assert what == f"vllm does not answer at {url}: nothing serves chatbot."
    assert mend == "Start it: vllm serve MODEL, or correct base_url in [providers.vllm]"


def nowhere() -> str:
    """An address at which nobody is."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/v1"


def test_a_declared_server_that_is_off(bare: Path, run: Run) -> None:
    url = nowhere()
    bind({"chatbot": ["mine:m"]}, f'[providers.mine]\nsdk = "openai"\nbase_url = "{url}"\n')
    status, whole = examine(run)
    assert status == 1
    assert troubles(whole) == [
        (
            "problem",
            f"mine does not answer at {url}: nothing serves chatbot.",
            "Start it, or correct base_url in [providers.mine]",
        )
    ]


def test_a_declared_server_that_answers(server: PracticeServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = f'[providers.mine]\nsdk = "openai"\nbase_url = "{server.url}/v1"\n'
    bind({"chatbot": ["mine:m"]}, declared)
    assert examine(run)[0] == 0
    bind({"chatbot": ["mine:m"]}, declared.replace("/v1", "/nothing/here"))
    assert examine(run)[0] == 0, "one that lists no models may serve all the same"
    monkeypatch.setenv("MINE_KEY", KEY)
    with refusing() as url:
        bind(
            {"chatbot": ["mine:m"]}, f'[providers.mine]\nsdk = "openai"\nbase_url = "{url}"\napi_key_env = "MINE_KEY"\n'
        )
        status, whole = examine(run)
    assert status == 1
    assert troubles(whole)[-1][1:] == (f"mine at {url} refuses the key: nothing serves chatbot.", "Check MINE_KEY.")


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_catalogue_has_the_same_notion_of_a_server_of_ones_own(name: str) -> None:
    assert is_own_host(name, None) == BUILT_IN[name].local


def test_the_vendors_are_not_asked(server: PracticeServer, run: Run, billed: None) -> None:
    bind({"chatbot": [HAIKU, "openai:gpt-6-luna", "google:gemini-3.8-flash"]})
    assert examine(run)[0] == 0
    assert server.requests == []


OF_VENDORS = [
    ("openai:gpt-6-luna", "OPENAI_BASE_URL"),
    (HAIKU, "ANTHROPIC_BASE_URL"),
    ("google:gemini-3.8-flash", "GOOGLE_GEMINI_BASE_URL"),
    ("azure:m", "AZURE_OPENAI_ENDPOINT"),
]


@pytest.mark.parametrize(("model", "variable"), OF_VENDORS)
def test_a_vendor_at_an_address_of_this_machine_is_asked(
    bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch, model: str, variable: str
) -> None:
    name = model.partition(":")[0]
    monkeypatch.setenv(BUILT_IN[name].key_variables[0], KEY)
    monkeypatch.setenv(variable, nowhere())
    bind({"chatbot": [model]})
    status, whole = examine(run)
    [(_, what, mend)] = [it for it in troubles(whole) if it[0] == "problem"]
    assert (status, mend) == (1, f"Start it, or correct {variable}")
    assert what.startswith(f"{name} does not answer at http://127.0.0.1:")


@pytest.mark.parametrize(("model", "variable"), OF_VENDORS)
def test_a_gateway_of_ones_own_need_not_list_models(
    server: PracticeServer, run: Run, monkeypatch: pytest.MonkeyPatch, model: str, variable: str
) -> None:
    monkeypatch.setenv(BUILT_IN[model.partition(":")[0]].key_variables[0], KEY)
    monkeypatch.setenv(variable, f"{server.url}/nothing/here")
    bind({"chatbot": [model]})
    assert [it for it in troubles(examine(run)[1]) if it[0] == "problem"] == []


@pytest.mark.parametrize(("model", "variable"), [*OF_VENDORS, ("ollama:m", "OLLAMA_HOST"), ("mine:m", None)])
@pytest.mark.parametrize("address", [":abc", "http://h:port", "ftp://h", "https://user:p/w@h"])
def test_an_address_that_is_no_url(
    bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch, model: str, variable: str | None, address: str
) -> None:
    """What `chat` would say, it says before."""
    name = model.partition(":")[0]
    declared = ""
    if variable is None:
        declared = f'[providers.mine]\nsdk = "openai"\nbase_url = "{address}"\n'
    else:
        monkeypatch.setenv(variable, address)
        monkeypatch.setenv(BUILT_IN[name].key_variables[0], KEY)
    bind({"chatbot": [model]}, declared)
    status, whole = examine(run)
    assert status == 1
    said = " ".join(" ".join(it) for it in troubles(whole))
    if variable is not None:
        assert f"The address of {name} is no URL to ask, as {variable} has it: nothing serves chatbot." in said
        assert ("%40 for @" in said) == ("@" in address)
    assert "Start it" not in said
    assert "p/w" not in run("doctor").output + run("providers").output


@pytest.mark.parametrize("flaw", ["\n", " ", "\u00e9"])
def test_a_key_that_cannot_be_sent(bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch, flaw: str) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY[:9] + flaw + KEY[9:])
    bind({"chatbot": [HAIKU]})
    status, whole = examine(run)
    assert status == 1
    [(_, what, mend)] = troubles(whole)
    assert what.startswith("The key for anthropic, from ANTHROPIC_API_KEY, holds ")
    assert what.endswith("which cannot be sent: nothing serves chatbot.")
    assert mend == "Copy it anew."
    for command in (["doctor"], ["lock", "show"], ["providers"]):
        assert "ANTHROPIC_API_KEY (holds " in run(*command).stdout
    made = run("lock", "init", "--force")
    assert "Copy it anew" in made.stderr
    assert (
        "anthropic:" not in Path("llmring.lock").read_text().partition("[profiles.default]")[2].partition("# alias")[0]
    )


def test_a_proxy_that_keeps_a_server_from_being_asked(
    server: PracticeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starting the server would not mend it."""
    bind({"chatbot": ["ollama:llama3.2"]})
    monkeypatch.setenv("HTTP_PROXY", nowhere().removesuffix("/v1"))
    monkeypatch.setenv("OLLAMA_HOST", "http://10.0.0.1:11434")
    status, whole = examine(run)
    [(_, what, mend)] = [it for it in troubles(whole) if it[0] == "problem"]
    assert status == 1
    assert "which HTTP_PROXY names, and that fails" in what
    assert mend.startswith("Check that the proxy runs")


def test_an_ollama_of_somebody_elses_is_not_asked(
    server: PracticeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind({"chatbot": ["ollama:llama3.2"]})
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("OLLAMA_HOST", "http://models.example.com")
    assert examine(run)[0] == 0
    assert server.requests == []


def test_models_that_end_or_are_unknown(bare: Path, run: Run, key: None) -> None:
    bind({"old": ["anthropic:claude-mythos-preview"], "odd": ["anthropic:claude-haiku-99"]})
    status, whole = examine(run)
    assert status == 1
    said = "\n".join(what for _, what, _ in troubles(whole))
    assert "claude-mythos-preview" in said
    assert "claude-haiku-99" in said
    assert "llmring.lock:7:" in said


def test_a_provider_that_is_none_is_said_once(bare: Path, run: Run, key: None) -> None:
    bind({"chatbot": ["antropic:claude-haiku-5-5"]})
    status, whole = examine(run)
    assert status == 1
    assert sum("antropic" in what for _, what, _ in troubles(whole)) == 1
    assert whole["aliases"][0]["served_by"] is None


def test_no_lockfile(bare: Path, run: Run, key: None) -> None:
    status, whole = examine(run)
    assert (status, whole["lockfile"], whole["profile"]) == (0, None, None)
    assert [(it[0], it[2]) for it in troubles(whole)] == [("warning", "To make one: llmring lock init")]


def test_no_lockfile_where_one_was_named(bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", str(bare / "gone.lock"))
    status, whole = examine(run)
    assert status == 1
    assert troubles(whole)[0][2] == f"To make it: llmring lock init --file {bare / 'gone.lock'}"


def test_no_key_at_all(bare: Path, run: Run) -> None:
    assert "No key is set" in run("doctor").stdout


def test_a_lockfile_that_binds_nothing(bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("llmring.lock").write_text('version = "1.0"\n')
    nothing = (
        "warning",
        'The profile "default" binds no alias, so there is nothing to ask for.',
        "To bind one: llmring bind chatbot provider:model",
    )
    status, whole = examine(run)
    assert status == 0
    assert troubles(whole)[0] == nothing
    assert [what for _, what, _ in troubles(whole)[1:]] == ["No key is set, so only models of this machine can serve."]
    assert "No problems, but see what to look at." in run("doctor").stderr
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert troubles(examine(run)[1]) == [nothing]


def test_a_path_that_is_too_long(bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", "x" * 300)
    status, whole = examine(run)
    assert status == 1
    assert "cannot be read: File name too long" in troubles(whole)[0][1]


def test_a_lockfile_that_is_broken(bare: Path, run: Run) -> None:
    Path("llmring.lock").write_text('version = "1.0"\nprofiles = 5\n')
    status, whole = examine(run)
    assert status == 1
    [(severity, what, mend)] = [it for it in troubles(whole) if "llmring.lock:2" in it[1]]
    assert (severity, mend) == ("problem", "Once it is mended: llmring lock validate")
    assert "profiles" in what


def test_a_setting_that_cannot_be_used(bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    bind({"chatbot": [HAIKU]})
    monkeypatch.setenv("LLMRING_PROVIDER_TIMEOUT_S", "soon")
    status, whole = examine(run)
    assert status == 1
    assert "LLMRING_PROVIDER_TIMEOUT_S" in troubles(whole)[0][1]


def test_a_header_that_needs_a_variable(bare: Path, run: Run, key: None) -> None:
    bind({"chatbot": [HAIKU]}, '[providers.anthropic]\nheaders = { x-team = "$TEAM" }\n')
    status, whole = examine(run)
    assert status == 1
    assert troubles(whole)[0][1:] == (
        "[providers.anthropic.headers] x-team needs TEAM: nothing serves chatbot.",
        "Set TEAM in the environment.",
    )


def test_an_sdk_that_is_old(bare: Path, command: Command, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata of an installation that stands first on the path are those that count."""
    folder = bare / "site" / "anthropic-1.0.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: anthropic\nVersion: 1.0.0\n")
    monkeypatch.setenv("PYTHONPATH", f"{bare / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    bind({"chatbot": [HAIKU]})
    done = command("doctor", "--json")
    assert done.returncode == 1
    problem = json.loads(done.stdout)["aliases"][0]["obstacles"][HAIKU]
    assert problem.startswith("anthropic 1.0.0 is installed, and llmring works with anthropic>=")
    assert "pip install 'anthropic>=" in problem


def test_an_sdk_that_is_missing(bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def version_of(package: str) -> str:
        if package == "anthropic":
            raise metadata.PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(metadata, "version", version_of)
    bind({"chatbot": [HAIKU]})
    status, whole = examine(run)
    assert status == 1
    [(severity, what, mend)] = troubles(whole)
    assert (severity, what) == ("problem", "The SDK anthropic is not installed: nothing serves chatbot.")
    assert mend.startswith("To install it: pip install 'anthropic>=")


def test_a_socks_proxy_that_lacks_its_package(bare: Path, run: Run, key: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said once, though every provider lacks it; and not where it is there, or no request goes that way."""
    bind({"chatbot": [HAIKU]})
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "socksio", None)
    status, whole = examine(run)
    assert status == 1
    mend = "Install it: pip install socksio. Or take it out of the environment: unset ALL_PROXY"
    what = "ALL_PROXY names a SOCKS proxy, which needs one more package."
    assert troubles(whole) == [("problem", what, mend)]
    assert [it["served_by"] for it in whole["aliases"]] == [None]
    monkeypatch.setenv("NO_PROXY", "localhost, *")
    assert troubles(examine(run)[1]) == []
    monkeypatch.delenv("NO_PROXY")
    (bare / "with").mkdir()
    (bare / "with" / "socksio.py").write_text("")
    monkeypatch.syspath_prepend(bare / "with")
    monkeypatch.delitem(sys.modules, "socksio")
    assert troubles(examine(run)[1]) == []


@pytest.mark.parametrize("words", [("doctor",), ("providers",), ("lock", "init"), ("models", "--live")], ids=" ".join)
def test_a_keyring_that_waits(
    bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """It is asked once, and what waits for it is said."""
    (bare / "modules").mkdir()
    waiting = "import threading\n\ndef get_password(service, name):\n    threading.Event().wait()\n"
    (bare / "modules" / "keyring.py").write_text(waiting)
    monkeypatch.setenv("PYTHONPATH", f"{bare / 'modules'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    said = command(*words)
    lines = [line.strip() for line in (said.stdout + said.stderr).splitlines()]
    what = "The system's keyring does not answer, so which keys it has is not known."
    assert len([line for line in lines if line.startswith(what)]) == 1
