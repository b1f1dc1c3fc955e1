"""The lines that the library logs, as it logs them."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from losant_tokens.cli._terminal.console import print_status

_LOGGER = "losant_tokens"


def printed_retries() -> AbstractContextManager[None]:
    """Return a context manager that prints the reason before each retry."""
    return logged_lines(print_status, logging.WARNING)


@contextmanager
def logged_lines(
    show: Callable[[str], None], level: int, *, below: int = sys.maxsize
) -> Iterator[None]:
    """Call a function with each line that the library logs during the block.

    Args:
        show: The function.
        level: The lowest level of these lines.
        below: The level from which on they are not meant. Default: no such level.
    """

    def receive(record: logging.LogRecord) -> None:
        if record.levelno < below:
            show(record.getMessage())

    with logged_records(receive, level):
        yield


@contextmanager
def logged_records(receive: Callable[[logging.LogRecord], None], level: int) -> Iterator[None]:
    """Call a function with each record that the library logs during the block, in any thread.

    Args:
        receive: The function.
        level: The lowest level of these records.
    """

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            receive(record)

    logger, handler = logging.getLogger(_LOGGER), Handler(level)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(level, before or level))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
