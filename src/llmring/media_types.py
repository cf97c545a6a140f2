"""What type a file is by its name, and the other way round: the same on every system and version of Python.

Python's own table lacks some types before 3.13 or 3.14, has others by older or newer names, and takes in what it finds
on the system.
"""

from __future__ import annotations

import mimetypes
import os

__all__ = ["extension_of", "type_of"]

_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".webp": "image/webp",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
}


def type_of(name: str) -> str | None:
    """The type that the name of a file, or the end of its address, tells: `"image/webp"`; `None` if it tells none."""
    return _TYPES.get(os.path.splitext(name)[1].lower()) or mimetypes.guess_type(name)[0]


def extension_of(mime: str) -> str:
    """The end of a file's name that tells its type: `".webp"`; empty if there is none."""
    known = next((extension for extension, it in _TYPES.items() if it == mime), None)
    return known or mimetypes.guess_extension(mime) or ""
