"""Keys that are probably slips, and keys that are none."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ollama
import pytest
from anthropic.resources.beta.messages import AsyncMessages as AnthropicBeta
from anthropic.resources.messages import AsyncMessages as Anthropic
from google.genai import types
from openai.resources.chat.completions import AsyncCompletions
from openai.resources.responses import AsyncResponses
from pydantic import BaseModel

from llmring.checking import check_lockfile
from llmring.lockfile.rendering import json_schema
from llmring.schemas import LLMRequest

from .conftest import LOCKFILE, Write

HEAD = 'version = "1.0"\n'
BOUND = HEAD + '[[profiles.default.bindings]]\nalias = "a"\nmodels = ["openai:gpt-6-luna"]\n'
GATEWAY = HEAD + '[providers.gateway]\nsdk = "openai"\nbase_url = "https://models.example.com/v1"\n'
REPOSITORY = Path(__file__).parents[2]

CALLS: list[Callable[..., Any]] = [
    AsyncCompletions.create,
    AsyncResponses.create,
    Anthropic.create,
    AnthropicBeta.create,
    ollama.AsyncClient.chat,
]
FORMS: list[type[BaseModel]] = [
    types.GenerateContentConfig,
    types.GenerationConfig,
    types.ThinkingConfig,
    ollama.Options,
]
OF_SERVERS = set(
    """
    best_of chat_template_kwargs citation_options compound_custom context_length_exceeded_behavior deferred documents
    dry_multiplier dynatemp_range early_stopping echo guided_json guided_regex ignore_eos include_reasoning
    include_stop_str_in_output json_schema length_penalty max_prompt_tokens max_think_tokens min_p min_tokens
    mirostat_lr models n_predict n_probs perf_metrics_in_response plugins prompt_logprobs prompt_mode
    prompt_truncate_len provider random_seed raw_output reasoning_budget reasoning_format reasoning_split
    repetition_penalty return_citations route safe_prompt safety_model search_parameters skip_special_tokens
    stop_token_ids structured_outputs thinking_budget_tokens timings_per_token tool_stream top_a transforms
    truncate_prompt_tokens typ_p use_beam_search web_search xtc_probability
    """.split()  # noqa: SIM905 - shorter
)
"""Parameters of OpenAI-compatible vendors and servers that the openai SDK does not name."""


def found(path: Path) -> list[tuple[str, str, int, str]]:
    """Code, severity, line and message of what a check finds, without what it finds of models."""
    findings = [it for it in check_lockfile(path).findings if not it.code.startswith("model-")]
    assert all(it.advice for it in findings)
    return [(it.code, it.severity, it.spot.line, it.message) for it in findings]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (
            HEAD + 'default_profil = "dev"\n',
            2,
            '"default_profil" is no key of the file; did you mean "default_profile"?',
        ),
        (
            HEAD + '[[profile.default.bindings]]\nalias = "a"\nmodels = ["openai:gpt-6-luna"]\n',
            2,
            '"profile" is no key of the file; did you mean "profiles"?',
        ),
        (HEAD + '[provider.g]\nsdk = "openai"\n', 2, '"provider" is no key of the file; did you mean "providers"?'),
        (HEAD + '[extend]\npackages = ["lib"]\n', 2, '"extend" is no key of the file; did you mean "extends"?'),
        (HEAD + '[extends]\npackage = ["lib"]\n', 3, '"package" is no key of [extends]; did you mean "packages"?'),
        (
            BOUND.replace(".bindings", ".binding"),
            2,
            '"binding" is no key of [profiles.default]; did you mean "bindings"?',
        ),
        (BOUND + "parms = { seed = 1 }\n", 5, '"parms" is no key of the binding of "a"; did you mean "params"?'),
        (
            BOUND + "params = { seed = 1, temprature = 0.3 }\n",
            5,
            '"temprature" is no key of the params of "a"; did you mean "temperature"?',
        ),
        (
            GATEWAY + 'api_key_enw = "GATEWAY"\n',
            5,
            '"api_key_enw" is no key of [providers.gateway]; did you mean "api_key_env"?',
        ),
        (
            BOUND + 'rate = { tokens = 5, requsts = 3, per = "day" }\n',
            5,
            '"requsts" is no key of the rate of "a"; did you mean "requests"?',
        ),
        (
            BOUND + 'budget = { usd = 5, unprised = "allow", per = "day" }\n',
            5,
            '"unprised" is no key of the budget of "a"; did you mean "unpriced"?',
        ),
        (
            BOUND + 'budget = { usd = 3, per = "day", bye = "user" }\n',
            5,
            '"bye" is no key of the budget of "a"; did you mean "by"?',
        ),
        (BOUND + "hedge_aftr = 5\n", 5, '"hedge_aftr" is no key of the binding of "a"; did you mean "hedge_after"?'),
        (BOUND + "[state]\non_failur = 5\n", 6, '"on_failur" is no key of [state]; did you mean "on_failure"?'),
        (
            BOUND.replace('"openai:gpt-6-luna"', '{ model = "openai:gpt-6-luna", parms = { seed = 1 } }'),
            4,
            '"parms" is no key of the table of "openai:gpt-6-luna"; did you mean "params"?',
        ),
        (
            BOUND.replace('"openai:gpt-6-luna"', '{ model = "openai:gpt-6-luna", params = { tempratur = 1 } }'),
            4,
            '"tempratur" is no key of the params of "openai:gpt-6-luna"; did you mean "temperature"?',
        ),
    ],
)
def test_a_slip(write: Write, text: str, line: int, said: str) -> None:
    assert found(write("llmring.lock", text)) == [("key-misspelt", "warning", line, said)]


def test_what_a_limit_does_not_have_is_told(write: Write) -> None:
    path = write("llmring.lock", BOUND + 'rate = { requests = 3, per = "day", by = "user" }\n')
    assert found(path) == [
        ("key-misplaced", "warning", 5, '"by" does nothing in the rate of "a"; it has: per, requests, tokens.')
    ]


@pytest.mark.parametrize(
    "text", [BOUND + "params = { seed = 1, temprature = 0.3 }\n", BOUND + "params.temprature = 1\n"]
)
def test_it_is_found_where_the_key_is(write: Write, text: str) -> None:
    (finding,) = [it for it in check_lockfile(write("llmring.lock", text)).findings if it.code == "key-misspelt"]
    rest = text.splitlines()[finding.spot.line - 1][finding.spot.column - 1 :]
    assert rest.startswith(("temprature =", "params.temprature ="))


def test_an_address_that_is_misspelt_or_missing(write: Write) -> None:
    """The prompts and the key would go to the SDK's vendor."""
    path = write("llmring.lock", GATEWAY.replace("base_url", "base_ulr") + 'api_key_env = "GATEWAY"\n')
    assert found(path) == [
        (
            "address-missing",
            "warning",
            2,
            "[providers.gateway] names no base_url, so its requests and its key go to https://api.openai.com/v1, or "
            "where OPENAI_BASE_URL says.",
        ),
        ("key-misspelt", "warning", 4, '"base_ulr" is no key of [providers.gateway]; did you mean "base_url"?'),
    ]
    path.write_text(HEAD + '[providers.box]\nsdk = "ollama"\n')
    ((code, _, _, message),) = found(path)
    assert code == "address-missing"
    assert "so its requests go to http://127.0.0.1:11434, or where OLLAMA_HOST says." in message
    for whole in (GATEWAY, HEAD + '[providers.groq]\nheaders = { X-Team = "blue" }\n'):
        path.write_text(whole)
        assert found(path) == []


def test_a_table_that_nothing_is_bound_to(write: Write) -> None:
    path = write("llmring.lock", GATEWAY.replace('"openai"', '"opnai"'))
    ((code, severity, line, message),) = found(path)
    assert (code, severity, line) == ("provider-unknown", "error", 3)
    assert message.startswith("[providers.gateway] names the SDK 'opnai', which is none of: openai, anthropic")
    path.write_text(HEAD + "[providers.grok]\nheaders = {}\n")
    ((code, severity, line, message),) = found(path)
    assert (code, severity, line) == ("provider-unknown", "error", 2)
    assert message == "There is no provider 'grok'; it is called 'xai' here."
    path.write_text(GATEWAY.replace('"openai"', '"opnai"') + BOUND.removeprefix(HEAD).replace("openai:", "gateway:"))
    assert [(code, line) for code, _, line, _ in found(path)] == [("provider-unknown", 7)], "it is said once"


def test_parameters_of_vendors_are_no_slips(write: Write) -> None:
    names = {name for call in CALLS for name in inspect.signature(call).parameters}
    for form in FORMS:
        names |= {name for key, field in form.model_fields.items() for name in (key, field.alias or key)}
    names |= {*LLMRequest.model_fields, *OF_SERVERS} - {"model", "messages", "extra_params"}
    assert len(names) > 200
    names -= {"self", "model", "messages", "stream", "tools", "timeout"}
    params: dict[str, Any] = dict.fromkeys(sorted(names))
    bound = {"alias": "a", "models": ["openai:gpt-6-luna"], "params": params}
    data = {"version": "1.0", "profiles": {"default": {"bindings": [bound]}}}
    path = write("llmring.lock.json", json.dumps(data))
    assert [it.message for it in check_lockfile(path).findings if it.code == "key-misspelt"] == []
    params["temperatur"] = 1
    path.write_text(json.dumps(data))
    assert [it.code for it in check_lockfile(path).findings if it.code == "key-misspelt"] == ["key-misspelt"]


def test_keys_of_llmring_1_are_no_slips(write: Write) -> None:
    data = {
        "version": "1.0",
        "$schema": "./llmring.schema.json",
        "created_at": "2025-01-19T00:00:00.000000+00:00",
        "updated_at": "2025-01-19T00:00:00.000000+00:00",
        "metadata": None,
        "extends": None,
        "profiles": {
            "default": {
                "name": "default",
                "bindings": [
                    {"alias": "fast", "provider": "openai", "model": "gpt-6-luna", "constraints": None, "owner": "us"},
                    {"alias": "deep", "models": ["openai:gpt-6-luna"], "model": None, "params": None},
                ],
                "registry_versions": {"openai": 14},
            },
        },
        "default_profile": "default",
    }
    assert found(write("llmring.lock.json", json.dumps(data))) == []


def test_lockfiles_that_are_right(write: Write) -> None:
    for text in (LOCKFILE, (REPOSITORY / "llmring.lock").read_text()):
        assert found(write("llmring.lock", text)) == []


@pytest.mark.parametrize(
    ("text", "line", "code", "said"),
    [
        (BOUND + "temprature = 1\n", 5, "params-misplaced", 'Did you mean "temperature"?'),
        (GATEWAY + "max_tokens = 10\n", 5, "params-misplaced", "does nothing in [providers.gateway]"),
        (GATEWAY + 'default_profile = "dev"\n', 5, "key-misplaced", "it is a key of the file, above its tables."),
        (BOUND + 'base_url = "https://a.example"\n', 5, "key-misplaced", "it is a key of [providers.NAME]."),
        (HEAD + "[profiles.default]\nmodels = []\n", 3, "key-misplaced", "it is a key of a binding."),
        (BOUND + 'model = "gpt-6-luna"\n', 5, "key-misplaced", "its models counts"),
        (BOUND + 'provider = "openai"\n', 5, "key-misplaced", "its models counts"),
        (BOUND.replace('["', '["openai:gpt-6-luna", "'), 4, "models-repeated", "is named twice"),
        (GATEWAY + 'env_key = "GATEWAY"\n', 5, "key-misspelt", 'did you mean "api_key_env"?'),
        (BOUND + 'fallbacks = ["openai:gpt-6-sol"]\n', 5, "key-misspelt", 'did you mean "models"?'),
    ],
)
def test_what_has_no_effect(write: Write, text: str, line: int, code: str, said: str) -> None:
    ((found_code, severity, found_line, message),) = found(write("llmring.lock", text))
    assert (found_code, severity, found_line) == (code, "warning", line)
    assert said in message


def test_a_slip_of_every_key_that_there_is(write: Write) -> None:
    schema = json_schema()
    of = {name: schema["$defs"][name]["properties"] for name in ("profile", "binding", "extends", "provider")}

    def slips(keys: Iterable[str]) -> dict[str, Any]:
        return {key + key[-1]: None for key in keys}

    keys = [*schema["properties"], *of["profile"], *of["extends"], *of["provider"], *of["binding"], "provider", "model"]
    bound = {"alias": "a", "models": ["openai:gpt-6-luna"], **slips({*of["binding"], "provider", "model"})}
    data = {
        **{"version": "1.0", **slips(schema["properties"])},
        "profiles": {"default": {"bindings": [bound], **slips(of["profile"])}},
        "extends": slips(of["extends"]),
        "providers": {"groq": slips(of["provider"])},
    }
    said = [message for _, _, _, message in found(write("llmring.lock.json", json.dumps(data)))]
    assert len(said) == len(keys) >= 18
    for key in keys:
        assert any(it.startswith(f'"{key}{key[-1]}" is') and it.endswith(f'did you mean "{key}"?') for it in said), key
