"""What leaves the library holds no key: what stays of an exception, and of what it came of."""

from __future__ import annotations

import gzip
import traceback
from types import ModuleType
from typing import Any, TypeVar

import httpx
import httpx2
import pytest

from llmring import concealment
from llmring.exceptions import ProviderConnectionError, ProviderError

SECRET = "canary-1234567890"
STRANGERS = [
    "openai", "anthropic", "google", "ollama", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "h2", "anyio", "ssl",
]  # fmt: skip
Error = TypeVar("Error", bound=Exception)
OURS = ["llmring.providers.posting", "llmring.wire.gemini", "llmring.credentials", "llmring.lockfile.parsing"]


def exception_of(module: str, base: type[Exception] = Exception) -> Exception:
    kind: type[Exception] = type("Failure", (base,), {"__module__": module})
    return kind(SECRET)


def raised(error: Error, *, cause: BaseException | None = None, context: BaseException | None = None) -> Error:
    error.__context__ = context
    if cause is not None:
        error.__cause__ = cause
    return error


@pytest.mark.parametrize("module", [*STRANGERS, *(f"{it}.errors._own" for it in STRANGERS), *OURS])
def test_what_an_sdk_or_a_module_with_keys_raised_does_not_stay_below_an_exception(module: str) -> None:
    error = raised(ValueError("no"), cause=exception_of(module), context=exception_of(module))
    assert concealment.bare(error) is error
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("module", ["builtins", "json.decoder", "openaire", "sslib", "llmring.exceptions", "program"])
def test_what_anybody_else_raised_stays_below_it(module: str) -> None:
    cause, context = exception_of(module), exception_of(module)
    deep = raised(exception_of(module), cause=exception_of("httpx"))
    error = raised(ValueError("no"), cause=raised(cause, context=deep), context=context)
    concealment.bare(error)
    assert error.__cause__ is cause
    assert cause.__context__ is deep
    assert deep.__cause__ is None, "however deep it lies"
    assert error.__context__ is None, "nobody is shown it"
    other = raised(ValueError("no"), context=context)
    concealment.bare(other)
    assert other.__context__ is context


def test_an_error_of_ours_says_in_its_original_what_it_came_of() -> None:
    original = raised(KeyError("a"), cause=exception_of("anthropic"))
    error = raised(ProviderError("no", original=original), cause=KeyError("b"), context=KeyError("c"))
    concealment.bare(error)
    assert error.__cause__ is error.__context__ is None
    assert error.original is original
    assert original.__cause__ is None


def test_each_of_several_is_bare() -> None:
    inner = [raised(ValueError(str(number)), cause=exception_of("h11")) for number in range(2)]
    group = ExceptionGroup("several", inner)
    concealment.bare(group)
    assert [it.__cause__ for it in inner] == [None, None]
    attempt = raised(ProviderConnectionError("first"), cause=KeyError("a"))
    error = ProviderConnectionError("last")
    error.attempts = [attempt]
    concealment.bare(error)
    assert attempt.__cause__ is None


def test_exceptions_that_hold_one_another_come_to_an_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert concealment.bare(first) is first


def frames(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def test_a_traceback_ends_where_it_enters_a_module_with_keys() -> None:
    module = ModuleType("llmring.providers.posting")
    exec("def post(then):\n    key = 'k'\n    then()\n", vars(module))

    def fail() -> None:
        raise ValueError("no")

    def ask() -> None:
        module.post(fail)

    with pytest.raises(ValueError, match="no") as caught:
        ask()
    assert frames(caught.value)[-3:] == ["ask", "post", "fail"]
    assert frames(concealment.bare(caught.value))[-1:] == ["ask"]
    with pytest.raises(ValueError, match="no") as below:
        fail()
    assert frames(concealment.bare(below.value))[-1:] == ["fail"], "what enters none is whole"
    with pytest.raises(ValueError, match="no") as within:
        module.post(fail)
    error = within.value
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next
    assert concealment.bare(error).__traceback__ is None, "what begins in one is nothing"


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        ("12345678", "a 12345678, and 12345678", "a [key], and [key]"),
        ("1234567", "a 1234567", "a 1234567"),
        ("", "a", "a"),
    ],
)
def test_what_is_short_is_no_secret(secret: str, text: str, expected: str) -> None:
    assert concealment.without([secret], text) == expected


PRIVATE = {"authorization": "Bearer x", "x-api-key": SECRET, "cookie": "a=b", "x-own": "1", "accept-language": "de"}
PUBLIC = {
    "accept": "a/b", "accept-encoding": "gzip", "connection": "close", "content-type": "a/b", "content-length": "3",
    "host": "proxied", "user-agent": "u",
}  # fmt: skip


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_copy_of_an_exception_holds_what_everybody_may_see(library: Any) -> None:
    request = library.Request("POST", f"https://u:{SECRET}@h/a?key={SECRET}", headers=PUBLIC | PRIVATE, content=b"abc")
    body = f'{{"said": "{SECRET}", "why": "no"}}'.encode()
    packed = gzip.compress(body)
    coded = {"Content-Encoding": "gzip", "content-length": str(len(packed)), "transfer-encoding": "chunked"}
    answer = library.Response(
        400, headers={**coded, "Retry-After": "1", "x-echo": f"no {SECRET}"}, content=packed, request=request
    )
    error = library.HTTPStatusError(f"no {SECRET}", request=request, response=answer)
    copy: Any = concealment.copied(error, [SECRET])
    assert type(copy) is type(error)
    assert copy.args == ("no [key]",)
    assert copy.request.method == "POST"
    assert copy.request.url.host == "h"
    assert SECRET not in f"{copy.request.url!r} {copy.request.url}"
    assert dict(copy.request.headers) == PUBLIC
    assert copy.response.status_code == 400
    assert copy.response.content == body.replace(SECRET.encode(), b"[key]")
    assert dict(copy.response.headers) == {
        "retry-after": "1",
        "x-echo": "no [key]",
        "content-length": str(len(copy.response.content)),
    }
    assert dict(copy.response.request.headers) == PUBLIC
    assert copy.response.json() == {"said": "[key]", "why": "no"}
    assert error.args == (f"no {SECRET}",), "it stays as it is"
    unread = library.Response(200, stream=library.ByteStream(b"abc"))
    copy = concealment.copied(library.HTTPStatusError("no", request=request, response=unread), [])
    assert copy.response.content == b""


def test_of_what_an_exception_holds_only_plain_values_are_copied() -> None:
    error = ValueError("no", 1, 2.5, None, True, SECRET.encode(), [SECRET, {SECRET: (SECRET,)}], object())
    error.said = {"a": SECRET}  # type: ignore[attr-defined]
    error.open = object()  # type: ignore[attr-defined]
    copy = concealment.copied(error, [SECRET])
    assert copy.args == ("no", 1, 2.5, None, True, b"[key]", ["[key]", {"[key]": ["[key]"]}], None)
    assert vars(copy) == {"said": {"a": "[key]"}, "open": None}


def test_what_lies_deep_in_a_value_is_left_out() -> None:
    for wrapped in (lambda it: [it], lambda it: {"a": it}):
        value: Any = "deepest"
        for _ in range(10):
            value = wrapped(value)
        assert concealment.copied(ValueError(value), []).args == (value,)
        assert "deepest" not in repr(concealment.copied(ValueError(wrapped(value)), []))
    odd = concealment.copied(ValueError(b"\xff", {("a",): 1}), [])
    assert odd.args == ("\ufffd".encode(), {None: 1})


def test_what_an_exception_came_of_is_copied_with_it() -> None:
    error = raised(ValueError("a"), cause=raised(KeyError(SECRET), context=OSError(SECRET)))
    copy = concealment.copied(error, [SECRET])
    assert repr(copy.__cause__) == "KeyError('[key]')"
    assert copy.__cause__ is not None
    assert repr(copy.__cause__.__context__) == "OSError('[key]')"
    suppressed = raised(ValueError("a"), context=OSError(SECRET))
    suppressed.__suppress_context__ = True
    assert concealment.copied(suppressed, []).__context__ is None
    group = concealment.copied(ExceptionGroup("several", [ValueError(SECRET)]), [SECRET])
    assert isinstance(group, ExceptionGroup)
    assert repr(group.exceptions) == "(ValueError('[key]'),)"


def test_a_chain_without_an_end_is_copied_as_far_as_anybody_reads() -> None:
    for way in ("__context__", "__cause__"):
        first, second = ValueError("0"), OSError("1")
        setattr(first, way, second)
        setattr(second, way, first)
        copy: BaseException | None = concealment.copied(first, [])
        length = 0
        while copy is not None:
            copy, length = getattr(copy, way), length + 1
        assert length == 11
    chain = raised(ValueError("a"), cause=raised(ValueError("b"), cause=ValueError("c")))
    group = concealment.copied(ExceptionGroup("several", [chain]), [])
    assert isinstance(group, ExceptionGroup)
    below = group.exceptions[0].__cause__
    assert repr(below) == "ValueError('b')"
    assert below is not None
    assert below.__cause__ is None


def test_an_exception_of_pythons_own_is_made_as_python_makes_it() -> None:
    for error in (UnicodeDecodeError("utf-8", b"a", 0, 1, "no"), ConnectionRefusedError(111, "no"), KeyError("a")):
        copy = concealment.copied(error, [])
        assert type(copy) is type(error)
        assert str(copy) == str(error)


def test_a_class_that_cannot_be_made_again_is_told_of_in_words() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            return f"{self.args[0].name} {SECRET}"

    copy = concealment.copied(Odd(type("Named", (), {"name": "odd"})), [SECRET])
    assert type(copy) is Exception
    assert str(copy) == "Odd: odd [key]"


def test_what_an_error_of_ours_says_and_holds_loses_its_secrets() -> None:
    error = ProviderError(f"no {SECRET}", provider="openai", original=ValueError(SECRET))
    held: Any = error
    held.body = {"a": SECRET}
    held.other = {"a": 1}
    held.raw = SECRET.encode()
    concealment.clean(error, [SECRET])
    assert str(error) == "no [key]"
    assert error.provider == "openai"
    assert repr(error.original) == "ValueError('[key]')"
    plain = ValueError(SECRET, 1)
    concealment.clean(plain, [SECRET])
    assert plain.args == ("[key]", 1)
    assert (held.body, held.other, held.raw) == ("{'a': '[key]'}", {"a": 1}, "b'[key]'")
