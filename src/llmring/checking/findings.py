"""What a check has found, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["CODES", "Finding", "Severity", "Spot"]

Severity = Literal["error", "warning"]
"""An error is wrong now; a warning is to be looked at."""

CODES: Mapping[str, str] = {
    "lockfile-invalid": "the lockfile cannot be read",
    "key-misspelt": "a key that llmring does not know is nearly one that it does",
    "params-misplaced": "a parameter of requests stands where it does nothing, and not in params",
    "extends-unresolved": "a package of [extends] is not installed, or ships no valid lockfile",
    "params-invalid": "no request can be made with the params of an alias",
    "provider-unknown": "a model's provider is neither built in nor declared",
    "address-missing": "a provider of a name of your own has no base_url, so it is where its SDK's vendor is",
    "key-over-http": "a provider's key goes over plain http to another machine",
    "key-foreign": "a provider is given a variable that is, by its name, somebody else's",
    "sdk-missing": "a provider's SDK is not installed",
    "model-malformed": "a model is not written as provider:model",
    "model-unknown": "the catalogue lists the provider's models, and this one is not among them",
    "model-retired": "a model's last day of service has passed",
    "model-retiring": "the last day of a model's service is announced",
    "model-deprecated": "its vendor advises against a model",
    "alias-unbound": "the source code names an alias that a profile does not bind",
    "alias-unused": "the project has code for llmring, and no file of it names an alias that is bound",
    "profile-unknown": "the source code names a profile that the lockfile does not have",
    "source-unreadable": "a source file cannot be parsed",
}
"""What each code means. They stay the same from release to release."""


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place in a file.

    Attributes:
        path: the file.
        cell: of a notebook, counted from 1; 0 in other files.
        line, column: counted from 1; 0 where it is the file as a whole. In a notebook, `line` is that of the cell.
    """

    path: Path
    cell: int = field(default=0, kw_only=True)
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        cell = f":cell {self.cell}" if self.cell else ""
        return f"{self.path}{cell}" + (f":{self.line}:{self.column}" if self.line else "")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check has found.

    Attributes:
        code: one of `CODES`.
        severity: `"error"` or `"warning"`.
        spot: where.
        message: what it is, in a sentence.
        advice: what to do about it, in a sentence or a command.
    """

    code: str
    severity: Severity
    spot: Spot
    message: str
    advice: str
