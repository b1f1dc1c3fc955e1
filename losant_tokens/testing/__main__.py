"""`python -m losant_tokens.testing`: serve a fake that holds tokens, until a signal.

Once it serves, it prints one line of JSON: `{"base_url": ..., "token": ...}`.
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
    """Serve until SIGINT or SIGTERM comes, or, where asked for, until stdin is closed."""
    parser = argparse.ArgumentParser(
        prog="python -m losant_tokens.testing", description="Serve a fake Losant token API."
    )
    parser.add_argument("--tokens", type=int, default=1000, help="how many tokens it starts with")
    parser.add_argument("--port", type=int, default=0, help="0 is any that is free")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on; 0.0.0.0 for clients in other containers",
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same tokens")
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="stop when stdin is closed, so as not to outlive the process that started it",
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
        # In slices, because on Windows a wait without end takes no signal.
        while not done.wait(0.5):
            pass  # pragma: no cover  -- tests do not take that long
    return 0


def _set_when_stdin_closes(done: threading.Event) -> None:
    # Not sys.stdin.read, whose lock, held by a thread that never ends, would break the end of the
    # interpreter.
    with contextlib.suppress(OSError):
        while os.read(0, _CHUNK):
            pass
    done.set()


if __name__ == "__main__":
    sys.exit(main())
