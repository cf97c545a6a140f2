"""A run in batches that is killed pays for nothing twice, whatever it was about; `make killer` does it at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..program import PROGRAM
from .killing import MODELS, kill_again_and_again

pytestmark = pytest.mark.long


@pytest.mark.parametrize("vendor", MODELS)
def test_each_row_is_paid_for_once_through_kills(bare: Path, program: None, vendor: str) -> None:
    assert kill_again_and_again(bare, vendor, 40, 4, 11, PROGRAM)
