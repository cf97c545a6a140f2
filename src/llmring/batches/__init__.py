"""Rows in vendors' batches: half the price, within a day, and nothing lost or paid for twice.

job.py      `llmring map --batch`: batches are made and remembered; following.py looks at them, and collects
making.py   rows made lines of a batch; spool.py is its file, within the vendor's limits
journal.py  what was done with each batch, noted before the next step
desk.py     the vendors' side of it: `providers/batching.py`, with the account that a batch was made with
reading.py  answers of a batch, read as those of requests by themselves
terms.py    who takes batches, and how often they are looked at; prices.py is what they cost
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .desk import Desk
    from .job import BatchJob
    from .journal import Journal, Shard, counted, journal_beside, known_journals, read_only
    from .terms import at_batch_rate, endpoint_for

__all__ = [
    "BatchJob",
    "Desk",
    "Journal",
    "Shard",
    "at_batch_rate",
    "counted",
    "endpoint_for",
    "journal_beside",
    "known_journals",
    "read_only",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "desk": ("Desk",),
            "job": ("BatchJob",),
            "journal": ("Journal", "Shard", "counted", "journal_beside", "known_journals", "read_only"),
            "terms": ("at_batch_rate", "endpoint_for"),
        },
    )
