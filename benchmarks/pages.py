"""Tokens and pages as the API writes them, for the server and for contenders without one."""

from datetime import UTC, datetime

PAGE_SIZE = 1000  # tokens, the page size that losant-tokens requests

# Every second token has expired. So a plan selects tokens, but not more than half of them, which it
# would refuse.
_EXPIRATIONS = (b"2035-01-01T00:00:00.000Z", b"2024-01-01T00:00:00.000Z")
_TOKEN = (
    b'{"id":"%024x","apiTokenId":"%024x","name":"ci-%d","description":"made by the pipeline",'
    b'"status":"active","scope":["all.Device","userApiToken.get"],'
    b'"creationDate":"2023-05-04T10:11:12.345Z","lastUpdated":"2023-06-05T11:12:13.456Z",'
    b'"expirationDate":"%b","ownerId":"575ec7417ae143cd83dc4a95","ownerType":"user",'
    b'"creatorId":"575ec7417ae143cd83dc4a95","creatorType":"user","creatorName":"A. User"}'
)
LAST_UPDATED = datetime(2023, 6, 5, 11, 12, 13, 456_000, tzinfo=UTC)
"""When all tokens were last updated."""

_PAGE = b'{"items":[%b],"count":%d,"totalCount":%d,"perPage":%d,"page":%d}'


def name_of(number: int) -> str:
    """Return the name of a token."""
    return f"ci-{number}"


def token(number: int) -> bytes:
    """Return a token. Its id is its number."""
    return _TOKEN % (number, number, number, _EXPIRATIONS[number % 2])


def page(total: int, number: int, size: int = PAGE_SIZE, *, backwards: bool = False) -> bytes:
    """Return a page of a list of `total` tokens, sorted by id."""
    numbers = range(number * size, min((number + 1) * size, total))
    if backwards:
        numbers = range(total - 1 - numbers.start, total - 1 - numbers.stop, -1)
    items = [token(n) for n in numbers]
    return _PAGE % (b",".join(items), len(items), total, size, number)


def all_pages(total: int) -> list[bytes]:
    """Return all pages of a list of `total` tokens."""
    return [page(total, number) for number in range(-(-total // PAGE_SIZE))]
