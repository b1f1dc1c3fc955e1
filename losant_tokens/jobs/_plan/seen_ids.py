"""A compact set of ids: exact, with 12 to 30 bytes an id.

A set of a million strings takes about 150 MB. Lists mostly come in the order of the ids, so those
ids that are above all before them stand in one sorted row, 12 bytes each, and are found by
bisection. The others are in hash tables with open addressing, which hold the positions of ids in
a row of their own. There are many small tables, so that growing one never holds the event loop.
A probabilistic filter would be smaller, but would now and then leave out a token.
"""

from array import array
from hashlib import blake2b

from losant_tokens import _validators as validators

_SIZE = 12  # bytes: 24 hexadecimal digits
_TABLES = 256
_SLOTS = 16  # of a new table; always a power of two


def key_of(token_id: str) -> bytes:
    """Return an id as 12 bytes. A malformed id is hashed. Case does not count."""
    if validators.ID_PATTERN.fullmatch(token_id):
        return bytes.fromhex(token_id)
    malformed = token_id.lower().encode("utf-8", "surrogatepass")
    return blake2b(malformed, digest_size=_SIZE).digest()


class SeenIds:
    """A set of ids that only grows."""

    def __init__(self) -> None:
        self._row = bytearray()
        self._last = b""
        self._tables: dict[int, _Table] = {}
        self._count = self._sum = self._xor = 0

    def __len__(self) -> int:
        return self._count

    def add(self, token_id: str) -> bool:
        """Add an id, and return whether it is new."""
        key = key_of(token_id)
        hashed = hash(key)
        if key > self._last:
            self._row += key
            self._last = key
        elif self._is_in_row(key) or not self._table_of(hashed).add(key, hashed // _TABLES):
            return False
        self._count += 1
        self._sum += hashed
        self._xor ^= hashed
        return True

    @property
    def fingerprint(self) -> tuple[int, int, int]:
        """A value that sets with the same ids share, in any order, in this process."""
        return self._count, self._sum, self._xor

    def _is_in_row(self, key: bytes) -> bool:
        low, high = 0, len(self._row) // _SIZE
        while low < high:
            middle = (low + high) // 2
            if self._row[_SIZE * middle : _SIZE * (middle + 1)] < key:
                low = middle + 1
            else:
                high = middle
        return self._row[_SIZE * low : _SIZE * (low + 1)] == key

    def _table_of(self, hashed: int) -> "_Table":
        number = hashed % _TABLES
        if number not in self._tables:
            self._tables[number] = _Table()
        return self._tables[number]


class _Table:
    """A part of the set. Each slot holds the position of an id in `_keys` plus 1, or 0."""

    def __init__(self) -> None:
        self._keys = bytearray()
        self._hashes = array("q")
        self._slots = array("I", bytes(4 * _SLOTS))

    def add(self, key: bytes, hashed: int) -> bool:
        slot = self._find(key, hashed)
        if self._slots[slot]:
            return False
        self._keys += key
        self._hashes.append(hashed)
        self._slots[slot] = len(self._hashes)
        if len(self._hashes) * 3 > len(self._slots) * 2:
            self._grow()
        return True

    def _find(self, key: bytes, hashed: int) -> int:
        """Return the slot of an id, or the free slot where it belongs."""
        mask = len(self._slots) - 1
        slot = hashed & mask
        while number := self._slots[slot]:
            if self._keys[_SIZE * (number - 1) : _SIZE * number] == key:
                break
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        mask = len(self._slots) * 2 - 1
        slots = array("I", bytes(4 * (mask + 1)))
        for number, hashed in enumerate(self._hashes, 1):
            slot = hashed & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = number
        self._slots = slots
