"""What is asked about a row, and by what key the row is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from .. import parts
from ..exceptions import ConfigurationError, LLMRingError
from ..references import shown
from ..schemas import LLMRequest, Message
from .rows import Row

if TYPE_CHECKING:
    from ..templates import Template

__all__ = ["Asking", "Wording"]

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")
_DIGEST = 24


class Wording:
    """A text with `{field}`s of a row in it; a field of an object within it is `{user.name}`, and a brace is `{{`.

    Raises:
        ConfigurationError: it has a brace that begins or ends nothing.
    """

    def __init__(self, text: str, what: str) -> None:
        self._pieces: list[str | tuple[str]] = []
        at = 0
        for found in _BRACES.finditer(text):
            self._pieces.append(text[at : found.start()])
            at = found.end()
            if found[1] is not None:
                self._pieces.append((found[1].strip(),))
            elif len(found[0]) == 2:
                self._pieces.append(found[0][0])
            else:
                raise ConfigurationError(
                    f"{what} has a {found[0]} at character {found.start() + 1} that is of no field, as in {{text}}; "
                    f"one by itself is {found[0] * 2}"
                )
        self._pieces.append(text[at:])

    @property
    def fields(self) -> list[str]:
        """The fields that it has."""
        return [it[0] for it in self._pieces if isinstance(it, tuple)]

    def filled(self, row: Row) -> str:
        """The text about a row.

        Raises:
            RowError: the row has no such field.
        """
        return "".join(it if isinstance(it, str) else text_of(row, it[0]) for it in self._pieces)


def field_of(row: Row, name: str) -> Any:
    """A field of a row; a null is none.

    Raises:
        RowError: it has none.
    """
    value: Any = row.data.get(name)
    if value is None and name not in row.data:
        value = row.data
        for step in name.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    if value is None:
        there = ", ".join(map(str, [*row.data][:20])) or "nothing"
        what = f"its field {shown(name)} is null" if name in row.data else f"it has no field {shown(name)}"
        hint = "" if name.isidentifier() else " In a prompt, a brace that is meant as one is written twice: {{"
        raise row.wrong(f"{what}; it has: {there}.{hint}")
    return value


def text_of(row: Row, name: str) -> str:
    """A field of a row as text: JSON, where it is a number, a list or an object; a time or a decimal as one writes it.

    Raises:
        RowError: it has none, or it is no text.
    """
    value = field_of(row, name)
    if isinstance(value, str):
        return value
    try:
        if isinstance(value, bool | int | float | list | tuple | dict):
            return json.dumps(value, ensure_ascii=False, default=_plain)
        return _plain(value)
    except (TypeError, ValueError, RecursionError):
        raise row.wrong(f"its field {shown(name)} is nothing that can be written as text.") from None


def _plain(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


class Asking:
    """What is asked about each row.

    Args:
        model: an alias, or `provider:model`.
        prompt: with `{field}`s; `None` where the messages or the template have it all.
        system: a system prompt, with `{field}`s.
        image: the field that has a picture: a path, an address or its bytes, or a list of them; an empty one has none.
        messages: the field that has whole messages, as a list or as its JSON.
        template: whose `$names` are fields of the row; `$input` is the prompt, else the field `input`.
        fields: of each request, as `LLMRequest` takes them.
        key: the field that the row is known by; not given: by what is asked.

    Attributes:
        model, image, key: as above.

    Raises:
        ConfigurationError: nothing would be asked.
    """

    def __init__(
        self,
        model: str,
        *,
        prompt: str | None = None,
        system: str | None = None,
        image: str | None = None,
        messages: str | None = None,
        template: Template | None = None,
        fields: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        if prompt is None and messages is None and template is None:
            raise ConfigurationError("Nothing would be asked: it takes a prompt, a template, or a field of messages.")
        self.model = model
        self.key = key
        self._prompt = Wording(prompt, "the prompt") if prompt is not None else None
        self._system = Wording(system, "the system prompt") if system is not None else None
        self.image = image
        self._messages = messages
        self._template = template
        self._fields = {**(dict(template.params) if template is not None else {}), **(fields or {})}

    @property
    def is_of_rows(self) -> bool:
        """Whether something of a row is in what is asked."""
        texts = any(it is not None and it.fields for it in (self._prompt, self._system))
        names = self._template.names if self._template is not None else []
        is_filled = self._template is not None and (self._prompt is None or any(it != "input" for it in names))
        return texts or is_filled or self.image is not None or self._messages is not None

    def request(self, row: Row) -> LLMRequest:
        """What is asked about a row.

        Raises:
            RowError: the row does not have what it takes.
        """
        said = [] if self._messages is None else _messages(row, self._messages)
        prompt = self._prompt.filled(row) if self._prompt is not None else None
        system = self._system.filled(row) if self._system is not None else None
        if self._template is not None:
            prompt, own = self._of_template(self._template, row, prompt)
            system = system if system is not None else own
        pictures = _pictures(row, self.image) if self.image is not None else []
        if system is not None:
            said.insert(0, Message(role="system", content=system))
        if prompt is not None or pictures:
            text = [{"type": "text", "text": prompt}] if prompt is not None else []
            said.append(Message(role="user", content=[*pictures, *text] if pictures else prompt))
        if not any(it.role != "system" for it in said):
            raise row.wrong("nothing would be asked about it.")
        return LLMRequest(model=self.model, messages=said, **self._fields)

    def _of_template(self, template: Template, row: Row, prompt: str | None) -> tuple[str, str | None]:
        values = {it: text_of(row, it) for it in template.names if it != "input" and it in row.data}
        given = prompt
        if given is None:
            given = text_of(row, "input") if row.data.get("input") is not None else ""
        try:
            return template.filled(given, values)
        except LLMRingError as error:
            raise row.wrong(f"{error} A field of that name is taken for it.") from None

    def key_of(self, row: Row, request: LLMRequest) -> tuple[str, str]:
        """The key of a row, and a digest of what is asked.

        Raises:
            RowError: it has no such field.
        """
        asked = digest([it.model_dump(exclude_defaults=True) for it in request.messages], self._fields)
        return (asked if self.key is None else text_of(row, self.key)), asked


def digest(*values: Any) -> str:
    """Of values, whatever order their keys have."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=_name, separators=(",", ":"))
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else str(value)


def _messages(row: Row, name: str) -> list[Message]:
    value = field_of(row, name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise row.wrong(f"its field {shown(name)} is no JSON of messages: {error}.") from None
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise row.wrong(f"its field {shown(name)} is no list of messages.")
    try:
        return [Message.model_validate(it) for it in value]
    except ValidationError as error:
        wrong = error.errors()[0]
        at = ".".join(map(str, wrong["loc"]))
        raise row.wrong(f"its field {shown(name)} is no list of messages: {at}: {wrong['msg']}.") from None


def _pictures(row: Row, name: str) -> list[dict[str, Any]]:
    if name not in row.data:
        field_of(row, name)
    value = row.data.get(name)
    sources = value if isinstance(value, list) else [value]
    make: Callable[[str | bytes], dict[str, Any]] = parts.image
    found = []
    for it in sources:
        if isinstance(it, Mapping):  # as data sets in Parquet have it
            it = it.get("bytes") or it.get("path")
        if it is None or it == "":
            continue
        if not isinstance(it, str | bytes):
            raise row.wrong(f"its field {shown(name)} is no picture, and no path or address of one.")
        try:
            part = make(it)
        except LLMRingError as error:
            raise row.wrong(f"its field {shown(name)}: {error}") from None
        where = part["image_url"]["url"]
        if isinstance(where, Path) and not where.is_file():
            raise row.wrong(f"its field {shown(name)} is {shown(str(it))}, and there is no such file here.")
        found.append(part)
    return found
