"""Many rows through a model: as fast as the provider lets, nothing lost, and nothing paid for twice.

pace.py    how many requests are under way at once, and how fast they begin
limits.py  what providers say of their limits, and the request of a row
rowmap.py  rows in, answers out: `LLMRing.map`; work.py does it, results.py is what it says
rows.py    rows of files
asking.py  what is asked about a row, and by what key it is known
output.py  the file of answers, which is also the memory of what was done; lines.py, keys.py
shards.py  the same, where several processes write: a file for each block of rows, beside the file of answers
job.py     all of it together: `llmring map`
surveying.py  what it would take, said before; by answers that are there, as a sample of the others: sampling.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .asking import Asking
    from .job import Job, Summary, Survey
    from .limits import Asked, Limits
    from .output import Output
    from .pace import LIMITS
    from .results import MapResult, Progress
    from .rowmap import RowMap, only_here
    from .rows import Row, Rows
    from .surveying import survey

__all__ = [
    "LIMITS",
    "Asked",
    "Asking",
    "Job",
    "Limits",
    "MapResult",
    "Output",
    "Progress",
    "Row",
    "RowMap",
    "Rows",
    "Summary",
    "Survey",
    "only_here",
    "survey",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "asking": ("Asking",),
            "job": ("Job", "Summary", "Survey"),
            "limits": ("Asked", "Limits"),
            "output": ("Output",),
            "pace": ("LIMITS",),
            "results": ("MapResult", "Progress"),
            "rowmap": ("RowMap", "only_here"),
            "rows": ("Row", "Rows"),
            "surveying": ("survey",),
        },
    )
