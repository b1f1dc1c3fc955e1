"""Streams that fail."""

import io
import os


class Broken(io.StringIO):
    """A stream whose writes fail."""

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


def pipe_without_a_reader() -> int:
    """Return the descriptor of a pipe whose reader has closed it."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end
