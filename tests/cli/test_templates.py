"""`llmring chat --template`, `llmring template`, and what `lock check` says of templates."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from llmring.checking import check_lockfile
from llmring.testing import PracticeServer

from .conftest import Run

TRANSLATE = """\
description = "Into another language."
prompt = "Translate into $language, for $$5: $input"
system = "You translate into $language."
model = "ollama:llama3.2"
defaults = { language = "French" }
params = { temperature = 0.5, max_tokens = 100 }
"""


@pytest.fixture(autouse=True)
def folder(project: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMRING_HISTORY", "off")
    folder = project.parent / "llmring.templates"
    folder.mkdir()
    (folder / "translate.toml").write_text(TRANSLATE)
    return folder


def test_a_question_by_a_template(run: Run, server: PracticeServer) -> None:
    result = run("chat", "--template", "translate", "Good $language morning")
    assert result.exit_code == 0, result.stderr
    (request,) = server.requests
    assert request.model == "llama3.2"
    system, question = request.body["messages"]
    assert system["content"] == "You translate into French."
    assert question["content"] == "Translate into French, for $5: Good $language morning", "the input is text"
    assert (request.body["options"]["temperature"], request.body["options"]["num_predict"]) == (0.5, 100)


def test_what_is_said_on_the_command_line_counts_more(run: Run, server: PracticeServer) -> None:
    args = ["--var", "language", "Danish", "--model", "anthropic:claude-haiku-4-5", "--system", "Be kind."]
    assert run("chat", "-t", "translate", *args, "--temperature", "0.1", input="Hello").exit_code == 0
    (request,) = server.requests
    assert request.model == "claude-haiku-4-5"
    assert request.body["temperature"] == 0.1
    assert request.question == "Translate into Danish, for $5: Hello"
    assert b"Be kind." in request.raw


def test_a_template_without_a_place_for_the_input(run: Run, server: PracticeServer, folder: Path) -> None:
    (folder / "haiku.toml").write_text('prompt = "Write a haiku."')
    assert run("chat", "-t", "haiku").exit_code == 0
    assert run("chat", "-t", "haiku", "About rain.").exit_code == 0
    (folder / "kind.toml").write_text('system = "Be kind."')
    assert run("chat", "-t", "kind", "Hello").exit_code == 0
    assert [it.question for it in server.requests] == ["Write a haiku.", "Write a haiku.\n\nAbout rain.", "Hello"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-t", "translat", "x"], "Did you mean translate?"),
        (["-t", "../llmring", "x"], '"../llmring" is no name of a template'),
        (["-t", "translate", "x", "--var", "langage", "y"], "has no $langage to fill in; its names: language."),
        (["-t", "translate"], "The template translate wants $input: a prompt, or a pipe."),
        (["--var", "a", "b", "x"], "--template"),
        (["-t", "translate", "--var", "input", "b"], "the prompt itself"),
    ],
)
def test_what_is_wrong_is_said_unsent(run: Run, server: PracticeServer, args: list[str], words: str) -> None:
    result = run("chat", *args)
    assert result.exit_code in (1, 2)
    assert words in " ".join(result.stderr.split())
    assert server.requests == []


BROKEN = {
    'prompt = "x" "y"': "is no TOML",
    'prompt = "\\ud800"': "is no TOML",
    "prompt = 7": "prompt takes text",
    'model = "chatbot"': "neither a prompt nor a system prompt",
    'promt = "x"': "prompt is",
    'prompt = "costs $5"': "one by itself is $$",
    'prompt = "x"\ndefaults = { y = "z" }': "neither prompt nor system has $y",
    'prompt = "x"\nparams = { temprature = 1 }': "Did you mean temperature?",
    'prompt = "x"\nparams = { temperature = "warm" }': "temperature cannot be",
    'prompt = "x"\nparams = { base_url = "https://evil.example" }': "which a template may not set",
    'prompt = "x"\nparams = { extra_params = { tools = [] } }': "which a template may not set",
    'prompt = "x"\nparams = { tools = [{ type = "mcp", server_url = "https://evil.example" }] }': "may not set",
    'prompt = "x"\nparams = { response_format = "int" }': "takes a table",
    'prompt = "x"\nproviders = { a = 1 }': "is no key of a template",
    f'prompt = "{"sk-" + "a1B2" * 12}"': "looks like a key",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_template_is_refused_listed_and_found(
    run: Run, server: PracticeServer, project: Path, folder: Path, text: str
) -> None:
    (folder / "broken.toml").write_text(text)
    refused = run("chat", "-t", "broken", "x")
    assert refused.exit_code == 1
    assert BROKEN[text] in " ".join(refused.stderr.split())
    assert "a1B2a1B2" not in refused.stderr
    assert server.requests == []
    listed = run("template", "list")
    assert "translate" in listed.stdout
    assert "Warning:" in listed.stderr
    (finding,) = [it for it in check_lockfile(project).findings if it.code == "template-invalid"]
    assert finding.spot.path == folder / "broken.toml"
    assert "evil" not in finding.message or "server_url" not in finding.message


def test_lock_check_looks_at_the_models_of_templates(project: Path, folder: Path) -> None:
    (folder / "alias.toml").write_text('prompt = "x"\nmodel = "nobody"')
    (folder / "direct.toml").write_text('prompt = "x"\nmodel = "anthropic:claude-nothing-1"')
    (folder / "fine.toml").write_text('prompt = "x"\nmodel = "chatbot"')
    found = {it.spot.path.stem: it.code for it in check_lockfile(project).findings if it.spot.path.parent == folder}
    assert found == {"alias": "template-unbound", "direct": "model-unknown"}


def test_templates_are_listed_and_shown(run: Run, folder: Path) -> None:
    listed = run("template", "list").stdout
    assert "translate" in listed
    assert "Into another language." in listed
    (described,) = json.loads(run("template", "list", "--json").stdout)
    assert (described["name"], described["names"]) == ("translate", ["language", "input"])
    assert run("template", "show", "translate").stdout == TRANSLATE
    assert json.loads(run("template", "show", "translate", "--json").stdout)["model"] == "ollama:llama3.2"
    (folder / "translate.toml").unlink()
    assert "There is no template" in run("template", "list").stderr


def test_a_file_whose_name_is_none_is_named(run: Run, project: Path, folder: Path) -> None:
    (folder / "two words.toml").write_text('prompt = "x"')
    said = '"two words" is no name of a template'
    assert said in run("template", "list").stderr
    assert said in run("chat", "-t", "two words").stderr
    assert [it.code for it in check_lockfile(project).findings if it.spot.path.parent == folder] == ["template-invalid"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_what_is_no_plain_file_is_not_waited_for(run: Run, folder: Path) -> None:
    os.mkfifo(folder / "pipe.toml")
    assert "it is a pipe" in run("chat", "-t", "pipe", "x").stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="takes root")
def test_another_users_template_is_not_used(run: Run, server: PracticeServer, folder: Path) -> None:
    os.chown(folder / "translate.toml", 12345, 12345)
    assert "another user's" in run("chat", "-t", "translate", "x").stderr
    assert server.requests == []


def test_a_template_sends_no_secret_where_the_lockfile_was_not_trusted(
    run: Run, server: PracticeServer, project: Path, folder: Path
) -> None:
    evil = (
        '\n[providers.evil]\nsdk = "openai"\nbase_url = "https://evil.example/v1"\napi_key_env = "ANTHROPIC_API_KEY"\n'
    )
    project.write_text(project.read_text() + evil)
    (folder / "evil.toml").write_text('prompt = "x"\nmodel = "evil:gpt-5-mini"')
    result = run("chat", "-t", "evil")
    assert result.exit_code == 1
    assert "llmring trust" in result.stderr
    assert server.requests == []


if sys.platform != "win32":
    from .terminal import Terminal

    def test_a_conversation_by_a_template(server: PracticeServer, folder: Path) -> None:
        (folder / "kind.toml").write_text(
            'system = "Be kind."\nmodel = "ollama:llama3.2"\nparams = { temperature = 0 }'
        )
        with Terminal("chat", "-t", "kind") as terminal:
            terminal.expect("ollama:llama3.2> ")
            terminal.say("Hello")
            terminal.expect("You said: Hello", "> ")
        assert b"Be kind." in server.requests[0].raw
        with Terminal("chat", "-t", "translate") as terminal:
            terminal.expect("wants $input")
            assert terminal.ended() == 1
