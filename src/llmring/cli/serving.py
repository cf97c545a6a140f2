"""The server of `llmring mcp`: what a client of the Model Context Protocol may ask of the lockfile, and have written.

Consent is the server's to get, not the client's to claim: a tool that writes takes it from an elicitation, which the
protocol carries to a person, and writes what was shown there or nothing. Annotations are evaluated here, since the SDK
reads what to resolve out of them.
"""

import os
import signal
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import anyio
from mcp.server.mcpserver import (
    AcceptedElicitation,
    Context,
    Elicit,
    ElicitationResult,
    MCPServer,
    Resolve,
)
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from .. import catalog
from ..checking import check as examine
from ..exceptions import LLMRingError
from ..lockfile import Proposal, load, propose, resolve
from . import aliases, check, diff
from .bind import check_provider, doubt_of
from .facts import as_data, facts_of
from .models import catalogued, has_words
from .project import bindings_in, lockfile_if_any, lockfile_path, open_lockfile, params_data
from .status import keyring, status_of
from .terminal import printable

__all__ = ["make_server", "serve"]

_MOST = 60
"""Models in one answer: an assistant reads all of it."""
_ABOUT = (
    "The llmring lockfile of the folder that this server was started in. A program names an alias; the lockfile binds "
    "it to provider:model references: the first serves, the rest stand by. Take the names of models from list_models, "
    "never from memory."
)
_P = ParamSpec("_P")
_T = TypeVar("_T")

Alias = Annotated[str, Field(description="The name that programs ask for.")]
Models = Annotated[
    list[str], Field(description="provider:model references; the first serves, the rest stand by.", min_length=1)
]
Profile = Annotated[str | None, Field(description="Instead of the file's default profile.")]


class Consent(BaseModel):
    """What a person says to a change."""

    write: bool = Field(description="Write this to the lockfile?")


def serve(*, allow_writes: bool) -> None:
    """Serve the client on standard input and output until it leaves.

    Ctrl-C ends the process there and then: the thread that reads standard input would be waited for. A lockfile is put
    in its place whole or not at all.
    """
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    try:
        make_server(allow_writes=allow_writes).run("stdio")
    except* (BrokenPipeError, ConnectionError, anyio.BrokenResourceError):  # the client has hung up
        pass


def make_server(*, allow_writes: bool) -> MCPServer[Any]:
    """The server, with its tools.

    Args:
        allow_writes: whether to write without asking.
    """
    server: MCPServer[Any] = MCPServer(
        "llmring", instructions=_ABOUT, version=version("llmring"), log_level="WARNING", subscriptions=False
    )
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    for tool in (list_aliases, resolve_alias, list_models, diff_lockfile, check_lockfile):
        server.add_tool(tool, annotations=reads)

    @_told
    def bound(alias: Alias, models: Models, profile: Profile = None) -> Proposal:
        path = lockfile_path()
        lockfile = load(path)
        for model in models:
            check_provider(model, lockfile)
        return propose(path, {alias: models}, profile=_named(profile))

    @_told
    def unbound(alias: Alias, profile: Profile = None) -> Proposal:
        return propose(lockfile_path(), {alias: None}, profile=_named(profile))

    def asked(proposal: Proposal, ctx: Context) -> Consent | Elicit[Consent]:
        if allow_writes or not proposal:
            return Consent(write=True)
        if not _can_ask(ctx):
            raise ToolError(
                "Nothing was written: this client cannot ask its user (it has no elicitation). Have the user run the "
                f"command: {_command(proposal)}. Or have them start the server with --allow-writes."
            )
        return Elicit(_question(proposal), Consent)

    def to_bind(proposal: Annotated[Proposal, Resolve(bound)], ctx: Context) -> Consent | Elicit[Consent]:
        return asked(proposal, ctx)

    def to_unbind(proposal: Annotated[Proposal, Resolve(unbound)], ctx: Context) -> Consent | Elicit[Consent]:
        return asked(proposal, ctx)

    @_told
    def bind_alias(
        alias: Alias,
        models: Models,
        proposal: Annotated[Proposal, Resolve(bound)],
        consent: Annotated[ElicitationResult[Consent], Resolve(to_bind)],
        profile: Profile = None,
    ) -> dict[str, Any]:
        """Bind an alias to models in the lockfile, in the place of those that it has. The user is asked first."""
        return _written(proposal, consent)

    @_told
    def unbind_alias(
        alias: Alias,
        proposal: Annotated[Proposal, Resolve(unbound)],
        consent: Annotated[ElicitationResult[Consent], Resolve(to_unbind)],
        profile: Profile = None,
    ) -> dict[str, Any]:
        """Take an alias out of the lockfile. The user is asked first."""
        return _written(proposal, consent)

    writes = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
    for writing in (bind_alias, unbind_alias):
        server.add_tool(writing, annotations=writes)
    return server


def _told(tool: Callable[_P, _T]) -> Callable[_P, _T]:
    """A tool whose errors of ours are told to the model that called it."""

    @wraps(tool)
    def telling(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return tool(*args, **kwargs)
        except LLMRingError as error:
            _fail(error)

    return telling


def _fail(error: LLMRingError) -> NoReturn:
    raise ToolError(printable(str(error))) from None


@_told
def list_aliases(profile: Profile = None) -> dict[str, Any]:
    """Which model serves which alias, with its stand-bys and params."""
    lockfile = open_lockfile()
    chosen = lockfile.profile(_named(profile))
    return aliases.data_of(lockfile, chosen, bindings_in(lockfile, chosen, quietly=True))


@_told
def resolve_alias(
    name: Annotated[str, Field(description="An alias, or a provider:model.")], profile: Profile = None
) -> dict[str, Any]:
    """Who serves an alias, with what is known of each model: US dollars for a million tokens, windows in tokens."""
    lockfile = lockfile_if_any()
    binding = resolve(lockfile, name, _named(profile) if lockfile is not None else None)
    keys = keyring()
    described = [
        as_data(facts_of(model, lockfile)) | {"problem": status_of(model.partition(":")[0], lockfile, keys).problem}
        for model in binding.models
    ]
    return {"name": name, **params_data(binding), "models": described}


@_told
def list_models(
    provider: Annotated[str | None, Field(description="Only those of this provider, as openai.")] = None,
    search: Annotated[str | None, Field(description="Words of the name or title.")] = None,
) -> dict[str, Any]:
    """Models of the catalogue for chat that stay in service: US dollars for a million tokens, windows in tokens."""
    found = [
        it
        for it in catalogued(provider, lockfile_if_any())
        if has_words(it, search) and not it.deprecated and catalog.other_use(it.name) is None
    ]
    fields = ("model", "title", "input_price", "output_price", "context_window", "max_output_tokens")
    listed = [{field: as_data(it)[field] for field in fields} for it in found[:_MOST]]
    return {"models": listed, "more": max(0, len(found) - _MOST)}


@_told
def diff_lockfile(
    since: Annotated[str, Field(description="A git revision, as HEAD, main or HEAD~3.")] = "HEAD",
) -> dict[str, Any]:
    """What changed in the lockfile since a git revision, and what that does to prices and windows."""
    path = lockfile_path()
    if os.path.isfile(os.path.expanduser(since)):
        raise ToolError("A git revision is wanted here, and not a file.")
    return diff.changed_since(path, since)


@_told
def check_lockfile() -> dict[str, Any]:
    """What is wrong with the lockfile, and with the source code that relies on it. Nobody is asked over the network."""
    path = lockfile_path()
    report = examine(path)
    return check.data_of(path, report, failed=bool(report.count("error")))


def _named(profile: str | None) -> str | None:
    """The profile that is meant, as for every command."""
    return profile or os.environ.get("LLMRING_PROFILE") or None


def _can_ask(ctx: Context) -> bool:
    """Whether the client says that it can have its user fill in a form."""
    able = ctx.client_capabilities
    return able is not None and able.elicitation is not None and not _only_links(able.elicitation)


def _only_links(elicitation: Any) -> bool:
    return elicitation.url is not None and elicitation.form is None


def _question(proposal: Proposal) -> str:
    """All that would change, for a person to see."""
    said = [f"Write this to {proposal.path}?", "", *proposal.lines()]
    said += [f"Note: {it}" for it in _doubts(proposal)]
    return printable("\n".join(said))


def _doubts(proposal: Proposal) -> list[str]:
    models = [model for listed in proposal.bindings.values() for model in listed or ()]
    return [said for model in dict.fromkeys(models) if (said := doubt_of(model, proposal.before))]


def _command(proposal: Proposal) -> str:
    """What a person types for the same."""
    from ..references import unbind_command, word

    [(alias, models)] = proposal.bindings.items()
    chosen = proposal.profile if proposal.profile != proposal.before.default_profile else None
    if models is None:
        return unbind_command(alias, chosen)
    option = f" --profile {word(chosen, 'NAME')}" if chosen else ""
    return f"llmring bind {word(alias, 'ALIAS')} {word(','.join(models), 'MODELS')}{option}"


def _written(proposal: Proposal, consent: Any) -> dict[str, Any]:
    """Write what was consented to, and say what the alias is now."""
    if not (isinstance(consent, AcceptedElicitation) and consent.data.write):
        raise ToolError("Nothing was written: the user did not agree.")
    lockfile = proposal.write() if proposal else proposal.before
    [alias] = proposal.bindings
    profile = lockfile.profiles.get(proposal.profile)
    binding = profile.bindings.get(alias) if profile is not None else None
    return {
        "file": str(Path(proposal.path)),
        "profile": proposal.profile,
        "alias": alias,
        "models": list(binding.models) if binding is not None else [],
        "changed": bool(proposal),
        "notes": _doubts(proposal),
    }
