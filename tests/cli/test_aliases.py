"""`llmring aliases`, `bind` and `unbind`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from llmring import lockfile

from .conftest import LOCKFILE, Command, Run


def test_a_table_for_people(project: Path, run: Run) -> None:
    result = run("aliases")
    assert result.exit_code == 0
    assert result.stdout == "ALIAS     MODEL\nchatbot   anthropic:claude-haiku-4-5\n"
    assert result.stderr == ""


def test_verbose_says_everything(project: Path, run: Run) -> None:
    result = run("aliases", "--verbose")
    for part in (str(project), "default (of default, dev)", "openai:gpt-5-mini", "temperature = 0.3"):
        assert part in result.stdout


def test_json_is_data_and_nothing_else(project: Path, run: Run) -> None:
    assert json.loads(run("aliases", "--json").stdout) == {"chatbot": "anthropic:claude-haiku-4-5"}
    assert json.loads(run("aliases", "--json", "-v").stdout) == {
        "file": str(project),
        "profile": "default",
        "profiles": ["default", "dev"],
        "aliases": {
            "chatbot": {
                "model": "anthropic:claude-haiku-4-5",
                "stand_bys": ["openai:gpt-5-mini"],
                "params": {"temperature": 0.3},
            }
        },
    }


def test_the_profile_is_the_options_then_the_environments_then_the_files(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "ollama:llama3.2" in run("aliases", "--profile", "dev").stdout
    monkeypatch.setenv("LLMRING_PROFILE", "dev")
    assert "ollama:llama3.2" in run("aliases").stdout
    assert "anthropic" in run("aliases", "--profile", "default").stdout
    monkeypatch.setenv("LLMRING_PROFILE", "")
    assert "anthropic" in run("aliases").stdout


def test_no_aliases_is_a_remark_and_no_data(project: Path, run: Run) -> None:
    project.write_text('version = "1.0"\n')
    result = run("aliases")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "llmring bind" in result.stderr
    assert json.loads(run("aliases", "--json").stdout) == {}


def test_the_aliases_of_packages_are_there_too(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    package = project.parent / "site" / "somelib_of_a_test"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "llmring.lock").write_text(LOCKFILE.replace("chatbot", "summarizer"))
    project.write_text(f'{LOCKFILE}\n[extends]\npackages = ["somelib_of_a_test"]\n')
    missing = run("aliases")
    assert (missing.exit_code, missing.stdout) == (0, "ALIAS     MODEL\nchatbot   anthropic:claude-haiku-4-5\n")
    assert 'Warning: [extends] names the package "somelib_of_a_test"' in missing.stderr
    monkeypatch.setattr(sys, "path", [*sys.path, str(package.parent)])
    assert "somelib_of_a_test:summarizer" in run("aliases").stdout


def test_binding_an_alias(project: Path, run: Run) -> None:
    result = run("bind", "chatbot", "openai:gpt-6-luna, google:gemini-3.8-flash")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        "chatbot is served by openai:gpt-6-luna, with google:gemini-3.8-flash standing by "
        f'(profile "default" of {project})\n'
    )
    models = 'models = ["openai:gpt-6-luna", "google:gemini-3.8-flash"]'
    old = 'models = ["anthropic:claude-haiku-4-5", "openai:gpt-5-mini"]'
    assert project.read_text() == LOCKFILE.replace(old, models), "one line changes, the comments stay"


def test_binding_in_a_profile_that_is_not_there_yet(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("bind", "chatbot", "ollama:qwen3:8b", "--profile", "night").exit_code == 0
    monkeypatch.setenv("LLMRING_PROFILE", "night")
    assert '(profile "night" of' in run("bind", "draft", "ollama:qwen3:8b").stderr
    night = lockfile.load(project).profile("night").bindings
    assert [binding.models for binding in night.values()] == [("ollama:qwen3:8b",)] * 2


@pytest.mark.parametrize(
    ("model", "remarks"),
    [
        ("anthropic:claude-haiku-5-55", ["does not know", "anthropic:claude-haiku-5-5"]),
        ("google:gemini-2.5-flash-image", ["deprecated by its vendor"]),
        ("google:gemini-2.0-flash", ["is retired; its last day was 2026-06-01"]),
    ],
)
def test_an_odd_model_is_bound_with_a_warning(project: Path, run: Run, model: str, remarks: list[str]) -> None:
    result = run("bind", "chatbot", model)
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: ")
    for remark in remarks:
        assert remark in result.stderr
    assert result.stdout == ""
    assert lockfile.load(project).profile().bindings["chatbot"].models == (model,)


def test_an_odd_model_is_named_where_the_environment_leads_elsewhere(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    result = run("bind", "chatbot", "anthropic:claude-haiku-5-55")
    assert result.exit_code == 0
    assert 'does not know "claude-haiku-5-55" of anthropic. Near it: anthropic:claude-haiku-5-5' in result.stderr
    assert "Only the host of your own may have it" in " ".join(result.stderr.split())
    for fitting in ("anthropic:claude-haiku-5-5", "google:gemini-2.5-flash", "ollama:nobody-knows"):
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
        assert "Warning" not in run("bind", "chatbot", fitting).stderr


@pytest.mark.parametrize(
    ("models", "remarks"),
    [
        ("antropic:claude-haiku-5-5", ['no provider "antropic"', "Did you mean anthropic:claude-haiku-5-5?"]),
        ("openai:gpt-6-luna,opnai:gpt-6-luna", ['no provider "opnai"', "Did you mean openai:gpt-6-luna?"]),
        ("grok:grok-4.7", ['no provider "grok"', "Did you mean xai:grok-4.7?"]),
        ("llama.cpp:mine", ['no provider "llama.cpp"', "Did you mean llamacpp:mine?"]),
        ("acme:rocket-1", ['no provider "acme"', "[providers.acme]"]),
    ],
)
def test_a_provider_that_nobody_knows_is_refused_unless_it_is_forced(
    project: Path, run: Run, models: str, remarks: list[str]
) -> None:
    refused = run("bind", "chatbot", models)
    assert (refused.exit_code, refused.stdout) == (1, "")
    for remark in (*remarks, "--force"):
        assert remark in refused.stderr
    assert project.read_text() == LOCKFILE
    forced = run("bind", "chatbot", models, "--force")
    assert forced.exit_code == 0
    assert forced.stderr.startswith(f"Warning: There is {remarks[0]}")
    assert lockfile.load(project).profile().bindings["chatbot"].models == tuple(models.split(","))


@pytest.mark.parametrize("model", ["ollama:whatever:7b", "groq:openai/gpt-oss-20b"])
def test_no_warning_where_the_catalogue_is_no_judge(project: Path, run: Run, model: str) -> None:
    project.write_text(f'{LOCKFILE}\n[providers.groq]\nsdk = "openai"\nbase_url = "https://api.groq.com/openai/v1"\n')
    expected = f'chatbot is served by {model} (profile "default" of {project})\n'
    assert run("bind", "chatbot", model).stderr == expected


@pytest.mark.parametrize("models", ["gpt-6-luna", "", "openai:", ":gpt-6-luna", "a b:c"])
def test_a_malformed_model_is_refused(project: Path, run: Run, models: str) -> None:
    result = run("bind", "chatbot", models)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert "provider:model" in result.stderr
    assert project.read_text() == LOCKFILE


def test_a_key_in_the_place_of_a_model_is_not_repeated(project: Path, run: Run) -> None:
    key = "sk-" + "x" * 40
    for model in (f"opnai:{key}", f"{key}:gpt"):
        refused = run("bind", "chatbot", model)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert key not in refused.stderr
        assert "holds no secret" in refused.stderr
    assert project.read_text() == LOCKFILE


def test_unbinding_an_alias(project: Path, run: Run) -> None:
    assert run("unbind", "chatbot", "--profile", "dev").exit_code == 0
    assert lockfile.load(project).profile("dev").bindings == {}
    assert "chatbot" in lockfile.load(project).profile().bindings


def test_unbinding_from_few_from_none_and_from_many(project: Path, run: Run) -> None:
    run("unbind", "chatbot", "--profile", "dev")
    assert run("unbind", "chatbot", "--profile", "dev").stderr.endswith(" It binds no alias.\n")
    for number in range(11):
        lockfile.bind(project, f"a{number}", ["ollama:llama3.2"], profile="dev")
    said = run("unbind", "nope", "--profile", "dev").stderr
    assert said.endswith('"a8", "a9" and 1 more.\n')


@pytest.mark.parametrize(
    ("args", "answer"),
    [
        (["unbind", "chatbto"], '"chatbot"'),
        (["unbind", "nope"], 'It binds "chatbot".\n'),
        (["unbind", "chatbot", "--profile", "nope"], "default, dev"),
        (["aliases", "--profile", "nope"], "default, dev"),
        (["bind", "two words", "openai:gpt-6-luna"], "two words"),
    ],
)
def test_what_is_not_there_is_an_error_that_says_what_is(project: Path, run: Run, args: list[str], answer: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert answer in result.stderr


@pytest.mark.parametrize("args", [["aliases"], ["aliases", "--json"], ["unbind", "a"]])
def test_without_a_lockfile_the_next_step_is_named(bare: Path, run: Run, args: list[str]) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "llmring lock init" in result.stderr
    assert list(bare.iterdir()) == []


@pytest.mark.parametrize("args", [["aliases"], ["models"], ["providers"], ["bind", "a", "openai:gpt-6-luna"]])
def test_a_lockfile_that_cannot_even_be_looked_for_is_an_error(
    bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", str(bare / ("n" * 300)))
    done = command(*args)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be read: File name too long" in done.stderr


def test_the_program_itself(project: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = command("bind", "fast", "openai:gpt-6-luna")
    assert (bound.returncode, bound.stdout) == (0, "")
    assert json.loads(command("aliases", "--json").stdout)["fast"] == "openai:gpt-6-luna"
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", str(project.parent / "other.lock"))
    missing = command("aliases")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "LLMRING_LOCKFILE_PATH" in missing.stderr
    (project.parent / "other.lock").write_text('version = "1.0"\n[[')
    broken = command("aliases")
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "other.lock:2:" in broken.stderr


def test_what_was_written_as_json(project: Path, run: Run) -> None:
    bound = run("bind", "fast", "openai:gpt-6-luna,ollama:llama3.2,openai:gpt-6-luna", "--json")
    assert json.loads(bound.stdout) == {
        "file": str(project),
        "profile": "default",
        "alias": "fast",
        "models": ["openai:gpt-6-luna", "ollama:llama3.2"],
    }
    assert bound.stderr == "A model that is named twice is bound once.\n"
    assert lockfile.load(project).profile().bindings["fast"].models == ("openai:gpt-6-luna", "ollama:llama3.2")
    unbound = run("unbind", "chatbot", "--profile", "dev", "--json")
    assert json.loads(unbound.stdout) == {"file": str(project), "profile": "dev", "alias": "chatbot", "models": []}


def test_a_profile_that_binding_makes_is_said_to_be_new(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMRING_PROFILE", "deflt")
    said = run("bind", "fast", "ollama:llama3.2").stderr
    assert said.startswith('The profile "deflt" is new. There were: default, dev.\nfast is served by ')
    assert run("bind", "faster", "ollama:llama3.2").stderr.startswith("faster is served by ")


@pytest.mark.parametrize("args", [["aliases", "--json", "--verbose"], ["lock", "show", "--json"]])
def test_json_is_json_whatever_the_params_hold(project: Path, run: Run, args: list[str]) -> None:
    project.write_text(LOCKFILE.replace("temperature = 0.3", "temperature = nan, top_p = [-inf], day = 2026-01-02"))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    said = json.loads(run(*args).stdout, parse_constant=refuse)
    assert said["aliases"]["chatbot"]["params"] == {"temperature": None, "top_p": [None], "day": "2026-01-02"}
    project.write_text(
        '{"version": "1.0", "profiles": {"default": {"bindings": '
        '[{"alias": "chatbot", "models": ["x:y"], "params": {"stop": "\\ud800é"}}]}}}'
    )
    assert json.loads(run(*args).stdout)["aliases"]["chatbot"]["params"] == {"stop": "\ud800é"}


@pytest.mark.parametrize(
    "args", [("openai:gpt-6-luna", "ollama:llama3.2"), ("openai:gpt-6-luna,", "ollama:llama3.2", "-p", "dev")]
)
def test_models_are_named_in_one_word(project: Path, run: Run, args: tuple[str, ...]) -> None:
    result = run("bind", "chatbot", *args)
    assert result.exit_code == 2
    assert 'separate models by commas: "openai:gpt-6-luna,ollama:llama3.2"' in " ".join(result.stderr.split())
    assert project.read_text() == LOCKFILE


@pytest.mark.parametrize("models", ["openai:gpt-6-luna,", ",openai:gpt-6-luna", "openai:gpt-6-luna, ,ollama:llama3.2"])
def test_a_comma_too_many(project: Path, run: Run, models: str) -> None:
    result = run("bind", "chatbot", models)
    assert (result.exit_code, result.stderr) == (1, f'Error: There is a comma too many in "{models}". Take it out\n')
    assert project.read_text() == LOCKFILE


def test_how_an_alias_tells_of_tools_is_shown(project: Path, run: Run) -> None:
    text = project.read_text()
    project.write_text(text.replace("params =", 'tools = "prompt:hermes"\nparams =', 1))
    assert "tools = 'prompt:hermes'" in run("aliases", "--verbose").stdout
    assert "tools = 'prompt:hermes'" in run("info", "chatbot").stdout
    assert "tools = 'prompt:hermes'" in run("lock", "show").stdout
    assert json.loads(run("info", "chatbot", "--json").stdout)["tools"] == "prompt:hermes"
    assert json.loads(run("lock", "show", "--json").stdout)["aliases"]["chatbot"]["tools"] == "prompt:hermes"
    told = json.loads(run("info", "ollama:llama3.2", "--json").stdout)
    assert "tools" not in {*told, *told["models"][0]}
    project.write_text(f'{project.read_text()}\n[providers.ollama]\ntools = "read:llama"\n')
    assert "read:llama" in run("info", "ollama:llama3.2").stdout
    assert json.loads(run("info", "ollama:llama3.2", "--json").stdout)["models"][0]["tools"] == "read:llama"


@pytest.mark.parametrize("name", ["llmring.lock", "elsewhere.lock", "llmring.json"])
def test_binding_makes_the_lockfile(bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if name != "llmring.lock":
        monkeypatch.setenv("LLMRING_LOCKFILE_PATH", name)
    done = command("bind", "chatbot", "anthropic:claude-haiku-5-5,ollama:llama3.2")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"Made {bare / name}" in done.stderr or f"Made {name}" in done.stderr
    assert [it.name for it in bare.iterdir()] == [name]
    assert lockfile.load(bare / name).profile().bindings["chatbot"].models[1] == "ollama:llama3.2"
    again = command("bind", "helper", "ollama:llama3.2", "--profile", "dev")
    assert "Made" not in again.stderr
    assert list(lockfile.load(bare / name).profiles) == ["default", "dev"]


@pytest.mark.parametrize("model", ["nonesuch", "opnai:gpt-6-luna", "gpt-6-luna", "a b:c", ","])
def test_a_lockfile_is_not_made_for_nothing(bare: Path, run: Run, model: str) -> None:
    assert run("bind", "chatbot", model).exit_code == 1
    assert [*bare.iterdir()] == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gpt-6-luna", "openai:gpt-6-luna"),
        ("anthropic/claude-haiku-5-5", "anthropic:claude-haiku-5-5"),
        ("anthropic/nonesuch", "anthropic:nonesuch"),
        ("llama.cpp/some/model", "llamacpp:some/model"),
    ],
)
def test_the_model_that_was_meant(project: Path, run: Run, name: str, meant: str) -> None:
    for args in (("bind", "chatbot", name), ("chat", "hi", "--model", name), ("bind", "chatbot", f"ollama:x,{name}")):
        result = run(*args)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.endswith(f". Did you mean {meant}?\n")
    project.unlink()
    assert f"Did you mean {meant}?" in run("chat", "hi", "--model", name).stderr


def test_no_model_was_meant(project: Path, run: Run) -> None:
    for name in ("nonesuch", "anthropic/", "/x", "nobody/x"):
        assert run("bind", "chatbot", name).exit_code == 1
        assert "Did you mean" not in run("bind", "chatbot", name).stderr


def test_an_alias_that_is_not_bound_is_answered_with_those_that_are(project: Path, run: Run) -> None:
    for number in range(11):
        run("bind", f"a{number}", "ollama:llama3.2")
    assert 'It binds "chatbot", "a0", ' in (said := run("chat", "hi", "--model", "xyz").stderr)
    assert '"a8" and 2 more. To bind it' in said
