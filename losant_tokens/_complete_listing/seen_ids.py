"""A compact set of ids, with 12 bytes for each id of a sorted list.

Most lists are sorted by id, so an id that is greater than all before it is appended to one sorted
array, where bisection finds it. Any other id is put into a set. With a set of strings, the peak
memory of planning a million tokens is 157 MiB; with this class it is 60 MiB, in the same CPU time
(benchmark row "peak memory"). A probabilistic filter would be smaller, but would occasionally
leave a token out of a plan.
"""

from hashlib import blake2b

from losant_tokens._utils import validators

_SIZE = 12  # bytes: 24 hexadecimal digits


def _key_of(token_id: str) -> bytes:
    """Return an id as 12 bytes. Case does not matter. A malformed id is hashed."""
    if validators.ID_PATTERN.fullmatch(token_id):
        return bytes.fromhex(token_id)
    malformed = token_id.lower().encode("utf-8", "surrogatepass")
    return blake2b(malformed, digest_size=_SIZE).digest()


class SeenIds:
    """A set of ids that only grows."""

    def __init__(self) -> None:
        self._sorted = bytearray()
        self._last = b""
        self._others: set[bytes] = set()
        self._hash_sum = 0

    def __len__(self) -> int:
        return len(self._sorted) // _SIZE + len(self._others)

    def add(self, token_id: str) -> bool:
        """Add an id; return whether it is new."""
        key = _key_of(token_id)
        if key > self._last:
            self._sorted += key
            self._last = key
        elif key in self._others or self._is_in_sorted(key):
            return False
        else:
            self._others.add(key)
        self._hash_sum += hash(key)
        return True

    @property
    def fingerprint(self) -> tuple[int, int]:
        """A value that sets of the same ids share, in any order, within one process.

        It is the number of ids and the sum of their hashes, which are keyed and have 64 bits.
        """
        return len(self), self._hash_sum

    def _is_in_sorted(self, key: bytes) -> bool:
        low, high = 0, len(self._sorted) // _SIZE
        while low < high:
            middle = (low + high) // 2
            if self._sorted[_SIZE * middle : _SIZE * (middle + 1)] < key:
                low = middle + 1
            else:
                high = middle
        return self._sorted[_SIZE * low : _SIZE * (low + 1)] == key
