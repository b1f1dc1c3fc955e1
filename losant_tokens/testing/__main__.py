"""Serve a fake account until a signal: `python -m losant_tokens.testing`.

When it is ready, it prints one line of JSON: `{"base_url": ..., "token": ..., "owners": [...]}`.
With `--until-stdin-closes`, each line on stdin moves the clock of the fake, as `--clock` does.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from attrs import asdict

from losant_tokens.testing import FakeLosant, Fault
from losant_tokens.testing._fault_strings import read_offset

_CHUNK = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the fake until SIGINT or SIGTERM, or if requested, until stdin is closed."""
    options = _parser().parse_args(arguments)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())

    fake = FakeLosant(clock_offset=options.clock)
    account = fake.seed_account(options.tokens, seed=options.seed)
    if options.rate_limit:
        fake.rate_limit(options.rate_limit)
    for fault in (*options.latency, *options.fail):
        fake.add_fault(fault)
    with contextlib.ExitStack() as stack:
        try:
            base_url = stack.enter_context(fake.serve(options.port, options.host))
        except OSError as error:
            place = f"port {options.port} of {options.host}"
            sys.stderr.write(f"cannot listen on {place}: {error.strerror}\n")
            return 1
        if options.until_stdin_closes:
            threading.Thread(target=_follow_stdin, args=(fake, done), daemon=True).start()
        started = {
            "base_url": base_url,
            "token": account.own_token.secret if account.own_token else fake.admin_token,
            "organization_id": account.organization_id,
            "owners": [asdict(owner) for owner in account.owners],
        }
        sys.stdout.write(json.dumps(started) + "\n")
        sys.stdout.flush()
        # Wait in intervals, because on Windows no signal interrupts a wait without a timeout.
        while not done.wait(0.5):
            pass  # pragma: no cover  -- tests do not take that long
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m losant_tokens.testing", description="Serve a fake Losant token API."
    )
    parser.add_argument(
        "--tokens",
        type=int,
        default=1000,
        help="number of API tokens of the user to start with; other owners have fewer",
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0: any free port")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 for clients in other containers",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed; the same seed gives the same tokens"
    )
    parser.add_argument(
        "--rate-limit",
        type=_argument(_read_rate),
        metavar="N",
        help="respond with 429 to more than N requests per second",
    )
    parser.add_argument(
        "--fail",
        type=_argument(Fault.parse),
        action="append",
        default=[],
        metavar="KIND:SHARE",
        help="fail a share of the requests, such as 503:2%% or timeout:1%%; repeat for more",
    )
    parser.add_argument(
        "--latency",
        type=_argument(Fault.parse_latency),
        nargs=1,
        default=[],
        metavar="TIME",
        help="delay each response, such as by 50ms or 20ms-200ms",
    )
    parser.add_argument(
        "--clock",
        type=_argument(read_offset),
        default="+0d",
        metavar="OFFSET",
        help="move the clock of the fake, such as by +30d",
    )
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="stop when stdin is closed, for example because the parent process has ended",
    )
    return parser


def _argument(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a function for argparse, which shows only the message of its own error."""

    def read_argument(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read_argument


def _read_rate(text: str) -> float:
    with contextlib.suppress(ValueError):
        rate = float(text)
        if 0 < rate < float("inf"):
            return rate
    raise ValueError(f'"{text}" is not a number of requests per second: use a number above 0')


def _follow_stdin(fake: FakeLosant, done: threading.Event) -> None:
    # This thread may never end, and if it held the lock of sys.stdin.read, the interpreter could
    # not exit cleanly.
    received = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(0, _CHUNK):
            *lines, received = (received + chunk).split(b"\n")
            for line in filter(bytes.strip, lines):
                _move_clock(fake, line.decode("utf-8", "replace").strip())
    done.set()


def _move_clock(fake: FakeLosant, text: str) -> None:
    """Move the clock, and print the result as one line of JSON."""
    result: dict[str, Any]
    try:
        fake.clock_offset = read_offset(text)
    except ValueError as error:
        result = {"error": str(error)}
    else:
        result = {"clock_offset": fake.clock_offset.total_seconds()}
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
