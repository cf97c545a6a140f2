"""Files that are given to a vendor once, and named in requests from then on.

    handle = await service.files.register("report.pdf")
    request = LLMRequest(model="chatbot", messages=[Message(role="user", content=[text("Sum it up."), handle])])

Whoever is asked is given the file when it is first needed there: an upload where the vendor keeps files, else the bytes
within the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .files import Files
    from .handles import FileHandle, Forgotten, RegisteredFile, Upload
    from .sending import names_some

__all__ = ["FileHandle", "Files", "Forgotten", "RegisteredFile", "Upload", "names_some"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "files": ("Files",),
        "handles": ("FileHandle", "Forgotten", "RegisteredFile", "Upload"),
        "sending": ("names_some",),
    },
)
