"""The command that serves a fake."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from losant_tokens.testing.__main__ import main

pytestmark = pytest.mark.usefixtures("measured_processes")


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "losant_tokens.testing", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` describes the options."""
    with pytest.raises(SystemExit):
        main(["--help"])

    assert "--until-stdin-closes" in capsys.readouterr().out


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, "stdin"])
def test_serves_until_a_signal(end: Any) -> None:
    """It prints its address in one line, and stops at a signal or when stdin closes."""
    arguments = ["--until-stdin-closes"] if end == "stdin" else []
    with start("--tokens", "7", "--host", "0.0.0.0", *arguments) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        printed = json.loads(process.stdout.readline())
        answer = httpx.get(
            f"{printed['base_url']}/me/tokens",
            headers={"Authorization": f"Bearer {printed['token']}"},
        )
        if end == "stdin":
            process.stdin.write("\n")
            process.stdin.close()
            process.stdin = None
        else:
            process.send_signal(end)
        rest, errors = process.communicate(timeout=10)

    assert answer.json()["totalCount"] == 7
    assert (process.returncode, rest, errors) == (0, "", "")


def read(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


@pytest.mark.slow
def test_conditions() -> None:
    """Options set the rate limit, the faults, the latency and the clock of the fake."""
    options = ("--fail", "418:100%", "--latency", "1ms-2ms", "--rate-limit", "1", "--clock=-1y")
    with start("--until-stdin-closes", *options) as process:
        base_url = read(process)["base_url"]
        statuses = {httpx.get(base_url).status_code for _ in range(2)}
        date = httpx.get(base_url).headers["date"]
        process.communicate(timeout=10)

    last_year = (datetime.now(UTC) - timedelta(days=365)).year
    assert statuses == {418, 429}
    assert str(last_year) in date


@pytest.mark.slow
def test_moved_clock() -> None:
    """A line on stdin moves the clock, and its result is a line on stdout."""
    with start("--until-stdin-closes", "--tokens", "1") as process:
        base_url = read(process)["base_url"]
        assert process.stdin is not None
        process.stdin.write("+365d\nsoon\n")
        process.stdin.flush()
        results = [read(process), read(process)]
        date = httpx.get(base_url).headers["date"]
        process.communicate(timeout=10)

    assert results[0] == {"clock_offset": 365 * 86400}
    assert results[1]["error"].startswith('"soon" is not an offset of the clock: ')
    assert str((datetime.now(UTC) + timedelta(days=365)).year) in date


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fail", "503"], '--fail: "503" is not a fault: '),
        (["--latency", "5"], '--latency: "5" is not a latency: '),
        (["--clock", "30d"], '--clock: "30d" is not an offset of the clock: '),
        (["--rate-limit", "0"], '--rate-limit: "0" is not a number of requests per second: '),
        (["--rate-limit", "x"], '--rate-limit: "x" is not a number of requests per second: '),
    ],
)
def test_malformed_options(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    """A malformed option is a usage error, which names the option and the value."""
    with pytest.raises(SystemExit) as raised:
        main(options)

    assert (raised.value.code, message in capsys.readouterr().err) == (2, True)
