"""Read the header `Retry-After` of a response with an error status."""

from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens._http.status_errors import retry_after

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("007", 7.0),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("9" * 400, float("inf")),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 12:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thursday, 01-Jan-26 12:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2026 13:00:30 +0100", 30.0),
        ("Thu Jan  1 12:01:00 2026", 60.0),
        ("", None),
        (" ", None),
        (".", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("1.2.3", None),
        ("1_0", None),
        ("0x10", None),
        ("inf", None),
        ("nan", None),
        ("\u0667", None),
        ("\u00b2", None),
        ("soon", None),
        ("7 seconds", None),
        ("7, 8", None),
        ("Thu, 32 Jan 2026 12:00:30 GMT", None),
        ("Thu, 01 Foo 2026 12:00:30 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2030 00:00:00 +99999999999999", None),
        ("2026-01-01T12:00:30Z", None),
    ],
)
def test_retry_after(value: str, expected: float | None) -> None:
    """`Retry-After` is a number of seconds or an HTTP date; other values are ignored."""
    headers = httpx.Headers([(b"Retry-After", value.encode("utf-8"))])
    assert expected == retry_after(headers, NOW)


def test_without_retry_after() -> None:
    """Without `Retry-After`, there is no time to wait."""
    assert retry_after(httpx.Headers(), NOW) is None


@given(
    st.one_of(
        st.text(),
        st.builds(
            "{}, {} {} {} {}:{}:{} {}".format,
            st.sampled_from(["Mon", "", "x"]),
            st.integers(),
            st.sampled_from(["Jan", "Feb", "13", ""]),
            st.integers(),
            st.integers(-1, 99),
            st.integers(-1, 99),
            st.integers(),
            st.sampled_from(["GMT", "", "Z", "-0000"]) | st.integers().map(str),
        ),
    )
)
def test_any_retry_after(value: str) -> None:
    """Any value of `Retry-After` is a number of seconds or `None`."""
    headers = httpx.Headers([(b"retry-after", value.encode("utf-8", "replace"))])
    found = retry_after(headers, NOW)
    assert found is None or found >= 0
