"""Tools told in the prompt, and calls read out of an answer's text, on any wire whose models write them there."""

from __future__ import annotations

from ..schemas import LLMRequest, Message
from ..tool_dialects import BrokenCall, Call, Event, Text, ToolDialect, ToolReader, told
from .calls import ToolCalls
from .errors import CannotCarry, WireError
from .turns import digest_of, is_forced, json_instruction, kept_of, schema_instruction, unchanged, without_custom_tools

__all__ = ["ToldCalls", "reader_of", "request_in_words"]


def reader_of(request: LLMRequest, dialect: ToolDialect | None) -> ToolReader | None:
    """What reads calls out of the text of an answer; `None` where there are none to be read."""
    if dialect is None or not request.tools or request.tool_choice == "none":
        return None
    return dialect.reader(without_custom_tools(request).tools or ())


def request_in_words(request: LLMRequest, dialect: ToolDialect, wire: str = "", issuer: str = "") -> LLMRequest:
    """The request with its tools, calls and results as text. Where tools may be called, so is the answer's form.

    What a turn's issuer wants back with it goes on with the turn, but for what is of its calls.

    Args:
        request: what to ask.
        dialect: in which to say it.
        wire: the name under which the wire keeps what goes back; empty where it keeps nothing.
        issuer: who is asked.

    Raises:
        CannotCarry: a tool is the provider's own.
    """
    request = without_custom_tools(request)
    if own := next((tool for tool in request.tools or () if tool.get("type") != "function"), None):
        raise CannotCarry(f"a prompt tells of functions, not of a provider's own tool ({own.get('type')!r})")
    worded = told(request, dialect)
    turns = iter(worded.messages)
    for message in request.messages:
        if message.role != "assistant":
            continue
        turn = next(it for it in turns if it.role == "assistant")
        if wire and message.tool_calls and message.metadata:
            kept = unchanged(message, kept_of(message, wire, issuer)) or {}
            kept = {key: value for key, value in kept.items() if key not in ("extras", "customs")}
            kept["digest"] = digest_of(len(turn.content or ""), ())
            turn.metadata = {**message.metadata, wire: kept}
    if not request.tools or request.tool_choice == "none" or not request.response_format:
        return worded
    worded.response_format = None
    if not is_forced(request):
        form, first = schema_instruction(request) or json_instruction(request), worded.messages[0]
        if first.role == "system" and isinstance(first.content, str):
            worded.messages[0] = first.model_copy(update={"content": f"{first.content}\n\n{form}"})
        else:  # The dialect says nothing of these tools.
            worded.messages.insert(0, Message(role="system", content=form))
    return worded


class ToldCalls:
    """Takes the calls out of the text of one answer.

    Args:
        reader: what tells them from the text.
        calls: those of the answer, to which they are added.
    """

    def __init__(self, reader: ToolReader, calls: ToolCalls) -> None:
        self._reader = reader
        self._calls = calls
        self._broken: BrokenCall | None = None
        self._lost = 0
        self._doubtful = False

    @property
    def held(self) -> str:
        """Text that may turn out to be a call."""
        return self._reader.held

    def take(self, said: str, lost: int) -> str:
        """What of a piece, and of what was held back before it, is text.

        Args:
            said: the piece.
            lost: how many events of the answer could not be read by now.
        """
        if lost != self._lost:
            # A piece of the call that is under way may be missing.
            self._lost, self._doubtful = lost, bool(self._reader.held)
        return self._sort(self._reader.feed(said))

    def end(self, said: str, lost: int, *, cut: bool) -> str:
        """The same of the last piece.

        Args:
            said, lost: as for `take`.
            cut: the answer was cut off at its token limit.

        Raises:
            WireError: what was meant for a call is none.
        """
        text = self.take(said, lost) + self._sort(self._reader.close())
        if (broken := self._broken) is None:
            return text
        called = f"called {broken.name!r}" if broken.name else "made a call"
        if cut and broken.cut:
            raise WireError(f"the model {called}, and was cut off at max_tokens: {broken.written}. Raise max_tokens")
        raise WireError(f"the model {called}, but {broken.reason}: {broken.written}")

    def _sort(self, events: list[Event]) -> str:
        text = []
        for event in events:
            if isinstance(event, Text):
                text.append(event.text)
                self._doubtful = False
            elif isinstance(event, Call) and not self._doubtful:
                self._calls.start(("told", len(self._calls)), event.name, event.id, event.arguments)
            elif isinstance(event, Call):
                self._calls.lose_call()
            else:
                self._broken = self._broken or event
        return "".join(text)
