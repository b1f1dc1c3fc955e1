"""Pages of tokens, read by what is named last: `models` (our codec) or `json` alone."""

import json
from collections.abc import Callable

from contenders.measure import Stopwatch, arguments, compare, more
from losant_tokens import ApiTokens
from losant_tokens._codec import codec
from pages import PAGE_SIZE, all_pages


def models(content: bytes) -> int:
    """Makes models of a page, in all its steps; says how many."""
    steps = codec().decode(content, ApiTokens)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return len(end.value.items)


def plain(content: bytes) -> int:
    """Makes dicts of a page, and says how many."""
    return len(json.loads(content)["items"])


READERS: dict[str, Callable[[bytes], int]] = {"models": models, "json": plain}


def main() -> None:
    """Reads all pages, the first one twice: before, to warm up."""
    _, count, _ = arguments()
    read = READERS[more()[0]]
    pages = all_pages(count)
    compare(min(count, PAGE_SIZE), read(pages[0]))
    stopwatch = Stopwatch()
    for content in pages:
        read(content)
    stopwatch.tell(count)


main()
