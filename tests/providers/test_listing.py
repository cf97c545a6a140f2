"""What each provider lists, through its real SDK, and what comes of a provider that does not."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
from collections.abc import Iterator
from datetime import date

import pytest

from llmring import LLMRing
from llmring.exceptions import (
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.providers.listing import ListedModel, list_models
from llmring.testing import PracticeServer

PROVIDERS = ["openai", "anthropic", "google", "ollama"]
ADDRESSES = {
    "openai": ("OPENAI_BASE_URL", "/v1"),
    "anthropic": ("ANTHROPIC_BASE_URL", ""),
    "google": ("GOOGLE_GEMINI_BASE_URL", ""),
    "ollama": ("OLLAMA_HOST", ""),
}


async def listed(provider: str, *, timeout: float | None = 5.0, clients: float | None = 60) -> list[ListedModel]:
    async with LLMRing(max_retries=0, timeout=clients) as service:
        return await list_models(service.get_provider(provider), timeout=timeout)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_each_lists_what_its_server_has(server: PracticeServer, provider: str) -> None:
    expected = {
        "openai": [ListedModel("gpt-5-mini"), ListedModel("gpt-5-nano")],
        "anthropic": [
            ListedModel("claude-haiku-4-5", 200_000, 64_000),
            ListedModel("claude-sonnet-4-5", 200_000, 64_000),
        ],
        "google": [
            ListedModel("gemini-2.5-flash", 1_048_576, 65_536),
            ListedModel("gemini-2.5-pro", 1_048_576, 65_536),
        ],
        "ollama": [ListedModel("llama3.2")],
    }
    assert await listed(provider) == expected[provider]


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every request with what its server was given."""

    status, body, asked = 200, b"", ""

    def do_GET(self) -> None:
        type(self).asked = self.path
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def answers(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answers]]:
    """A server of fixed answers, at which every provider is."""

    class Fixed(Answers):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fixed) as fixed:
        for variable, path in ADDRESSES.values():
            monkeypatch.setenv(variable, f"http://127.0.0.1:{fixed.server_port}{path}")
        thread = threading.Thread(target=fixed.serve_forever, args=(0.01,))
        thread.start()
        yield Fixed
        fixed.shutdown()
        thread.join()


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_says_where_it_came_from(answers: type[Answers], provider: str, status: int) -> None:
    answers.status, answers.body = status, b'{"error": {"message": "no entry with practice-key"}}'
    with pytest.raises(ProviderAuthenticationError, match=rf"refused the key \(HTTP {status}\)") as raised:
        await listed(provider)
    assert "_API_KEY" in str(raised.value)
    assert "practice-key" not in str(raised.value), "the key that was sent stands in no message"
    assert (raised.value.provider, raised.value.status_code) == (provider, status)


async def test_gemini_refuses_a_key_with_400(answers: type[Answers]) -> None:
    answers.status = 400
    answers.body = (
        b'{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", '
        b'"details": [{"reason": "API_KEY_INVALID"}]}}'
    )
    with pytest.raises(ProviderAuthenticationError, match="GEMINI_API_KEY"):
        await listed("google")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("status", "body"), [(500, b"<html>broken</html>"), (404, b""), (200, b"<html>a page</html>"), (200, b"{")]
)
async def test_anything_but_a_listing_is_an_error(
    answers: type[Answers], provider: str, status: int, body: bytes
) -> None:
    answers.status, answers.body = status, body
    with pytest.raises(ProviderResponseError, match=rf"^{provider} .*Check its address\.$") as raised:
        await listed(provider)
    assert raised.value.status_code == (status if status != 200 else None)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_nobody_there(server: PracticeServer, monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    variable, path = ADDRESSES[provider]
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{closed.getsockname()[1]}{path}")
    with pytest.raises(ProviderConnectionError, match=f"^{provider} cannot be reached at http://127.0.0.1:"):
        await listed(provider)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_silence_ends_in_time(server: PracticeServer, monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    variable, path = ADDRESSES[provider]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{silent.getsockname()[1]}{path}")
        begun = asyncio.get_running_loop().time()
        with pytest.raises(ProviderTimeoutError, match=r"within 0\.3 s"):
            await listed(provider, timeout=0.3)
        for timeout in (None, 30) if provider != "google" else ():  # whose SDK's listing has no timeout
            with pytest.raises(ProviderTimeoutError, match=r"within 0\.2 s"):
                await listed(provider, timeout=timeout, clients=0.2)
    assert asyncio.get_running_loop().time() - begun < 5


async def test_the_days_that_a_listing_names(answers: type[Answers]) -> None:
    answers.body = (
        b'{"data": [{"id": "claude-sonnet-4-5", "type": "model", "display_name": "x", "created_at": '
        b'"2025-01-01T00:00:00Z", "retires_at": "2026-11-30T00:00:00Z"}], "has_more": false}'
    )
    assert await listed("anthropic") == [ListedModel("claude-sonnet-4-5", retires=date(2026, 11, 30))]
    answers.body = (
        b'{"object": "list", "data": [{"id": "gpt-5", "object": "model", "shutdown_date": "2026-12-11"}, '
        b'{"id": "gpt-6-luna", "object": "model", "shutdown_date": "soon"}]}'
    )
    assert await listed("openai") == [ListedModel("gpt-5", retires=date(2026, 12, 11)), ListedModel("gpt-6-luna")]
