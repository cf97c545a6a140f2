"""OpenAI's tokenizers: `tiktoken`, which the extra `tokens` brings.

It fetches the files of a tokenizer from the network when it is first used, unless `TIKTOKEN_CACHE_DIR` has them, and
waits for that as long as it takes. So it is loaded in a thread that nobody waits for longer than some seconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..providers.creation import how_to_install

__all__ = ["Tokenizers", "Unavailable"]

_PATIENCE = 5.0
"""Seconds to wait for a tokenizer's files, the first time."""
_AT_ONCE = 20_000
"""Characters that are counted on the event loop."""
_PIECE = 50_000
"""Characters that are counted together: a word of millions takes very long, and a seam costs a token at most."""


class Unavailable(Exception):
    """No tokenizer for a model here; the message says why, and is empty where there is none anywhere."""


class Tokenizers:
    """Those that a service has loaded, or tries to. Several event loops may ask for them."""

    def __init__(self) -> None:
        self._loads: dict[str, Future[Any]] = {}
        self._failed = False

    async def count(self, model: str, texts: Sequence[str], patience: float | None) -> list[int]:
        """The tokens of each text.

        Args:
            model: its name without the provider.
            texts: what is counted.
            patience: seconds to wait for the tokenizer at most; `None` for no fewer than it takes otherwise.

        Raises:
            Unavailable: there is none for the model, or not here.
        """
        tokenizer = await self._of(model, min(patience or _PATIENCE, _PATIENCE))

        def count() -> list[int]:
            return [_count(tokenizer, text) for text in texts]

        return count() if sum(map(len, texts)) <= _AT_ONCE else await asyncio.to_thread(count)

    async def _of(self, model: str, patience: float) -> Any:
        load = self._loads.get(model)
        if load is None:
            if find_spec("tiktoken") is None:
                raise Unavailable(f"tiktoken is not installed: {how_to_install('tiktoken')}")
            mine: Future[Any] = Future()
            mine.set_running_or_notify_cancel()  # so that nobody who waits for it can cancel it
            load = self._loads.setdefault(model, mine)
            if load is mine:
                threading.Thread(target=_load, args=(model, mine), name="llmring-tokenizer", daemon=True).start()
        # Who has waited in vain once waits no more: a network that is silent stays so.
        waiting = asyncio.wrap_future(load)
        await asyncio.wait([waiting], timeout=0.0 if self._failed else patience)
        if not load.done():
            waiting.cancel()
            self._failed = True
            raise Unavailable(f"its tokenizer's files were not there within {patience:g} s{_ADVICE}")
        found = load.result()
        if isinstance(found, Unavailable):
            raise Unavailable(*found.args)
        if isinstance(found, Exception):
            self._failed = True
            # Tried anew by the next count, which does not wait for it.
            self._loads.pop(model, None)
            raise Unavailable(f"its tokenizer could not be loaded ({type(found).__name__}){_ADVICE}")
        return found


_ADVICE = ": let tiktoken fetch them once, or set TIKTOKEN_CACHE_DIR to a folder that has them"


def _load(model: str, load: Future[Any]) -> None:
    """Load a tokenizer, or give what kept it from that."""
    try:
        load.set_result(import_module("tiktoken").encoding_for_model(model))
    except KeyError:
        load.set_result(Unavailable())
    except Exception as error:
        load.set_result(error)


def _count(tokenizer: Any, text: str) -> int:
    pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
    return sum(len(tokenizer.encode_ordinary(piece)) for piece in pieces)
