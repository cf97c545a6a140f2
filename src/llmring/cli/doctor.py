"""`llmring doctor`: whether this machine can run what the lockfile says, and what to do where it cannot."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Annotated, Any, Literal

import typer

from ..addresses import network_of
from ..checking import check_lockfile
from ..exceptions import (
    LLMRingError,
    LockfileNotFoundError,
    ProviderAuthenticationError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from ..lockfile import Lockfile, find_lockfile, load
from ..lockfile.files import none_found
from ..providers import listing
from ..providers.creation import fits, how_to_install, installed_version, requirement
from ..providers.errors import CHECK_THAT_IT_RUNS
from ..service import LLMRing
from .project import bindings_in
from .status import KEYRING_WAITS, Status, ask, keyring, refusals, statuses
from .terminal import columns, note, paint, say, say_json, working
from .trust import obstacle

Severity = Literal["problem", "warning"]


@dataclass(frozen=True)
class Trouble:
    """A problem, so that something cannot serve, or what is to be looked at; and the step that fixes it."""

    severity: Severity
    what: str
    fix: str


@dataclass(frozen=True)
class Served:
    """How an alias stands: its candidates, and what keeps some of them from serving."""

    alias: str
    models: Sequence[str]
    obstacles: dict[str, str]

    @property
    def server(self) -> str | None:
        """The first candidate that can serve, `None` if none can."""
        return next((model for model in self.models if model not in self.obstacles), None)


@dataclass(frozen=True)
class Diagnosis:
    """All that was found."""

    lockfile: Lockfile | None
    profile: str | None
    served: Sequence[Served]
    statuses: Sequence[Status]
    troubles: Sequence[Trouble]

    def of(self, severity: Severity) -> list[Trouble]:
        """The troubles of a severity."""
        return [trouble for trouble in self.troubles if trouble.severity == severity]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at all of it at once.

    Versions, lockfile, profile, aliases, keys, SDKs and models. Each problem comes with the step that mends it; the
    status is 1 if there is one. Nobody is asked over the network but the servers of one's own that an alias needs.
    To ask the vendors: llmring providers --check. Nothing is told of circuit breakers: each program has its own, and
    asks its service for them (`service.breakers()`).

    \b
    Example:
      llmring doctor
      LLMRING_PROFILE=dev llmring doctor
      llmring doctor --json | jq -r '.troubles[] | .mend'
    """
    with working("Looking around"):
        diagnosis = diagnose()
    if as_json:
        say_json(_described(diagnosis))
    else:
        _print(diagnosis)
    if diagnosis.of("problem"):
        raise typer.Exit(1)


def _versions() -> Iterator[tuple[str, str]]:
    yield "llmring", metadata.version("llmring")
    yield "python", f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    yield "genai-prices", metadata.version("genai-prices")
    yield "keyring", installed_version("keyring") or "not installed"


def _described(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "ok": not diagnosis.of("problem"),
        "versions": dict(_versions()),
        "lockfile": str(diagnosis.lockfile.path) if diagnosis.lockfile is not None else None,
        "profile": diagnosis.profile,
        "aliases": [
            {"alias": it.alias, "models": list(it.models), "served_by": it.server, "obstacles": it.obstacles}
            for it in diagnosis.served
        ],
        "providers": [one.as_data() for one in diagnosis.statuses],
        "troubles": [{"severity": it.severity, "what": it.what, "mend": it.fix} for it in diagnosis.troubles],
    }


def _print(diagnosis: Diagnosis) -> None:
    lockfile, profile, found, served = diagnosis.lockfile, diagnosis.profile, diagnosis.statuses, diagnosis.served
    head = [*_versions(), ("lockfile", str(lockfile.path if lockfile is not None else "none that can be used"))]
    if lockfile is not None and profile is not None:
        head.append(("profile", f"{profile} (of {', '.join(lockfile.profiles)})"))
    say(columns(head))
    marks = ["no" if it.server is None else "ok" if it.server == it.models[0] else "stand-by" for it in served]
    servers = [it.server or f"nobody ({', '.join(it.models)})" for it in served]
    _section("Aliases", list(zip(marks, (it.alias for it in served), servers, strict=True)))
    sdks = {one.package: one.version for one in found if one.package}
    _section("SDKs", [(name, version or "not installed") for name, version in sdks.items()])
    _section("Keys", [(one.name, one.key_said) for one in found if one.key_said])
    for severity, heading, colour in (("problem", "Problems", "red"), ("warning", "To look at", "yellow")):
        if chosen := [it for it in diagnosis.troubles if it.severity == severity]:
            say(f"\n{paint(heading, bold=True, fg=colour)}")
            say("\n".join(f"  {it.what}\n    {it.fix}" for it in chosen))
    if not diagnosis.of("problem"):
        note("\nNo problems, but see what to look at." if diagnosis.troubles else "\nNo problems.")


def _section(heading: str, rows: Sequence[Sequence[str]]) -> None:
    if rows:
        say(f"\n{paint(heading, bold=True)}")
        say(columns(rows, indent="  "))


def diagnose() -> Diagnosis:
    """Look at the settings, the lockfile, the profile in force and its aliases, their providers, keys and SDKs.

    Nobody is asked over the network but the servers of one's own that an alias of the profile needs.
    """
    lockfile, of_lockfile = _lockfile()
    keys = keyring()
    found = statuses(lockfile, keys)
    profile, of_profile = _profile(lockfile)
    untrusted = _untrusted(lockfile, profile, found)
    served = _served(lockfile, profile, found, untrusted) if lockfile is not None and profile is not None else []
    obstacles = dict.fromkeys(one.obstacle for one in found if one.obstacle and (one.aliases or one.key_source))
    troubles = [*_settings(), *of_lockfile, *of_profile, *(_split("problem", it) for it in obstacles)]
    for name, reason in untrusted.items():  # no command asks these, whoever stands by for them
        what, _, fix = reason.partition(". Nothing was sent there. ")
        troubles.append(Trouble("problem", f"{name} is asked by no command: {what}.", fix))
    troubles += _of_aliases(served, {*obstacles, *untrusted.values(), *(one.unknown for one in found)})
    troubles += [*_of_sdks(found), *_of_packages(found), *_of_nothing(lockfile, profile, served, found)]
    if keys.waits:
        troubles.append(_split("warning", KEYRING_WAITS))
    return Diagnosis(lockfile, profile, served, found, troubles)


def _settings() -> Iterator[Trouble]:
    try:
        LLMRing()
    except LLMRingError as error:
        yield Trouble("problem", str(error), "Correct it, or take it out of the environment.")


def _split(severity: Severity, reason: str) -> Trouble:
    """What is wrong, and what to do about it, from a message that says both."""
    what, _, fix = reason.partition(". ")
    return Trouble(severity, f"{what}.", fix)


def _lockfile() -> tuple[Lockfile | None, list[Trouble]]:
    """The lockfile, and what a check of it finds."""
    path = find_lockfile()
    if path is None:
        what = f"{none_found()}, so aliases mean nothing here."
        return None, [Trouble("warning", what, "To make one: llmring lock init")]
    try:
        lockfile = load(path)
    except LockfileNotFoundError:
        fix = f"To make it: llmring lock init --file {path}"
        return None, [Trouble("problem", f"There is no lockfile at {path}, where LLMRING_LOCKFILE_PATH says.", fix)]
    except LLMRingError as error:
        return None, [Trouble("problem", str(error), "Once it is mended: llmring lock validate")]
    troubles = []
    for finding in check_lockfile(path).findings:
        # SDKs are looked at for the profile in force, since a machine need not run the others.
        if finding.code != "sdk-missing":
            severity: Severity = "problem" if finding.severity == "error" else "warning"
            troubles.append(Trouble(severity, f"{finding.spot}: {finding.message}", finding.advice))
    return lockfile, troubles


def _profile(lockfile: Lockfile | None) -> tuple[str | None, list[Trouble]]:
    """The profile in force."""
    wanted = os.environ.get("LLMRING_PROFILE") or None
    if lockfile is None:
        return None, []
    try:
        return lockfile.profile(wanted).name, []
    except LLMRingError as error:
        return None, [Trouble("problem", f"LLMRING_PROFILE is {wanted!r}. {error}", "Or: unset LLMRING_PROFILE")]


def _served(lockfile: Lockfile, profile: str, found: Sequence[Status], untrusted: Mapping[str, str]) -> list[Served]:
    """How each alias of the profile stands."""
    obstacles = {one.name: one.problem for one in found if one.problem is not None} | dict(untrusted)
    needed = [one for one in found if one.name not in obstacles and profile in one.aliases]
    # A server of one's own is so by its name, or by the address that the lockfile or a variable gives it.
    local = [it for it in needed if it.endpoint and (it.endpoint.local or network_of(it.endpoint.base_url) == "own")]
    bindings = bindings_in(lockfile, lockfile.profiles[profile], quietly=True)
    obstacles |= _absent(local, [model for binding in bindings.values() for model in binding.models])
    served = []
    for it in bindings.values():
        keeping = {model: obstacles.get(model) or obstacles.get(model.partition(":")[0]) for model in it.models}
        served.append(Served(it.alias, it.models, {model: reason for model, reason in keeping.items() if reason}))
    return served


def _untrusted(lockfile: Lockfile | None, profile: str | None, found: Sequence[Status]) -> dict[str, str]:
    """Why providers of the profile are not sent their secrets by any command."""
    if lockfile is None:
        return {}
    needed = [one.name for one in found if one.problem is None and profile in one.aliases]
    return {name: reason for name in needed if (reason := obstacle(lockfile, name))}


def _absent(local: Sequence[Status], models: Sequence[str]) -> dict[str, str]:
    """The servers of one's own that do not answer, and the models that those lack which fetch them on command."""
    answers = ask([one.name for one in local])
    obstacles = {}
    for one in local:
        answer, row = answers[one.name], one.endpoint.dialect if one.endpoint is not None else None
        if isinstance(answer, LLMRingError):
            if reason := _obstacle(one, answer):
                obstacles[one.name] = reason
        elif row is not None and (fetch := row.fetch):
            there = {listed.name for listed in answer}
            for model in models:
                provider, _, name = model.partition(":")
                if provider == one.name and name.removesuffix(":latest") not in there:
                    obstacles[model] = f"{provider.title()} does not have {name}. To get it: {fetch} {name}"
    return obstacles


def _obstacle(one: Status, error: LLMRingError) -> str | None:
    """What keeps a server of one's own from serving, by the error that it came to when it was asked for its models."""
    row = one.endpoint.dialect if one.endpoint is not None else None
    if isinstance(error, listing.NoListing):
        return None
    where = f" at {one.address}" if one.address else ""
    if isinstance(error, ProviderAuthenticationError):
        return f"{one.name}{where} refuses the key. Check {one.key_source or 'api_key_env, which names none'}."
    if isinstance(error, ProviderResponseError) and error.status_code in (404, 405, 501):
        if row is None or not row.local:
            return None  # it is there, and lists nothing
    elif not isinstance(error, ProviderTimeoutError) and not str(error).endswith(CHECK_THAT_IT_RUNS):
        return str(error)  # a proxy, a certificate, or something else that starting it would not fix
    said_by = one.endpoint.address_source if one.endpoint is not None else ""
    start = f": {row.start}" if row is not None and row.start else ""
    if said_by or not start:
        start += f", or correct {said_by or f'base_url in [providers.{one.name}]'}"
    return f"{one.name} does not answer{where}. Start it{start}"


# What is wrong


def _of_aliases(served: Sequence[Served], said: Collection[str]) -> Iterator[Trouble]:
    """Obstacles, each once, with what they do to the aliases; but those that were said."""
    affected: dict[str, list[Served]] = {}
    for one in served:
        for reason in dict.fromkeys(one.obstacles.values()):
            affected.setdefault(reason, []).append(one)
    for reason, aliases in affected.items():
        if reason in said:
            continue
        what, _, fix = reason.partition(". ")
        without = [one.alias for one in aliases if one.server is None]
        moved = [one.alias for one in aliases if one.server is not None and one.models[0] in one.obstacles]
        effects = [f"nothing serves {', '.join(without)}"] if without else []
        effects += [f"a stand-by serves {', '.join(moved)}"] if moved else []
        effects = effects or [f"a stand-by of {', '.join(one.alias for one in aliases)} cannot serve"]
        yield Trouble("problem" if without else "warning", f"{what}: {'; '.join(effects)}.", fix)


def _of_sdks(found: Sequence[Status]) -> Iterator[Trouble]:
    """SDKs that are there in a version that does not work, whoever needs them."""
    for package, version in {one.package: one.version for one in found}.items():
        if version is not None and not fits(package, version):
            what = f"{package} {version} is installed, and llmring works with {requirement(package)}."
            yield Trouble("warning", what, how_to_install(package))


def _of_packages(found: Sequence[Status]) -> Iterator[Trouble]:
    """Providers that installed packages bring, and that cannot be used, whoever needs them."""
    for reason in (*refusals(), *(one.unknown for one in found if one.is_broken and not one.aliases)):
        yield _split("warning", reason)


def _of_nothing(
    lockfile: Lockfile | None, profile: str | None, served: Sequence[Served], found: Sequence[Status]
) -> Iterator[Trouble]:
    """What is missing where nothing can be asked for yet."""
    if served:
        return
    if lockfile is not None and profile is not None:
        what = f'The profile "{profile}" binds no alias, so there is nothing to ask for.'
        yield Trouble("warning", what, "To bind one: llmring bind chatbot provider:model")
    if not any(one.key_source for one in found):
        what = "No key is set, so only models of this machine can serve."
        yield Trouble("warning", what, "Set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY in the environment.")
