"""What the tables of providers do with keys."""

from __future__ import annotations

import pytest

from llmring.checking import check_lockfile

from .conftest import Write

HEAD = 'version = "1.0"\n'


def table(name: str, url: str = "", variable: str = "", more: str = "") -> str:
    sdk = "" if name in ("groq", "openai", "ollama", "vllm") else 'sdk = "openai"\n'
    address = f'base_url = "{url}"\n' if url else ""
    key = f'api_key_env = "{variable}"\n' if variable else ""
    return f"[providers.{name}]\n{sdk}{address}{key}{more}"


def codes(write: Write, text: str) -> list[tuple[str, str]]:
    """The findings about keys: code and message."""
    found = check_lockfile(write("llmring.lock", HEAD + text)).findings
    return [(it.code, it.message) for it in found if it.code in ("key-over-http", "key-foreign")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (table("mirror", "http://models.example.com/v1", "MIRROR_KEY"), '"MIRROR_KEY" to models.example.com over'),
        (table("mirror", "http://192.168.1.7:8000/v1", "MIRROR_KEY"), '"MIRROR_KEY" to 192.168.1.7:8000 over'),
        (table("mirror", "http://[fd00::1]/v1", "MIRROR_KEY"), '"MIRROR_KEY" to [fd00::1] over'),
        (table("mirror", "http://litellm:4000", "MIRROR_KEY"), '"MIRROR_KEY" to litellm:4000 over'),
        (table("mirror", "http://127.0.0.1.example.com", "MIRROR_KEY"), '"MIRROR_KEY" to 127.0.0.1.example.com over'),
        (table("mirror", "http://$HOST@example.com", "MIRROR_KEY"), '"MIRROR_KEY" to example.com over'),
        (table("openai", "http://gateway.example.com"), '"OPENAI_API_KEY" to gateway.example.com over'),
        (table("openai", "http://api.openai.com/v1"), '"OPENAI_API_KEY" to api.openai.com over'),
        (
            table("mirror", "http://ex.example", more='headers = { X-K = "Bearer ${MIRROR_TOKEN}" }\n'),
            '"MIRROR_TOKEN" to ex',
        ),
        (table("ollama", "http://10.0.0.1:11434", "OLLAMA_API_KEY"), '"OLLAMA_API_KEY" to 10.0.0.1:11434 over'),
    ],
)
def test_a_key_over_plain_http_to_another_machine(write: Write, text: str, what: str) -> None:
    ((code, message),) = codes(write, text)
    assert code == "key-over-http"
    assert f"sends {what}" in message


@pytest.mark.parametrize(
    "text",
    [
        table("mirror", "https://models.example.com/v1", "MIRROR_KEY"),
        table("mirror", "http://127.0.0.1:8000/v1", "MIRROR_KEY"),
        table("mirror", "http://localhost:8000/v1", "MIRROR_KEY"),
        table("mirror", "http://[::1]:8000/v1", "MIRROR_KEY"),
        table("mirror", "http://models.example.com/v1"),
        table("mirror", "http://models.example.com/v1", more='headers = { X-Team = "$TEAM" }\n'),
        table("ollama", "http://10.0.0.1:11434"),
        table("vllm", "http://10.0.0.1:8000/v1"),
    ],
)
def test_no_key_leaves_or_none_in_the_clear(write: Write, text: str) -> None:
    assert codes(write, text) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (table("groq", variable="AWS_SECRET_ACCESS_KEY"), "AWS_SECRET_ACCESS_KEY"),
        (table("groq", variable="OPENAI_API_KEY"), "OPENAI_API_KEY"),
        (table("mirror", "https://models.example.com", "OPENAI_API_KEY"), "OPENAI_API_KEY"),
        (table("mirror", "https://models.example.com", "GITHUB_TOKEN"), "GITHUB_TOKEN"),
        (table("mirror", "https://ex.example", more='headers = { X-A = "$DATABASE_URL" }\n'), "DATABASE_URL"),
        (table("mirror", "https://ex.example", more='headers = { X-A = "a ${NPM_TOKEN}" }\n'), "NPM_TOKEN"),
        (table("openai", variable="AZURE_OPENAI_API_KEY"), "AZURE_OPENAI_API_KEY"),
    ],
)
def test_a_variable_that_is_somebody_elses(write: Write, text: str, what: str) -> None:
    ((code, message),) = codes(write, text)
    assert code == "key-foreign"
    assert f'is given "{what}"' in message


@pytest.mark.parametrize(
    "text",
    [
        table("groq", variable="GROQ_API_KEY"),
        table("groq", variable="GROQ_KEY_OF_THE_TEAM"),
        table("openai", "https://gateway.example.com/v1", "OPENAI_API_KEY"),
        table("mirror", "https://models.example.com", "MIRROR_KEY"),
        table("work", "https://api.openai.com/v1", "OPENAI_API_KEY"),
        table("work", "https://api.openai.com/v1", "TEAM_OPENAI_KEY"),
        table("gw", "https://api.portkey.ai/v1", "PORTKEY_API_KEY"),
        table("gw", "https://llm.intra.example/v1", "LLM_GATEWAY_TOKEN"),
        table("x-ai", "https://models.example.com", "XAI_KEY"),
        table("mirror", "https://ex.example", more='headers = { X-Team = "$TEAM" }\n'),
    ],
)
def test_a_variable_of_its_own(write: Write, text: str) -> None:
    assert codes(write, text) == []


def test_it_is_found_where_it_stands(write: Write) -> None:
    text = table("mirror", "http://a.example", "AWS_KEY", 'headers = { X-Team = "$TEAM", X-A = "$DATABASE_URL" }\n')
    path = write("llmring.lock", HEAD + text)
    spots = [(it.code, it.spot) for it in check_lockfile(path).findings]
    lines = path.read_text().splitlines()
    assert [(code, lines[spot.line - 1][spot.column - 1 :].partition(",")[0]) for code, spot in spots] == [
        ("key-over-http", '"http://a.example"'),
        ("key-foreign", '"AWS_KEY"'),
        ("key-foreign", '"$DATABASE_URL" }'),
    ]
    steps = {it.code: it.advice for it in check_lockfile(path).findings}
    assert steps == {
        "key-over-http": "Write https:// in its base_url. Where nobody is on the way: "
        "llmring lock check --ignore key-over-http",
        "key-foreign": "Name its own variable. If it is meant as it is: llmring lock check --ignore key-foreign",
    }


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            '[[profiles.default.bindings]]\nalias = "a"\nmodels = ["openai:m"]\ntemperature = 0.4\n',
            'the binding of "a"',
        ),
        ("[profiles.default]\ntemperature = 0.4\n", "[profiles.default]"),
        ("temperature = 0.4\n", "the file"),
        ('[providers.x]\nsdk = "openai"\ntemperature = 0.4\n', "[providers.x]"),
    ],
)
def test_a_parameter_beside_params(write: Write, text: str, where: str) -> None:
    path = write("llmring.lock", HEAD + text)
    (finding,) = [it for it in check_lockfile(path).findings if it.code == "params-misplaced"]
    assert finding.message == f'"temperature" does nothing in {where}: it is a parameter of requests.'
    assert path.read_text().splitlines()[finding.spot.line - 1].startswith("temperature")


def test_parameters_in_params_are_where_they_belong(write: Write) -> None:
    text = (
        '[[profiles.default.bindings]]\nalias = "a"\nmodels = ["openai:m"]\nparams = { temperature = 0.4 }\n'
        '[providers.mirror]\nsdk = "openai"\nbase_url = "https://a.example"\n'
    )
    found = check_lockfile(write("llmring.lock", HEAD + text)).findings
    assert "params-misplaced" not in {it.code for it in found}
