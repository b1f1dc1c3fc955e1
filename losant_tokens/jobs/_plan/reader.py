"""Read plan files, and notice if a file changes after it was checked.

The problem: the digest of a plan has no key, so it detects changes but no forgery, and the file can
change between the check and the use. A plan can be hundreds of MB in size, so neither a copy nor
the verified bytes are kept.

The approach: the file is first hashed as a whole, in blocks. The size and the hash of each block
are kept, 24 bytes for about 64 KiB. When a block is read again for its lines, its hash is compared.
A file that changes in between, in place or by a rename, ends the job before a changed line is used.
"""

import contextlib
import hashlib
import io
import json
import os
from array import array
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from losant_tokens import Owner
from losant_tokens._utils.private_files import open_regular, reason
from losant_tokens._utils.validators import describe
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._plan.format import (
    FORMAT,
    READABLE_VERSIONS,
    digest_of,
    entry_of,
    first_line,
    unique_members,
)
from losant_tokens.jobs._types import Entry

MAX_HEADER_SIZE = 16 << 20  # bytes of the first line
MAX_LINE_SIZE = 4 << 20  # bytes of each other line

_BLOCK_SIZE = 65_536  # bytes, to which the rest of the last line is added
_BATCH_SIZE = 64  # lines
_HASH_SIZE = 16  # bytes

_A_PLAN = "a plan of losant-tokens. Pass the path of a plan."


@contextlib.contextmanager
def refusing_unreadable(path: Path, expected: str = _A_PLAN) -> Iterator[None]:
    """Raise `PlanRefused` for each error that the content of a file can cause.

    Args:
        path: The file, for the message.
        expected: What the file is expected to be, and what to pass, for the message.
    """
    try:
        yield
    except OSError as error:
        raise PlanRefused(f"{path} cannot be read: {reason(error)}") from None
    except MemoryError:
        raise PlanRefused(f"{path} cannot be read: it is too large") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise PlanRefused(f"{path} is not {expected}") from None


def _read_header(path: Path, file: BinaryIO) -> tuple[bytes, dict[str, Any]]:
    """Return the first line of a plan, and the values of its JSON.

    Raises:
        PlanRefused: The plan is of another version.
        ValueError: The file is not a plan.
    """
    line = _rest_of_line(b"", file, MAX_HEADER_SIZE)
    header = json.loads(line, object_pairs_hook=unique_members)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError
    version = header.get("version")
    if type(version) is not int or version not in READABLE_VERSIONS:
        raise PlanRefused(
            f"{path} is a plan of version {describe(version)}, but this release can only read "
            f"versions {' and '.join(map(str, READABLE_VERSIONS))}. Make a new plan."
        )
    return line, header


def _rest_of_line(start: bytes, file: BinaryIO, limit: int) -> bytes:
    """Return bytes with the rest of their last line.

    Args:
        start: The bytes that were read before.
        file: The file, at the byte after them.
        limit: The maximum number of bytes of the rest.

    Raises:
        ValueError: The line does not end within the limit.
    """
    line = start if start.endswith(b"\n") else start + file.readline(limit)
    if not line.endswith(b"\n"):
        raise ValueError
    return line


class BlockHashes:
    """The sizes and hashes of the blocks of a file."""

    def __init__(self) -> None:
        self.sizes = array("Q")
        self._hashes = bytearray()

    def add(self, block: bytes) -> None:
        """Add the next block."""
        self.sizes.append(len(block))
        self._hashes += _hash(block)

    def matches(self, number: int, block: bytes) -> bool:
        """Return whether a block is the one that was added under this number."""
        return self._hashes[_HASH_SIZE * number : _HASH_SIZE * (number + 1)] == _hash(block)


def _hash(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=_HASH_SIZE).digest()


@attrs.define(eq=False)
class PlanFile:
    """A plan file that is open at its first token, after its digest was checked.

    Attributes:
        path: The path, for messages.
        header: The header as JSON values, without the digest.
        digest: The digest.
    """

    path: Path
    header: dict[str, Any]
    digest: str
    _file: BinaryIO
    _blocks: BlockHashes

    @classmethod
    def open(cls, path: Path) -> "PlanFile":
        """Open a plan file and check its digest.

        Raises:
            PlanRefused: The plan is of another version, or was altered.
            ValueError: The file is not a plan.
            OSError: The file cannot be read.
        """
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(os.fdopen(open_regular(path), "rb"))
            line, header = _read_header(path, file)
            digest = header.pop("digest", None)
            hashed, blocks = hashlib.sha256(), BlockHashes()
            while block := file.read(_BLOCK_SIZE):
                block = _rest_of_line(block, file, MAX_LINE_SIZE)
                hashed.update(block)
                blocks.add(block)
            # The bytes of the header are compared as well, because the digest covers its values.
            if digest != digest_of(header, hashed.hexdigest()) or line != first_line(
                header, digest
            ):
                raise PlanRefused(f"{path} was altered since it was made. Make a new plan.")
            file.seek(len(line))
            stack.pop_all()
        return cls(path, header, digest, file, blocks)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def lines(self) -> Generator[bytes, None, None]:
        """Iterate over the lines about tokens.

        Raises:
            PlanRefused: The file changed after it was checked, or cannot be read.
        """
        with self._file:
            for number, size in enumerate(self._blocks.sizes):
                block = self._read_block(size)
                if not self._blocks.matches(number, block):
                    raise PlanRefused(
                        f"{self.path} was changed after it was checked. Make a new plan."
                    )
                yield from io.BytesIO(block)

    def _read_block(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise PlanRefused(f"{self.path} cannot be read: {reason(error)}") from None


class PlanEntries(Iterable[Entry]):
    """The tokens of a plan. They can be iterated over once.

    Args:
        file: The plan file.
        owners: The owners that the header names.
    """

    def __init__(self, file: PlanFile, owners: Iterable[Owner]) -> None:
        self._file = file
        self._lines = file.lines()
        self._owners: Mapping[str, Owner] = {str(owner): owner for owner in owners}

    def __iter__(self) -> Iterator[Entry]:
        return chain.from_iterable(self.batches())

    def batches(self) -> Iterator[list[Entry]]:
        """Iterate over the tokens, 64 at a time.

        Raises:
            PlanRefused: The file changed after it was checked, or a line describes no token.
        """
        while lines := list(islice(self._lines, _BATCH_SIZE)):
            yield self._parse(lines)

    def close(self) -> None:
        """Close the file, and end the iteration."""
        self._lines.close()
        self._file.close()

    def _parse(self, lines: list[bytes]) -> list[Entry]:
        """Return the tokens that lines describe, which are parsed as one JSON array."""
        try:
            members = json.loads(b"[%b]" % b",".join(lines))
            return [entry_of(line, self._owners[line["owner"]]) for line in members]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise PlanRefused(
                f"{self._file.path} has a line that does not describe a token. Make a new plan."
            ) from None
