"""What `lock check` finds of the policies of aliases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmring.checking import check_lockfile

Write = Callable[[str, str], Path]

CLAUDE, GPT = "anthropic:claude-sonnet-5-5", "openai:gpt-6-luna"
HEAD = 'version = "1.0"\n[[profiles.default.bindings]]\nalias = "a"\n'
TWO = f'{HEAD}models = ["{CLAUDE}", "{GPT}"]\n'


def found(path: Path) -> list[tuple[str, str, int, str]]:
    return [(it.code, it.severity, it.spot.line, it.message) for it in check_lockfile(path).findings]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_policy_that_is_right(write: Write) -> None:
    text = TWO + (
        'split = { weights = [9, 1], by = "user" }\nsticky = "10m"\nhedge_after = 2\ndeadline = 30\n'
        'move_on = ["empty"]\non_refused_param = "drop"\nrate = { requests = 5, tokens = 9000, per = "day" }\n'
        'budget = { usd = 1, per = "day" }\nparams = { max_tokens = 900 }\n[state]\nurl_env = "STORE"\n'
    )
    assert found(write("llmring.lock", text)) == []


def test_own_params_that_cannot_be_used(write: Write) -> None:
    text = f'{HEAD}models = ["{CLAUDE}", {{ model = "{GPT}", params = {{ tools = [] }} }}]\n'
    ((code, severity, line, message),) = found(write("llmring.lock", text))
    assert (code, severity, line) == ("params-invalid", "error", 4)
    assert message.startswith(f'No request of "a" can be made to "{GPT}": The params of "{GPT}" under the alias')
    text = f'{HEAD}models = ["{CLAUDE}", {{ model = "{GPT}", params = {{ timeout = -1 }} }}]\n'
    assert [it[0] for it in found(write("llmring.lock", text))] == ["params-invalid"]


def test_own_params_that_the_model_refuses(write: Write) -> None:
    text = (
        f'{HEAD}models = ["{GPT}", {{ model = "{CLAUDE}", params = {{ seed = 1 }} }}]\n'
        f'[models."{CLAUDE}"]\nrefused_parameters = ["seed"]\n'
    )
    message = f'"{CLAUDE}" refuses seed (as the lockfile says), which its own params under "a" set.'
    assert found(write("llmring.lock", text)) == [("params-refused", "error", 4, message)]
    dropped = text.replace("[models.", 'on_refused_param = "drop"\n[models.')
    assert found(write("llmring.lock", dropped)) == []


def test_a_parameter_of_one_vendor_for_the_stand_by_of_another(write: Write) -> None:
    ((code, severity, line, message),) = found(write("llmring.lock", TWO + "params = { top_k = 5, max_tokens = 9 }\n"))
    assert (code, severity, line) == ("params-foreign", "warning", 5)
    assert message.startswith(f'"top_k" is no field of requests: it goes as it is to "{CLAUDE}" and "{GPT}"')
    for text in (
        TWO + 'params = { top_k = 5 }\non_refused_param = "drop"\n',
        TWO.replace(CLAUDE, "groq:openai/gpt-oss-120b") + "params = { top_k = 5 }\n",
        TWO.replace(f'"{CLAUDE}"', f'{{ model = "{CLAUDE}", params = {{ top_k = 5 }} }}'),
    ):
        assert [it for it in found(write("llmring.lock", text)) if it[0] == "params-foreign"] == []


def test_a_budget_for_a_model_without_a_price(write: Write) -> None:
    text = TWO.replace(GPT, "openai:nobody-knows-it") + 'budget = { usd = 1, per = "day" }\n'
    priced = [it for it in found(write("llmring.lock", text)) if it[0] == "budget-unpriced"]
    assert priced == [
        (
            "budget-unpriced",
            "error",
            4,
            '"a" has a budget, and "openai:nobody-knows-it" no known price: it is never asked.',
        )
    ]
    for other in (text.replace("per =", 'unpriced = "allow", per ='), text.replace("openai:nobody", "ollama:nobody")):
        assert [it for it in found(write("llmring.lock", other)) if it[0] == "budget-unpriced"] == []


def test_a_rate_that_no_answer_fits_into(write: Write) -> None:
    text = TWO + 'params = { max_tokens = 5000 }\nrate = { tokens = 4000, per = "minute" }\n'
    message = 'The params of "a" ask for answers of up to 5,000 tokens, and its rate is 4,000 a minute.'
    assert found(write("llmring.lock", text)) == [("rate-narrow", "warning", 6, message)]


def test_hedging_beside_tools_that_the_provider_runs(write: Write) -> None:
    text = TWO.replace(CLAUDE, "openai:gpt-5") + 'hedge_after = 2\nparams = { tools = [{ type = "web_search" }] }\n'
    assert [it[:3] for it in found(write("llmring.lock", text)) if it[0] == "hedge-idle"] == [
        ("hedge-idle", "warning", 5)
    ]


@pytest.mark.parametrize(
    ("more", "idle"),
    [
        (
            "constraints = { max_cost = 1, region = 'eu' }\n",
            '"max_cost", "region" in the constraints of "a" do nothing.',
        ),
        ("constraints = { max_cost = 1, rpm = 60 }\n", '"max_cost" in the constraints of "a" does nothing.'),
        ("constraints = { rpm = 60, tpm = 9000 }\n", None),
        ("constraints = {}\n", None),
        (
            'constraints = { rpm = 60 }\nrate = { requests = 9, per = "minute" }\n',
            '"rpm" in the constraints of "a" does nothing.',
        ),
    ],
)
def test_constraints_that_do_nothing(write: Write, more: str, idle: str | None) -> None:
    said = found(write("llmring.lock", TWO + more))
    assert said == ([("constraints-idle", "warning", 5, idle)] if idle else [])
