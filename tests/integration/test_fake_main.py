"""The command that serves a fake."""

import json
import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest

from losant_tokens.testing.__main__ import main


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
            process.stdin.write("still here\n")
            process.stdin.close()
            process.stdin = None
        else:
            process.send_signal(end)
        rest, errors = process.communicate(timeout=10)

    assert answer.json()["totalCount"] == 7
    assert (process.returncode, rest, errors) == (0, "", "")
