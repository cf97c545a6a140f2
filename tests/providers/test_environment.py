"""What the environment says of addresses, proxies, certificates and keys, and whom it concerns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv6Address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring import LLMRequest, LLMResponse, LLMRing, Message
from llmring.exceptions import LLMRingError, ProviderConnectionError, ProviderNotFoundError, ProviderTimeoutError
from llmring.providers.environment import Proxies, lacking
from llmring.providers.listing import list_models
from llmring.testing import PracticeServer

MODELS = ["openai:m", "anthropic:m", "google:m", "ollama:m"]
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
Failing = Callable[[str], Awaitable[LLMRingError]]
everybody = pytest.mark.parametrize("model", MODELS)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower() in PROXIES]:
        monkeypatch.delenv(name)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


async def ask(model: str, timeout: float = 10) -> LLMResponse:
    async with LLMRing(max_retries=0, timeout=timeout) as service:
        return await service.chat(LLMRequest(model=model, messages=[Message(role="user", content="Hi")]))


async def failure(model: str) -> LLMRingError:
    with pytest.raises(LLMRingError) as caught:
        await ask(model)
    return caught.value


async def failure_of_listing(model: str) -> LLMRingError:
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(LLMRingError) as caught:
            await list_models(service.get_provider(model.partition(":")[0]), timeout=10)
    return caught.value


either = pytest.mark.parametrize("failed", [failure, failure_of_listing])
"""A listing says of the network what a request says."""


@contextlib.asynccontextmanager
async def proxy(answer: bytes) -> AsyncIterator[tuple[int, list[str]]]:
    """A proxy that answers whatever it is asked so: its port, and the first lines that it was sent."""
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readuntil(b"\r\n")).decode().strip())
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


REFUSED = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

# Empty variables


@pytest.mark.parametrize("value", ["", " ", "\n"])
@pytest.mark.parametrize(
    ("variable", "model", "host"),
    [
        ("OPENAI_BASE_URL", "openai:m", "api.openai.com"),
        ("ANTHROPIC_BASE_URL", "anthropic:m", "api.anthropic.com"),
        ("GOOGLE_GEMINI_BASE_URL", "google:m", "generativelanguage.googleapis.com"),
    ],
)
async def test_an_address_that_is_empty_is_the_vendors_own(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, model: str, host: str
) -> None:
    monkeypatch.setenv(variable, value)
    async with proxy(REFUSED) as (port, heard):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = await failure(model)
    assert isinstance(error, ProviderConnectionError)
    assert heard == [f"CONNECT {host}:443 HTTP/1.1"]


EMPTY = {
    "openai": [
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
        "OPENAI_CUSTOM_HEADERS",
        "OPENAI_ADMIN_KEY",
        "OPENAI_WEBHOOK_SECRET",
    ],
    "anthropic": [
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_CUSTOM_HEADERS",
        "ANTHROPIC_PROFILE",
        "ANTHROPIC_WEBHOOK_SIGNING_KEY",
    ],
    "google": [
        "GOOGLE_GENAI_API_VERSION",
        "GOOGLE_GENAI_USE_VERTEXAI",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_GENAI_HTTP_CLIENT",
    ],
    "ollama": ["OLLAMA_API_KEY", "OLLAMA_BASE_URL"],
}


@everybody
async def test_variables_that_an_sdk_reads_by_itself(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Empty, they change nothing of what is sent."""
    monkeypatch.delenv("OLLAMA_API_KEY", raising=False)
    await ask(model)
    for variable in (*EMPTY[model.partition(":")[0]], "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.setenv(variable, "")
    await ask(model)
    before, after = server.requests
    assert (before.path, before.headers) == (after.path, after.headers)


async def test_a_variable_with_white_space_around_it(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-practice\n")
    await ask("openai:m")
    assert server.requests[-1].headers["openai-organization"] == "org-practice"


# Proxies


@pytest.mark.parametrize(
    "entries", ["localhost,127.0.0.1,fd00::/8", "fd00::/8 127.0.0.0/8", "[::1]:80,127.0.0.1,*x,:/"]
)
@everybody
async def test_ranges_of_addresses_in_no_proxy(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, model: str, entries: str
) -> None:
    monkeypatch.setenv("NO_PROXY", entries)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert (await ask(model)).content


def test_what_a_fresh_process_imports(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ollama's SDK makes a client when it is imported, and fails there on what is for somebody else."""
    program = (
        "import asyncio; from llmring import *\n"
        "async def main():\n"
        "    asked = LLMRequest(model='ollama:m', messages=[Message(role='user', content='Hi')])\n"
        "    async with LLMRing() as service:\n"
        "        print((await service.chat(asked)).content)\n"
        "        print(len((await service.get_provider('ollama').client.list()).models) >= 0)\n"
        "asyncio.run(main())"
    )
    for name, value in {
        "NO_PROXY": "127.0.0.1,fd00::/8",
        "SSL_CERT_FILE": "/gone/cacert.pem",
        "ALL_PROXY": "socks4://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("You said: Hi\nTrue\n", 0), done.stderr


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]
    return port


@either
@everybody
async def test_a_proxy_that_is_down(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, model: str, free_port: int, failed: Failing
) -> None:
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.setenv(variable, "https://models.example.com")
    monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:hunter2@127.0.0.1:{free_port}")
    error = await failed(model)
    assert isinstance(error, ProviderConnectionError)
    assert f"the proxy http://127.0.0.1:{free_port}, which HTTPS_PROXY names" in str(error)
    assert str(error).endswith("or put the host into NO_PROXY.")
    assert "hunter2" not in str(error)


WANTS_A_PASSWORD = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("login", "words"), [("", "wants a name and a password"), ("me:hunter2@", "does not take the")]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
@either
@everybody
async def test_a_proxy_that_wants_a_password(
    server: PracticeServer,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    scheme: str,
    login: str,
    words: str,
    failed: Failing,
) -> None:
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.setenv(variable, f"{scheme}://models.example.com")
    variable = f"{scheme}_proxy".upper()
    async with proxy(WANTS_A_PASSWORD) as (port, _):
        monkeypatch.setenv(variable, f"http://{login}127.0.0.1:{port}")
        error = await failed(model)
    assert isinstance(error, ProviderConnectionError)
    assert words in str(error)
    assert variable in str(error)
    assert "hunter2" not in str(error)


async def test_a_proxy_that_speaks_something_else(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy, named as one of HTTP, takes the request for nonsense."""
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example.com/v1")
    async with proxy(b"\x05\xff") as (port, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = await failure("openai:m")
    assert f"the proxy http://127.0.0.1:{port}, which HTTPS_PROXY names: check that it speaks http" in str(error)


@pytest.mark.parametrize(
    "url", ["socks4://127.0.0.1:9", "socks://127.0.0.1:9", "http://", "http://a b:9", "http://h:port"]
)
async def test_a_proxy_that_cannot_be_used_concerns_those_behind_it(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    for model in MODELS:
        assert (await ask(model)).content
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example.com/v1")
    error = await failure("openai:m")
    assert isinstance(error, ProviderNotFoundError)
    assert "unset HTTPS_PROXY" in str(error)
    assert (await ask("ollama:m")).content


def test_the_variable_that_is_named_is_the_one_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://upper:1")
    monkeypatch.setenv("https_proxy", "http://lower:1")
    found = Proxies().of("https://models.example.com")
    assert found is not None
    assert (found.url, found.variable) == ("http://lower:1", "https_proxy")
    monkeypatch.delenv("https_proxy")
    monkeypatch.setenv("ALL_PROXY", "all:1")
    found, rest = Proxies().of("https://models.example.com"), Proxies().of("http://models.example.com")
    assert (found and found.variable, rest and rest.url) == ("HTTPS_PROXY", "http://all:1")


@pytest.mark.parametrize(
    ("entry", "direct", "proxied"),
    [
        (
            "example.com",
            ["http://example.com", "http://a.example.com:8"],
            ["http://anexample.com", "http://example.org"],
        ),
        (".example.com", ["http://a.example.com"], ["http://example.com"]),
        ("*.example.com", ["http://a.example.com"], ["http://example.com"]),
        ("example.com:8", ["http://example.com:8"], ["http://example.com"]),
        ("example.com:443", ["https://example.com"], ["http://example.com"]),
        ("https://example.com", ["https://example.com"], ["http://example.com"]),
        ("10.0.0.0/8", ["http://10.1.2.3"], ["http://11.1.2.3", "http://ten.example.com"]),
        ("::1", ["http://[::1]:99"], ["http://[::2]"]),
        ("[::1]:99", ["http://[::1]:99"], ["http://[::1]:98"]),
        ("EXAMPLE.com , localhost", ["http://example.com", "http://localhost"], ["http://127.0.0.1"]),
        ("a, *", ["http://example.com"], []),
        ("fe80::/10", ["http://[fe80::1%25eth0]"], ["http://[fd00::1]"]),
    ],
)
def test_for_whom_no_proxy_is(
    monkeypatch: pytest.MonkeyPatch, entry: str, direct: list[str], proxied: list[str]
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", entry)
    proxies = Proxies()
    assert [url for url in direct if proxies.of(url)] == []
    assert [url for url in proxied if not proxies.of(url)] == []


@given(st.ip_addresses(), st.integers(0, 32), st.ip_addresses())
def test_a_range_is_for_the_addresses_in_it(start: object, bits: int, other: object) -> None:
    network = ip_network(f"{start}/{bits}", strict=False)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.lower() in PROXIES]:
            patch.delenv(name)
        patch.setenv("ALL_PROXY", "http://proxy:1")
        patch.setenv("NO_PROXY", str(network))
        host = f"[{other}]" if isinstance(other, IPv6Address) else str(other)
        assert (Proxies().of(f"https://{host}/") is None) == (other in network)


@given(st.text(), st.text())
def test_whatever_the_environment_holds_is_read(proxy: str, entries: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("HTTPS_PROXY", proxy), ("NO_PROXY", entries)):
            patch.setenv(name, value.replace("\0", "").encode(errors="replace").decode())
        said = lacking("https://models.example.com/v1")
    assert said is None or "HTTPS_PROXY" in said.upper()


# Certificates


@pytest.fixture(params=["gone", "empty", "none", "folder"])
def certificates(request: pytest.FixtureRequest, bare: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A variable that names certificates with which nobody can be trusted."""
    variable = "SSL_CERT_DIR" if request.param == "folder" else "SSL_CERT_FILE"
    (bare / "empty").write_text("")
    (bare / "none").write_text("no certificate")
    monkeypatch.setenv(variable, str(bare / request.param))
    return variable


async def test_certificates_that_have_gone(
    server: PracticeServer, certificates: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is asked without TLS needs none; whoever needs them is told what names them."""
    for model in MODELS:
        assert (await ask(model)).content
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.setenv(variable, "https://127.0.0.1:1")
    for model in MODELS:
        error = await failure(model)
        assert isinstance(error, ProviderNotFoundError)
        assert f"unset {certificates}" in str(error)
        assert "Install" not in str(error)


# Keys


@pytest.mark.parametrize("model", ["openai:m", "anthropic:m", "google:m"])
@pytest.mark.parametrize("key", ["practice key-of-two", "practice\nkey", "practice\tkey"])
async def test_white_space_inside_a_key(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, model: str, key: str
) -> None:
    variable = {"openai:m": "OPENAI_API_KEY", "anthropic:m": "ANTHROPIC_API_KEY", "google:m": "GOOGLE_API_KEY"}[model]
    monkeypatch.setenv(variable, key)
    error = await failure(model)
    assert isinstance(error, ProviderNotFoundError)
    assert f"from {variable}, holds white space" in str(error)
    assert key not in str(error)


@pytest.fixture
def keyring(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Takes the text of a keyring, to be the one that is installed."""
    (bare / "modules").mkdir()
    monkeypatch.syspath_prepend(bare / "modules")
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    return (bare / "modules" / "keyring.py").write_text


@pytest.mark.parametrize("around", [" {}", "{}\n", "\t{} "])
async def test_white_space_around_a_key_of_the_keyring(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, keyring: Callable[[str], object], around: str
) -> None:
    keyring(f"def get_password(service, name):\n    return {around.format('practice-kept')!r}\n")
    monkeypatch.delenv("OPENAI_API_KEY")
    try:
        await ask("openai:m")
    finally:
        sys.modules.pop("keyring", None)
    assert server.requests[-1].headers["authorization"] == "Bearer practice-kept"


async def test_a_keyring_that_waits_holds_up_nobody_who_needs_no_key(
    server: PracticeServer, monkeypatch: pytest.MonkeyPatch, keyring: Callable[[str], object]
) -> None:
    waiting = "import threading\n\nopen = threading.Event()\n\ndef get_password(service, name):\n    open.wait()\n"
    keyring(waiting)
    monkeypatch.delenv("OPENAI_API_KEY")
    try:
        assert (await ask("ollama:m", timeout=60)).content
        with pytest.raises(ProviderTimeoutError, match="keyring"):
            await ask("openai:m", timeout=0.5)
    finally:
        sys.modules.pop("keyring").open.set()
