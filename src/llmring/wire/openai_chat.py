"""OpenAI's Chat Completions format, which every OpenAI-compatible server speaks.

Request and events: the vendor's reference "Chat completions", and what compatible servers were seen to send:
`usage` inside a choice, arguments as an object, content as a list of parts, no finish reason at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..dialects import ChatDialect
from ..schemas import FinishReason, StreamChunk
from . import media, told_calls
from .base import MISSHAPEN, Decoder
from .calls import BuiltCall, as_json
from .chat_requests import BLOCKS, PLAIN, Kept, of_message, render_request
from .errors import WireError, read_error
from .framing import SSEFrames
from .think_tags import ThinkTags
from .values import completed, largest, name_of, table_of, text, usage_of

if TYPE_CHECKING:
    from ..tool_dialects import ToolReader

__all__ = ["ChatDecoder", "render_request"]

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",  # Z.ai
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",  # Z.ai
}
_FAILED = {"insufficient_system_resource": 503, "abort": 500}
"""Reasons of a failure, beside those that say `error`, and what they are as a status: DeepSeek's; vLLM's, SGLang's."""
_CACHE_READ = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens")
"""Beside the format's own place: DeepSeek, Moonshot, Mistral, LiteLLM."""
_BESIDE = frozenset({*BLOCKS, "extra_content", "refusal", "audio", "images", "annotations", "function_call"})
_OF_A_CALL = frozenset({"id", "index", "type", "function", "custom"})


class ChatDecoder(Decoder):
    """Chunks of a Chat Completions answer.

    Args:
        model: the `provider:model`.
        think_tags: whether `<think>` at the beginning of the text begins thinking; `None` leaves it to the dialect.
        reader: what reads calls out of the text; `None` where it holds none.
        dialect: where the server says what otherwise.
    """

    frames = SSEFrames
    end_marker = "[DONE]"

    def __init__(
        self,
        model: str,
        *,
        think_tags: bool | None = None,
        reader: ToolReader | None = None,
        dialect: ChatDialect | None = None,
    ) -> None:
        super().__init__(model)
        dialect = dialect or PLAIN
        self._thoughts = dialect.thoughts
        self._usage_at = [place.split(".") for place in dialect.usage]
        # The ids that the server itself gave to the calls, and what it told the last fragment's call by.
        self._ids: dict[Any, Any] = {}
        self._last_call: Any = None
        self._kept = Kept()
        self._length = 0
        self._counts: dict[str, Any] = {}
        self._spoken: media.Sound | None = None
        self._marks: set[tuple[Any, ...]] = set()
        tagged = dialect.think_tags if think_tags is None else think_tags
        # What reads tags out of the text, as long as there may be some; and for what stood before it.
        self._tags = self._written = ThinkTags() if tagged else None
        self._told = told_calls.ToldCalls(reader, self.calls) if reader is not None else None
        self._as_it_comes = self._tags is None and self._told is None
        # Whether deltas have brought anything: the whole message that some servers send after them says it again.
        self._streamed = False
        self._chosen = False
        self._refused = False

    @property
    def held(self) -> str:
        """Text that may turn out to be a call, or a tag."""
        held = self._told.held if self._told is not None else ""
        return held + (self._tags.undecided if self._tags is not None else "")

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole `chat.completion`."""
        chunk = self.feed(answer, "message")
        if "choices" not in answer and not self.error:
            raise KeyError("choices")
        self.service_tier = name_of(answer.get("service_tier")) or self.service_tier
        return chunk

    def end_of_bytes(self) -> list[StreamChunk]:
        """The bytes have ended: an answer that has named its reason is whole without the marker."""
        chunks = super().end_of_bytes()
        self.complete = self.complete or self.finish_reason is not None
        return chunks

    def close(self) -> StreamChunk:
        """The final chunk. Raises `WireError`, too, if there was none to close."""
        if self.error is not None:
            raise self.error
        if not self._chosen and not self._streamed:
            raise WireError("an answer in which there is none: it has no choice. Ask again")
        said, thought = self._untagged("", None, last=True)
        if self._told is not None:
            said = self._told.end(said, self.skipped_events, cut=self.finish_reason == "length")
        if (written := self._written) is not None:
            self.unclosed = written.unclosed
            self._kept.before = "" if self.unclosed else written.before
        self._length += len(said) + len(self.unclosed)
        if self._refused and self.finish_reason in (None, "stop"):
            self.finish_reason = "content_filter"
        if self._spoken is not None:
            self.gather(self._spoken.parts())
        final = super().close()
        if not self.unclosed:
            final.delta, final.reasoning = said, thought or None
        if (kept := self._kept.all(self._length, self.calls, final.tool_calls or [])) is not None:
            self.metadata |= {"openai_chat": kept, "issuer": self.issuer}
        return final

    def feed(self, event: Any, holder: str = "delta") -> StreamChunk | None:
        """Take one `chat.completion.chunk`, or what has its form and says a `message` where that has a `delta`."""
        usage = event.get("usage")
        if not usage and self._usage_at:
            usage = self._reported_elsewhere(event)
        if usage:
            self._report(usage)
        if usage or self.response_model is None:
            self.response_model = self.response_model or name_of(event.get("model"))
            self.service_tier = name_of(event.get("service_tier")) or self.service_tier
        choices = event.get("choices")
        if event.get("error") or not choices:
            self._without_choice(event)
            if not choices:
                return None
        choice = choices[0]
        if choice.get("index"):
            choice = next((other for other in choices if not other.get("index")), None)
            if choice is None:
                return None
        delta = choice.get(holder)
        reason = choice.get("finish_reason")
        if reason or choice.get("error"):
            self._finish(reason, choice, event)
        if usage := choice.get("usage"):
            self._report(usage)
        if delta and self._as_it_comes and len(delta) == 1 and (said := delta.get("content")).__class__ is str:
            # Nearly every chunk of nearly every answer.
            if not said:
                return None
            self._streamed = True
            self._length += len(said)
            return StreamChunk(said, self.model)
        self._chosen = True
        listed = holder == "message" or not delta
        if not delta:
            delta = choice.get("message") or {}
        if self._streamed and listed:
            # Its text has been said by then; its calls may come with it alone.
            delta = {} if self.calls else {"tool_calls": delta.get("tool_calls")}
        return self._message(delta, listed=listed, last=bool(reason) or holder == "message")

    def _message(self, delta: dict[str, Any], *, listed: bool, last: bool) -> StreamChunk | None:
        """Take a delta, or a whole message: what it lists is whole then, and no pieces."""
        reasoning = None
        for name in self._thoughts:
            if (piece := delta.get(name)) is not None:
                self._kept.thoughts.setdefault(name, []).append(text(piece))
                reasoning = reasoning or piece
        content: Any = delta.get("content") or ""
        calls: Any = delta.get("tool_calls")
        if not _BESIDE.isdisjoint(delta):
            content, calls = self._beside(delta, content, calls, listed=listed)
        if content.__class__ is list:
            content, thinking = self._parts_of(content, listed=listed)
            reasoning = thinking or reasoning
        if advanced := bool(calls):
            self._take_calls(calls, listed=listed)
        if content.__class__ is not str:
            raise TypeError(f"{content!r} is neither text nor a list of parts")
        if content or advanced or reasoning:
            self._streamed = self._streamed or not listed
        elif self._as_it_comes:
            return None
        if not self._as_it_comes:
            content, reasoning = self._untagged(content, reasoning, last=last or advanced)
            if self._told is not None:
                before = len(self.calls)
                content = self._told.take(content, self.skipped_events)
                advanced = advanced or len(self.calls) > before
            if not content and not reasoning and not advanced:
                return None
        self._length += len(content)
        return StreamChunk(content, self.model, reasoning or None, self.calls.snapshot() if advanced else None)

    def _beside(self, delta: dict[str, Any], content: Any, calls: Any, *, listed: bool) -> tuple[Any, Any]:
        """Take what stands beside the text and the calls, or in their place: these then."""
        for name in BLOCKS:
            for block in delta.get(name) or ():
                self._kept.block(name, block, whole=listed)
        if extra := of_message(delta.get("extra_content")):
            self._kept.field("extra_content", extra)
        if refusal := delta.get("refusal"):
            self._refused = True
            content = content or refusal
        if (audio := delta.get("audio")) and audio.__class__ is dict:
            content = content or audio.get("transcript") or ""
            self._spoken = self._spoken or media.Sound()
            self._spoken.add(audio.get("data"))
        if images := delta.get("images"):
            self._add(media.pictures_of(images))
        if (annotations := delta.get("annotations")) and annotations.__class__ is list:
            self._cite(annotations)
        if not calls and (function := delta.get("function_call")) and any(function.values()):
            calls = [{"index": 0, "function": function}]  # as it was before there were several
        return content, calls

    def _untagged(self, content: str, reasoning: str | None, *, last: bool) -> tuple[str, str | None]:
        """The text and the thinking of what the model wrote, where the server does not tell them apart."""
        if (tags := self._tags) is not None:
            content, reasoning = tags.split(content, reasoning or "", last=last)
            self._tags = None if tags.over else tags
            self._as_it_comes = self._tags is None and self._told is None
        return content, reasoning

    def _without_choice(self, event: Any) -> None:
        """An event that says no more than a failure, counts or a verdict on the prompt, or says a failure beside."""
        base = table_of(event.get("base_resp"))
        plain = event.get("message") or event.get("detail") or (event.get("code") and event.get("msg"))
        if event.get("error") or (plain and not base.get("status_code")):
            failure = read_error(event)
        elif base.get("status_code"):
            failure = WireError(str(base.get("status_msg") or base))  # MiniMax
        elif event.get("error_msg"):
            failure = WireError(str(event["error_msg"]))  # Baidu
        else:
            if any(_filtered(event.get("prompt_filter_results") or ())):  # Azure
                self._chosen, self.finish_reason = True, "content_filter"
            self._cite_sources(event)
            return
        if not event.get("choices"):
            raise failure
        self.error = failure

    def _reported_elsewhere(self, event: dict[str, Any]) -> Any:
        for keys in self._usage_at:
            found: Any = event
            for key in keys:
                found = table_of(found).get(key)
            if found:
                return found
        return None

    def _finish(self, reason: Any, choice: dict[str, Any], event: dict[str, Any]) -> None:
        """Take the reason of the end, which may be a failure, and what else stands beside it alone."""
        if reason:
            self.finish_reason = _FINISH.get(reason, "other")
        self.service_tier = name_of(event.get("service_tier")) or self.service_tier
        self._cite_sources(event)
        if self.error is not None:
            return
        if choice.get("error"):
            self.error = read_error({"error": choice["error"]})
        elif reason in _FAILED or "error" in str(reason).lower():
            words = f"the provider ended it with the reason {reason!r}, and did not say why"
            self.error = WireError(words, _FAILED.get(reason))

    def _parts_of(self, parts: list[Any], *, listed: bool) -> tuple[str, str]:
        """Text and thinking of a content list, as Mistral's reasoning models send it."""
        said, thinking, at = [], [], self._length
        for part in parts:
            kind = part["type"]
            if kind in ("text", "refusal"):
                said.append(text(part[kind]))
                at += len(said[-1])
            elif kind == "thinking":
                inner = part["thinking"]
                thought = inner if inner.__class__ is str else "".join(it.get("text") or "" for it in inner)
                self._kept.part(at, {**part, "thinking": thought}, whole=listed)
                thinking.append(thought)
            elif kind == "image_url":
                self._add(media.pictures_of([part]))
            else:
                self.leave_out(f"a part of type {kind!r}")
        return "".join(said), "".join(thinking)

    def _add(self, parts: Iterator[dict[str, Any]]) -> None:
        """Take parts that are no text; the same one is often said again at the end."""
        try:
            for part in parts:
                mark = (part["type"], *part[part["type"]].values())
                if mark not in self._marks:
                    self._marks.add(mark)
                    self.parts.append(part)
        except MISSHAPEN as error:
            # It must not cost the text beside it.
            self.leave_out(error)

    def _cite(self, annotations: list[Any]) -> None:
        files, others = list[Any](), list[Any]()
        for it in annotations:
            (files if it.__class__ is dict and it.get("type") == "file" else others).append(it)
        if files:
            # OpenRouter reads a document once, and takes what it read of it back (its docs, "PDF inputs").
            self._kept.field("annotations", files)
        self._add(media.citations_of(others))

    def _cite_sources(self, event: dict[str, Any]) -> None:
        if sources := event.get("search_results") or event.get("citations"):  # Perplexity, xAI
            self._add(media.citations_of(sources))

    def _take_calls(self, fragments: list[Any], *, listed: bool) -> None:
        for position, fragment in enumerate(fragments):
            if len(fragment) == 2 and not listed and self._goes_on(fragment):
                continue
            custom = fragment.get("custom") if fragment.get("type", "custom") == "custom" else None
            function = custom or fragment.get("function") or {}
            name, id = function.get("name"), fragment.get("id")
            arguments = function.get("input" if custom else "arguments")
            key = (None, len(self.calls)) if listed else fragment.get("index")
            if key is None:
                # What names neither an index, an id nor a function goes on with the last call.
                key = id or (position if name else self._last_call)
            self._last_call = key
            call = self.calls.known(key)
            if call is None or (name and self._is_another(key, id, name, arguments, call)):
                call = self.calls.start(key, name or "", id, arguments, arriving=not listed, custom=bool(custom))
                self._ids[key] = id
            else:
                if id and not self._ids[key]:
                    self._ids[key] = id
                    self.calls.name(call, id)
                call.name = call.name or name or ""
                if arguments.__class__ is not str:
                    if arguments:
                        self.calls.replace(key, arguments)
                elif not (name and call.whole and self.calls.says(call, arguments)):  # else it is said again
                    self.calls.extend(key, arguments)
            if not _OF_A_CALL.issuperset(fragment):
                call.extra |= {k: v for k, v in fragment.items() if k not in _OF_A_CALL and v is not None}

    def _goes_on(self, fragment: dict[str, Any]) -> bool:
        """Take a fragment that has nothing but an index and a piece of arguments, as nearly all have."""
        key, function = fragment.get("index"), fragment.get("function")
        if key is None or not function or len(function) != 1 or self.calls.known(key) is None:
            return False
        if (piece := function.get("arguments")).__class__ is not str:
            return False
        self._last_call = key
        self.calls.extend(key, piece)
        return True

    def _is_another(self, key: Any, id: Any, name: str, arguments: Any, current: BuiltCall) -> bool:
        """Whether a fragment that names a function begins a new call: some servers number them all 0."""
        if (current.name and name != current.name) or (id and id != (self._ids[key] or id)):
            return True
        if current.custom or not current.whole:
            return False
        begun = as_json(arguments).lstrip()[:1]
        return begun == "{" and not self.calls.says(current, as_json(arguments)) if id else begun in ("", "{")

    def _report(self, usage: Any) -> None:
        """Take the counts; what has another form than theirs must not cost the text beside it."""
        if not isinstance(usage, dict):
            return
        counts = self._counts = completed(self._counts, usage)
        prompt, completion = (table_of(counts.get(f"{side}_tokens_details")) for side in ("prompt", "completion"))
        counted = usage_of(
            counts.get("prompt_tokens"),
            counts.get("completion_tokens"),
            total=counts.get("total_tokens"),
            cache_read=largest(prompt.get("cached_tokens"), *map(counts.get, _CACHE_READ)),
            cache_write=largest(prompt.get("cache_write_tokens"), counts.get("cache_creation_input_tokens")),
            reasoning=largest(completion.get("reasoning_tokens"), counts.get("reasoning_tokens")),
            beyond_is_input=bool(counts.get("prompt_audio_seconds")),
        )
        self.usage = counted or self.usage
        self.service_tier = name_of(counts.get("service_tier")) or self.service_tier  # Mistral
        self.reported_total = usage.get("total_tokens")


def _filtered(results: Iterable[Any]) -> Iterator[bool]:
    for result in results:
        for verdict in (result.get("content_filter_results") or {}).values():
            yield bool(table_of(verdict).get("filtered"))
