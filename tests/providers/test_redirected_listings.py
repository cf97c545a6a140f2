"""Redirects outside an exchange are followed, as by any client, but what is ours goes to no other server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from llmring import LLMRing
from llmring.exceptions import ProviderError
from llmring.providers.describing import describe
from llmring.providers.listing import list_models

from .test_network import Serve, listening, request_of

PATHS = {"openai": "/v1", "anthropic": "", "google": "", "ollama": ""}
KEY = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GOOGLE_API_KEY",
    "ollama": "OLLAMA_API_KEY",
}


@pytest.mark.parametrize("provider", PATHS)
@pytest.mark.parametrize("elsewhere", [True, False])
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "described"])
async def test_a_listing_that_is_redirected(
    provider: str, listed: bool, elsewhere: bool, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "practice-team-token")
    monkeypatch.setenv(KEY[provider], "practice-key")
    seen: list[bytes] = []
    where: list[int] = []

    def serving(moved: bool) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await request_of(reader)
            seen.append(head)
            if moved and b"/there" not in head:
                writer.write(f"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:{where[0]}/there\r\n".encode())
                writer.write(b"content-length: 0\r\nconnection: close\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                writer.write(b"content-length: 2\r\nconnection: close\r\n\r\n{}")
            await writer.drain()

        return serve

    async with listening(serving(moved=True)) as here, listening(serving(moved=False)) as there:
        where.append(there if elsewhere else here)
        (bare / "llmring.lock").write_text(
            'version = "1.0"\n[profiles.default]\nname = "default"\n'
            f'[providers.{provider}]\nbase_url = "http://127.0.0.1:{here}{PATHS[provider]}"\n'
            'headers = { X-Team = "$TEAM_TOKEN" }\n'
        )
        async with LLMRing(max_retries=0) as service:
            with suppress(ProviderError):
                it = service.get_provider(provider)
                await (list_models(it) if listed else describe(it, "m"))
    first, last = seen
    assert b"practice-key" in first
    assert b"practice-team-token" in first
    assert b"/there" in last
    assert (b"practice-key" in last, b"practice-team-token" in last) == (not elsewhere, not elsewhere)
