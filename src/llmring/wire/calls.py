"""The tool calls of one answer, built from fragments."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pydantic_core import from_json, to_json

from ..schemas import ToolCall
from .errors import WireError
from .values import name_of

__all__ = ["BuiltCall", "ToolCalls", "as_json", "custom_arguments", "is_json"]


class BuiltCall:
    """One call under way.

    Attributes:
        id: unique in the answer.
        name: the function's.
        custom: what it hands over is text of any form (OpenAI's custom tools), told as `{"input": TEXT}`.
        extra: further fields that its server wants back with it.
        length: characters of its arguments that have come.
    """

    def __init__(self, id: str, name: str, custom: bool) -> None:
        self.id = id
        self.name = name
        self.custom = custom
        self.extra: dict[str, Any] = {}
        self._sealed = self._damaged = False
        self._unread: list[str] = []
        self._escaped = self._quoted = self._begun = False
        self._depth = self.length = 0

    @property
    def whole(self) -> bool:
        """Whether what has come of its arguments is an object, or a list, that is closed.

        Each piece is looked at once, however often it is asked.
        """
        for piece in self._unread:
            # What follows a backslash at the end of the piece before is no quote; two of them are none.
            rest = (("\\" if self._escaped else "") + piece).replace("\\\\", "")
            self._escaped = rest.endswith("\\")
            for place, part in enumerate(rest.replace('\\"', "").split('"')):
                self._quoted = self._quoted != (place > 0)
                if not self._quoted:
                    self._depth += part.count("{") + part.count("[") - part.count("}") - part.count("]")
                    self._begun = self._begun or bool(part.strip())
        self._unread.clear()
        return self._begun and not self._quoted and self._depth <= 0

    def _anew(self) -> None:
        """Its arguments begin anew."""
        self._unread = []
        self._escaped = self._quoted = self._begun = False
        self._depth = self.length = 0


class ToolCalls:
    """The calls of one answer, built from fragments.

    What arrives is noted, and joined when somebody looks: a snapshot for each of the many fragments of long arguments,
    or for each of thousands of calls, would make the work grow with the square of the answer.

    `key` is whatever a wire tells one call's fragments by: an index, a block, an item's id.

    Attributes:
        size: characters of arguments and names that have come.
        gap: an event was lost, which may have been a call.
    """

    def __init__(self) -> None:
        self._calls: list[BuiltCall] = []
        self._ids: set[str] = set()
        self._of_key: dict[Any, BuiltCall] = {}
        # Each piece with its call, and whether it takes the place of those before it.
        self._log: list[tuple[BuiltCall, str, bool]] = []
        self._texts: dict[BuiltCall, str] = {}
        self._joined_to = 0
        # Calls whose arguments come in fragments, of which more may come.
        self._arriving: dict[BuiltCall, None] = {}
        self._lost = self.gap = False
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._calls) or self._lost

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[BuiltCall]:
        return iter(self._calls)

    def __getitem__(self, position: int) -> BuiltCall:
        return self._calls[position]

    @property
    def extras(self) -> list[dict[str, Any]] | None:
        """What the server wants back with each call, `None` where that is nothing."""
        extras = [call.extra for call in self._calls]
        return extras if any(extras) else None

    def known(self, key: Any) -> BuiltCall | None:
        """The call that `key` stands for now."""
        return self._of_key.get(key)

    def start(
        self,
        key: Any,
        name: str,
        id: Any = None,
        arguments: Any = "",
        *,
        arriving: bool = False,
        custom: bool = False,
    ) -> BuiltCall:
        """Begin a call. Ids that are missing, or taken already, are replaced by unique ones.

        Args:
            key: tells its fragments.
            name: the function's.
            id: the server's own, if it gave one.
            arguments: all of them, or a first piece.
            arriving: more pieces may come.
            custom: it is of a custom tool, and `arguments` are its text.
        """
        if name.__class__ is not str:
            raise TypeError(f"{name!r} where a function's name was expected")
        written = as_json(arguments)
        call = BuiltCall(f"call_{os.urandom(12).hex()}", name, custom)
        self.name(call, id)
        self._of_key[key] = call
        self._calls.append(call)
        self._note(call, written, whole=True)
        if arriving:
            self._arriving[call] = None
        return call

    def name(self, call: BuiltCall, id: Any) -> None:
        """Give a call the id that its server has for it, which may come after its beginning."""
        if (given := name_of(id)) is not None and given not in self._ids:
            call.id = given
            self._ids.add(given)

    def extend(self, key: Any, fragment: Any) -> None:
        """Add a piece of a call's arguments."""
        self._note(self._of_key[key], as_json(fragment), whole=False)

    def replace(self, key: Any, arguments: Any) -> None:
        """Set a call's arguments, whole: what was lost of them before is there again."""
        call = self._of_key[key]
        self._note(call, as_json(arguments), whole=True)
        call._sealed = call._damaged = False

    def fix(self, position: int, name: str, arguments: Any) -> None:
        """Set what a call says, whole, by its place among them."""
        call = self._calls[position]
        if call.name != name or self.arguments(call) != arguments or call._damaged:
            call.name = name
            self._note(call, as_json(arguments), whole=True)
            call._sealed = call._damaged = False

    def settle(self, key: Any = None) -> None:
        """No more pieces come of this call, or of any."""
        if key is None:
            self._arriving.clear()
        elif (call := self._of_key.get(key)) is not None:
            self._arriving.pop(call, None)

    def lose(self) -> None:
        """An event was lost: calls whose arguments are under way may lack a piece of them."""
        self.gap = True
        for call in self._arriving:
            # What is whole already can have lost nothing but blanks.
            call._sealed = not call.custom and is_json(self.arguments(call))
            call._damaged = not call._sealed
        self._arriving.clear()

    def lose_call(self) -> None:
        """The beginning of a call was lost: what its function is called, nobody knows."""
        self._lost = True

    def arguments(self, call: BuiltCall) -> str:
        """A call's arguments as far as they have come; the text of a custom tool's."""
        return self._texts_at(len(self._log))[call]

    def says(self, call: BuiltCall, arguments: str) -> bool:
        """Whether these are a call's arguments as far as they have come; they are joined only where they may be."""
        return len(arguments) == call.length and arguments == self.arguments(call)

    def snapshot(self) -> Callable[[], list[ToolCall]]:
        """All calls as they stand now, to be joined when somebody looks."""
        return partial(self._joined, len(self._log))

    def complete(self, *, cut: bool = False) -> list[ToolCall]:
        """All calls, their arguments checked.

        Args:
            cut: the answer was cut off at its token limit, so the last call may lack its arguments, or a part of them.

        Raises:
            WireError: arguments that are not JSON, or not the model's, as a part of them was lost.
        """
        for made in self._calls:
            if made._damaged or not made.name:
                self._lost = True
        if self._lost:
            raise WireError(
                "an event that could not be decoded while a tool call arrived, so that the call is not the model's. "
                "Ask again"
            )
        calls = self._joined(len(self._log))
        for made, call in zip(self._calls, calls, strict=True):
            function = call["function"]
            cut_here = cut and call is calls[-1]
            if not function["arguments"].strip() and not cut_here:
                function["arguments"] = "{}"
            # Of text nobody can tell whether it was cut.
            if not is_json(function["arguments"]) or (cut_here and made.custom):
                raise WireError(
                    f"a call of {function['name']!r} that was cut off at max_tokens, in the middle of its arguments: "
                    f"{function['arguments'] or '(none yet)'}. Raise max_tokens"
                    if cut_here
                    else f"the model called {function['name']!r} with arguments that are not valid JSON: "
                    f"{function['arguments']}"
                )
        return calls

    def _note(self, call: BuiltCall, piece: str, *, whole: bool) -> None:
        self._log.append((call, piece, whole))
        self.size += len(piece)
        if whole:
            call._anew()
        call.length += len(piece)
        call._unread.append(piece)
        if call._sealed and piece and not piece.isspace():
            call._damaged = True

    def _texts_at(self, version: int) -> dict[BuiltCall, str]:
        """The arguments of all calls as they stood after so many notes."""
        latest = version >= self._joined_to
        texts = self._texts if latest else {}
        pieces: dict[BuiltCall, list[str]] = {}
        for call, piece, whole in self._log[self._joined_to if latest else 0 : version]:
            if whole:
                texts[call] = ""
                pieces[call] = [piece]
            else:
                pieces.setdefault(call, []).append(piece)
        for call, new in pieces.items():
            texts[call] += "".join(new)
        if latest:
            self._joined_to = version
        return texts

    def _joined(self, version: int) -> list[ToolCall]:
        return [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": custom_arguments(text) if call.custom else text},
            }
            for call, text in self._texts_at(version).items()
        ]


def custom_arguments(text: str) -> str:
    """What a custom tool is handed, as the arguments of a call."""
    # Half a character passes here, and is told of as all arguments are that are no JSON.
    return json.dumps({"input": text}, ensure_ascii=False)


def is_json(text: str) -> bool:
    """Whether the text is a whole JSON value."""
    try:
        from_json(text)
    except (ValueError, TypeError):  # the second for half a character
        return False
    return True


def as_json(arguments: Any) -> str:
    """Arguments as a JSON string: vendors send a string, fragments of one, an object, or nothing."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else to_json(arguments).decode()
