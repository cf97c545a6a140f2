"""`llmring models`: the catalogue's, and what providers list now."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from llmring import catalog
from llmring.cli.facts import percent, price, tokens
from llmring.testing import PracticeServer

from .conftest import LOCKFILE, RETIRED, RETIRING, Command, Run
from .test_command import on_a_terminal


def listed(run: Run, *args: str) -> list[str]:
    result = run("models", *args, "--json")
    assert result.exit_code == 0, result.stderr
    return [model["model"] for model in json.loads(result.stdout)]


@pytest.fixture
def nobody(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ollama, even on a machine that has one."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{closed.getsockname()[1]}")


def test_a_table_with_prices_and_windows(run: Run) -> None:
    result = run("models", "--provider", "anthropic", "--search", "haiku-5")
    heading, line = result.stdout.splitlines()
    assert heading.split() == ["MODEL", "$/1M", "IN", "$/1M", "OUT", "WINDOW", "REMARK"]
    info = catalog.model_info("anthropic:claude-haiku-5-5")
    figures = [price(info.input_price), price(info.output_price), tokens(info.context_window)]
    assert line.split() == ["anthropic:claude-haiku-5-5", *figures]
    assert result.stderr == ""


def test_the_vendors_own_unless_one_is_named(bare: Path, run: Run) -> None:
    everything = listed(run)
    assert {model.partition(":")[0] for model in everything} == {"openai", "anthropic", "google"}
    groq = listed(run, "--provider", "groq")
    assert groq
    assert not set(groq) & set(everything)
    (bare / "llmring.lock").write_text(
        f'{LOCKFILE}[providers.mine]\nsdk = "openai"\nbase_url = "https://api.groq.com/openai/v1"\n'
    )
    assert [model.replace("groq:", "mine:") for model in groq] == [m for m in listed(run) if m.startswith("mine:")]


def test_searching_is_by_words_of_the_name_or_the_title(run: Run) -> None:
    assert listed(run, "--search", "Claude Haiku 5.5") == ["anthropic:claude-haiku-5-5"]
    assert listed(run, "-s", "openai: LUNA gpt-6") == ["openai:gpt-6-luna"]
    none = run("models", "--search", "no such thing")
    assert (none.exit_code, none.stdout) == (0, "")
    assert "None of " in none.stderr


def test_retired_ones_are_left_out_and_those_about_to_be_are_marked(ends: None, run: Run) -> None:
    assert RETIRED not in listed(run)
    assert RETIRING in listed(run)
    remarks = {line.split()[0]: line for line in run("models", "--provider", "anthropic", "--all").stdout.splitlines()}
    assert remarks[RETIRED].endswith("   retired 2020-05-01")
    assert remarks[RETIRING].endswith("   retires 2086-05-01")


def test_those_for_chat_come_first(run: Run) -> None:
    models = json.loads(run("models", "--json").stdout)
    uses = [it["other_use"] for it in models]
    assert uses.index(next(filter(None, uses))) == uses.count(None), "one for chat stands behind another"
    by_name = {it["model"]: it["other_use"] for it in models}
    assert (by_name["openai:gpt-6-luna"], by_name["anthropic:claude-haiku-5-5"]) == (None, None)
    assert (by_name["openai:gpt-image-1"], by_name["google:gemini-2.5-flash-tts"]) == ("pictures", "speech")
    remarks = {line.split()[0]: line for line in run("models", "--provider", "openai").stdout.splitlines()}
    assert remarks["openai:gpt-image-1"].rstrip().endswith("for pictures")


def test_json_has_all_that_is_known(run: Run) -> None:
    (model,) = json.loads(run("models", "--search", "gpt-6-luna", "--json").stdout)
    info = catalog.model_info("openai:gpt-6-luna")
    assert (model["model"], model["title"], model["known"]) == ("openai:gpt-6-luna", info.title, True)
    assert (model["input_price"], model["output_price"]) == (info.input_price, info.output_price)
    assert (model["context_window"], model["max_output_tokens"]) == (info.context_window, info.max_output_tokens)
    assert model["tiers"][0]["above"] == info.tiers[0].above
    assert (model["deprecated"], model["retires"], model["retired"]) == (False, None, False)


@pytest.mark.parametrize("name", ["nope", "antropic"])
def test_an_unknown_provider_is_an_error_that_names_those_there_are(run: Run, name: str) -> None:
    for more in ((), ("--live",)):
        result = run("models", "--provider", name, *more)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(f"Error: There is no provider '{name}'.")
        assert "anthropic" in result.stderr


def test_a_provider_that_the_catalogue_lacks_can_be_asked_itself(run: Run) -> None:
    result = run("models", "--provider", "ollama")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "llmring models --live --provider ollama" in result.stderr


@pytest.mark.usefixtures("billed")
def test_what_every_provider_lists_now(server: PracticeServer, run: Run) -> None:
    assert sorted(listed(run, "--live")) == [
        "anthropic:claude-haiku-4-5",
        "anthropic:claude-sonnet-4-5",
        "google:gemini-2.5-flash",
        "google:gemini-2.5-pro",
        "ollama:llama3.2",
        "openai:gpt-5-mini",
        "openai:gpt-5-nano",
    ]
    table = run("models", "--live", "--provider", "anthropic").stdout
    haiku = catalog.model_info("anthropic:claude-haiku-4-5")
    assert ["anthropic:claude-haiku-4-5", price(haiku.input_price), price(haiku.output_price), "200K"] in [
        line.split() for line in table.splitlines()
    ]
    assert listed(run, "--live", "--search", "pro") == ["google:gemini-2.5-pro"]


def test_who_has_no_key_is_not_asked(
    server: PracticeServer, nobody: None, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("GOOGLE_API_KEY")
    result = run("models", "--live")
    assert result.exit_code == 0
    assert {line.partition(":")[0] for line in result.stdout.splitlines()[1:]} == {"anthropic"}
    assert "ollama cannot be reached" in result.stderr
    assert "Warning" not in result.stderr, "not everybody has one"
    named = run("models", "--live", "--provider", "openai")
    assert (named.exit_code, named.stdout) == (1, "")
    assert "OPENAI_API_KEY" in named.stderr


def test_a_declared_provider_without_its_key_is_not_asked_and_said(
    server: PracticeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{server.url}/v1"
    Path("llmring.lock").write_text(
        f'{LOCKFILE}[providers.mine]\nsdk = "openai"\nbase_url = "{address}"\napi_key_env = "MINE"\n'
    )
    result = run("models", "--live")
    assert result.exit_code == 0
    assert "mine:" not in result.stdout
    assert "Not asked: There is no key for mine. Set MINE in the environment." in result.stderr
    monkeypatch.setenv("MINE", "practice")
    assert "mine:gpt-5-mini" in run("models", "--live").stdout


def test_one_that_fails_does_not_hide_the_others(
    server: PracticeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/v1")
    result = run("models", "--live")
    assert result.exit_code == 1, "the list is not whole"
    assert "anthropic:claude-haiku-4-5" in result.stdout
    assert "Warning: openai cannot be reached" in result.stderr
    assert run("models", "--live", "--provider", "openai").exit_code == 1


def test_nobody_answers(nobody: None, run: Run) -> None:
    result = run("models", "--live", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "llmring providers" in result.stderr


def test_what_takes_long_is_shown_on_a_terminal_and_nowhere_else(
    server: PracticeServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("LLMRING_PROVIDER_TIMEOUT_S", "2")
        shown = on_a_terminal("models", "--live", "--provider", "ollama")
        quiet = command("models", "--live", "--provider", "ollama")
    assert "\rAsking ollama ." in shown
    assert "within 2 s" in quiet.stderr
    assert "Asking" not in quiet.stderr


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(None, "-"), (0, "$0.00"), (0.1, "$0.10"), (0.125, "$0.125"), (0.000125, "$0.000125"), (1500, "$1,500.00")],
)
def test_prices_are_shown_to_the_last_digit(amount: float | None, shown: str) -> None:
    assert price(amount) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "-"),
        (512, "512"),
        (16_385, "16.4K"),
        (128_000, "128K"),
        (999_999, "1M"),
        (1_048_576, "1.05M"),
        (2_000_000_000, "2,000M"),
    ],
)
def test_windows_are_shown_to_three_digits(count: int | None, shown: str) -> None:
    assert tokens(count) == shown


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (1, 1.25, "+25%"),
        (3, 2, "-33.3%"),
        (0.1, 5, "+4,900%"),
        (2, 2, ""),
        (None, 2, ""),
        (2, None, ""),
        (0, 2, ""),
        (2, 0, "-100%"),
    ],
)
def test_changes_are_signed(before: float | None, after: float | None, shown: str) -> None:
    assert percent(before, after) == shown
