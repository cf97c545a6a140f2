"""The `llmring` command, as `python -m llmring`."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Python has put the working directory first, which may hold a stranger's files: a keyring.py would be imported.
    if not sys.flags.safe_path and os.path.abspath(sys.path[0] or os.curdir) == os.path.abspath(os.curdir):
        del sys.path[0]
    from .cli import main

    main()
