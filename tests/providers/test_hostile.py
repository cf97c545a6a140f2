"""Servers that mean harm, or are only broken: TLS that cannot be trusted or is cut, and HTTP that is none."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llmring import LLMRequest, LLMResponse, LLMRing, Message
from llmring.exceptions import ProviderConnectionError, ProviderError, ProviderTimeoutError

from ..conftest import WAYS, Way
from ..wire.streams import EXAMPLES
from .test_network import listening, request_of

BASES = {"openai-chat": "/v1", "openai-responses": "/v1"}
DAY = datetime.timedelta(days=1)
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.wire)
both = pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])


@dataclass(frozen=True)
class Certificates:
    """An authority, and certificates of its.

    Attributes:
        authority: its file, to be trusted.
        folder: where those of servers are, each with its key, by what they are good for.
    """

    authority: Path
    folder: Path

    def context(self, kind: str) -> ssl.SSLContext:
        """What a server with this certificate speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{kind}.pem")
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.datetime.now(datetime.UTC)
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "practice authority")])

    def write(name: str, *, host: str = "localhost", days: int = 1, own: bool = False) -> None:
        key = authority if name == "authority" else ec.generate_private_key(ec.SECP256R1())
        subject = issuer if name == "authority" else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        alternative = [
            x509.DNSName(host),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1" if host == "localhost" else "192.0.2.1")),
        ]
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if own else issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
            .add_extension(x509.BasicConstraints(ca=name == "authority", path_length=None), critical=True)
            # Python 3.13 takes none without.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key((key if own else authority).public_key()),
                critical=False,
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=name == "authority",
                    crl_sign=name == "authority",
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(key if own else authority, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)

    write("authority")
    write("good")
    write("expired", days=-1)
    write("wrong host", host="elsewhere.example")
    write("self-signed", own=True)
    return Certificates(folder / "authority.pem", folder)


def body_of(way: Way, streamed: bool) -> tuple[bytes, str]:
    """A good answer, and its text."""
    example = next(it for it in EXAMPLES if it.wire == way.wire and it.answer and it.content and not it.calls)
    return example.data if streamed else json.dumps(example.answer).encode(), example.content


def head_of(way: Way, streamed: bool) -> bytes:
    kind = (
        "application/json" if not streamed else "text/event-stream" if way.wire != "ollama" else "application/x-ndjson"
    )
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n".encode()


@asynccontextmanager
async def sending(
    way: Way, folder: Path, pieces: Callable[[], AsyncIterator[bytes]], context: ssl.SSLContext | None = None
) -> AsyncIterator[list[int]]:
    """A server that answers each request with these bytes and goes, and a lockfile that leads to it.

    Gives the numbers of bytes that were asked, request by request.
    """
    asked: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(len(await request_of(reader)))
        async for piece in pieces():
            writer.write(piece)
            await writer.drain()

    async with listening(serve, context) as port:
        scheme = "http" if context is None else "https"
        api = (
            'api = "responses"\n'
            if way.wire == "openai-responses"
            else 'api = "chat"\n'
            if "openai" in way.wire
            else ""
        )
        (folder / "llmring.lock").write_text(
            'version = "1.0"\n[profiles.default]\nname = "default"\n'
            f'[providers.{way.provider}]\nbase_url = "{scheme}://localhost:{port}{BASES.get(way.wire, "")}"\n{api}'
        )
        yield asked


async def ask(service: LLMRing, way: Way, streamed: bool) -> LLMResponse:
    request = LLMRequest(model=way.model, messages=[Message(role="user", content="Hi")], max_tokens=99)
    return await (service.chat_stream(request).final_response() if streamed else service.chat(request))


# TLS


@ways
@both
@pytest.mark.parametrize("kind", ["expired", "wrong host", "self-signed", "unknown authority"])
async def test_a_certificate_that_cannot_be_trusted(
    way: Way, streamed: bool, kind: str, certificates: Certificates, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind != "unknown authority":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))

    async def answer() -> AsyncIterator[bytes]:
        yield head_of(way, streamed) + b"\r\n" + body_of(way, streamed)[0]

    context = certificates.context("good" if kind == "unknown authority" else kind)
    async with sending(way, bare, answer, context) as asked, LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderConnectionError, match=r"(?i)certificate") as raised:
            await ask(service, way, streamed)
    assert asked == [], "a server that is not trusted was asked"
    assert "practice-key" not in str(raised.value)


@ways
@both
@pytest.mark.parametrize("framing", ["chunked", "until it closes"])
async def test_tls_that_is_cut_without_a_farewell(
    way: Way, streamed: bool, framing: str, certificates: Certificates, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TCP's end without TLS's: whoever sits between can make it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    body, _ = body_of(way, streamed)
    part = body[: len(body) // 2]

    async def answer() -> AsyncIterator[bytes]:
        if framing == "chunked":
            yield head_of(way, streamed) + b"transfer-encoding: chunked\r\n\r\n" + f"{len(part):x}\r\n".encode() + part
        else:
            yield head_of(way, streamed) + b"connection: close\r\n\r\n" + part

    async with sending(way, bare, answer, certificates.context("good")), LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderConnectionError):
            await ask(service, way, streamed)


@ways
@both
async def test_good_tls(
    way: Way, streamed: bool, certificates: Certificates, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    body, text = body_of(way, streamed)

    async def answer() -> AsyncIterator[bytes]:
        yield head_of(way, streamed) + f"content-length: {len(body)}\r\n\r\n".encode() + body

    async with sending(way, bare, answer, certificates.context("good")), LLMRing(max_retries=0) as service:
        assert (await ask(service, way, streamed)).content == text


# HTTP that is none, or means harm

OK = b"HTTP/1.1 200 OK\r\n"
HOSTILE: dict[str, bytes] = {
    "no HTTP": b"\x00\xff" * 5000,
    "TLS where none was asked for": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 300,
    "nothing but a status": OK,
    "a header without a name": OK + b": x\r\n\r\n",
    "a header of 1 MB": OK + b"x: " + b"a" * 2**20 + b"\r\n\r\n",
    "headers without end": OK + b"x: a\r\n" * 200_000,
    "a NUL in a header": OK + b"x: a\x00b\r\n\r\n",
    "a negative length": OK + b"content-length: -5\r\n\r\nhello",
    "two lengths": OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "a length of a hundred digits": OK + b"content-length: " + b"9" * 100 + b"\r\n\r\nhello",
    "a chunk whose size is no number": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "a chunk of a hundred digits": OK + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\nhello",
    "a chunk's comment of 1 MB": OK
    + b"transfer-encoding: chunked\r\n\r\n5;"
    + b"a" * 2**20
    + b"\r\nhello\r\n0\r\n\r\n",
    "a status of no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of 999": b"HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\n{}",
    "a status of 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\nhello",
    "many hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000,
    "another coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two redirects to each other": b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n",
    "a redirect to nowhere": b"HTTP/1.1 307 Temporary Redirect\r\nlocation: \xff\xfe\r\ncontent-length: 0\r\n\r\n",
    "a redirect to a file": b"HTTP/1.1 308 Moved\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n",
}


@ways
@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_no_answer_is_an_error_of_ours(way: Way, name: str, bare: Path) -> None:
    """In time, with the provider named, without a key in it, and without a word of an HTTP library's class."""

    async def answer() -> AsyncIterator[bytes]:
        yield HOSTILE[name]

    async with sending(way, bare, answer) as asked, LLMRing(max_retries=0, timeout=20) as service:
        for streamed in (True, False):
            with pytest.raises(ProviderError) as raised:
                await ask(service, way, streamed)
            assert not isinstance(raised.value, ProviderTimeoutError)
            assert raised.value.provider == way.provider
            assert "practice-key" not in f"{raised.value!r}{raised.value.original!r}"
            assert len(str(raised.value)) < 4096
    assert asked


@ways
async def test_hints_without_end_end_with_the_timeout(way: Way, bare: Path) -> None:
    async def answer() -> AsyncIterator[bytes]:
        while True:
            yield b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100

    async with sending(way, bare, answer), LLMRing(max_retries=0, timeout=0.5) as service:
        for streamed in (True, False):
            with pytest.raises(ProviderError):
                await ask(service, way, streamed)
