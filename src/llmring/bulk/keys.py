"""A set of many keys."""

from __future__ import annotations

from array import array
from hashlib import blake2b

__all__ = ["Keys"]


class Keys:
    """A set of keys in sixteen bytes each, as there may be many millions: of each a digest of eight bytes."""

    def __init__(self) -> None:
        self._table = array("Q", bytes(8 * 1024))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: str) -> bool:
        value = _value(key)
        return self._table[self._place(self._table, value)] == value

    def add(self, key: str) -> None:
        """Put a key into it."""
        value = _value(key)
        at = self._place(self._table, value)
        if self._table[at] != value:
            self._table[at] = value
            self._count += 1
            if 2 * self._count > len(self._table):
                self._grow()

    def _grow(self) -> None:
        larger = array("Q", bytes(16 * len(self._table)))
        for value in self._table:
            if value:
                larger[self._place(larger, value)] = value
        self._table = larger

    @staticmethod
    def _place(table: array[int], value: int) -> int:
        mask = len(table) - 1
        at = value & mask
        while (there := table[at]) and there != value:
            at = (at + 1) & mask
        return at


def _value(key: str) -> int:
    digest = blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1
