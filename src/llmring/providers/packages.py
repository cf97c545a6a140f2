"""The SDKs as packages: what is installed, and what llmring works with."""

from __future__ import annotations

import re
from importlib import metadata

__all__ = ["fits", "how_to_install", "installed_version", "requirement"]

_PARTS = re.compile(r"([\w.-]+)\s*([^;\s]*)")


def installed_version(package: str) -> str | None:
    """The version that is installed, `None` if there is none. The package is not imported.

    Args:
        package: as pip knows it.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def requirement(package: str) -> str:
    """A package with the versions that llmring's own extras ask for: `openai>=3.52,<4`.

    Args:
        package: as pip knows it. One that no extra names is returned as it is.
    """
    return package + _bounds(package)


def how_to_install(package: str) -> str:
    """The command that installs a package in a version that llmring works with."""
    wanted = requirement(package)
    return f"pip install '{wanted}'" if wanted != package else f"pip install {package}"


def fits(package: str, version: str) -> bool:
    """Whether a version of a package is one that llmring's own extras ask for.

    Args:
        package: as pip knows it.
        version: its numbers; what follows them (`rc1`, `.dev0`) is not looked at.
    """
    return all(
        _numbers(version) >= _numbers(bound) if sign == ">=" else _numbers(version) < _numbers(bound)
        for sign, bound in re.findall(r"(>=|<)([\d.]+)", _bounds(package))
    )


def _bounds(package: str) -> str:
    try:
        asked = metadata.requires("llmring") or ()
    except metadata.PackageNotFoundError:
        asked = ()
    for line in asked:
        match = _PARTS.match(line)
        if match and match[1] == package:
            return ",".join(sorted(match[2].split(","), reverse=True))
    return ""


def _numbers(version: str) -> list[int]:
    """`"3.52"` as `[3, 52]`; trailing zeros make no difference."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
