"""Save a report to a file, completely or not at all.

Tokens are read from the plan and written one by one, so memory does not grow with their number.
"""

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TextIO
from uuid import uuid4

from losant_tokens._utils.private_files import lock, make_private
from losant_tokens.jobs._errors import JobError
from losant_tokens.jobs._report.csv import write_csv
from losant_tokens.jobs._report.json import write_json
from losant_tokens.jobs._report.path_check import check_target
from losant_tokens.jobs._report.report_data import ReportData
from losant_tokens.jobs._report.report_page import write_html

_WRITERS: Mapping[str, Callable[[ReportData, TextIO], None]] = MappingProxyType(
    {".json": write_json, ".csv": write_csv, ".html": write_html}
)
# Without a byte order mark, Excel reads UTF-8 as the code page of the machine.
_ENCODINGS: Mapping[str, str] = MappingProxyType({".csv": "utf-8-sig"})


def save(report: ReportData, path: Path) -> Path:
    """Write a report in the format of the path's suffix. Return the path.

    Raises:
        ValidationError: There is no format for the suffix.
        GuardRefused: The file must not be replaced.
        JobError: The file cannot be written.
    """
    check_target(path, report.plan_digest)
    suffix = path.suffix.lower()
    write_atomically(path, lambda file: _WRITERS[suffix](report, file), _ENCODINGS.get(suffix))
    return path


def write_atomically(
    path: Path, write: Callable[[TextIO], None], encoding: str | None = None
) -> None:
    """Write a private file, completely or not at all.

    Args:
        path: The file.
        write: Writes the content.
        encoding: The encoding; by default UTF-8.

    Raises:
        JobError: The file cannot be written.
    """
    remove_leftovers(path)
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        with _open_private(part, encoding or "utf-8") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        place = "" if error.filename in {None, str(part)} else f" ({error.filename})"
        raise JobError(f"{path} cannot be written: {error.strerror}{place}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def remove_leftovers(path: Path) -> None:
    """Remove partial files that killed processes left beside a report.

    A process locks the partial file that it writes, so a file without a lock is a leftover.
    """
    leftover = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.part")
    with contextlib.suppress(OSError):
        for part in path.parent.iterdir():
            if leftover.fullmatch(part.name) and not part.is_symlink() and part.is_file():
                _remove_unlocked(part)


def _remove_unlocked(part: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(part, os.O_RDWR)
        try:
            if lock(descriptor):
                part.unlink()
        finally:
            os.close(descriptor)


def _open_private(path: Path, encoding: str) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    make_private(descriptor)
    with contextlib.suppress(OSError):  # some file systems have no locks
        lock(descriptor)
    # A character that the encoding lacks, such as half a surrogate pair, becomes an escape.
    return os.fdopen(descriptor, "w", encoding=encoding, errors="backslashreplace", newline="")
