"""The aliases of a service: looked up in its lockfile, which is followed, and edited there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import concealment, references, vendors
from . import lockfile as lockfiles
from .exceptions import (
    AliasNotFoundError,
    ConfigurationError,
    LockfileError,
    LockfileNotFoundError,
    ProviderNotFoundError,
)
from .lockfile import extends, files, locking, rendering
from .record import running_loop

if TYPE_CHECKING:
    from .lockfile import Binding, LiveLockfile, Lockfile

__all__ = ["Aliases"]

_ON_A_LOOP = 0.25
"""Seconds that an edit waits for another process where an event loop would stand still meanwhile."""


class _Done(Awaitable[None]):
    """An edit that was made before anybody could wait for it."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


class Aliases:
    """What `LLMRing` knows of aliases.

    Args:
        lockfile_path, profile, aliases: see `LLMRing`.
    """

    def __init__(
        self,
        lockfile_path: str | os.PathLike[str] | None,
        profile: str | None,
        aliases: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        # Those of the constructor, which win over the file's in every profile.
        self._own = lockfiles.bindings_of(aliases) if aliases is not None else {}
        # As it is now: a process that goes to another folder still means this file.
        self._given_path = None if lockfile_path is None else _absolute(lockfile_path)
        self._given_profile = profile
        self._live: LiveLockfile | None = None
        self._editing: asyncio.Task[None] | None = None

    def resolve_alias(self, alias: str, profile: str | None = None) -> str:
        """The `provider:model` that serves an alias now (the first of its models).

        Raises:
            AliasNotFoundError: no such alias; the message names the nearest ones.
        """
        return self._resolve(alias, profile).models[0]

    def has_alias(self, alias: str, profile: str | None = None) -> bool:
        """Whether the constructor, the lockfile, or a package that it extends, binds the alias."""
        if _named(alias) in self._own:
            return True
        lockfile = self._lockfile()
        if lockfile is None:
            return False
        try:
            return lockfiles.bound(lockfile, alias, self._profile(profile)) is not None
        except AliasNotFoundError:
            return False

    def require_aliases(
        self, aliases: Sequence[str], *, profile: str | None = None, context: str | None = None
    ) -> None:
        """Check that these aliases are bound, for a library to call at its start.

        Args:
            aliases: their names.
            profile: instead of the service's.
            context: who needs them, for the message.

        Raises:
            AliasNotFoundError: naming every one that is missing, the profile, the file, and the commands to run.
            LockfileError: the lockfile, or a package that it extends, cannot be read.
        """
        if isinstance(aliases, str):
            raise ConfigurationError(f"require_aliases takes a list of names. Write: require_aliases([{aliases!r}])")
        missing = [alias for alias in aliases if not self.has_alias(alias, profile)]
        if missing:
            raise self._lacking(missing, self._profile(profile), context or "This program")

    def list_aliases(self, profile: str | None = None) -> dict[str, str]:
        """The aliases of a profile, of extended packages and the constructor's, and the `provider:model` of each."""
        lockfile = self._lockfile(needed=not self._own)
        bindings = lockfiles.reachable(lockfile, self._profile(profile)) if lockfile is not None else {}
        bindings |= self._own
        return {alias: binding.models[0] for alias, binding in bindings.items()}

    def bind_alias(
        self,
        alias: str,
        models: str | Sequence[str],
        *,
        profile: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Awaitable[None]:
        """Bind an alias in the lockfile: the first model serves, the rest stand by.

        It writes the file, whatever else this service knows: an alias of `LLMRing(aliases=...)` still wins in it, and
        the log warns of that.

        The edit is made when this returns. Only where it is called on an event loop, and another process has been
        editing the file for a quarter of a second, does it go on in a thread, so that the loop does too: then await
        what is returned, which raises what goes wrong. Anywhere else it waits up to 30 seconds.

        Args:
            alias: its name.
            models: one `provider:model`, several separated by commas, or a sequence of them; each counts once.
            profile: instead of the service's; made if the file has none of that name.
            params: defaults for its requests; not given: what the file says stays.

        Returns:
            What may be awaited, and need not be.

        Raises:
            ConfigurationError: the alias, a model, the profile's name or the params cannot be written.
            LockfileError: the file is not there, not valid, or could not be written.
        """
        listed = [m.strip() for m in models.split(",")] if isinstance(models, str) else list(models)
        path, chosen = self._path(), self._profile(profile)
        self._warn_of_own(alias, path)
        return self._edited(
            lambda patience: lockfiles.bind(path, alias, listed, profile=chosen, params=params, patience=patience)
        )

    def unbind_alias(self, alias: str, *, profile: str | None = None) -> Awaitable[None]:
        """Take an alias out of the lockfile. When that is done, see `bind_alias`.

        Raises:
            AliasNotFoundError: it is not bound there.
            LockfileError: the file is not there, not valid, or could not be written.
        """
        path, chosen = self._path(), self._profile(profile)
        self._warn_of_own(alias, path)
        return self._edited(lambda it: lockfiles.unbind(path, alias, profile=chosen, patience=it))

    def init_lockfile(self, path: str | os.PathLike[str] | None = None, *, force: bool = False) -> Path:
        """Write a new lockfile with no aliases yet, and use it.

        Args:
            path: where; not given: the service's `lockfile_path`, else `llmring.lock` in the working directory.
            force: replace a file that is there.

        Raises:
            ConfigurationError: there is a file already, or no such folder.
            LockfileError: it could not be written, or another process is editing it: for 30 seconds, or where this is
                called on an event loop for a quarter of one.
        """
        # Path.expanduser() would raise where there is no such user.
        target = Path(os.path.expanduser(path or self._given_path or "llmring.lock"))
        lockfiles.create(target, rendering.new_text(), force=force, patience=_ON_A_LOOP if running_loop() else None)
        self._given_path, self._live = _absolute(target), None
        return target

    def clear_alias_cache(self) -> None:
        """Read the lockfile anew at the next request. Edits are followed without it."""
        self._live = None

    def _edited(self, edit: Callable[[float | None], object]) -> Awaitable[None]:
        """Make an edit at once, or in a thread if it would have an event loop wait for long."""
        loop = running_loop()
        if loop is None:
            edit(None)
            return _Done()
        before = self._editing if self._editing and self._editing.get_loop() is loop else None
        if before is None or before.done():
            try:
                edit(_ON_A_LOOP)
                return _Done()
            except locking.HeldError:
                pass

        async def go_on() -> None:
            if before is not None:  # edits are made in the order of their calls
                with contextlib.suppress(Exception):
                    await asyncio.shield(before)
            await asyncio.to_thread(edit, None)

        self._editing = loop.create_task(go_on())
        return self._editing

    async def _edits_made(self) -> None:
        """Wait for the edits that go on in a thread."""
        if self._editing is not None and self._editing.get_loop() is running_loop():
            await asyncio.wait([self._editing])

    def _lacking(self, aliases: Sequence[str], profile: str | None, who: str) -> AliasNotFoundError:
        """The error that names aliases that are not bound, and how to bind each."""
        lockfile = self._lockfile()
        names = ", ".join(map(references.shown, aliases))
        binds = "; ".join(references.bind_command(alias, profile) for alias in aliases)
        packages = dict.fromkeys(alias.partition(":")[::2] for alias in aliases if ":" in alias)
        extending = " ".join(dict.fromkeys(filter(None, (extends.extends_advice(lockfile, *it) for it in packages))))
        if lockfile is None:
            return AliasNotFoundError(
                f"{who} needs the aliases {names}, and there is no lockfile. Make one: llmring lock init. "
                f"Then bind each: {binds}{f'. {extending}' if extending else ''}"
            )
        return AliasNotFoundError(
            f'{who} needs aliases that the profile "{lockfile.profile(profile).name}" of {lockfile.path} does not '
            f"bind: {names}. Bind each: {binds}{f'. {extending}' if extending else ''}",
            path=lockfile.path,
        )

    def _no_provider(self, name: str, error: ProviderNotFoundError) -> ProviderNotFoundError:
        """The error about a name such as `somelib:summarizer`, with what `[extends]` has to do with it."""
        provider = name.partition(":")[0]
        if provider in vendors.BUILT_IN:
            return error
        return ProviderNotFoundError(extends.unknown_provider(self._lockfile(), name, str(error)), provider=provider)

    def _resolve(self, name: str, profile: str | None) -> Binding:
        return self._bound(name, profile)[0]

    def _bound(self, name: str, profile: str | None) -> tuple[Binding, Lockfile | None]:
        """Who serves a name, and the lockfile as it is now."""
        own = self._own.get(_named(name))
        lockfile = self._lockfile(needed=own is None and ":" not in name)
        try:
            return own or lockfiles.resolve(lockfile, name, self._profile(profile)), lockfile
        except (AliasNotFoundError, LockfileNotFoundError) as error:
            if self._own:
                error.args = (f"{error}. LLMRing(aliases=...) binds: {', '.join(map(references.shown, self._own))}",)
            raise

    def _warn_of_own(self, alias: str, path: Path) -> None:
        if (own := self._own.get(alias)) is not None:
            logging.getLogger("llmring").warning(
                "The alias %s is edited in %s, but this service was made with LLMRing(aliases=...), which binds it to "
                "%s, and wins.",
                *(references.shown(alias), path, ", ".join(own.models)),
            )

    def _profile(self, profile: str | None) -> str | None:
        return profile or self._given_profile or os.environ.get("LLMRING_PROFILE") or None

    def _lockfile(self, *, needed: bool = False) -> Lockfile | None:
        """The lockfile as it is now, `None` if there is none. One that was named must be there if it is needed."""
        live = self._followed()
        if live is None:
            return None
        try:
            return live.current()
        except LockfileError as error:
            if needed or not isinstance(error, LockfileNotFoundError):
                raise concealment.bare(error)  # noqa: B904 - it is the same error
            return None

    def _path(self) -> Path:
        """The file to edit: the very one that is read."""
        if (live := self._followed()) is None:
            raise LockfileNotFoundError(f"{files.none_found()}. Make one: llmring lock init")
        return live.path

    def _followed(self) -> LiveLockfile | None:
        if self._live is None and (path := lockfiles.find_lockfile(self._given_path)) is not None:
            self._live = lockfiles.LiveLockfile(path)
        return self._live


def _named(alias: str) -> str:
    return references.text_of(alias, "alias and no model", 'as "chatbot" or "anthropic:claude-haiku-4-5"')


def _absolute(path: str | os.PathLike[str]) -> Path:
    # Path.expanduser() would raise where there is no such user.
    return Path(os.path.abspath(os.path.expanduser(path)))
