"""A server with one list of tokens, whose pages a test can replace."""

from collections.abc import Callable
from typing import Any

import httpx

Item = dict[str, Any]
MakePage = Callable[[int, int, list[Item]], dict[str, Any]]

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


def item(number: int, **members: Any) -> Item:
    """Return a token of the API as JSON."""
    return {
        "id": f"{number:024x}",
        "name": f"ci-{number}",
        "status": "active",
        "creationDate": f"2025-01-01T00:{number // 60:02}:{number % 60:02}.000Z",
        "ownerId": "a" * 24,
        **members,
    }


TOKENS = [item(number) for number in range(60)]


class Server:
    """A server with a list.

    Args:
        answer: Returns a page for its number, its size and the tokens in the requested order.
        tokens: The tokens.
        date: The `Date` header of its responses; `None` for none.
    """

    def __init__(
        self, answer: MakePage, tokens: list[Item] = TOKENS, date: str | None = DATE
    ) -> None:
        self.answer = answer
        self.tokens = tokens
        self.headers = {} if date is None else {"Date": date}
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        query = request.url.params
        page, size = int(query["page"]), int(query["perPage"])
        is_down = query.get("sortDirection") == "desc"
        tokens = self.tokens[::-1] if is_down else self.tokens
        return httpx.Response(200, json=self.answer(page, size, tokens), headers=self.headers)


def cut(page: int, size: int, tokens: list[Item]) -> list[Item]:
    """Return the tokens of a page."""
    return tokens[page * size : (page + 1) * size]


def honest(page: int, size: int, tokens: list[Item]) -> dict[str, Any]:
    """Make a page with correct statements, of up to 7 tokens."""
    items = cut(page, min(size, 7), tokens)
    return {"items": items, "totalCount": len(tokens), "perPage": min(size, 7), "page": page}
