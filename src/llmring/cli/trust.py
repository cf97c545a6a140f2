"""Where a lockfile may have secrets sent, by the word of the user: asked once for what the file says of providers.

A lockfile can come with a stranger's repository, and chooses addresses and the variables that go there. A command sends
a secret to such an address only where the user has agreed to it, this machine and a vendor's own hosts apart. A program
that makes an `LLMRing` runs its own code, and is asked nothing. The word is kept in the user's own state folder, where
files are for their owner alone; `llmring trust` gives it, shows it and takes it back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ..addresses import host_of
from ..credentials import KEYRING, first_set
from ..exceptions import ConfigurationError, LLMRingError, LockfileNotFoundError, ProviderNotFoundError
from ..lockfile import Lockfile, find_lockfile, load, resolve
from ..private import read_privately, state_folder, write_privately
from ..providers.endpoints import endpoint
from ..providers.secrets import SDKS_OWN, Secret, is_at_home, is_set, secrets_of
from ..references import escaped, shown
from ..service import LLMRing
from .project import argument, lockfile_if_any, lockfile_path
from .terminal import columns, confirm, note, say, say_json, warn

VARIABLE = "LLMRING_TRUST"
"""The environment variable that, as 1, trusts the lockfile of this run: for continuous integration."""
_NAMED = 3
"""Secrets that a message names."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The word of the user on one file: a digest of what it said of providers, where it sends what, and since when."""

    path: str
    digest: str
    sends: Sequence[dict[str, str]]
    since: str


class Service(LLMRing):
    """What a command asks through: it sends no secret where only a lockfile says so that the user has not trusted."""

    def _vet(self, name: str, lockfile: Lockfile | None) -> None:
        if lockfile is not None and (reason := obstacle(lockfile, name)):
            raise ConfigurationError(reason)


def require(lockfile: Lockfile | None, names: Iterable[str]) -> None:
    """See to it that these providers may be sent their secrets: ask on a terminal, refuse elsewhere."""
    if lockfile is None or not (wanted := _wanted(lockfile, names)):
        return
    if not all(it is not None and it.isatty() for it in (sys.stdin, sys.stderr)):
        raise ConfigurationError(_refusal(lockfile, wanted))
    show(lockfile)
    if _is_ignored():
        note(f"{VARIABLE} is ignored: it takes 1, and nothing else.")
    if not typer.confirm("Do you trust it with that?", err=True):
        note("Nothing was sent.")
        raise typer.Exit(1)
    try:
        keep(lockfile)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename} cannot be written: {error.strerror}. To trust the file for one run: {VARIABLE}=1"
        ) from None


def require_for_model(model: str, profile: str | None) -> None:
    """`require` for whoever may serve an alias or a `provider:model`."""
    if (lockfile := lockfile_if_any()) is not None and lockfile.providers:
        require(lockfile, [it.partition(":")[0] for it in resolve(lockfile, model, profile or None).models])


def obstacle(lockfile: Lockfile, name: str) -> str | None:
    """Why a provider is not sent its secrets, and what to do about it; `None` where it may be."""
    wanted = _wanted(lockfile, [name])
    return _refusal(lockfile, wanted) if wanted else None


def away(lockfile: Lockfile, names: Iterable[str] | None = None) -> list[Secret]:
    """The secrets that a file would have go to addresses that are neither this machine's nor their vendor's own.

    Of all the providers that it declares, or of these: others go where it has no say.
    """
    found = []
    for name in lockfile.providers if names is None else dict.fromkeys(names):
        if name in lockfile.providers:
            try:
                secrets = secrets_of(endpoint(name, lockfile.providers[name]))
            except ProviderNotFoundError:
                continue  # nobody can be asked
            found += [secret for secret in secrets if not is_at_home(secret)]
    return found


def _wanted(lockfile: Lockfile, names: Iterable[str]) -> list[Secret]:
    """The secrets that are set, would go away with the requests of these providers, and may not yet."""
    found = away(lockfile, names)
    if not found or is_trusted(lockfile):
        return []
    return [it for it in found if is_set(it, endpoint(it.provider, lockfile.providers[it.provider]))]


def show(lockfile: Lockfile) -> None:
    """Tell the person at the terminal which secret goes to which host."""
    note(f"{_name(lockfile)} sends these of your secrets to addresses of its choice:", dim=False)
    found = away(lockfile)
    note(
        columns([(_host(it), f"{_source(it)}{_state(it)}", f"for {shown(it.provider)}") for it in found], indent="  "),
        dim=False,
    )
    if any(it.address.startswith("http:") for it in found):
        warn("what goes over plain http can be read by whoever is on the way.")


def described(secrets: Iterable[Secret]) -> list[dict[str, str]]:
    """Which secret goes to which host for which provider, as it is kept and printed as JSON."""
    return [{"secret": it.source, "host": host_of(it.address), "provider": it.provider} for it in secrets]


def _state(secret: Secret) -> str:
    return "" if secret.source in (KEYRING, SDKS_OWN) or first_set([secret.source]) else " (not set here)"


# The user's word


def digest_of(lockfile: Lockfile) -> str:
    """A digest of what a file says of providers, however it is written."""
    said = {}
    for name, settings in lockfile.providers.items():
        table = asdict(settings)
        table |= table.pop("extra")
        said[name] = {key: value for key, value in table.items() if value not in (None, {})}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def is_trusted(lockfile: Lockfile) -> bool:
    """Whether the user has agreed to what a file says of providers, now or for this run (`LLMRING_TRUST=1`)."""
    return os.environ.get(VARIABLE, "").strip() == "1" or agreed(lockfile)


def agreed(lockfile: Lockfile) -> bool:
    """Whether the user has agreed to what a file says of providers, and that is kept."""
    entry = _entry(_path(lockfile))
    return entry is not None and entry.digest == digest_of(lockfile)


def lapsed(entry: Entry) -> str | None:
    """Why the user's word on a file holds no longer; `None` where it does."""
    try:
        lockfile = load(entry.path)
    except LockfileNotFoundError:
        return "the file is gone"
    except LLMRingError:
        return "the file cannot be read"
    return None if digest_of(lockfile) == entry.digest else "what it says of providers has changed"


def _is_ignored() -> bool:
    """Whether the variable says something, in words that count for nothing."""
    return os.environ.get(VARIABLE, "").strip() not in ("", "1")


def keep(lockfile: Lockfile) -> None:
    """Keep the user's word on a file."""
    path = _path(lockfile)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = Entry(path, digest_of(lockfile), described(away(lockfile)), now)
    write_privately(_file(path), json.dumps(asdict(entry), indent=1).encode() + b"\n")


def forget(path: Path) -> bool:
    """Take the user's word on a file back; whether there was any."""
    file = _file(os.path.realpath(path))
    there = file.exists()
    file.unlink(missing_ok=True)
    return there


def entries() -> list[Entry]:
    """All that the user has trusted, by path."""
    found = [_read(file) for file in _folder().glob("*.json")]
    return sorted((it for it in found if it is not None), key=lambda entry: entry.path)


def _path(lockfile: Lockfile) -> str:
    return os.path.realpath(lockfile.path or "")


def _folder() -> Path:
    return state_folder() / "trust"


def _file(path: str) -> Path:
    """Where the word on a file is kept; one file each, so that nobody's is lost when two are written at once."""
    return _folder() / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"


def _entry(path: str) -> Entry | None:
    entry = _read(_file(path))
    return entry if entry is not None and entry.path == path else None


def _read(file: Path) -> Entry | None:
    """An entry; `None` where there is none, or it is not the user's alone."""
    content = read_privately(file)
    try:
        said: Any = json.loads(content or b"")
        sends = [dict(it) for it in said["sends"]]
        return Entry(str(said["path"]), str(said["digest"]), sends, str(said["since"]))
    except (ValueError, TypeError, LookupError):
        return None


# Words


def _refusal(lockfile: Lockfile, wanted: Sequence[Secret]) -> str:
    flows = [f"{_source(it)} to {_host(it)}" for it in wanted]
    more = f" and {len(flows) - _NAMED} more" if len(flows) > _NAMED else ""
    entry = _entry(_path(lockfile))
    why = "and you have not agreed to that"
    if entry is not None:
        why = "and what it says of providers has changed since you agreed to it"
    return (
        f"{_name(lockfile)} sends {', '.join(flows[:_NAMED])}{more}, {why}. Nothing was sent there. To look at "
        f"it and agree: llmring trust. In CI: {VARIABLE}=1"
        + (" (it takes 1, and nothing else: what it holds now is ignored)" if _is_ignored() else "")
    )


def _name(lockfile: Lockfile) -> str:
    return escaped(str(lockfile.path))


def _source(secret: Secret) -> str:
    if secret.source == SDKS_OWN:
        return f"what the SDK of {shown(secret.provider)} finds by itself"
    return f"the keyring's entry {shown(secret.provider)}" if secret.source == KEYRING else shown(secret.source)


def _host(secret: Secret) -> str:
    return host_of(secret.address) + (" (plain http)" if secret.address.startswith("http:") else "")


def trust(
    file: Annotated[Path | None, argument("FILE", "The lockfile, instead of this folder's.")] = None,
    every: Annotated[bool, typer.Option("--list", help="Show what is trusted.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take it back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Agree without being asked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Agree to where the lockfile has your secrets sent.

    A lockfile may come with somebody else's repository, and it chooses addresses and the variables that go there. A
    command sends a secret (a key, a variable that api_key_env or a header names) to such an address only after this;
    on a terminal it asks by itself. This machine and a vendor's own hosts need none. It holds until what the file says
    of providers changes. In CI, LLMRING_TRUST=1 trusts the file of one run.

    \b
    Example:
      llmring trust
      llmring trust --list
      llmring trust --revoke
    """
    if every and revoke:
        raise typer.BadParameter("take one of --list and --revoke", param_hint="--list")
    if every:
        _list(entries(), as_json=as_json)
        return
    path = file or (_path_to_revoke() if revoke else lockfile_path())
    try:
        _revoke(path, as_json=as_json) if revoke else _trust(path, yes=yes, as_json=as_json)
    except LLMRingError:
        raise  # some of which are an OSError, too
    except OSError as error:
        raise LLMRingError(
            f"{error.filename} cannot be written: {error.strerror}. To trust a file for one run: {VARIABLE}=1"
        ) from None


def _trust(path: Path, *, yes: bool, as_json: bool) -> None:
    lockfile = load(path)
    sends = away(lockfile)
    if sends and agreed(lockfile):
        show(lockfile)
        note(f"You have agreed to that already. To take it back: {_command('--revoke', path)}")
    elif sends:
        show(lockfile)
        if not yes:
            confirm("Do you trust it with that?", otherwise=_command("--yes", path))
        keep(lockfile)
        note(
            f"Trusted, until what it says of providers changes. To take it back: {_command('--revoke', path)}",
            dim=False,
        )
    else:
        note(f"{path} has no secret sent to an address of its choice, so there is nothing to agree to.")
    if as_json:
        say_json({"file": str(path), "trusted": bool(sends), "sends": described(sends)})


def _path_to_revoke() -> Path:
    """The lockfile of the working directory, or what the message says for one that is gone."""
    try:
        return lockfile_path()
    except LockfileNotFoundError as error:
        here = str(Path.cwd())
        gone = [it.path for it in entries() if str(Path(it.path).parent) == here]
        named = _word(gone[0]) if gone else "FILE"
        what = str(error).partition(". To make it: ")[0]
        raise LockfileNotFoundError(
            f"{what}. For a file that is gone: llmring trust --revoke {named}. To see what is trusted: "
            "llmring trust --list"
        ) from None


def _revoke(path: Path, *, as_json: bool) -> None:
    if not forget(path):
        raise ConfigurationError(f"{path} was not trusted. To see what is: llmring trust --list")
    note(f"{path} is no longer trusted.", dim=False)
    if as_json:
        say_json({"file": str(path), "trusted": False, "sends": []})


def _command(option: str, path: Path) -> str:
    return f"llmring trust {option}" + ("" if find_lockfile() == path else f" {_word(str(path))}")


def _word(path: str) -> str:
    """A path, however long, as a shell takes it; a stand-in for one that would steer the terminal."""
    return shlex.quote(path) if escaped(path) == path else "FILE"


def _list(found: list[Entry], *, as_json: bool) -> None:
    states = [lapsed(it) for it in found]
    if as_json:
        say_json([asdict(it) | {"holds": why is None, "why": why} for it, why in zip(found, states, strict=True)])
        return
    if not found:
        note("Nothing is trusted.")
    for entry, why in zip(found, states, strict=True):
        say(f"{escaped(entry.path)} (since {escaped(entry.since)}{f'; holds no longer: {why}' if why else ''})")
        rows = [[escaped(f"{it.get(key)}") for key in ("host", "secret", "provider")] for it in entry.sends]
        say(columns(rows, indent="  "))
