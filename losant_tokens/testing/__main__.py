"""Serve a fake with tokens until a signal: `python -m losant_tokens.testing`.

When it is ready, it prints one line of JSON: `{"base_url": ..., "token": ...}`.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence

from losant_tokens.testing import FakeLosant

_CHUNK = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the fake until SIGINT or SIGTERM, or if requested, until stdin is closed."""
    parser = argparse.ArgumentParser(
        prog="python -m losant_tokens.testing", description="Serve a fake Losant token API."
    )
    parser.add_argument("--tokens", type=int, default=1000, help="number of tokens to start with")
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
        "--until-stdin-closes",
        action="store_true",
        help="stop when stdin is closed, for example because the parent process has ended",
    )
    options = parser.parse_args(arguments)

    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    if options.until_stdin_closes:
        threading.Thread(target=_set_when_stdin_closes, args=(done,), daemon=True).start()

    fake = FakeLosant()
    fake.seed(options.tokens, seed=options.seed)
    with fake.serve(options.port, options.host) as base_url:
        sys.stdout.write(json.dumps({"base_url": base_url, "token": fake.admin_token}) + "\n")
        sys.stdout.flush()
        # Wait in intervals, because on Windows no signal interrupts a wait without a timeout.
        while not done.wait(0.5):
            pass  # pragma: no cover  -- tests do not take that long
    return 0


def _set_when_stdin_closes(done: threading.Event) -> None:
    # This thread may never end, and if it held the lock of sys.stdin.read, the interpreter could
    # not exit cleanly.
    with contextlib.suppress(OSError):
        while os.read(0, _CHUNK):
            pass
    done.set()


if __name__ == "__main__":
    sys.exit(main())
