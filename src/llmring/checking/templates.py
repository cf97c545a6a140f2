"""The templates beside the lockfile: whether a question can be made of each, and whether somebody serves it."""

from __future__ import annotations

from collections.abc import Iterator

from ..exceptions import ConfigurationError
from ..references import shown
from ..templates import folder_of, listed, read
from .findings import Finding, Mention, Spot
from .lockfile import bind
from .text import Text

__all__ = ["of_templates"]


def of_templates(text: Text) -> Iterator[Finding | Mention]:
    """What is wrong with templates, and the models that they name."""
    lockfile = text.lockfile
    bound = {alias for profile in lockfile.profiles.values() for alias in profile.bindings}
    for name in listed(text.path):
        spot = Spot(folder_of(text.path) / f"{name}.toml")
        try:
            model = read(text.path, name).model
        except ConfigurationError as error:
            message = str(error).removeprefix(f"{spot}").lstrip(": ")
            yield Finding(
                "template-invalid", "error", spot, message, f"Once it is mended: llmring template show {name}"
            )
            continue
        if model is None or model in bound or model.partition(":")[0] in lockfile.extends:
            continue
        if ":" in model:
            yield Mention(model, spot, "To ask another one, change its model.")
        else:
            message = f"it asks for the alias {shown(model)}, which no profile binds"
            yield Finding("template-unbound", "error", spot, message, f"To bind it: {bind(lockfile, model)}")
