"""The edits that commands and programs make to a lockfile.

Every edit reads the file again under a lock, changes what it means to and nothing else, and puts the result in
the file's place at once: see `changes` for what an edit keeps and `writing` for how it is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import AliasNotFoundError, ConfigurationError, LockfileError, LockfileParseError
from ..references import FILE_NAME, is_name, shown, split_reference
from .changes import check_sense, edited, says, with_binding, with_replacements
from .files import read
from .locking import exclusive
from .parsing import decode, parse
from .rendering import SCHEMA_FILE, converted, json_schema, rendered
from .resolution import listed, nearest
from .secrets import secrets_in
from .writing import replace, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .changes import Edited
    from .model import Lockfile

    StrPath = str | os.PathLike[str]
    Keep = Callable[[Path, bytes], None]
    Change = Callable[[str, Lockfile], Edited]

__all__ = [
    "add_profile",
    "bind",
    "convert",
    "copy_profile",
    "create",
    "remove_profile",
    "replace_models",
    "unbind",
    "write_schema",
]

_NAMED = 10
"""Aliases that a message names."""


def bind(
    path: StrPath,
    alias: str,
    models: Sequence[str],
    *,
    profile: str | None = None,
    params: Mapping[str, Any] | None = None,
    weights: Sequence[float] | None = None,
    patience: float | None = None,
) -> Lockfile:
    """Binds an alias to models, or another list of models to an alias that is bound.

    Args:
        path: the file, which must be there.
        models: `provider:model` references; the first serves, the rest stand by. One that is named again counts once.
        profile: made if the file has none of that name; `None` is the file's default profile.
        params: defaults for the alias's requests; `{}` takes away those there are, `None` keeps them.
        weights: of its split, one for each model; `()` takes the split away, `None` keeps it.
        patience: seconds to wait for another process that edits the file; not given: 30.

    Returns:
        The file as it now is. It is not written if it says all of that already.

    Raises:
        ConfigurationError: the alias, a model, the profile's name or the params cannot be written.
        LockfileError: the file is not there, not valid, or could not be written.
    """
    models = [models] if isinstance(models, str) else list(dict.fromkeys(models))
    values = None if params is None else _plain(params)
    check_name("alias", alias)
    if not models:
        raise ConfigurationError(f"No model to bind {shown(alias)} to: give at least one provider:model")
    for model in models:
        split_reference(model)
    if profile is not None:
        check_name("profile", profile)
    check_secrets([models, values])
    return edit_file(
        path,
        lambda text, lockfile: with_binding(
            text, lockfile, lockfile.default_profile if profile is None else profile, alias, models, values, weights
        ),
        patience=patience,
    )


def unbind(path: StrPath, alias: str, *, profile: str | None = None, patience: float | None = None) -> Lockfile:
    """Takes an alias out of a profile; `None` is the file's default profile.

    The comments directly above it, with no blank line between, are about it and go too.

    Raises:
        AliasNotFoundError: it is not bound there; the message has the nearest names, and what is bound.
        ConfigurationError: there is no such profile.
        LockfileError: the file is not there, not valid, or could not be written.
    """
    return edit_file(path, without_alias(alias, profile), patience=patience)


def without_alias(alias: str, profile: str | None) -> Change:
    """The edit of `unbind`."""

    def change(text: str, lockfile: Lockfile) -> Edited:
        chosen = lockfile.profile(profile)
        if alias not in chosen.bindings:
            raise AliasNotFoundError(
                f'The alias {shown(alias)} is not bound in the profile "{chosen.name}" of {lockfile.path}'
                f"{nearest(alias, chosen.bindings)} It binds {listed(chosen.bindings)}.",
                path=lockfile.path,
            )

        def edit(data: dict[str, Any]) -> None:
            bindings = data["profiles"][chosen.name]["bindings"]
            bindings[:] = [it for it in bindings if it["alias"] != alias]

        return edited(text, lockfile, edit)

    return change


def replace_models(path: StrPath, models: Mapping[str, str], *, profile: str | None = None) -> Lockfile:
    """Binds other models in the place of some, in one edit.

    Args:
        path: the file, which must be there.
        models: the new `provider:model` by the one that it takes the place of.
        profile: the only profile to change; `None` is every profile.

    Returns:
        The file as it now is.

    Raises:
        ConfigurationError: there is no such profile, or a new model is malformed.
        LockfileError: the file is not there, not valid, or could not be written.
    """
    for model in models.values():
        split_reference(model)
    check_secrets(list(models.values()))
    return edit_file(path, lambda text, lockfile: with_replacements(text, lockfile, models, profile))


def convert(path: StrPath, *, to_json: bool, keep: Keep | None = None) -> Lockfile:
    """Writes a file anew as JSON or as TOML; one that is so already stays as it is.

    Args:
        path: the file, which must be there.
        to_json: whether as JSON.
        keep: see `create`.

    Raises:
        ConfigurationError: it holds a value that the other format cannot say.
        LockfileError: the file is not there, not valid, or could not be written.
    """

    def change(text: str, lockfile: Lockfile) -> Edited:
        if lockfile.is_json == to_json:
            return text, dict(lockfile.data)
        done = converted(lockfile.data, to_json=to_json)
        return done.text, done.data

    return edit_file(path, change, keep=keep)


def create(
    path: StrPath, text: str, *, force: bool = False, keep: Keep | None = None, patience: float | None = None
) -> Lockfile:
    """Writes a new lockfile.

    Args:
        path: where; its folder must be there.
        text: all of it, TOML or JSON. It is checked first.
        force: whether to replace a file that is there. Where the path is a link, only a lockfile is replaced.
        keep: called with the file that is replaced, links resolved, and what it holds, just before.
        patience: seconds to wait for another process that edits the file; not given: 30.

    Raises:
        ConfigurationError: there is a file already, or no such folder.
        LockfileParseError: the text is no valid lockfile, or holds a secret.
        LockfileError: it could not be written.
    """
    path = Path(path)
    content = text.encode()
    lockfile = parse(content, path)
    real = target_of(path)
    if not os.path.isdir(real.parent):
        raise ConfigurationError(
            f"There is no folder {real.parent} for {path.name}. To make it: mkdir -p {real.parent}"
        )
    with exclusive(real, patience=patience):
        while True:
            before = _replaceable(path, real, force=force)
            if before is not None and keep is not None:
                keep(real, before)
            if replace(real, content, before=before):
                return lockfile


def _replaceable(path: Path, real: Path, *, force: bool) -> bytes | None:
    """What the file holds that may be replaced; `None` where there is none yet."""
    if os.path.isdir(real):
        raise ConfigurationError(f"{path} is a folder. Name a file in it")
    if not os.path.lexists(real):
        return None
    if not force:
        raise ConfigurationError(f"{path} is there already and stays as it is. To replace it: force=True")
    before = read(real)
    if os.path.islink(path):
        try:
            _check_link(path, parse(before, real))
        except LockfileError:
            raise _no_lockfile(path, real) from None
    return before


def _check_link(path: Path, lockfile: Lockfile) -> None:
    """Refuse a link to what happens to have a version, such as the settings of another program.

    Whoever made the link, which may have come with a repository, would choose what is written into.
    """
    real = Path(os.path.realpath(path))
    is_one = real.name == FILE_NAME or not lockfile.data.keys().isdisjoint(("profiles", "providers", "extends"))
    if os.path.islink(path) and not is_one:
        raise _no_lockfile(path, real)


def _no_lockfile(path: Path, real: Path) -> LockfileError:
    return LockfileError(
        f"{path} is a link to {real}, which is no lockfile and stays as it is. To have a file here instead: rm {path}",
        path=path,
    )


def add_profile(path: StrPath, name: str) -> Lockfile:
    """Makes a profile without bindings.

    Raises:
        ConfigurationError: there is one of that name, or it cannot be a name.
    """
    check_name("profile", name)

    def change(text: str, lockfile: Lockfile) -> Edited:
        _check_new(lockfile, name)
        return edited(text, lockfile, lambda data: data.setdefault("profiles", {}).update({name: {"name": name}}))

    return edit_file(path, change)


def copy_profile(path: StrPath, source: str, name: str) -> Lockfile:
    """Makes a profile that says what `source` says.

    Raises:
        ConfigurationError: there is no `source`, or one of that name already, or it cannot be a name.
    """
    check_name("profile", name)

    def change(text: str, lockfile: Lockfile) -> Edited:
        chosen = lockfile.profile(source)
        _check_new(lockfile, name)

        def edit(data: dict[str, Any]) -> None:
            profiles = data.setdefault("profiles", {})
            profiles[name] = {"name": name, **deepcopy(profiles.get(chosen.name, {}))}
            profiles[name]["name"] = name

        return edited(text, lockfile, edit)

    return edit_file(path, change)


def remove_profile(path: StrPath, name: str) -> Lockfile:
    """Takes a profile out of the file, with all its bindings.

    Raises:
        ConfigurationError: there is no such profile, or it is the default one.
    """

    def change(text: str, lockfile: Lockfile) -> Edited:
        if lockfile.profile(name).name == lockfile.default_profile:
            raise ConfigurationError(
                f'"{name}" is the default profile of {lockfile.path}. Name another one as default_profile first'
            )
        return edited(text, lockfile, lambda data: data["profiles"].pop(name))

    return edit_file(path, change)


def edit_file(
    path: StrPath,
    change: Change,
    *,
    keep: Keep | None = None,
    patience: float | None = None,
) -> Lockfile:
    """Read a file again under a lock, make an edit, and put the result in its place, until nobody came between."""
    path = Path(path)
    real = Path(os.path.realpath(path))
    if not os.path.exists(real):
        read(path)  # which says that it is not there, or cannot be seen
    with exclusive(real, patience=patience):
        while True:
            before = read(path)
            old = parse(before, path)
            _check_link(path, old)
            after, new = changed(decode(before, path), old, change)
            if after == before:
                return new
            if keep is not None:
                keep(real, before)
            if replace(real, after, before=before):
                return new


def changed(text: str, old: Lockfile, change: Change) -> tuple[bytes, Lockfile]:
    """The bytes that say the change and nothing else, and what they say."""
    try:
        after, meant = change(text, old)
        new = parse(after.encode(), old.path)
        is_right = says(new.data, meant)
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{old.path} cannot hold half of a surrogate pair, and this edit has one; the file is as it was. Take it "
            "out of the params"
        ) from None
    except (LockfileParseError, LookupError, RecursionError) as error:
        if isinstance(error, LockfileParseError):
            check_sense(meant, old.path)
        is_right = False
    if not is_right:
        raise LockfileError(
            f"{old.path} is written in a form in which this edit cannot be made safely; the file is as it was. Make "
            "the edit by hand, or write the profile's bindings as [[profiles.NAME.bindings]] tables",
            path=old.path,
        )
    return after.encode(), new


def check_name(kind: str, name: str) -> None:
    """Refuse what cannot name an alias or a profile."""
    if not is_name(name):
        raise ConfigurationError(f"The {kind} {shown(name)} is empty or holds white space. Give it a name of one word")
    check_secrets(name)


def check_secrets(data: Any) -> None:
    """Refuse what is to be written if it holds a secret."""
    if secrets_in(data):
        raise ConfigurationError(
            "A lockfile holds no secret, and this edit has what looks like one. Put it in an environment variable"
        )


def _check_new(lockfile: Lockfile, name: str) -> None:
    if name in lockfile.profiles:
        raise ConfigurationError(f'There is a profile "{name}" in {lockfile.path} already')


def _plain(value: Any) -> Any:
    """Mappings as dictionaries and sequences as lists, as they come back when the file is read."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def write_schema(path: Path) -> Path:
    """Writes the schema into a lockfile's folder, or renews the one that is there, and returns where it is.

    Raises:
        ConfigurationError: there is a file of that name that is something else. It stays.
        LockfileError: it could not be written.
    """
    target, content = target_of(path.parent / SCHEMA_FILE), rendered()
    with exclusive(target):
        while True:
            before = read(target) if os.path.lexists(target) else None
            if before is not None and not _is_schema(before):
                raise ConfigurationError(f"{target} is no schema of a lockfile, and stays as it is")
            if replace(target, content.encode(), before=before):
                return target


def _is_schema(content: bytes) -> bool:
    try:
        return bool(json.loads(content)["title"] == json_schema()["title"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
