"""`llmring lock schema`: what editors check the lockfile with."""

from __future__ import annotations

from ..terminal import say

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of the lockfile.

    A new lockfile begins with a line that names the schema's file beside it, for editors with Taplo, such as VS
    Code with Even Better TOML; `llmring lock init` writes that file. This renews it, or makes it for an older
    lockfile, whose first line then is: #:schema ./llmring.schema.json

    \b
    Example:
      llmring lock schema > llmring.schema.json
    """
    from ...lockfile.schema import rendered

    say(rendered().rstrip())
