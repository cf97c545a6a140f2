"""Vendors by their short names: where each is, which key it gets, and what the lockfile changes."""

from __future__ import annotations

import logging
import tomllib
import traceback
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from anthropic import AsyncAnthropic

from llmring import LLMRequest, LLMRing, Message
from llmring.credentials import Key, reveal
from llmring.exceptions import ConfigurationError, LLMRingError, ProviderAuthenticationError, ProviderNotFoundError
from llmring.lockfile import split_reference
from llmring.providers.base import Call
from llmring.providers.endpoints import endpoint
from llmring.providers.listing import list_models
from llmring.testing import PracticeServer, Reply
from llmring.vendors import ALSO_CALLED, BUILT_IN, SDKS

from ..conftest import bind

VENDORS = {
    "groq": ("https://api.groq.com/openai/v1/", "GROQ_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1/", "OPENROUTER_API_KEY"),
    "deepseek": ("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "mistral": ("https://api.mistral.ai/v1/", "MISTRAL_API_KEY"),
    "together": ("https://api.together.ai/v1/", "TOGETHER_API_KEY"),
    "fireworks": ("https://api.fireworks.ai/inference/v1/", "FIREWORKS_API_KEY"),
    "xai": ("https://api.x.ai/v1/", "XAI_API_KEY"),
    "cerebras": ("https://api.cerebras.ai/v1/", "CEREBRAS_API_KEY"),
}
SERVERS = {
    "vllm": ("http://127.0.0.1:8000/v1/", "VLLM_API_KEY"),
    "llamacpp": ("http://127.0.0.1:8080/v1/", "LLAMA_API_KEY"),
    "lmstudio": ("http://127.0.0.1:1234/v1/", "LM_API_TOKEN"),
}
SECRET = "practice-" + "of-the-environment"


def ask(model: str) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")])


def test_the_table_is_what_is_tested_here() -> None:
    assert set(BUILT_IN) == {*SDKS, *VENDORS, *SERVERS, "azure"}


@pytest.mark.parametrize("name", [*BUILT_IN, *ALSO_CALLED.values()])
def test_a_name_can_be_written_everywhere(name: str) -> None:
    assert split_reference(f"{name}:m") == (name, "m")
    assert tomllib.loads(f"[providers.{name}]")["providers"] == {name: {}}


def test_no_other_name_is_one_of_ours() -> None:
    assert not set(ALSO_CALLED) & set(BUILT_IN)
    assert set(ALSO_CALLED.values()) <= set(BUILT_IN)


@pytest.mark.parametrize("name", VENDORS)
async def test_a_vendor_is_where_it_says_with_its_own_key(
    bare: object, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    address, variable = VENDORS[name]
    monkeypatch.setenv("OPENAI_API_KEY", "practice-of-another")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.invalid")
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=f"no key for {name}. Set {variable} "):
            service.get_provider(name)
        monkeypatch.setenv(variable, SECRET)
        client = service.get_provider(name).client
    assert (str(client.base_url), client.api_key) == (address, SECRET)


@pytest.mark.parametrize("name", SERVERS)
async def test_a_server_of_ones_own_needs_no_key(bare: object, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    address, variable = SERVERS[name]
    monkeypatch.setenv("OPENAI_API_KEY", "practice-of-another")
    async with LLMRing() as service:
        client = service.get_provider(name).client
        assert (str(client.base_url), client.api_key) == (address, "none")
        monkeypatch.setenv(variable, SECRET)
        assert service.get_provider(name).client.api_key == SECRET


@pytest.mark.parametrize("path", ["", "/", "/openai/v1", "/openai/v1/"])
async def test_azure(server: PracticeServer, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", SECRET)
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=r"no address for azure. Set AZURE_OPENAI_ENDPOINT "):
            await service.chat(ask("azure:deployment"))
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.url + path)
        await service.chat(ask("azure:deployment"))
    [request] = server.requests
    assert request.path == "/openai/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("https://mine.openai.azure.com", "max_completion_tokens"),
        ("https://mine.services.ai.azure.com", "max_completion_tokens"),
        ("https://gateway.example.net", "max_completion_tokens"),
    ],
)
async def test_azures_own_name_for_the_limit(
    bare: object, monkeypatch: pytest.MonkeyPatch, address: str, key: str
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", address)
    request = ask("azure:deployment").model_copy(update={"max_tokens": 5})
    async with LLMRing() as service:
        body = service.get_provider("azure").render(Call(request, "deployment", False, 60))
    assert {name: value for name, value in body.items() if name.startswith("max")} == {key: 5}


async def test_a_vendor_is_known_by_its_host_and_by_its_name(bare: object, tmp_path: Path) -> None:
    """By its host under any name, by its name before any host."""
    path = tmp_path / "llmring.lock"
    path.write_text(
        'version = "1.0"\n[profiles.default]\nname = "default"\n'
        '[providers.mine]\nsdk = "openai"\nbase_url = "https://api.mistral.ai/v1"\n'
        '[providers.mistral]\nbase_url = "https://gateway.example.net/v1"\n'
        '[providers.openai]\nbase_url = "https://gateway.example.net/v1"\n'
    )
    seeds = {}
    async with LLMRing(path, api_keys={"mistral": SECRET, "openai": SECRET}) as service:
        for name in ("mine", "mistral", "openai"):
            request = ask(f"{name}:m").model_copy(update={"seed": 3})
            body = service.get_provider(name).render(Call(request, "m", False, 60))
            seeds[name] = [key for key in body if "seed" in key]
    assert seeds == {"mine": ["random_seed"], "mistral": ["random_seed"], "openai": ["seed"]}


@pytest.mark.parametrize("variable", ["GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"])
async def test_google_is_geminis_api_whatever_the_environment_prefers(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for value in ("false", "true"):
        monkeypatch.setenv(variable, value)
        async with LLMRing() as service:
            await service.chat(ask("google:m"))
    usual, turned = server.requests
    assert turned.path == usual.path


# What the lockfile changes


async def test_every_field_of_a_vendor_can_be_overridden(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "practice-for-groq")
    monkeypatch.setenv("GATEWAY_KEY", "practice-for-the-gateway")
    bind(
        {},
        f'[providers.groq]\nbase_url = "{server.url}/v1"\napi_key_env = "GATEWAY_KEY"\napi = "responses"\n'
        'headers = { x-team = "blue" }\n',
    )
    async with LLMRing() as service:
        await service.chat(ask("groq:openai/gpt-oss-20b"))
    [request] = server.requests
    assert (request.path, request.headers["x-team"]) == ("/v1/responses", "blue")
    assert request.headers["authorization"] == "Bearer practice-for-the-gateway"


async def test_a_field_that_is_not_overridden_stays(bare: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", SECRET)
    bind({}, '[providers.deepseek]\nsdk = "anthropic"\nbase_url = "https://api.deepseek.com/anthropic"\n')
    async with LLMRing() as service:
        client = service.get_provider("deepseek").client
    assert isinstance(client, AsyncAnthropic)
    assert (str(client.base_url), client.api_key) == ("https://api.deepseek.com/anthropic/", SECRET)


@pytest.mark.parametrize("name", ["groq", "azure", "openai", "anthropic", "google", "ollama"])
async def test_a_key_follows_its_vendors_table(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As it follows the SDK's own `base_url`. A gateway may need none."""
    for variable in (*BUILT_IN[name].key_variables, *BUILT_IN[name].address_variables):
        monkeypatch.delenv(variable, raising=False)
    path = "/v1" if BUILT_IN[name].package == "openai" else ""
    bind({}, f'[providers.{name}]\nbase_url = "{server.url}{path}"\n')
    async with LLMRing() as service:
        await service.chat(ask(f"{name}:m"))
        monkeypatch.setenv(BUILT_IN[name].key_variables[0], SECRET)
        await service.chat(ask(f"{name}:m"))
    assert SECRET not in str(server.requests[0].headers)
    assert SECRET in str(server.requests[1].headers)


OF_THE_SDKS = {
    **{variable: SECRET for row in BUILT_IN.values() for variable in row.key_variables},
    **dict.fromkeys(["OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_AUTH_TOKEN"], SECRET),
    **dict.fromkeys(
        ["OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"],
        f"X-Gateway: {SECRET}\nAuthorization: Bearer {SECRET}\nX-Api-Key: {SECRET}",
    ),
}
"""What the SDKs take from the environment by themselves, and what llmring takes."""


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("name", [*BUILT_IN, "gateway"])
async def test_a_foreign_host_gets_nothing_of_a_vendors(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, name: str, sdk: str
) -> None:
    """Whoever it is, and whichever SDK speaks to it: only the variables of its own name are for it."""
    row = BUILT_IN.get(name)
    own = {*row.key_variables, row.header_variable} if row is not None else set()
    if name == sdk == "openai":
        own |= {"OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"}
    for variable, value in OF_THE_SDKS.items():
        if variable not in own:
            monkeypatch.setenv(variable, value)
    address = f"{server.url}/v1" if sdk == "openai" else server.url
    bind({"two": [f"{name}:m", f"{name}:m"]}, f'[providers.{name}]\nsdk = "{sdk}"\nbase_url = "{address}"\n')
    async with LLMRing() as service:
        await service.chat(ask(f"{name}:m"))
        await service.chat(ask("two"))
        provider = service.get_provider(name)
        await list_models(provider)
        if hasattr(provider.client, "with_options"):
            await provider.client.with_options(timeout=9).models.list()
    assert len(server.requests) >= 3
    assert SECRET not in str([request.headers for request in server.requests])


@pytest.mark.parametrize(
    ("name", "variable"), [("openai", "OPENAI_CUSTOM_HEADERS"), ("anthropic", "ANTHROPIC_CUSTOM_HEADERS")]
)
async def test_a_vendor_gets_the_headers_of_its_environment(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    monkeypatch.setenv(variable, f"X-Gateway: {SECRET}")
    server.reply(Reply(status=400, error=f"what is {SECRET}"))
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(LLMRingError, match=r"what is \[key\]\."):
            await service.chat(ask(f"{name}:m"))
        monkeypatch.setenv(variable, "X-Gateway: another")
        await service.chat(ask(f"{name}:m"))
    assert [request.headers["x-gateway"] for request in server.requests] == [SECRET, "another"]


async def test_ollama_takes_a_key_and_needs_none(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for reply in (Reply(), Reply(), Reply(status=401, error=f"who is {SECRET}")):
        server.reply(reply)
    monkeypatch.delenv("OLLAMA_API_KEY")
    async with LLMRing(max_retries=0) as service:
        await service.chat(ask("ollama:m"))
        monkeypatch.setenv("OLLAMA_API_KEY", SECRET)
        await service.chat(ask("ollama:m"))
        with pytest.raises(ProviderAuthenticationError, match=r"who is \[key\]. Check OLLAMA_API_KEY"):
            await service.chat(ask("ollama:m"))
    async with LLMRing(api_keys={"ollama": "practice-given"}) as service:
        await service.chat(ask("ollama:m"))
    sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == [None, f"Bearer {SECRET}", f"Bearer {SECRET}", "Bearer practice-given"]


@pytest.mark.parametrize(
    ("name", "url", "own"),
    [
        ("groq", "https://api.groq.com/another/path", True),
        ("groq", "https://API.groq.com/openai/v1", True),
        ("groq", "http://api.groq.com/openai/v1", False),
        ("groq", "https://api.groq.com.example.net/v1", False),
        ("groq", "https://groq.com/v1", False),
        ("groq", "https://example.net/api.groq.com", False),
        ("groq", "https://api.groq.com@example.net/v1", False),
        ("groq", "https://example.net\\@api.groq.com/v1", False),
        ("groq", "https://[broken/v1", False),
        ("azure", "https://mine.openai.azure.com/openai/v1/", True),
        ("azure", "https://mine.services.ai.azure.com/openai/v1/", True),
        ("azure", "https://notopenai.azure.com/openai/v1/", False),
        ("openai", "https://eu.api.openai.com/v1", True),
        ("openai", "https://api.openai.com.example.net/v1", False),
        ("vllm", "http://localhost:8001/v1", True),
        ("vllm", "http://[::1]:8001/v1", True),
        ("vllm", "http://gpu.example.net:8000/v1", False),
    ],
)
def test_whose_host_it_is(bare: object, monkeypatch: pytest.MonkeyPatch, name: str, url: str, own: bool) -> None:
    from llmring.lockfile import ProviderSettings

    for variable in BUILT_IN[name].key_variables:
        monkeypatch.setenv(variable, SECRET)
    found = endpoint(name, ProviderSettings(base_url=url))
    assert found.base_url == url.replace("api.groq.com@", "")
    assert reveal(found.find_key({})) == SECRET
    assert found.at_home == own
    assert found.needs_key == (own and BUILT_IN[name].needs_key)
    given = found.find_key({name: Key("practice-given")})
    assert reveal(given) == "practice-given", "who names a key knows where it goes"


def test_another_sdk_without_an_address_gets_no_key(bare: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmring.lockfile import ProviderSettings

    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    found = endpoint("openai", ProviderSettings(sdk="anthropic"))
    assert (found.sdk, found.base_url, found.find_key({})) == (SDKS["anthropic"], None, None)


# Addresses with a password


PASSWORD = "practice-" + "of-the@gate"


@pytest.mark.parametrize("named", [True, False], ids=["the vendor's name", "another name"])
@pytest.mark.parametrize("sdk", SDKS)
async def test_a_password_in_an_address_is_sent_and_seen_nowhere(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sdk: str, named: bool
) -> None:
    written, token = PASSWORD.replace("@", "%40"), b64encode(f"me:{PASSWORD}".encode()).decode()
    for variable in SDKS[sdk].address_variables:
        address = f"{server.url}/v1" if sdk == "openai" else server.url
        monkeypatch.setenv(variable, address.replace("//", f"//me:{written}@"))
    caplog.set_level(logging.DEBUG)
    bind({}, "" if named else f'[providers.gateway]\nsdk = "{sdk}"\n')
    server.reply(Reply(status=400, error=f"what are {PASSWORD}, {written} and {token}?"))
    name = sdk if named else "gateway"
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(LLMRingError) as raised:
            await service.chat(ask(f"{name}:m"))
        await service.chat(ask(f"{name}:m"))
        seen = repr(vars(raised.value)) + "".join(traceback.format_exception(raised.value)) + caplog.text
        seen += repr(service.get_provider(name).config)
    assert [request.headers["authorization"] for request in server.requests] == [f"Basic {token}"] * 2
    assert "what are [key], [key] and [key]?" in str(raised.value)
    assert all(secret not in seen for secret in (PASSWORD, written, token))


async def test_another_name_follows_its_sdks_address(bare: object, monkeypatch: pytest.MonkeyPatch) -> None:
    bind({}, '[providers.gateway]\nsdk = "openai"\n')
    async with LLMRing() as service:
        for address in ("http://one.invalid/v1/", "http://two.invalid/v1/"):
            monkeypatch.setenv("OPENAI_BASE_URL", address)
            assert str(service.get_provider("gateway").client.base_url) == address


async def test_a_header_of_the_lockfile_goes_before_a_password(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", server.url.replace("//", "//me:practice@"))
    monkeypatch.setenv("TOKEN", SECRET)
    bind({}, '[providers.ollama.headers]\nauthorization = "Token $TOKEN"\n')
    async with LLMRing() as service:
        await service.chat(ask("ollama:m"))
    assert server.requests[0].headers["authorization"] == f"Token {SECRET}"


@pytest.mark.parametrize(
    ("address", "base_url", "login"),
    [
        ("https://me:word@host.example/v1", "https://host.example/v1", "me:word"),
        ("https://me@host.example", "https://host.example", "me"),
        ("https://@host.example", "https://host.example", None),
        ("me:word@host.example:11434", "http://host.example:11434", "me:word"),
        ("https://a@b:c@host.example/d@e", "https://host.example/d@e", "a@b:c"),
        ("https://host.example/v1?as=me@there", "https://host.example/v1?as=me@there", None),
        ("host.example:11434", "http://host.example:11434", None),
    ],
)
def test_where_a_login_ends(
    bare: object, monkeypatch: pytest.MonkeyPatch, address: str, base_url: str, login: str | None
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", address)
    found = endpoint("ollama")
    assert (found.base_url, found.login) == (base_url, login)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "ollama"])
@pytest.mark.parametrize(
    "address",
    [
        "http://user:hunter2#word@127.0.0.1:1",
        "http://user:hunter2/word@127.0.0.1:1",
        "http://user:hunter2?word@127.0.0.1:1",
        "http:/user:hunter2word@127.0.0.1:1",
        "http:\\\\user:hunter2word@127.0.0.1:1",
        "http://user:hunter2word@127.0.0.1:99999",
        "ftp://user:hunter2word@127.0.0.1",
        "http://user:hunter2word@",
    ],
)
async def test_an_address_that_is_no_url(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, provider: str, address: str
) -> None:
    """It is not configured, and no part of it is shown: what makes it no URL may be a password."""
    for name in BUILT_IN[provider].address_variables:
        monkeypatch.setenv(name, address)
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderNotFoundError, match="is no URL to ask") as caught:
            await service.chat(ask(f"{provider}:m"))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("provider", ["openai", "google", "ollama"])
async def test_a_proxy_that_is_no_url(server: PracticeServer, monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:hunter2#word@127.0.0.1:1")
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderNotFoundError, match="HTTP_PROXY is no address of a proxy") as caught:
            await service.chat(ask(f"{provider}:m"))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("address", "local"),
    [("", True), ("ollama:11434", True), ("192.168.1.7", True), ("https://ollama.com", False), ("8.8.8.8:80", False)],
)
def test_a_server_of_ones_own_is_where_its_address_says(
    bare: object, monkeypatch: pytest.MonkeyPatch, address: str, local: bool
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", address)
    assert endpoint("ollama").local is local
    assert not endpoint("openai").local


# Headers


GATEWAY = """\
[providers.gateway]
sdk = "{sdk}"
base_url = "{url}"

[providers.gateway.headers]
x-gateway = "Token ${{GATEWAY_TOKEN}}"
x-team = "$TEAM-a"
x-price = "$$5"
"""


def gateway(server: PracticeServer, sdk: str) -> None:
    bind({}, GATEWAY.format(sdk=sdk, url=f"{server.url}/v1" if sdk == "openai" else server.url))


@pytest.mark.parametrize("sdk", SDKS)
async def test_headers_from_the_environment(server: PracticeServer, monkeypatch: pytest.MonkeyPatch, sdk: str) -> None:
    gateway(server, sdk)
    monkeypatch.setenv("TEAM", "blue")
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=r"x-gateway needs GATEWAY_TOKEN. Set GATEWAY_TOKEN "):
            await service.chat(ask("gateway:m"))
        for token in ("practice-one", "practice-two"):
            monkeypatch.setenv("GATEWAY_TOKEN", token)
            await service.chat(ask("gateway:m"))
    sent = [tuple(request.headers[name] for name in ("x-gateway", "x-team", "x-price")) for request in server.requests]
    assert sent == [("Token practice-one", "blue-a", "$5"), ("Token practice-two", "blue-a", "$5")]


@pytest.mark.parametrize("sdk", SDKS)
async def test_what_came_from_the_environment_is_seen_nowhere(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sdk: str
) -> None:
    gateway(server, sdk)
    monkeypatch.setenv("TEAM", "practice-team")
    monkeypatch.setenv("GATEWAY_TOKEN", SECRET)
    caplog.set_level(logging.DEBUG)
    server.reply(Reply(status=401, body=b'{"error": {"message": "no: Token %s of practice-team"}}' % SECRET.encode()))
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(LLMRingError) as raised:
            await service.chat(ask("gateway:m"))
        provider = service.get_provider("gateway")
        assert SECRET not in repr(provider) + repr(provider.config)
    assert server.requests[0].headers["x-gateway"] == f"Token {SECRET}"
    error: Any = raised.value
    seen = "".join([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error), caplog.text])
    assert "[key]" in str(error)
    assert SECRET not in seen
    assert "practice-team" not in seen


@pytest.mark.parametrize("value", ["Token $", "$5", "${}", "${A-B}", "${OPEN"])
async def test_a_dollar_that_says_nothing(server: PracticeServer, value: str) -> None:
    bind({}, f'[providers.groq]\nbase_url = "{server.url}/v1"\nheaders = {{ x-odd = "{value}" }}\n')
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=r"\[providers.groq.headers\] x-odd has a \$ .* \$\$ for a \$"):
            await service.chat(ask("groq:m"))


async def test_a_value_that_cannot_be_sent(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM", "blue\r\nx-injected: 1")
    bind({}, f'[providers.groq]\nbase_url = "{server.url}/v1"\nheaders = {{ x-team = "$TEAM" }}\n')
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=r"TEAM, for .* cannot be sent"):
            await service.chat(ask("groq:m"))
    assert server.requests == []


@pytest.mark.parametrize(
    ("settings", "variable", "words"),
    [
        ('headers = { x-team = "bläu" }', "", r"'x-team' in \[providers.openai.headers\] cannot be sent"),
        ('headers = { "x team" = "blue" }', "", "'x team' in .* cannot be sent"),
        ('headers = { x-team = "$" }', "", "no name after it"),
        ("", "x-team: bläu", "'x-team' in OPENAI_CUSTOM_HEADERS cannot be sent"),
        ("", "x team: blue", "'x team' in OPENAI_CUSTOM_HEADERS cannot be sent"),
        ('base_url = "http://127.0.0.1:http/v1"', "", "The address of openai is no URL"),
    ],
)
async def test_what_cannot_be_set_up_is_moved_on_from(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, settings: str, variable: str, words: str
) -> None:
    """It is a provider that is not configured, as one without a key is."""
    if variable:
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", variable)
    bind({"chatbot": ["openai:m", "anthropic:m"]}, f"[providers.openai]\n{settings}\n")
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=words):
            await service.chat(ask("openai:m"))
        response = await service.chat(ask("chatbot"))
    assert response.model == "anthropic:m"
    assert len(server.requests) == 1


# Names that are none


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("opnai", "Did you mean 'openai'"),
        ("grog", "Did you mean 'groq'"),
        ("Anthropic", "Did you mean 'anthropic'"),
        ("gatewy", "Did you mean 'gateway'"),
        ("grok", "called 'xai'"),
        ("llama.cpp", "called 'llamacpp'"),
        ("zzzzzz", r"no provider 'zzzzzz'. There are: anthropic, azure, .*gateway.*\[providers.zzzzzz\]"),
    ],
)
async def test_a_name_that_is_none(bare: object, name: str, words: str) -> None:
    bind({}, '[providers.gateway]\nsdk = "openai"\n')
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=words):
            await service.chat(ask(f"{name}:m"))


async def test_an_sdk_that_is_none(bare: object) -> None:
    bind({}, '[providers.gateway]\nsdk = "groq"\n')
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match="'groq', which is none of: openai, anthropic, google, ollama"):
            service.get_provider("gateway")


async def test_a_table_without_an_sdk(bare: object) -> None:
    bind({}, '[providers.gateway]\nbase_url = "http://127.0.0.1:9/v1"\n')
    async with LLMRing() as service:
        with pytest.raises(ProviderNotFoundError, match=r'^\[providers.gateway\] .* sdk = "openai"'):
            service.get_provider("gateway")


def test_a_key_for_nobody_is_refused(bare: object) -> None:
    with pytest.raises(ConfigurationError, match=r"'opnai', which is no provider. Did you mean 'openai'"):
        LLMRing(api_keys={"opnai": "practice"})
    with pytest.raises(ConfigurationError, match=r"'gateway', .*\[providers.gateway\]"):
        LLMRing(api_keys={"gateway": "practice"})
    bind({}, '[providers.gateway]\nsdk = "openai"\n')
    LLMRing(api_keys={"gateway": "practice", "groq": "practice", "openai": "practice"})


# Closing


async def test_one_that_does_not_close_keeps_none_from_closing(
    server: PracticeServer, caplog: pytest.LogCaptureFixture
) -> None:
    from llmring.providers.base import ProviderConfig
    from llmring.providers.openai import OpenAIProvider

    closed = []

    class Stuck(OpenAIProvider):
        async def close(self) -> None:
            await super().close()
            closed.append(self.name)
            if self.name == "first":
                raise RuntimeError(f"stuck with {self.config.key}")

    async with LLMRing() as service:
        for name in ("first", "second"):
            config = ProviderConfig(name=name, key=SECRET, base_url=f"{server.url}/v1")
            service.register_provider(name, Stuck(config))
        client = service.get_provider("anthropic").client
    assert sorted(closed) == ["first", "second"]
    assert client.is_closed()
    assert "first did not close cleanly: RuntimeError: stuck with [key]" in caplog.text
