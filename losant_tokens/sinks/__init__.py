"""Sinks: places that receive the secret of a new token, or a message about tokens.

`CommandSink` passes it to a command on standard input, `FileSink` writes a private file, and
`StdoutSink` prints it. `WebhookSink` and `SlackSink` post messages, never secrets.

Any object with the coroutine method `deliver` is a sink:

    class VaultSink:
        async def deliver(self, delivery: TokenSecret) -> None:
            await vault.write(delivery.token_id, delivery.secret.reveal())
"""

from typing import TYPE_CHECKING

from losant_tokens._utils.lazy_names import lazy_names

__all__ = [
    "CommandSink",
    "FileSink",
    "Message",
    "Sink",
    "SinkError",
    "SlackSink",
    "StdoutSink",
    "TokenSecret",
    "WebhookSink",
]

if TYPE_CHECKING:
    from losant_tokens.sinks._command import CommandSink
    from losant_tokens.sinks._errors import SinkError
    from losant_tokens.sinks._file import FileSink
    from losant_tokens.sinks._slack import SlackSink
    from losant_tokens.sinks._stdout import StdoutSink
    from losant_tokens.sinks._types import Message, Sink, TokenSecret
    from losant_tokens.sinks._webhook import WebhookSink
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "._command": ("CommandSink",),
            "._errors": ("SinkError",),
            "._file": ("FileSink",),
            "._slack": ("SlackSink",),
            "._stdout": ("StdoutSink",),
            "._types": ("Message", "Sink", "TokenSecret"),
            "._webhook": ("WebhookSink",),
        },
    )
