"""Bindings that are shown before they are made: what a file would say, and the edit, which makes that or nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import ConfigurationError, LockfileError
from ..references import shown, split_reference
from .changes import Edited, with_binding
from .edits import changed, check_name, check_secrets, edit_file, without_alias
from .files import read
from .parsing import decode, parse

if TYPE_CHECKING:
    from .edits import Change
    from .model import Lockfile

__all__ = ["Proposal", "propose"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a file says, and what it would say.

    Attributes:
        path: the file.
        profile: the one that is changed, by name.
        bindings: its new models by alias; `None` where the alias is taken out.
        before, after: the file as it is and as it would be.
        text_before, text_after: the same as texts.
    """

    path: Path
    profile: str
    bindings: Mapping[str, Sequence[str] | None]
    before: Lockfile
    after: Lockfile
    text_before: str
    text_after: str

    def __bool__(self) -> bool:
        return self.text_before != self.text_after

    def lines(self) -> list[str]:
        """The change as a unified diff, two lines of what stays around each."""
        old, new, name = self.text_before.splitlines(), self.text_after.splitlines(), str(self.path)
        return list(unified_diff(old, new, name, name, lineterm="", n=2))

    def write(self) -> Lockfile:
        """Make the edit, whole, if the file says what it said when this was made.

        Raises:
            LockfileError: it has changed since, or cannot be written; nothing is.
        """

        def change(text: str, lockfile: Lockfile) -> Edited:
            if text != self.text_before:
                raise LockfileError(
                    f"{self.path} has changed since this was proposed, so nothing was written. Look at it again",
                    path=self.path,
                )
            return self.text_after, dict(self.after.data)

        return edit_file(self.path, change)


def propose(
    path: str | os.PathLike[str], bindings: Mapping[str, Sequence[str] | None], *, profile: str | None = None
) -> Proposal:
    """What a file would say with these bindings. Nothing is written.

    Args:
        path: the file, which must be there.
        bindings: the models of each alias, as for `bind`; `None` takes the alias out.
        profile: made if the file has none of that name; `None` is the file's default profile.

    Raises:
        AliasNotFoundError: an alias that is to be taken out is not bound.
        ConfigurationError: an alias, a model or the profile's name cannot be written.
        LockfileError: the file is not there, not valid, or written in a form that cannot be edited safely.
    """
    path = Path(path)
    content = read(path)
    before = parse(content, path)
    text = text_before = decode(content, path)
    chosen = before.default_profile if profile is None else profile
    check_name("profile", chosen)
    after = before
    for alias, models in bindings.items():
        edit = without_alias(alias, chosen) if models is None else _binding(chosen, alias, models)
        content, after = changed(text, after, edit)
        text = decode(content, path)
    return Proposal(path, chosen, bindings, before, after, text_before, text)


def _binding(profile: str, alias: str, models: Sequence[str]) -> Change:
    check_name("alias", alias)
    if not models:
        raise ConfigurationError(f"No model to bind {shown(alias)} to: give at least one provider:model")
    for model in models:
        split_reference(model)
    check_secrets([*models])
    named = list(dict.fromkeys(models))
    return lambda text, lockfile: with_binding(text, lockfile, profile, alias, named, None)
