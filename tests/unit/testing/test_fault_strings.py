"""Faults, latencies and clock offsets as strings."""

from datetime import timedelta

import pytest

from losant_tokens.testing import Fault
from losant_tokens.testing._fault_strings import read_offset


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("503:2%", Fault(status=503, share=0.02, times=None)),
        ("429:100%", Fault(status=429, times=None)),
        ("timeout:0.5%", Fault(kind="hang", share=0.005, times=None)),
        ("reset:1%", Fault(kind="drop", share=0.01, times=None)),
        ("lost:1%", Fault(kind="drop", share=0.01, times=None, after_acting=True)),
        ("truncate:1%", Fault(kind="truncate", share=0.01, times=None)),
        ("html:1%", Fault(kind="html", share=0.01, times=None)),
        ("garbage:1%", Fault(kind="garbage", share=0.01, times=None)),
    ],
)
def test_faults(text: str, expected: Fault) -> None:
    """A string names the kind of a fault and the share of the requests."""
    assert Fault.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "503",
        "503:2",
        "200:2%",
        "600:2%",
        "503:0%",
        "503:101%",
        "503:-1%",
        "explode:2%",
        "\u0665:2%",
    ],
)
def test_malformed_faults(text: str) -> None:
    """The error of a malformed fault shows the string and an example."""
    with pytest.raises(ValueError, match=f'^"{text}" is not a fault: .* such as 503:2%'):
        Fault.parse(text)


@pytest.mark.parametrize(
    ("text", "seconds", "max_seconds"),
    [("50ms", 0.05, None), ("1.5s", 1.5, None), ("20ms-200ms", 0.02, 0.2), ("500ms-1s", 0.5, 1)],
)
def test_latencies(text: str, seconds: float, max_seconds: float | None) -> None:
    """A string is the delay of all responses, or a range of delays."""
    assert Fault.parse_latency(text) == Fault(
        kind="latency", seconds=seconds, max_seconds=max_seconds, times=None
    )


@pytest.mark.parametrize("text", ["", "50", "50m", "-50ms", "200ms-20ms", "20ms-", "1s-2"])
def test_malformed_latencies(text: str) -> None:
    """The error of a malformed latency shows the string and an example."""
    with pytest.raises(ValueError, match=f'^"{text}" is not a latency: .* such as 50ms'):
        Fault.parse_latency(text)


@pytest.mark.parametrize(
    ("text", "days"),
    [("+30d", 30), ("-2h", -1 / 12), ("+90m", 1 / 16), ("+2w", 14), ("-1mo", -30), ("+1y", 365)],
)
def test_offsets(text: str, days: float) -> None:
    """A string is the difference between two clocks: a sign, a number and a unit."""
    assert read_offset(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "30d", "+d", "+30", "+1.5d", "+101y", "+30s"])
def test_malformed_offsets(text: str) -> None:
    """The error of a malformed offset shows the string and an example."""
    with pytest.raises(
        ValueError, match=r"is not an offset of the clock: .* such as [+]30d"
    ) as raised:
        read_offset(text)
    assert str(raised.value).startswith(f'"{text}" ')
