"""Which tokens the demo deletes."""

from datetime import UTC, datetime, timedelta

import pytest

from losant_tokens import ApiToken
from losant_tokens.cli._choice import Reason, chosen, reason_for, rows

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)


def token(
    id_: str = "a", status: str = "active", expires: datetime | None = None, name: str = "ci"
) -> ApiToken:
    return ApiToken(id=id_, name=name, status=status, expiration_date=expires)


@pytest.mark.parametrize(
    ("it", "reason"),
    [
        (token(expires=PAST), Reason.EXPIRED),
        (token(expires=NOW), Reason.EXPIRED),
        (token(expires=PAST, status="inactive"), Reason.EXPIRED),
        (token(expires=FUTURE, status="inactive"), Reason.INACTIVE),
        (token(status="inactive"), Reason.INACTIVE),
        (token(), Reason.NEVER_EXPIRES),
        (token(expires=FUTURE), Reason.NOT_YET),
        (token("own", expires=PAST), Reason.IN_USE),
        (token("own", status="inactive"), Reason.IN_USE),
    ],
)
def test_reason(it: ApiToken, reason: Reason) -> None:
    """Expired and inactive tokens go, but never the one in use."""
    assert reason is reason_for(it, "own", NOW)


def test_what_is_deleted() -> None:
    """Two reasons speak for deleting, and all others for keeping."""
    assert {Reason.EXPIRED, Reason.INACTIVE} == {reason for reason in Reason if reason.deletes}


def test_rows() -> None:
    """Each reason is a row: what happens, to how many, and examples from all over the list."""
    tokens = [token(str(n), expires=PAST, name=f"ci-{n // 2}") for n in range(12)]

    expected = [
        ("delete", "expired", "12", "ci-0, ci-2, ci-4, ..."),
        ("delete", "inactive", "0", ""),
        ("keep", "in use by this command", "1", "ci"),
        ("keep", "active, never expires", "0", ""),
        ("keep", "active, expires later", "0", ""),
    ]
    assert expected == rows(chosen([*tokens, token("own")], "own", NOW))
