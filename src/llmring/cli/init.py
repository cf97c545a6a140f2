"""`llmring lock init`: a lockfile for what this machine can use: keys that are set, servers that answer, SDKs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import typer

from ..addresses import can_be_asked
from ..catalog import ROLES, Role, model_info, suggested
from ..credentials import KEYRING, first_set, reveal
from ..exceptions import ConfigurationError, LLMRingError
from ..lockfile import create, find_lockfile
from ..lockfile.edits import write_schema
from ..lockfile.rendering import SCHEMA_FILE, json_text, new_data, toml
from ..lockfile.writing import Backup, backup_path
from ..providers.creation import how_to_install
from ..references import is_name
from ..vendors import BUILT_IN, SDKS
from .amounts import dollars
from .project import WrittenOption
from .status import KEYRING_WAITS, Status, keyring, status_of, statuses
from .terminal import columns, note, paint, say_json, warn, working

PATIENCE = 0.5
"""Seconds to wait for a server on this machine."""
_LARGEST_LISTING = 4_000_000

_HEAD = """\
#:schema ./{schema}
# Which model serves which alias: the first of its models, while the rest stand by. A program names the alias; to swap
# the provider, edit this file, and a running program follows with its next request. Commit it: it holds no key.
#
#   llmring aliases                      what is bound
#   llmring bind chatbot {example}
#   llmring chat "Hello" --model chatbot
"""

Alias = Literal["chatbot", Role]
CHATBOT: Final = "chatbot"
"""The alias that examples ask for. It is served as `ALIKE` is."""
ALIKE: Final = "balanced"
PURPOSE: Mapping[Alias, str] = {
    CHATBOT: "What the examples ask for, and llmring chat where it is told no other.",
    "fast": "Cheap and quick: sorting, extracting, short answers.",
    "balanced": "Everyday work.",
    "deep": "The hardest questions, where thinking longer is worth it.",
}
"""What each alias is for."""

_UNBOUND = """
# `llmring lock init` wrote this file where it found neither a key that it could use nor a server with models, or no
# SDK for them, and bound nothing. To have an alias served:
#
#   export ANTHROPIC_API_KEY=...         or OPENAI_API_KEY, or GEMINI_API_KEY
#   ollama serve && ollama pull MODEL    models of your own machine, no key
#
# and bind it with `llmring bind`, as above, or by hand:
#
# [[profiles.default.bindings]]
# alias = "chatbot"
# models = ["{example}"]
"""


def init(
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="PATH",
            envvar="LLMRING_LOCKFILE_PATH",
            help="Where to write it, instead of llmring.lock here. Ending in .json: as JSON.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there; it is kept as PATH.bak.")
    ] = False,
    as_json: WrittenOption = False,
) -> None:
    """Write a lockfile for the providers that this machine can use.

    Looks for API keys in the environment and the keyring, and for servers on this machine: Ollama, llama-server, vLLM
    and LM Studio, on their usual ports. Binds the aliases chatbot, fast, balanced and deep to current models of what it
    finds and has the SDK of, each with the others standing by. A file that it wrote where it found nothing is replaced;
    any other stays, but for --force.

    \b
    Example:
      llmring lock init
      llmring lock init --file config/llmring.lock --force --json
    """
    path = Path(os.path.expanduser(file or "llmring.lock"))
    nothing = [render([]).encode(), render([], as_json=True).encode()]
    force = force or _holds(path, nothing)
    if os.path.isfile(path) and not force:  # which, unlike Path.is_file, never raises
        option = f" --file {path}" if file else ""
        raise ConfigurationError(
            f"{path} is there already and stays as it is. To add an alias: llmring bind ALIAS provider:model. "
            f"To replace it, and keep it as {backup_path(path).name}: llmring lock init{option} --force"
        )
    with working("Looking around"):
        found = look()
    if any(it.status.keyring.waits for it in found):
        note(KEYRING_WAITS)
    text = render(found, as_json=path.suffix == ".json")
    backup = Backup(path, text.encode(), *nothing)
    with working(f"Writing {path.name}"):
        lockfile = create(path, text, force=force, keep=backup)
        schema = _write_schema(path)
    kept = backup.kept
    if as_json:
        say_json(
            {
                "file": str(path.absolute()),
                "kept_as": None if kept is None else str(kept.absolute()),
                "profile": lockfile.default_profile,
                "aliases": {alias: list(it.models) for alias, it in lockfile.profile().bindings.items()},
            }
        )
        return
    _report(found)
    beside = "" if schema is None else f", and {schema.name}, with which editors check it"
    note(f"\n{paint('Wrote', bold=True, err=True)} {path.absolute()}{beside}", dim=False)
    if kept:
        note(f"{paint('Kept', bold=True, err=True)} what was there as {kept.absolute()}", dim=False)
    used = find_lockfile()
    if used is None or used.resolve() != path.resolve():
        use = f"export LLMRING_LOCKFILE_PATH={path.absolute()}"
        note(f"It is not the lockfile of this folder. To use it: {use}", dim=False)
    _advise(found)


def _holds(path: Path, texts: list[bytes]) -> bool:
    """Whether the file is one of these."""
    try:
        return path.read_bytes() in texts
    except OSError:
        return False


def _write_schema(path: Path) -> Path | None:
    """Writes the schema that the new file names beside it, and says where it is. A file of that name that is no such is
    kept, with a warning."""
    try:
        return write_schema(path)
    except LLMRingError as error:
        warn(str(error))
        return None


def _report(found: list[Found]) -> None:
    rows = [(one.status.name, one.state) for one in found]
    note(f"{paint('Found', bold=True, err=True)}\n{columns(rows, indent='  ')}\n", dim=False)
    bindings = bound(found)
    if not bindings:
        note("Nothing to bind yet; the file says how to go on.", dim=False)
        return
    rows = []
    for alias, (first, *rest) in bindings.items():
        rows += [(alias, PURPOSE[alias]), ("", f"{first}{_price(first)}")]
        rows += [("", f"stand-by: {', '.join(rest)}")] if rest else []
    note(
        f"{paint('Bound', bold=True, err=True)}\n{columns(rows, indent='  ')}\n"
        "These are the vendors' current models for the purpose, local servers last; to change that, edit the file or "
        "use\nllmring bind.",
        dim=False,
    )


def _price(reference: str) -> str:
    info = model_info(reference)
    if info.input_price is None or info.output_price is None:
        return ""
    return f" ({dollars(info.input_price)} in, {dollars(info.output_price)} out for a million tokens)"


def _advise(found: list[Found]) -> None:
    ready = [one.status for one in found if one.models]
    steps = [how_to_install(it) for it in dict.fromkeys(one.package for one in ready if one.version is None)]
    if bound(found):
        again = "   (and llmring lock init --force, to have it bound)"
        steps = ['llmring chat "Hello"', *(step + again for step in steps)]
    else:
        if not ready:
            steps.append("export ANTHROPIC_API_KEY=...   (or another of the variables above), or start Ollama")
        steps.append("llmring lock init")
        steps.append("python -m llmring.testing   (to try without a key: a server that makes answers up)")
    listed = "\n".join(f"  {step}" for step in steps)
    note(f"\n{paint('Next', bold=True, err=True)}\n{listed}", dim=False)


def bound(found: list[Found]) -> dict[Alias, list[str]]:
    """The models of each alias as `provider:model`: those whose SDK is installed, local servers last."""
    able = [(one.status, one.models) for one in found if one.models and one.status.version is not None]
    able.sort(key=lambda pair: not pair[0].needs_key)
    aliases: list[tuple[Alias, Role]] = [(CHATBOT, ALIKE), *((role, role) for role in ROLES)]
    return {alias: [f"{it.name}:{models[role]}" for it, models in able] for alias, role in aliases if able}


def render(found: list[Found], *, as_json: bool = False) -> str:
    """A lockfile that binds what was found, or says how to go on if nothing was. JSON has no place for remarks."""
    bindings = bound(found)
    if as_json:
        return json_text({"$schema": f"./{SCHEMA_FILE}", **new_data(bindings.items())})
    example = bindings["fast"][0] if bindings else f"anthropic:{suggested('fast')['anthropic']}"
    text = _HEAD.format(schema=SCHEMA_FILE, example=example) + toml(new_data())
    if not bindings:
        return text + _UNBOUND.format(example=example)
    for alias, models in bindings.items():
        binding = {"alias": alias, "models": models}
        text += f"\n# {PURPOSE[alias]}\n{toml({'profiles': {'default': {'bindings': [binding]}}})}"
    return text


@dataclass(frozen=True, slots=True)
class Found:
    """How a provider stands, in words too, with what to do where something is missing; and its model for each role,
    none if it cannot be used."""

    status: Status
    state: str
    models: Mapping[Role, str] = field(default_factory=dict)


def look() -> list[Found]:
    """What there is here of every provider that has an SDK of its own, of the vendors whose key is set, and of servers
    that answer where the like of them do."""
    keys = keyring()
    found = statuses(None, keys)
    looked = [_served(it) if it.needs_key else _running(it) for it in found if it.needs_key or it.name in SDKS]
    local = [name for name, row in BUILT_IN.items() if row.local and row.base_url and name not in SDKS]
    return looked + [one for name in local if (one := _answering(status_of(name, None, keys))) is not None]


def _served(one: Status) -> Found:
    """A vendor's service, of use with a key."""
    if one.key_source is None:
        known = "no key, and the keyring does not answer" if one.keyring.waits else "no key"
        return Found(one, f"{known}; set {' or '.join(one.key_variables)}")
    state = "a key in the keyring" if one.key_source == KEYRING else f"{one.key_source} is set"
    if one.lacks:
        return Found(one, f"{state}; {one.lacks}")
    if one.endpoint is not None and first_set(one.endpoint.address_variables):
        state += f"; asked at {one.address}, which may not have these models"
    models = {role: suggested(role)[one.name] for role in ROLES if one.name in suggested(role)}
    if not models:
        state += f"; none of its models is suggested: llmring bind ALIAS {one.name}:MODEL"
    return Found(one, state + _missing(one), models)


def _running(one: Status) -> Found:
    """A server on this machine or near it, of use if it answers and has models.

    It is asked without its SDK, which may be missing: that it is there is the reason to install it.
    """
    address = one.endpoint.address if one.endpoint is not None else None
    if address is None or not can_be_asked(address):
        return Found(one, f"{one.endpoint and one.endpoint.address_source} is no address to ask")
    host, port, secure, path = _address(address)
    where = f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}{path}"
    listed = _listed(_asked(host, port, secure, f"{path}/api/tags", {}), "models", "name")
    if listed is None:
        return Found(one, f"no server answers at {where}")
    chosen = _by_size(listed)
    if not chosen:
        return Found(one, f"answers at {where}, with no models; ollama pull MODEL")
    return Found(one, f"answers at {where} with {len(listed)} model{'s'[: len(listed) != 1]}{_missing(one)}", chosen)


def _answering(one: Status) -> Found | None:
    """A server that speaks Chat Completions, on its usual port; `None` if none answers there.

    Others use these ports, too: it is one only if it lists models as such a server does.
    """
    address = one.endpoint.base_url if one.endpoint is not None else None
    if address is None:
        return None
    held = one.key is not None and not one.key.wrong
    headers = {"Authorization": f"Bearer {reveal(one.key)}"} if held and one.key is not None else {}
    host, port, secure, path = _address(address)
    said = _asked(host, port, secure, f"{path}/models", headers)
    listed = _listed(said, "data", "id")
    if listed is None or said.get("object") != "list":
        return None
    sizes = [meta.get("size") if isinstance(meta := it.get("meta"), dict) else None for it in listed]
    models = [{"name": it["id"], "size": size} for it, size in zip(listed, sizes, strict=True)]
    chosen = _by_size(models) if None not in sizes else {}
    if not chosen:  # in its own order
        chosen = dict.fromkeys(ROLES, first) if (first := next(iter(_able(models)), None)) else {}
    count = f"with {len(listed)} model{'s'[: len(listed) != 1]}" if listed else "with no models"
    return Found(one, f"answers at {address} {count}{_missing(one)}", chosen)


def _missing(one: Status) -> str:
    return f"; its SDK is missing: {how_to_install(one.package)}" if one.version is None else ""


def _address(url: str) -> tuple[str, int, bool, str]:
    """Host, port, whether it is https, and path, of an address that can be asked."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    return parts.hostname or "", parts.port or (443 if secure else 80), secure, parts.path.rstrip("/")


def _asked(host: str, port: int, secure: bool, path: str, headers: Mapping[str, str]) -> Any:
    """What a server says at a path, as JSON; `None` if none answers there. Asked past any proxy."""
    connection = (HTTPSConnection if secure else HTTPConnection)(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers=dict(headers))
        return json.loads(connection.getresponse().read(_LARGEST_LISTING))
    except (OSError, HTTPException, ValueError, RecursionError):
        return None
    finally:
        connection.close()


def _listed(said: Any, key: str, name: str) -> list[dict[str, Any]] | None:
    """The models of a listing; `None` if it is none."""
    try:
        return [model for model in said[key] if is_name(model[name])]
    except (LookupError, TypeError, AttributeError):
        return None


def _able(listed: list[dict[str, Any]]) -> list[str]:
    """The models, but for those that only embed, or run elsewhere."""
    able = [it for it in listed if "embed" not in it["name"].lower() and not it.get("remote_host")]
    return [it["name"].removesuffix(":latest") for it in able]


def _by_size(listed: list[dict[str, Any]]) -> dict[Role, str]:
    """The smallest is fast, the largest is deep."""
    ordered = sorted(listed, key=lambda it: (size if isinstance(size := it.get("size"), int) else 0, it["name"]))
    names = _able(ordered)
    return {"fast": names[0], "balanced": names[len(names) // 2], "deep": names[-1]} if names else {}
