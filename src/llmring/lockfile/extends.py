"""The packages of `[extends]`: where one lies, by either of its names, and what to say of one that is missing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import LockfileError
from ..references import FILE_NAME, alike, shown
from .files import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.metadata import Distribution

    from .model import Binding, Lockfile

__all__ = [
    "as_listed",
    "declare",
    "extends_advice",
    "missing",
    "package_lockfile",
    "shipped",
    "to_extend",
    "unknown_provider",
]


@cache
def package_lockfile(package: str) -> Lockfile:
    """The lockfile that an installed package ships, read once. The package is not imported.

    Args:
        package: the name that is imported (dotted, if the file lies further in), or that of the distribution.

    Raises:
        LockfileError: the package is not installed, or has no `llmring.lock` in its folder.
        LockfileParseError, LockfileVersionError: it is not valid.
    """
    file = _find(package)
    if file is None:
        raise LockfileError(" ".join(missing(package)))
    return load(file)


def missing(package: str) -> tuple[str, str]:
    """What is wrong with a package of `[extends]` that has no lockfile, and what to do about it: two sentences."""
    named = f'[extends] names the package "{package}", which is'
    if _distribution(package) is not None or any(_folders(package)):
        what = f"{named} installed but ships no {FILE_NAME}."
        return what, "Take it out of [extends], or install a version that has one."
    step = f"Install it (pip install {package}), correct its name, or take it out of [extends]."
    return f"{named} not installed here.", step


def shipped(package: str, profile: str) -> dict[str, Binding]:
    """A package's aliases: those of its profile of that name, and of its default profile what that one leaves out.

    Raises:
        LockfileError: see `package_lockfile`.
    """
    lockfile = package_lockfile(package)
    default = lockfile.profile()
    return {**default.bindings, **lockfile.profiles.get(profile, default).bindings}


def as_listed(lockfile: Lockfile, name: str) -> str:
    """The name of a package's alias with the package's name as `[extends]` has it.

    A package has two names, that of its distribution and the one it is imported by; `[extends]` has either, and an
    alias may be named with the other. Any other name stays as it is.
    """
    package, colon, alias = name.partition(":")
    if not colon or package in lockfile.extends:
        return name
    return next((f"{it}:{alias}" for it in lockfile.extends if _is_same(it, package)), name)


def extends_advice(lockfile: Lockfile | None, package: str, alias: str) -> str:
    """What to say where a name such as `somelib:summarizer` means nothing: `[extends]` may be at fault.

    It looks for installed packages, so it is for an error that is being made. The arguments are those of `to_extend`.

    Returns:
        Sentences, or nothing.
    """
    listed = lockfile.extends if lockfile is not None else ()
    faults = [" ".join(missing(it)) for it in listed if _find(it) is None]
    return " ".join([*faults, *filter(None, [to_extend(lockfile, package, alias)])])


def unknown_provider(lockfile: Lockfile | None, name: str, otherwise: str) -> str:
    """What to say where a name such as `somelib:summarizer` names no provider: it may be a package's alias.

    Args:
        lockfile: `None` where there is none.
        name: as it was asked for.
        otherwise: what is said where `[extends]` has nothing to do with it.
    """
    package, _, alias = name.partition(":")
    if lockfile is not None and package in lockfile.providers:
        return otherwise
    if said := to_extend(lockfile, package, alias):
        return f"There is no provider {package!r}. {said}"
    return " ".join(filter(None, [otherwise, extends_advice(lockfile, package, alias)]))


def to_extend(lockfile: Lockfile | None, package: str, alias: str) -> str:
    """The line that makes an alias known which an installed package ships, and `[extends]` does not list.

    Args:
        lockfile: `None` where there is none.
        package: what stands before the colon of the alias's name.
        alias: what stands behind it.

    Returns:
        A sentence; nothing where no package of that name ships the alias.
    """
    listed = lockfile.extends if lockfile is not None else ()
    if package in listed or not _ships(package, alias):
        return ""
    slip = alike(package, [it for it in listed if _find(it) is None])
    step = _extend(lockfile, [*(it for it in listed if it not in slip), package])
    return f'The installed package "{package}" ships the alias {shown(alias)}. To have its aliases, {step}'


def declare(lockfile: Lockfile, provider: str) -> str:
    """What declares a provider in a lockfile."""
    if lockfile.is_json:
        return f'under "providers", "{provider}": {{"sdk": "openai", "base_url": "https://..."}}'
    return f'[providers.{provider}] with sdk = "openai" and its base_url'


def _extend(lockfile: Lockfile | None, packages: Iterable[str]) -> str:
    """What to write where, to have the aliases of these packages and no others."""
    listed = ", ".join(f'"{it}"' for it in packages)
    where = (lockfile.path if lockfile is not None else None) or FILE_NAME
    if lockfile is not None and lockfile.is_json:
        return f'write in {where}: "extends": {{"packages": [{listed}]}}'
    return f"write under [extends] in {where}: packages = [{listed}]"


def _ships(package: str, alias: str) -> bool:
    try:
        profiles = package_lockfile(package).profiles.values()
    except LockfileError:
        return False
    return any(alias in it.bindings for it in profiles)


def _is_same(package: str, other: str) -> bool:
    """Whether two names are those of one package: its file is one and the same."""
    file = _known_file(package)
    return file is not None and file == _known_file(other)


@cache
def _known_file(name: str) -> Path | None:
    """`_find`, once: every `provider:model` of a program that extends a package is asked about."""
    return _find(name)


def _find(package: str) -> Path | None:
    """The lockfile of an installed package."""
    files = (folder / FILE_NAME for folder in _folders(package))
    return next((file for file in files if file.is_file()), None)


def _folders(package: str) -> Iterator[Path]:
    """Where a package lies: by the name it is imported by, else by the name of its distribution."""
    top, _, rest = package.partition(".")
    found = False
    for name in dict.fromkeys((top, top.replace("-", "_"))):
        for folder in _import_folders(name):
            found = True
            yield folder.joinpath(*rest.split(".")) if rest else folder
    if not found:
        yield from _distribution_folders(package)


def _import_folders(name: str) -> list[Path]:
    """The folders of a top-level package. Finding its spec does not import it."""
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return []
    return [Path(folder) for folder in (spec and spec.submodule_search_locations) or []]


def _distribution(name: str) -> Distribution | None:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution(name)
    except (PackageNotFoundError, ValueError):
        return None


def _distribution_folders(name: str) -> Iterator[Path]:
    found = _distribution(name)
    if found is None:
        return
    for file in found.files or []:
        if file.name == FILE_NAME:
            yield Path(str(found.locate_file(file))).parent
    for top in (found.read_text("top_level.txt") or "").split():
        yield from _import_folders(top)
