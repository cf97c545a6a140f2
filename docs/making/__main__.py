"""Make the site: `python -m docs.making [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path

from .site import make

if __name__ == "__main__":
    sys.exit(make(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
