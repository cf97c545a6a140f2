"""Templates of questions: files beside the lockfile, reviewed as it is, which name a model and choose no address.

llmring.templates/translate.toml
    prompt = "Translate into $language: $input"
    model = "fast"
    defaults = { language = "French" }
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template as Dollars
from typing import Any

from pydantic import ValidationError

from .exceptions import ConfigurationError
from .lockfile.files import plain
from .references import KEY_SHAPE, alike, shown
from .schemas import LLMRequest

__all__ = ["FOLDER", "PARAMS", "Template", "folder_of", "listed", "read"]

FOLDER = "llmring.templates"
INPUT = "input"
PARAMS = (
    "temperature",
    "max_tokens",
    "top_p",
    "stop",
    "seed",
    "reasoning_effort",
    "reasoning_tokens",
    "response_format",
    "json_response",
)
"""What a template may set. Vendors' own parameters are the lockfile's: some have what was said handed on."""
_KEYS = ("description", "prompt", "system", "model", "params", "defaults")
_NAME = re.compile(r"[\w][\w.-]*")


@dataclass(frozen=True, slots=True)
class Template:
    """A template as its file has it.

    Attributes:
        name: what it is asked for by.
        path: its file.
        prompt: the question, with `$input` and other names; `None` where the question is the input itself.
        system: the system prompt, with names, too.
        model: an alias, or a `provider:model`.
        description: a line about it.
        params: fields of the request.
        defaults: what its names stand for unless that is said.
    """

    name: str
    path: Path
    prompt: str | None = None
    system: str | None = None
    model: str | None = None
    description: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names that it has filled in, `input` among them."""
        texts = (Dollars(it) for it in (self.prompt, self.system) if it)
        return list(dict.fromkeys(name for it in texts for name in it.get_identifiers()))

    def filled(self, given: str, values: Mapping[str, str]) -> tuple[str, str | None]:
        """The question and the system prompt. What is filled in is not looked through for names again.

        Args:
            given: the input; it follows a prompt that has no place for it.
            values: what other names stand for.

        Raises:
            ConfigurationError: a name stands for nothing, or there is none such.
        """
        if unknown := next((it for it in values if it not in self.names and it not in self.defaults), None):
            there = ", ".join(it for it in self.names if it != INPUT) or "none"
            raise ConfigurationError(f"{self.path} has no ${unknown} to fill in; its names: {there}.")
        known = {**self.defaults, **values, **({INPUT: given} if given else {})}
        if lacking := next((it for it in self.names if it not in known), None):
            how = "a prompt, or a pipe" if lacking == INPUT else f"--var {lacking} VALUE"
            raise ConfigurationError(f"The template {self.name} wants ${lacking}: {how}.")
        question = Dollars(self.prompt).substitute(known) if self.prompt else given
        if self.prompt and given and INPUT not in self.names:
            question = f"{question}\n\n{given}"
        return question, Dollars(self.system).substitute(known) if self.system else None


def folder_of(lockfile: Path) -> Path:
    """Where the templates of a lockfile are: in a folder beside it."""
    return Path(os.path.abspath(lockfile)).parent / FOLDER


def listed(lockfile: Path) -> list[str]:
    """The names of its templates, those too that `read` refuses."""
    try:
        files = [it for it in folder_of(lockfile).iterdir() if it.suffix == ".toml" and not it.name.startswith(".")]
    except OSError:
        return []
    return sorted(it.stem for it in files)


def read(lockfile: Path, name: str) -> Template:
    """The template of a name.

    Raises:
        ConfigurationError: there is none, it is another user's, or no request can be made of it.
    """
    there = [it for it in listed(lockfile) if _NAME.fullmatch(it)]
    path = folder_of(lockfile) / f"{name}.toml"
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{shown(name)} is no name of a template, which has letters, digits, _, . and -. Name its file so."
        )
    if name not in there:
        near = alike(name, there)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(there)}." if there else "There are none."
        raise ConfigurationError(f"There is no template {shown(name)} in {folder_of(lockfile)}. {hint}")
    try:
        if not _is_ours(path):
            raise ConfigurationError(f"{path} is another user's, and is not used.")
        text = plain(path).decode()
        if KEY_SHAPE.search(text):
            raise ConfigurationError(f"{path} holds what looks like a key. Take it out: the file is for everybody.")
        data = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # which tells of no text of the file but where
        raise ConfigurationError(f"{path} is no TOML: {error}.") from None
    try:
        return _template(name, path, data)
    except _Wrong as error:
        raise ConfigurationError(f"{path}: {error}.") from None


class _Wrong(ValueError):
    """What is wrong with a template."""


def _template(name: str, path: Path, data: Mapping[str, Any]) -> Template:
    for key, value in data.items():
        if key not in _KEYS:
            near = alike(key, _KEYS)
            raise _Wrong(f"{shown(key)} is no key of a template; " + (f"{near[0]} is" if near else ", ".join(_KEYS)))
        wanted: type = dict if key in ("params", "defaults") else str
        if not isinstance(value, wanted):
            raise _Wrong(f"{key} takes {'a table' if wanted is dict else 'text'}, not {shown(value)}")
    if not (data.get("prompt") or data.get("system")):
        raise _Wrong("it has neither a prompt nor a system prompt")
    for key in ("prompt", "system"):
        if not Dollars(data.get(key, "")).is_valid():
            raise _Wrong(f"{key} has a dollar sign that begins no name; one by itself is $$")
    defaults = {key: value if isinstance(value, str) else str(value) for key, value in data.get("defaults", {}).items()}
    found = Template(name, path, **{**data, "params": _params(data.get("params", {})), "defaults": defaults})
    if unused := next((it for it in defaults if it not in found.names), None):
        raise _Wrong(f"defaults has {shown(unused)}, and neither prompt nor system has ${unused}")
    return found


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    for key in params:
        if key not in PARAMS:
            near = alike(key, PARAMS)
            hint = f"Did you mean {near[0]}?" if near else f"It takes {', '.join(PARAMS)}"
            raise _Wrong(
                f"params has {shown(key)}, which a template may not set; params of an alias in the lockfile may. {hint}"
            )
    if not isinstance(params.get("response_format", {}), Mapping):
        raise _Wrong("params: response_format takes a table")
    try:
        LLMRequest(model="-", messages=[], **params)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise _Wrong(f"params: {wrong['loc'][0]} cannot be {shown(wrong['input'])}: {wrong['msg']}") from None
    return dict(params)


def _is_ours(path: Path) -> bool:
    """Whether a file is of the user, of root, or of whoever the lockfile's folder is of."""
    if not hasattr(os, "geteuid"):  # Windows
        return True
    return os.stat(path).st_uid in (os.geteuid(), 0, os.stat(path.parent.parent).st_uid)
