"""From what went wrong underneath to the error that the caller gets, with what to do about it."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from typing import Any

from ..addresses import host_of, is_this_machine, shown
from ..dialects import PARAMETERS, Dialect
from ..exceptions import (
    ContextLengthError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from ..references import word
from ..vendors import BUILT_IN, VENDORS
from ..wire.errors import Meaning, WireError, cut, meaning_of
from .environment import Proxies, by_way_of, trusting, wanting_password

__all__ = [
    "CHECK_THAT_IT_RUNS",
    "Refused",
    "below",
    "error_of_answer",
    "error_of_network",
    "error_of_redirect",
    "kind_of",
]

CHECK_THAT_IT_RUNS = "Check that it runs and that its address is right."
"""What an error ends in where nobody listens at an address, and no proxy is on the way."""

# No gap in an expression is without a bound: what is looked through is a stranger's.
_NUMBER = r"\d{1,9}(?:\.\d{1,12})?"
_UNIT = r"(?:ms|s|m|h|milliseconds?|sec(?:ond)?s?|min(?:ute)?s?|hours?)"
_SHOWN = 1500, 300
"""Bytes of a server's words that a message shows, of their beginning and of their end."""
_LOOKED_AT = 4096
"""Characters of them, at either end, in which something is looked for."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""What steers a terminal, ends a line of a log, or turns the direction of writing."""
_WAIT = re.compile(
    rf"(?:try again|retry)\D{{0,20}}?((?:{_NUMBER}\s{{0,2}}{_UNIT}\s{{0,2}}){{1,4}})(?!\w)", re.IGNORECASE
)
_SPAN = re.compile(rf"(?<![\d.])({_NUMBER})\s{{0,2}}(ms|milli|s|m|h)", re.IGNORECASE)
_LONGEST_SPAN = 64
_SECONDS = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

_TIMEOUTS = {"TimeoutException", "TimeoutError", "APITimeoutError"}
_BROKEN = {"TransportError", "NetworkError", "HTTPError", "APIConnectionError", "OSError", "StreamError", "EndOfStream"}
# What goes wrong where there is a proxy, and nothing was heard yet of the provider itself.
_OF_THE_PROXY = {"ProxyError", "ConnectError", "ConnectionRefusedError"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# A path into the conversation: what is wrong there is no parameter, whatever words follow.
_CONVERSATION = re.compile(r"(?<![\w.])(messages|contents|input)(\.|\[)\d|missing a thought_signature")


class Refused(Exception):
    """An answer that is not a good one, as it came; its cause is what the SDK makes of it.

    Attributes:
        status, headers: of the answer.
        body: all that came of it; where it broke off before anything came, its status line.
        target, why: where it redirects to, and why that was not followed; `None` where it does not.
    """

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes, target: str | None = None, why: str | None = None
    ) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body
        self.target, self.why = target, why


def error_of_answer(
    failure: WireError,
    *,
    provider: str,
    model: str,
    key_source: str,
    headers: Mapping[str, str] | None = None,
    sent: frozenset[str] = frozenset(),
    extra: Iterable[str] = (),
    original: BaseException | None = None,
    address: str | None = None,
    own: Dialect | None = None,
    row: Dialect | None = None,
) -> ProviderError:
    """The error for an answer that is not a good one, by status or in the stream, with the wait that it names.

    Args:
        failure: what the vendor said.
        provider, model: who said it.
        key_source: where the key came from, for advice (`"ANTHROPIC_API_KEY"`).
        headers: of the answer, with names in lower case or a mapping that ignores case.
        sent: the fields of the request that were set, to name the one that was refused.
        extra: the caller's own parameters, for the same end.
        original: the SDK's exception.
        address: where the provider is.
        own: what is known of the provider, where that is not built in.
        row: the same, wherever it is from.
    """
    headers = headers or {}
    status, means = failure.status, meaning_of(failure, own)
    words = _sentence(failure.message)
    where = f"{provider}:{model}"
    http = f" (HTTP {status})" if status else ""
    wait = _retry_after(headers, failure)
    soon = f"Try again in {round(wait, 1):g} s." if wait is not None else "Try again later."
    kind: type[ProviderError] = ProviderResponseError
    no_credit = status == 402 or means == "no_credit"
    parameter = None
    if no_credit:
        kind = ProviderRateLimitError if status == 429 else ProviderResponseError
        said = f"The account at {provider} has no credit left for {where}{http}: {words} "
        said += "Add credit, or bind another provider's model."
    elif _is_of_model(failure, means):
        kind = ModelNotFoundError
        said = f"{provider} knows no model {model!r}{http}: {words} {_to_have(model, row, address)}"
    elif status in (401, 403) or (status == 400 and means == "bad_key"):
        kind = ProviderAuthenticationError
        said = f"{provider} refused the key for {where}{http}: {words} Check {key_source}."
    elif status == 407:
        kind = ProviderConnectionError
        said = f"{where} was not reached{http}: {wanting_password(address)}"
    elif means == "too_long":
        kind = ContextLengthError
        said = f"The input does not fit the context window of {where}{http}: {words} "
        said += "Send less, or bind a model with a larger window."
    elif status == 429:
        kind = ProviderRateLimitError
        said = f"{where} takes no more requests for now{http}: {words} {soon}"
    elif status == 404:
        said = f"{provider} has nothing at the address asked for {where}{http}: {words} Check its base URL."
    elif means == "filtered":
        said = f"The filter of {where} refused what was said{http}: {words} Say it otherwise, or have the alias move "
        said += 'on to its next model: move_on = ["content_filter"].'
    elif parameter := _refused(failure, sent, extra, own) if status in (400, 422) else None:
        said = f"{where} refused the parameter {parameter!r}{http}: {words} "
        said += f"Leave {parameter!r} out of the request and of the alias's params, or choose another model."
    else:
        broke = status is not None and status >= 500
        verb = "failed" if broke else "did not take the request" if status else "sent"
        advice = "" if not broke else f" {soon}" if wait is not None else " Try again."
        said = f"{where} {verb}{http}: {words}{advice}"
    raised = kind(
        said,
        provider=provider,
        model=model,
        status_code=status,
        request_id=headers.get("request-id") or headers.get("x-request-id"),
        original=original,
    )
    if isinstance(raised, ProviderResponseError):
        raised.parameter = parameter
        raised.filtered = means == "filtered"
    raised.out_of_credit = no_credit
    raised.retry_after = wait
    raised.by_header = any(headers.get(name) for name, _ in _WAITS)
    return raised


def _is_of_model(failure: WireError, means: Meaning | None) -> bool:
    """Whether it is the model that is unknown, retired or unavailable, and not an address that has nothing."""
    status = failure.status
    if status == 410 or (means == "no_model" and status not in (401, 429)):
        return True
    if failure.param == "model" and status in (400, 404, 422):
        return True
    return status == 404 and failure.enveloped and means not in ("too_long", "no_route") and not _is_bare(failure)


def _is_bare(failure: WireError) -> bool:
    """What a server says of an address that it does not have."""
    return failure.message[:_LOOKED_AT].strip(" \n.!").lower() == "not found"


def error_of_redirect(refused: Refused, provider: str, model: str, own: Dialect | None = None) -> ProviderResponseError:
    """The error for a redirect that is not followed: it leads elsewhere, or would make a GET of the POST."""
    row = own or BUILT_IN.get(provider)
    setting = " or ".join([f"base_url in [providers.{provider}]", *(row.address_variables if row else ())])
    return ProviderResponseError(
        f"{provider}:{model} was not asked (HTTP {refused.status}): its address redirects to "
        f"{_sentence(shown(refused.target))} That is not followed: {refused.why}. "
        f"If it is right, set it: {setting}.",
        provider=provider,
        model=model,
        status_code=refused.status,
        original=refused.__cause__,
    )


def kind_of(error: BaseException) -> type[ProviderError]:
    """What an exception of an SDK, or of the network, comes to: no answer in time, no connection, or something else."""
    names = _class_names(error)
    if names & _TIMEOUTS:
        return ProviderTimeoutError
    return ProviderConnectionError if names & _BROKEN else ProviderResponseError


def error_of_network(
    error: BaseException,
    *,
    provider: str,
    model: str | None,
    timeout: float | None,
    address: str | None = None,
    row: Dialect | None = None,
) -> ProviderError:
    """The error for a connection that failed; of a listing it is asked for no model. `row` is what is known of it."""
    kind, names = kind_of(error), _class_names(error)
    where = f"{provider}:{model}" if model is not None else provider
    waited = f" for {timeout:g} s" if timeout is not None else ""
    at = f" at {shown(address)}" if address else ""
    reason = _sentence(str(error.__cause__ or error).strip() or type(error.__cause__ or error).__name__)
    asked = "PoolTimeout" not in names
    proxy = Proxies().of(address) if address else None
    by_way = by_way_of(address)
    if not asked:
        message = f"All connections to {provider} were busy{waited}, so {where} was not asked. Raise `max_connections`."
    elif kind is ProviderTimeoutError:
        message = f"{where} kept silent{waited}. Raise `timeout`.{by_way}"
    elif any(isinstance(it, ssl.SSLCertVerificationError) for it in below(error)):
        message = f"{where} cannot be trusted{at}: {reason} {trusting()}{by_way}"
    elif "407" in reason and "ProxyError" in names:
        message = f"{where} cannot be reached{at}: {wanting_password(address)}"
    elif proxy is not None and names & _OF_THE_PROXY:
        message = (
            f"{where} cannot be reached{at}: it is asked by way of {proxy.said}, and that fails: {reason} "
            f"Check that the proxy runs and speaks {proxy.kind}, or correct {proxy.variable}, or put the host into "
            "NO_PROXY."
        )
    elif names & {"ConnectError", "ConnectionRefusedError"}:
        message = f"{where} cannot be reached{at}: {reason} {_to_start(row, address)}{CHECK_THAT_IT_RUNS}"
    elif kind is ProviderConnectionError:
        message = f"The connection to {where} broke{at}: {reason} Try again.{by_way}"
    else:
        message = f"The request to {where} failed underneath: {type(error).__name__}: {reason}"
    raised = kind(message, provider=provider, model=model, original=error)
    raised.asked = asked
    return raised


def _to_have(model: str, row: Dialect | None, address: str | None) -> str:
    """What to do about a model that is not there: a server of one's own fetches it on command."""
    if row is None or not row.fetch or not _is_own(row, address):
        return "Check the name, and what your key may use."
    return f"To get it: {row.fetch} {word(model, 'MODEL')}. If it is there already, check the name."


def _to_start(row: Dialect | None, address: str | None) -> str:
    """The command that starts a server of one's own, to be gone on from; empty where there is none."""
    if row is None or not row.start or not _is_own(row, address):
        return ""
    there = "" if address is None or is_this_machine(address) else " there"
    return f"To start it{there}: {row.start}. "


def _is_own(row: Dialect, address: str | None) -> bool:
    """Whether a server is one's own, and not the vendor's."""
    return address is None or host_of(address) not in (row.cloud, *row.hosts)


def below(error: BaseException) -> Iterator[BaseException]:
    """An exception, and what it came of."""
    below: BaseException | None = error
    for _ in range(10):
        if below is not None:
            yield below
            below = below.__cause__ or below.__context__


def _class_names(error: BaseException) -> set[str]:
    """By names, as the SDKs ride httpx and httpx2 alike."""
    return {cls.__name__ for each in (error, error.__cause__) if each is not None for cls in type(each).__mro__}


def _sentence(words: str) -> str:
    """What others said, to be gone on from, in one line: they may steer no terminal, and write no line of a log.

    A surrogate by itself is valid JSON, but cannot be printed.
    """
    encoded = words.encode(errors="replace")
    if len(encoded) > sum(_SHOWN):
        head, tail = _SHOWN
        encoded = encoded[:head] + " … ".encode() + encoded[-tail:]
    said = _CONTROL.sub(" ", encoded.decode(errors="ignore"))
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _retry_after(headers: Mapping[str, str], failure: WireError) -> float | None:
    """Seconds to wait: `retry-after-ms`, `Retry-After` in seconds or as a date, Google's RetryInfo, or the text."""
    for name, read in _WAITS:
        with suppress(KeyError, ValueError, TypeError, OverflowError):
            return _finite(read(headers[name], headers))
    if isinstance(failure.retry_after, int | float) and not isinstance(failure.retry_after, bool):
        return _finite(failure.retry_after)
    for detail in failure.details if isinstance(failure.details, list) else ():
        if isinstance(detail, dict) and isinstance(delay := detail.get("retryDelay"), str):
            return _span(delay[:_LONGEST_SPAN])
    found = _WAIT.search(_ends(failure.message))
    return _span(found[1]) if found else None


_WAITS: tuple[tuple[str, Callable[[str, Mapping[str, str]], float]], ...] = (
    ("retry-after-ms", lambda value, headers: float(value) / 1000),
    ("retry-after", lambda value, headers: float(value)),
    ("retry-after", lambda value, headers: parsedate_to_datetime(value).timestamp() - _now(headers)),
)


def _now(headers: Mapping[str, str]) -> float:
    """The time by the server's own clock, as far as it says it."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return time()


def _finite(seconds: float) -> float | None:
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _span(text: str) -> float | None:
    """`"6m0.5s"` in seconds."""
    parts = _SPAN.findall(text)
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts) if parts else None


@lru_cache(maxsize=16)
def _names(own: Dialect | None) -> Mapping[str, tuple[str, ...]]:
    """The vendors' words for each parameter, in snake case, with those of one that is not built in."""
    tables = [it.parameters for it in (*VENDORS.values(), *filter(None, [own]))]
    return {name: (name, *(word for table in tables for word in table.get(name, ()))) for name in PARAMETERS}


def _refused(failure: WireError, sent: frozenset[str], extra: Iterable[str], own: Dialect | None) -> str | None:
    """Which of the parameters that were set the vendor's words name, the first of them where it names several."""
    fields = " ".join([failure.param or "", *_violated(failure.details)])
    words = _snake(_ends(f"{fields} {failure.message}"))
    if _CONVERSATION.search(words):
        return None
    named: dict[str, tuple[int, int]] = {}
    for parameter in dict.fromkeys((*(it for it in PARAMETERS if it in sent), *extra)):
        names = _names(own).get(parameter, (parameter,))
        found = (re.search(rf"(?<!\w){re.escape(_snake(name))}(?!\w)", words) for name in names)
        # The first, and of those the one that says it most closely.
        if places := [(match.start(), -len(match[0])) for match in found if match]:
            named[parameter] = min(places)
    return min(named, key=lambda parameter: named[parameter]) if named else None


def _ends(words: str) -> str:
    return cut(words, _LOOKED_AT, _LOOKED_AT)


def _snake(words: str) -> str:
    return _CAMEL.sub("_", words).lower()


def _violated(details: Any) -> Iterator[str]:
    """The fields that Google's BadRequest detail names."""
    for detail in details if isinstance(details, list) else ():
        violations = detail.get("fieldViolations") if isinstance(detail, dict) else None
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and isinstance(field := violation.get("field"), str):
                yield field
