"""`StdoutSink`: standard output."""

import sys
from typing import TextIO

import anyio
from attrs import field, frozen

from losant_tokens._utils.secret import Secret
from losant_tokens.sinks._errors import SinkError
from losant_tokens.sinks._types import Format, Message, TokenSecret, check_format


@frozen
class StdoutSink:
    """Standard output, or another text stream.

    Raises:
        ValidationError: The format is not valid.
    """

    stream: TextIO | None = field(default=None, repr=False)
    """The stream. Default: `sys.stdout`."""
    format: Format = field(default="text", kw_only=True, validator=check_format)
    """`text` for the secret or the text alone, `json` for one line of JSON with all facts. Default:
    `text`.
    """

    async def deliver(self, delivery: TokenSecret | Message) -> None:
        """Print the delivery and a line break, and flush the stream.

        Raises:
            SinkError: The stream is closed or broken.
        """
        stream = sys.stdout if self.stream is None else self.stream
        await anyio.to_thread.run_sync(_print, stream, delivery.content(self.format))


def _print(stream: TextIO, content: Secret) -> None:
    """Print a secret as one line.

    Raises:
        SinkError: The stream is closed or broken.
    """
    try:
        # No variable holds the string, because a traceback would show it.
        stream.write(content.reveal().removesuffix("\n") + "\n")
        stream.flush()
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except ValueError:
        problem = "it is closed, or cannot encode a character"
    else:
        return
    raise SinkError(f"Standard output cannot be written: {problem}.")
