"""A run that is killed loses nothing and asks nothing twice but what was under way; `make killer` does it at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from .killing import kill_again_and_again

pytestmark = pytest.mark.long


def test_each_row_is_answered_once_through_kills(bare: Path) -> None:
    found = kill_again_and_again(bare, 150, 2, 7, full_disk=False, server_dies=False)
    assert found.rows == 150
