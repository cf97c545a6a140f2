"""How a conversation of `llmring chat` begins: anew, or where another one ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..service import LLMRing
from ..templates import Template
from .project import default_model
from .terminal import warn
from .transcript import Transcript, loaded
from .trust import require_for_model

_REACHING = ("tools", "extra_params")
"""Fields by which a vendor may be told to hand on what is said, as to a server of tools."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line; `None` for what was not.

    Attributes:
        load: a file to go on with.
        model, profile, system, fields: of the conversation; they count more than what a file says.
        tools: functions that the model may call.
        go_on: whether to go on with the last conversation.
    """

    load: Path | None
    model: str | None
    profile: str | None
    system: str | None
    fields: Mapping[str, Any]
    tools: Sequence[Callable[..., Any]]
    go_on: bool = False

    def by(self, template: Template, system: str | None) -> Wanted:
        """The same by a template: what was asked for on the command line counts more than what that says."""
        return replace(
            self,
            model=self.model or template.model,
            system=self.system if self.system is not None else system,
            fields={**template.params, **self.fields},
        )

    def begin(self, service: LLMRing) -> Transcript:
        """The conversation, whose models may be sent their secrets.

        Raises:
            ConfigurationError: there is none to go on with, or it is none.
        """
        given = {"profile": self.profile, "system": self.system}
        options = {name: value for name, value in given.items() if value is not None} | dict(self.fields)
        options["tools"] = [*self.tools, *(options.get("tools") or ())]
        if self.load is None and not self.go_on:
            made = Transcript(service, self.model or default_model(self.profile), **options)
        else:
            path = None if self.load is None else Path(os.path.abspath(os.path.expanduser(self.load)))
            made = loaded(service, path, model=self.model, **options)
            if path is not None and (own := made.left_out(_REACHING, options)):
                warn(
                    f"{path} brings {' and '.join(own)} of its own, by which a vendor may be told to hand on what is "
                    f"said, so they are left out. To have them, once you have looked: -o {own[0]} JSON"
                )
        require_for_model(made.model, made.profile)
        return made
