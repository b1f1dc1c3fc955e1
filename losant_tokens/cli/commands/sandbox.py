"""`sandbox`: serve a fake Losant until Ctrl-C."""

import time
from typing import Annotated

from cyclopts import Parameter, validators

from losant_tokens.cli._console import print_after_signal, print_status, write_output
from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._options import AtLeastZero

_POLL_INTERVAL = 0.2  # seconds


def serve_sandbox(
    *,
    port: Annotated[
        int,
        Parameter(
            metavar="N",
            validator=validators.Number(gte=0, lte=65535),
            show_default=lambda _: "a free port",
            help="Listen on port N.",
        ),
    ] = 0,
    host: Annotated[
        str,
        Parameter(
            metavar="HOST",
            help="Listen on HOST; 0.0.0.0 lets other machines connect.",
        ),
    ] = "127.0.0.1",
    tokens: Annotated[
        int, Parameter(metavar="N", validator=AtLeastZero, help="Start with N tokens.")
    ] = 1000,
) -> int:
    """Run a fake Losant on this machine until Ctrl-C."""
    from losant_tokens.cli._fake_process import running_fake

    try:
        with running_fake(tokens, port, host) as fake:
            print_status(f"A fake Losant with {tokens:,} tokens. In another terminal:")
            write_output(
                f"export LOSANT_API_URL={fake.base_url}\nexport LOSANT_API_TOKEN={fake.token}\n"
            )
            print_status("Then try: losant-tokens list --limit 10")
            print_status("Ctrl-C stops it and discards its tokens.")
            while fake.is_running:
                time.sleep(_POLL_INTERVAL)
    except KeyboardInterrupt:
        print_after_signal("Stopped.")
        return 0  # Ctrl-C is the normal way to end the sandbox.
    raise CommandError("the fake has stopped unexpectedly")
