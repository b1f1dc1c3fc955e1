"""`sandbox`: a fake Losant to play with, until Ctrl-C."""

import time

from losant_tokens.cli._errors import CommandError, say, say_stopped
from losant_tokens.cli._fake_process import running_fake
from losant_tokens.cli._tables import write

_GLANCE = 0.2  # seconds


def sandbox(port: int, host: str, tokens: int) -> int:
    """Serve a fake in the foreground, and write to stdout how a shell connects to it."""
    try:
        with running_fake(tokens, port, host) as fake:
            say(f"A fake Losant with {tokens:,} tokens. In another terminal:")
            write(f"export LOSANT_API_URL={fake.base_url}\nexport LOSANT_API_TOKEN={fake.token}\n")
            say("Then try: losant-tokens list --limit 10")
            say("Ctrl-C stops it; its tokens are gone then.")
            while fake.is_running:
                time.sleep(_GLANCE)
    except KeyboardInterrupt:
        say_stopped("Stopped.")
        return 0  # as it should be: there is no other way to end it
    raise CommandError("the fake ended by itself")
