"""`llmring doctor`: whether this machine can run what the lockfile says, and what to do where it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .printing import say_json
from .terminal import columns, note, paint, say

if TYPE_CHECKING:
    from .diagnosis import Diagnosis, Served

__all__ = ["doctor"]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at all of it at once.

    Versions, lockfile, profile, aliases, keys, SDKs and models. Each problem comes with the step that mends it; the
    status is 1 if there is one. Nobody is asked over the network but the servers of one's own that an alias needs.
    To ask the vendors: llmring providers --check

    \b
    Example:
      llmring doctor
      LLMRING_PROFILE=dev llmring doctor
      llmring doctor --json | jq -r '.troubles[] | .mend'
    """
    from .diagnosis import diagnose
    from .progress import working

    with working("Looking around"):
        diagnosis = diagnose()
    if as_json:
        say_json(_described(diagnosis))
    else:
        _print(diagnosis)
    if diagnosis.of("problem"):
        raise typer.Exit(1)


def _versions() -> Iterator[tuple[str, str]]:
    import platform
    from importlib.metadata import version

    from ..providers.packages import installed_version

    yield "llmring", version("llmring")
    yield "python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    yield "genai-prices", version("genai-prices")
    yield "keyring", installed_version("keyring") or "not installed"


def _described(diagnosis: Diagnosis) -> dict[str, Any]:
    from .standing import described

    return {
        "ok": not diagnosis.of("problem"),
        "versions": dict(_versions()),
        "lockfile": str(diagnosis.path) if diagnosis.path else None,
        "profile": diagnosis.profile,
        "aliases": [
            {"alias": it.alias, "models": list(it.models), "served_by": it.server, "obstacles": it.obstacles}
            for it in diagnosis.served
        ],
        "providers": [described(one) for one in diagnosis.standings],
        "troubles": [{"severity": it.severity, "what": it.what, "mend": it.mend} for it in diagnosis.troubles],
    }


def _print(diagnosis: Diagnosis) -> None:
    lockfile, profile, found = diagnosis.lockfile, diagnosis.profile, diagnosis.standings
    head = [*_versions(), ("lockfile", str(diagnosis.path or "none that can be used"))]
    if lockfile is not None and profile is not None:
        head.append(("profile", f"{profile} (of {', '.join(lockfile.profiles)})"))
    say(columns(head))
    _section(
        "Aliases", [(_mark(it), it.alias, it.server or f"nobody ({', '.join(it.models)})") for it in diagnosis.served]
    )
    sdks = {one.package: one.version for one in found if one.package}
    _section("SDKs", [(name, version or "not installed") for name, version in sdks.items()])
    _section("Keys", [(one.name, one.key_said) for one in found if one.key_said])
    for severity, heading, colour in (("problem", "Problems", "red"), ("warning", "To look at", "yellow")):
        chosen = [it for it in diagnosis.troubles if it.severity == severity]
        if chosen:
            say(f"\n{paint(heading, bold=True, fg=colour)}")
            say("\n".join(f"  {it.what}\n    {it.mend}" for it in chosen))
    if not diagnosis.of("problem"):
        note("\nNo problems, but see what to look at." if diagnosis.troubles else "\nNo problems.")


def _section(heading: str, rows: Sequence[Sequence[str]]) -> None:
    if rows:
        say(f"\n{paint(heading, bold=True)}")
        say(columns(rows, indent="  "))


def _mark(one: Served) -> str:
    if one.server is None:
        return "no"
    return "ok" if one.server == one.models[0] else "stand-by"
