"""`llmring info` and `llmring lock show`: what is known of what is bound."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from llmring import catalog
from llmring.catalog.entries import successor
from llmring.cli.facts import price, tokens
from llmring.testing import PracticeServer

from ..conftest import bind
from .conftest import LOCKFILE, RETIRED, RETIRING, Run

SERVING, STANDING_BY = "anthropic:claude-haiku-4-5", "openai:gpt-5-mini"


def test_an_alias_is_who_serves_it_and_who_stands_by(project: Path, run: Run) -> None:
    result = run("info", "chatbot")
    assert (result.exit_code, result.stderr) == (0, "")
    alias, serving, standing_by = result.stdout.split("\n\n")
    assert [line.split() for line in alias.splitlines()] == [
        ["chatbot"],
        ["serves", SERVING],
        ["stands", "by", STANDING_BY],
        ["params", "temperature", "=", "0.3"],
    ]
    assert serving.startswith(f"{SERVING}\n")
    assert "$1.00 in, $5.00 out, $0.10 read from a cache, $1.25 written to one\n" in serving
    assert "200,000 tokens" in serving
    assert "at most 64,000 tokens" in serving
    assert "Set ANTHROPIC_API_KEY" in serving
    assert standing_by.startswith(f"{STANDING_BY}\n")


def test_the_profile_counts(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for args in (["--profile", "dev"], []):
        shown = run("info", "chatbot", *args).stdout
        assert "ollama:llama3.2" in shown
        assert "it runs at a host of your own" in shown
        assert "none needed" in shown
        monkeypatch.setenv("LLMRING_PROFILE", "dev")


def test_a_model_needs_no_lockfile(bare: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "practice")
    monkeypatch.setenv("LLMRING_PROFILE", "dev")
    shown = run("info", "openai:gpt-6-luna").stdout
    assert shown.startswith("openai:gpt-6-luna\n")
    assert "OPENAI_API_KEY is set" in shown
    assert "practice" not in shown
    info = catalog.model_info("openai:gpt-6-luna")
    (tier,) = info.tiers
    assert f"{price(tier.input_price)} in, {price(tier.output_price)} out" in shown
    assert f"with a prompt above {tokens(tier.above)} tokens" in shown


def test_what_is_not_known_is_said_to_be(bare: Path, run: Run) -> None:
    shown = run("info", "openai:nobody-knows-it").stdout
    rows = {words[0]: " ".join(words[1:]) for line in shown.splitlines() if len(words := line.split()) > 1}
    assert (rows["price"], rows["window"]) == ("not known", "not known")
    assert "output" not in rows
    rows = {line.split()[0]: line for line in run("info", "ollama:llama3.2").stdout.splitlines() if line.strip()}
    assert rows["price"].endswith("none: it runs at a host of your own")


def test_an_announced_end_is_said_with_the_successor(ends: None, run: Run) -> None:
    assert f"retired 2020-05-01; its successor is {successor(RETIRED)}" in run("info", RETIRED).stdout
    assert f"retires 2086-05-01; its successor is {successor(RETIRING)}" in run("info", RETIRING).stdout
    assert successor(RETIRED) is not None
    said = json.loads(run("info", RETIRED, "--json").stdout)["models"][0]
    assert (said["retires"], said["retired"], said["deprecated"]) == ("2020-05-01", True, True)


def test_json_is_all_of_it(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "practice")
    said = json.loads(run("info", "chatbot", "--json").stdout)
    assert (said["name"], said["params"]) == ("chatbot", {"temperature": 0.3})
    serving, standing_by = said["models"]
    assert (serving["model"], serving["context_window"], serving["input_price"]) == (SERVING, 200_000, 1.0)
    assert serving["key"] == {
        "variables": ["ANTHROPIC_API_KEY"],
        "needed": True,
        "set": True,
        "source": "ANTHROPIC_API_KEY",
        "wrong": None,
        "problem": None,
    }
    assert (standing_by["key"]["set"], standing_by["key"]["needed"]) == (False, True)
    assert "Set OPENAI_API_KEY" in standing_by["key"]["problem"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chatbto", ['Did you mean "chatbot"?', "llmring bind chatbto provider:model"]),
        ("antropic:claude-haiku-5-5", ["no provider 'antropic'", "anthropic:claude-haiku-5-5"]),
        ("acme:rocket-1", ["no provider 'acme'", "[providers.acme]"]),
        ("", ["provider:model"]),
        ("a b", ["provider:model"]),
        ("openai:", ["provider:model"]),
    ],
)
def test_what_is_not_there_is_an_error_with_near_names(project: Path, run: Run, name: str, words: list[str]) -> None:
    result = run("info", name)
    assert (result.exit_code, result.stdout) == (1, "")
    for word in words:
        assert word in result.stderr


def test_an_alias_without_a_lockfile_says_how_to_make_one(bare: Path, run: Run) -> None:
    result = run("info", "chatbot")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "llmring lock init" in result.stderr


def test_a_model_that_the_catalogue_lacks_is_shown_with_a_warning(run: Run) -> None:
    result = run("info", "openai:gpt-6-lunar")
    assert result.exit_code == 0
    assert "not known" in result.stdout
    assert result.stderr.startswith('Warning: The catalogue does not know "gpt-6-lunar" of openai. Near it: ')
    assert "openai:gpt-6-luna" in result.stderr


def test_a_declared_provider_is_known_by_its_address(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://api.groq.com/openai/v1"
    project.write_text(f'{LOCKFILE}[providers.mine]\nsdk = "openai"\nbase_url = "{address}"\napi_key_env = "MINE"\n')
    shown = run("info", "mine:llama-3.3-70b-versatile").stdout
    assert price(catalog.model_info("groq:llama-3.3-70b-versatile").input_price) in shown
    assert "Set MINE in the environment" in shown
    monkeypatch.setenv("MINE", "practice")
    assert "MINE is set" in run("info", "mine:llama-3.3-70b-versatile").stdout


def test_showing_the_lockfile(project: Path, ends: None, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "practice")
    project.write_text(LOCKFILE.replace(STANDING_BY, f'{STANDING_BY}", "{RETIRING}'))
    result = run("lock", "show")
    assert (result.exit_code, result.stderr) == (0, "")
    head, table = result.stdout.split("\n\n")
    assert str(project) in head
    assert "default (there is also dev)" in head
    heading, serving, standing_by, last = table.splitlines()
    assert heading.split() == ["ALIAS", "MODEL", "IN", "OUT", "WINDOW", "KEY", "REMARKS"]
    second = catalog.model_info(STANDING_BY)
    assert serving.split()[:6] == ["chatbot", SERVING, "$1.00", "$5.00", "200K", "ANTHROPIC_API_KEY"]
    assert serving.endswith("temperature = 0.3")
    assert standing_by.split()[:4] == [STANDING_BY, price(second.input_price), price(second.output_price), "400K"]
    assert "OPENAI_API_KEY (not set)" in standing_by
    assert last.split()[0] == RETIRING
    assert last.endswith("retires 2086-05-01")
    assert "practice" not in result.stdout


def test_showing_another_profile(project: Path, run: Run) -> None:
    shown = run("lock", "show", "--profile", "dev").stdout
    assert "dev (there is also default)" in shown
    row = shown.splitlines()[-1]
    assert row.split()[:7] == ["chatbot", "ollama:llama3.2", "-", "-", "-", "none", "needed"]
    assert row.endswith("  no price: at a host of your own")
    unknown = run("lock", "show", "--profile", "nope")
    assert (unknown.exit_code, unknown.stdout) == (1, "")


def test_a_file_that_binds_nothing_is_shown_too(project: Path, run: Run) -> None:
    project.write_text('version = "1.0"\n')
    result = run("lock", "show")
    assert result.exit_code == 0
    assert "llmring bind" in result.stderr
    assert json.loads(run("lock", "show", "--json").stdout)["aliases"] == {}


def test_showing_the_lockfile_to_programs(project: Path, run: Run) -> None:
    project.write_text(LOCKFILE.replace("openai:gpt-5-mini", "acme:rocket-1"))
    said = json.loads(run("lock", "show", "--json").stdout)
    assert (said["file"], said["profile"], said["profiles"]) == (str(project), "default", ["default", "dev"])
    serving, standing_by = said["aliases"]["chatbot"]["models"]
    assert (serving["model"], serving["output_price"], serving["key"]["needed"]) == (SERVING, 5.0, True)
    assert (standing_by["model"], standing_by["input_price"], standing_by["known"]) == ("acme:rocket-1", None, False)
    assert standing_by["key"]["needed"] is None
    assert "no provider 'acme'" in standing_by["key"]["problem"]
    assert "no such provider" in run("lock", "show").stdout


def test_the_aliases_of_packages_are_shown_too(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    package = project.parent / "site" / "shipping_of_a_test"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "llmring.lock").write_text(LOCKFILE.replace("chatbot", "summarizer"))
    project.write_text(f'{LOCKFILE}\n[extends]\npackages = ["shipping_of_a_test"]\n')
    missing = run("lock", "show")
    assert missing.exit_code == 0
    assert "shipping_of_a_test:summarizer" not in missing.stdout
    assert '"shipping_of_a_test", which is not installed' in missing.stderr
    monkeypatch.setattr(sys, "path", [*sys.path, str(package.parent)])
    shown = run("lock", "show").stdout
    assert "shipping_of_a_test:summarizer" in shown
    assert "Extends   shipping_of_a_test" in shown


def test_a_vendors_name_at_a_host_of_ones_own(bare: Path, run: Run) -> None:
    table = '[providers.openai]\nsdk = "openai"\nbase_url = "http://localhost:8000/v1"\n'
    (bare / "llmring.lock").write_text(f"{LOCKFILE}\n{table}")
    result = run("info", "openai:gpt-4")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "none: it runs at a host of your own" in result.stdout
    assert "retired" not in result.stdout
    assert "Warning" not in run("bind", "mine", "openai:our-own").stderr
    rows = [line for line in run("lock", "show").stdout.splitlines() if "openai:our-own" in line]
    assert "$" not in rows[0]
    assert rows[0].endswith("no price: at a host of your own")


def test_a_row_says_why_it_has_no_price(project: Path, run: Run) -> None:
    for model in ("openai:gpt-6-lunar", "acme:rocket-1"):
        run("bind", model.partition(":")[0], model, "--force")
    rows = {line.split()[0]: line for line in run("lock", "show").stdout.splitlines() if line}
    assert rows["openai"].endswith("not in the catalogue")
    assert rows["acme"].endswith("no price: the catalogue has no list of this provider")
    assert not rows["chatbot"].endswith(("price", "catalogue"))


def test_params_that_json_cannot_say_are_null(project: Path, run: Run) -> None:
    project.write_text(LOCKFILE.replace("temperature = 0.3", "temperature = nan, top_p = inf"))
    said = json.loads(run("info", "chatbot", "--json").stdout, parse_constant=pytest.fail)
    assert said["params"] == {"temperature": None, "top_p": None}


def test_what_a_model_can_do_is_said_with_its_source(project: Path, run: Run) -> None:
    with project.open("a") as file:
        file.write('[models."openai:*"]\ncontext_window = 8192\naudio = true\n')
    shown = run("info", "chatbot").stdout
    _, serving, standing_by = shown.split("\n\n")
    rows = {line[:10].strip(): line for line in serving.splitlines() if line[2:3].strip()}
    assert "pictures" in rows["can"]
    assert "(catalogue, 20" in rows["can"]
    assert rows["cannot"].split() == ["cannot", "audio", "(catalogue)"]
    assert rows["refuses"].split() == ["refuses", "seed", "(catalogue,", rows["refuses"].split()[-1]]
    assert "8,192 tokens (lockfile)" in standing_by
    assert "audio (lockfile)" in standing_by
    said = json.loads(run("info", "chatbot", "--json").stdout)["models"][1]["capabilities"]
    assert said["audio"] == {"value": True, "source": "lockfile", "date": None}
    assert said["refused_parameters"]["value"] == ["temperature", "top_p"]


def test_the_providers_are_asked_what_their_models_can_do(server: PracticeServer, run: Run) -> None:
    bind({"chatbot": ["ollama:llama3.2", "nix:model"]})
    server.describe("llama3.2", images=True, context_window=4321)
    result = run("info", "chatbot", "--live")
    assert result.exit_code == 0
    assert "4,321 tokens (provider, " in result.stdout
    assert "tools, pictures (provider, " in result.stdout
    assert "no provider 'nix'" in result.stderr
    assert "4,321" not in run("info", "chatbot").stdout
    assert len(server.requests) == 1


def test_a_provider_that_is_not_there_is_told(server: PracticeServer, run: Run) -> None:
    server.close()
    result = run("info", "ollama:llama3.2", "--live")
    assert (result.exit_code, "cannot be reached" in result.stderr) == (0, True)
    assert "audio (catalogue)" in result.stdout
