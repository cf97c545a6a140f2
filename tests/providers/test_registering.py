"""Providers of a program's own: in one service, or in all of a process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

import llmring
from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import (
    ConfigurationError,
    ProviderAuthenticationError,
    ProviderNotFoundError,
    ProviderRateLimitError,
    ProviderResponseError,
)
from llmring.providers import Call, Decoder, Dialect, HTTPProvider, Provider, ProviderConfig, Words, unregister
from llmring.testing import PracticeServer, Reply
from llmring.wire.openai_chat import ChatDecoder, render_request

from ..conftest import bind

KEY = "practice-of-the-program-123456"


class Chatting(HTTPProvider):
    """Speaks Chat Completions without an SDK."""

    closed: ClassVar[list[str]] = []

    def path(self, call: Call) -> str:
        return "chat/completions"

    def render(self, call: Call) -> dict[str, Any]:
        return render_request(call.request, call.model, stream=call.stream, issuer=self.issuer)

    def decoder(self, call: Call) -> Decoder:
        return ChatDecoder(f"{self.name}:{call.model}")

    async def close(self) -> None:
        self.closed.append(self.name)
        await super().close()


def ask(model: str, **more: Any) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")], **more)


def dialect(server: PracticeServer, name: str = "mine", **more: Any) -> Dialect:
    return Dialect(name, **{"sdk": "openai", "base_url": f"{server.url}/v1", "key_variables": ["MINE_KEY"], **more})


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Names that a test registers are free again after it."""
    monkeypatch.setenv("MINE_KEY", KEY)
    Chatting.closed.clear()
    yield
    for name in ("mine", "mine-2", "like"):
        unregister(name)


FORMS = ["class", "factory", "dialect"]


def made(form: str, server: PracticeServer) -> Any:
    if form == "dialect":
        return dialect(server)

    class Mine(Chatting):
        dialect = Dialect("mine", base_url=f"{server.url}/v1", key_variables=["MINE_KEY"])

    if form == "class":
        return Mine

    def make(config: ProviderConfig) -> Provider:
        return Mine(config)

    return make


@pytest.mark.parametrize("form", FORMS)
async def test_in_one_service(form: str, server: PracticeServer, registered: None) -> None:
    server.default = Reply("Mine.")
    async with LLMRing() as service, LLMRing() as other:
        service.register_provider("mine", made(form, server), api_key=KEY if form == "factory" else None)
        assert (await service.chat(ask("mine:m"))).content == "Mine."
        assert [c.delta async for c in service.chat_stream(ask("mine:m"))] == ["Mine.", ""]
        assert isinstance(service.get_provider("mine"), Provider)
        with pytest.raises(ProviderNotFoundError, match="no provider 'mine'"):
            await other.chat(ask("mine:m"))
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert Chatting.closed == (["mine"] if form != "dialect" else [])


@pytest.mark.parametrize("form", FORMS[::2])
async def test_in_all_of_a_process(form: str, server: PracticeServer, registered: None) -> None:
    """In services that are there, and in those to come."""
    async with LLMRing() as before:
        with pytest.raises(ProviderNotFoundError):
            await before.chat(ask("mine:m"))
        llmring.register("mine", made(form, server))
        assert (await before.chat(ask("mine:m"))).model == "mine:m"
        async with LLMRing(api_keys={"mine": KEY}) as after:
            assert (await after.chat(ask("mine:m"))).model == "mine:m"
        unregister("mine")
        with pytest.raises(ProviderNotFoundError):
            await before.chat(ask("mine:m"))


async def test_a_kind_for_tables_of_the_lockfile(server: PracticeServer, registered: None) -> None:
    llmring.register("mine", dialect(server, words=[Words("no_credit", words=["purse is empty"])]))
    table = f'[providers.other]\nsdk = "mine"\nbase_url = "{server.url}/other"\napi_key_env = "MINE_KEY"\n'
    bind({"helper": ["other:m"]}, table)
    async with LLMRing() as service:
        assert (await service.chat(ask("helper"))).model == "other:m"
        server.reply(Reply(status=403, error="Your purse is empty"))
        with pytest.raises(ProviderResponseError) as found:
            await service.chat(ask("helper"))
        assert found.value.out_of_credit
    assert server.requests[0].path == "/other/chat/completions"


async def test_a_dialect_that_names_a_class_as_its_sdk(server: PracticeServer, registered: None) -> None:
    llmring.register("mine", made("class", server))
    llmring.register("like", dialect(server, "like", sdk="mine", base_url=f"{server.url}/like"))
    async with LLMRing() as service:
        await service.chat(ask("like:m"))
        assert isinstance(service.get_provider("like"), Chatting)
    assert server.requests[-1].path == "/like/chat/completions"


async def test_in_a_service_it_takes_the_place_of_any(server: PracticeServer, registered: None) -> None:
    """Also of one that was asked before: its connections are let go."""
    async with LLMRing() as service:
        await service.chat(ask("openai:m"))
        first = service.get_provider("openai")
        service.register_provider("openai", made("class", server), api_key=KEY)
        await service.chat(ask("openai:m"))
        assert isinstance(service.get_provider("openai"), Chatting)
        assert service.get_provider("openai") is not first


def test_a_name_has_one_meaning(server: PracticeServer, registered: None) -> None:
    mine = dialect(server)
    with pytest.raises(ConfigurationError, match="'openai' cannot be registered: it is built in"):
        llmring.register("openai", mine)
    llmring.register("mine", made("class", server))
    with pytest.raises(ConfigurationError, match=r"'mine' cannot be registered: it is registered already, as .*Mine"):
        llmring.register("mine", mine)
    service = LLMRing()
    service.register_provider("mine", mine)
    with pytest.raises(ConfigurationError, match="'mine' is registered with this service already"):
        service.register_provider("mine", made("class", server))


@pytest.mark.parametrize("name", ["", "a:b", "a/b", " a", "a b", None, 3])
def test_a_name_that_is_none(name: Any, server: PracticeServer, registered: None) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a provider"):
        llmring.register(name, dialect(server))
    with pytest.raises(ConfigurationError, match="cannot name a provider"):
        LLMRing().register_provider(name, dialect(server))


def test_what_stands_for_no_provider(server: PracticeServer, registered: None) -> None:
    class Half(HTTPProvider):
        def render(self, call: Call) -> dict[str, Any]:
            return {}

    class Odd(Chatting):
        dialect = "mine"  # type: ignore[assignment]

    wrong: list[tuple[Any, str]] = [
        (3, "is no provider"),
        ("openai", "is no provider"),
        (dict, "is no provider"),
        (Half, "does not say how it does: decoder"),
        (Odd, r"\.dialect is"),
        (Dialect("mine"), "does not say which SDK speaks to it"),
        (Chatting(ProviderConfig("mine", base_url=server.url)), "LLMRing.register_provider"),
    ]
    for it, said in wrong:
        with pytest.raises(ConfigurationError, match=said):
            llmring.register("mine", it)
    service = LLMRing()
    for it, said in wrong[:-1]:
        with pytest.raises(ConfigurationError, match=said):
            service.register_provider("mine", it)
    with pytest.raises(ConfigurationError, match="api_key comes too late"):
        service.register_provider("mine", wrong[-1][0], api_key=KEY)
    with pytest.raises(ConfigurationError, match="takes text"):
        service.register_provider("mine", dialect(server), api_key=3)  # type: ignore[arg-type]
    assert "mine" not in llmring.providers.kinds.names()


def test_of_threads_that_register_a_name_one_does(server: PracticeServer, registered: None) -> None:
    done: list[str] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        try:
            llmring.register("mine", dialect(server, f"d{number}"))
            done.append("registered")
        except ConfigurationError as error:
            done.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done.count("registered") == 1
    assert sum("'mine' cannot be registered" in it for it in done) == 7


async def test_many_first_requests_make_one(server: PracticeServer, registered: None) -> None:
    count: list[str] = []

    def make(config: ProviderConfig) -> Provider:
        count.append(config.name)
        return Chatting(config)

    make.dialect = Dialect("mine", base_url=f"{server.url}/v1", key_variables=["MINE_KEY"])  # type: ignore[attr-defined]
    llmring.register("mine", make)
    async with LLMRing() as service:
        await asyncio.gather(*(service.chat(ask("mine:m")) for _ in range(5)))
    assert count == ["mine"]


async def test_its_words_for_parameters_are_its_own(server: PracticeServer, registered: None) -> None:
    llmring.register("mine", dialect(server, parameters={"temperature": ["heat"]}))
    llmring.register("mine-2", dialect(server, "mine-2"))
    async with LLMRing(max_retries=0) as service:
        for name, refused in (("mine", "temperature"), ("mine-2", None)):
            server.reply(Reply(status=400, error="Too much heat"))
            with pytest.raises(ProviderResponseError) as found:
                await service.chat(ask(f"{name}:m", temperature=2.0))
            assert found.value.parameter == refused
        server.reply(Reply(status=401, error=f"This key is none: {KEY}"))
        with pytest.raises(ProviderAuthenticationError, match="Check MINE_KEY") as wrong:
            await service.chat(ask("mine:m"))
        assert KEY not in str(wrong.value)
        assert KEY not in repr(wrong.value.original)


async def test_a_status_that_its_word_stands_for(server: PracticeServer, registered: None) -> None:
    """An error inside a stream has no status of its own."""
    said = 'data: {"error": {"message": "We are out.", "type": "at_lunch"}}\n\n'
    llmring.register("mine", dialect(server, statuses={"at_lunch": 429}))
    llmring.register("mine-2", dialect(server, "mine-2"))
    async with LLMRing(max_retries=0) as service:
        server.reply(Reply(body=said.encode(), content_type="text/event-stream"))
        with pytest.raises(ProviderRateLimitError):
            await service.chat_stream(ask("mine:m")).final_response()
        server.reply(Reply(body=said.encode(), content_type="text/event-stream"))
        with pytest.raises(ProviderResponseError):
            await service.chat_stream(ask("mine-2:m")).final_response()


async def test_which_api_it_speaks_at_home(server: PracticeServer, registered: None) -> None:
    """Elsewhere it is Chat Completions, as with a vendor's own."""
    llmring.register("mine", dialect(server, api="responses"))
    async with LLMRing() as service:
        await service.chat(ask("mine:m"))
        assert server.requests[-1].wire == "openai-responses"
    bind({}, f'[providers.mine]\napi = "chat"\nbase_url = "{server.url}/v1"\n')
    async with LLMRing() as service:
        await service.chat(ask("mine:m"))
        assert server.requests[-1].wire == "openai-chat"


async def test_where_it_has_no_key_or_no_address(server: PracticeServer, registered: None, bare: Any) -> None:
    class Nowhere(Chatting): ...

    async with LLMRing() as service:
        service.register_provider("keyless", dialect(server, "keyless", key_variables=["NOBODY_SETS_IT"]))
        service.register_provider("nowhere", Nowhere)
        service.register_provider("lost", Dialect("lost", sdk="openai"))
        with pytest.raises(ProviderNotFoundError, match="no key for keyless"):
            await service.chat(ask("keyless:m"))
        with pytest.raises(ProviderNotFoundError, match="nowhere has no address"):
            await service.chat(ask("nowhere:m"))
        with pytest.raises(ProviderNotFoundError, match=r"no address for lost. Set base_url in \[providers.lost\]"):
            await service.chat(ask("lost:m"))
