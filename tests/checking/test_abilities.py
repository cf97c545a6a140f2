"""What models cannot do, and is asked of them by params or by the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmring.checking import Finding, check, check_lockfile

from .conftest import Write

HEAD = 'version = "1.0"\n'
SCHEMA = '{ type = "json_schema", json_schema = { name = "city", schema = { type = "object" } } }'
TOOL = '{ type = "function", function = { name = "f" } }'


def bound(*models: str, params: str = "", more: str = "") -> str:
    """A lockfile whose models stand on lines of their own, from the fifth on."""
    listed = "".join(f'    "{model}",\n' for model in models)
    defaults = f"params = {{ {params} }}" if params else ""
    binding = f'[[profiles.default.bindings]]\nalias = "a"\nmodels = [\n{listed}]\n{defaults}\n'
    return f"{HEAD}{binding}{more}"


def stated(model: str, *lacks: str) -> str:
    return f'[models."{model}"]\n' + "".join(f"{it} = false\n" for it in lacks)


def found(path: Path, *code: Path) -> list[Finding]:
    ours = "model-unable", "params-refused", "models-unmatched"
    report = check(path, [*code]) if code else check_lockfile(path)
    return [it for it in report.findings if it.code in ours]


@pytest.mark.parametrize(
    ("params", "lacks", "said"),
    [
        (f"response_format = {SCHEMA}", "structured_output", "holds no answer to a schema"),
        (f"tools = [{TOOL}]", "tools", "calls no tools"),
    ],
)
def test_a_stand_by_that_cannot_take_what_the_params_ask_for(write: Write, params: str, lacks: str, said: str) -> None:
    models = "anthropic:claude-haiku-5-5", "openai:gpt-6-luna"
    path = write("llmring.lock", bound(*models, params=params, more=stated(models[1], lacks)))
    (one,) = found(path)
    assert (one.code, one.severity, one.spot.line) == ("model-unable", "warning", 6)
    assert one.message == (f'"openai:gpt-6-luna" {said} (as the lockfile says), which the params of "a" ask for.')
    assert f'[models."openai:gpt-6-luna"] {lacks} = true' in one.advice


def test_if_no_model_can_it_is_an_error(write: Write) -> None:
    params = f"response_format = {SCHEMA}"
    path = write(
        "llmring.lock",
        bound("openai:gpt-3.5-turbo", "groq:x", params=params, more=stated("groq:*", *["structured_output"])),
    )
    both = found(path)
    assert [(it.code, it.severity, it.spot.line) for it in both] == [
        ("model-unable", "error", 5),
        ("model-unable", "error", 6),
    ]
    assert "as the catalogue says" in both[0].message
    assert both[0].advice.startswith("No model of it can.")


def test_what_any_model_takes_is_no_finding(write: Write) -> None:
    params = 'response_format = { type = "json_object" }, max_tokens = 5, temperature = 1, tools = []'
    path = write("llmring.lock", bound("openai:gpt-3.5-turbo", "openai:gpt-5-mini", params=params))
    assert found(path) == []


@pytest.mark.parametrize(
    ("model", "severity"),
    [
        ("anthropic:claude-opus-5-5", "error"),
        ("openai:gpt-5-mini", "error"),
        ("openrouter:openai/gpt-5-mini", "warning"),
    ],
)
def test_a_parameter_that_a_model_refuses(write: Write, model: str, severity: str) -> None:
    path = write("llmring.lock", bound("google:gemini-3.8-flash", model, params="top_p = 0.5"))
    (one,) = found(path)
    assert (one.code, one.severity, one.spot.line) == ("params-refused", severity, 8)
    assert one.message == f'"{model}" refuses top_p (as the catalogue says), which the params of "a" set.'


def test_the_lockfile_says_which_parameters_a_model_refuses(write: Write) -> None:
    refused = (
        '[models."openai:gpt-5-mini"]\nrefused_parameters = []\n[models."google:*"]\nrefused_parameters = ["top_p"]\n'
    )
    path = write(
        "llmring.lock", bound("google:gemini-3.8-flash", "openai:gpt-5-mini", params="top_p = 0.5", more=refused)
    )
    (one,) = found(path)
    assert one.message == '"google:gemini-3.8-flash" refuses top_p (as the lockfile says), which the params of "a" set.'


@pytest.mark.parametrize(
    ("code", "codes"),
    [
        ('LLMRequest(model="a", messages=[], tools=[f])', ["model-unable"]),
        ('LLMRequest(model="a", messages=[], tools=TOOLS)', ["model-unable"]),
        ('LLMRequest(model="a", messages=[], tools=[])', []),
        ('LLMRequest(model="a", messages=[], tools=given)', []),
        ('LLMRequest(model="a", messages=[], response_format=City)', ["model-unable"]),
        ('LLMRequest(model="a", messages=[], response_format=list[City])', ["model-unable"]),
        ('LLMRequest(model="a", messages=[], response_format={"type": "json_schema"})', ["model-unable"]),
        ('LLMRequest(model="a", messages=[], response_format={"type": "json_object"})', []),
        ('LLMRequest(model="a", messages=[], response_format=None, tools=None)', []),
        ('LLMRequest(model="a", messages=[], seed=3)', ["params-refused"]),
        ('LLMRequest(model="a", messages=[], seed=None)', []),
        ("LLMRequest(model=NAME, messages=[], temperature=1, seed=3, tools=[f])", ["model-unable", "params-refused"]),
        ('LLMRequest(model="anthropic:claude-opus-5-5", messages=[], temperature=0.5)', ["params-refused"]),
        ('LLMRequest(model="anthropic:claude-opus-5-5", messages=[], temperature=1.0)', []),
        ('service.chat(LLMRequest(model="a", messages=[], tools=[f]), profile="other")', []),
    ],
)
def test_what_the_code_asks_for(write: Write, code: str, codes: list[str]) -> None:
    more = stated("openai:gpt-6-luna", "tools", "structured_output") + 'refused_parameters = ["seed"]\n'
    other = '[[profiles.other.bindings]]\nalias = "a"\nmodels = ["google:gemini-3.8-flash"]\n'
    path = write("llmring.lock", bound("google:gemini-3.8-flash", "openai:gpt-6-luna", more=other + more))
    app = write("app.py", f'from llmring import LLMRequest\nNAME = "a"\nTOOLS = [f]\ndef ask(given):\n    {code}\n')
    findings = found(path, app)
    assert [it.code for it in findings] == codes
    for one in findings:
        assert "requests at app.py:5 " in one.message


def test_what_is_told_in_the_prompt_needs_no_tools(write: Write) -> None:
    more = stated("*", "tools")
    params = f"tools = [{TOOL}]"
    assert found(write("llmring.lock", bound("ollama:x", params=params, more=more))) == []
    native = more + '[providers.ollama]\ntools = "native"\n'
    assert len(found(write("llmring.lock", bound("ollama:x", params=params, more=native)))) == 1
    told = more + '[providers.groq]\ntools = "prompt:hermes"\n'
    assert found(write("llmring.lock", bound("groq:x", params=params, more=told))) == []


def test_the_environment_makes_no_difference(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    path = write("llmring.lock", bound("anthropic:claude-opus-5-5", params="temperature = 0.5"))
    assert [it.code for it in found(path)] == ["params-refused"]
    moved = '[providers.anthropic]\nbase_url = "http://127.0.0.1:1"\n'
    path = write("llmring.lock", bound("anthropic:claude-opus-5-5", params="temperature = 0.5", more=moved))
    assert found(path) == []


def test_what_is_wrong_otherwise_is_said_otherwise(write: Write) -> None:
    path = write("llmring.lock", bound("nix:x", params='response_format = { type = "nothing" }'))
    assert found(path) == []


def test_a_pattern_that_is_of_no_model(write: Write) -> None:
    patterns = "openai:*", "openai:gpt-7", "gpt-6-luna"
    tables = "".join(f'[models."{pattern}"]\ntools = true\n' for pattern in patterns)
    path = write("llmring.lock", bound("openai:gpt-6-luna", more=tables))
    app = write("app.py", 'from llmring import LLMRequest\nLLMRequest(model="a", messages=[])\n')
    findings = found(path, app)
    assert [(it.code, it.severity) for it in findings] == [("models-unmatched", "warning")] * 2
    assert findings[0].message == '[models."openai:gpt-7"] is of no model that is bound, or named in the code.'
    write(
        "app.py",
        'from llmring import LLMRequest\nLLMRequest(model="openai:gpt-7", messages=[])\nLLMRequest(model="a")\n',
    )
    assert [it.message for it in found(path, app)] == [
        "[models.gpt-6-luna] is of no model that is bound, or named in the code."
    ]
    assert found(path) == [], "without the code nobody knows"


def test_a_key_that_is_nearly_one(write: Write) -> None:
    path = write(
        "llmring.lock", bound("openai:gpt-6-luna", more='[models."openai:*"]\nimage = true\ncolour = "blue"\n')
    )
    (one,) = [it for it in check_lockfile(path).findings if it.code == "key-misspelt"]
    assert one.message == '"image" is no key of [models."openai:*"]; did you mean "images"?'
