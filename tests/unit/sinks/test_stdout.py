"""`StdoutSink`: standard output."""

import io

import pytest

from losant_tokens.sinks import Message, SinkError, StdoutSink, TokenSecret
from tests.support.traceback_secrets import frames_that_hold

SECRET = TokenSecret(secret="hunter2", token_id="575ec7417ae143cd83dc4a95")


async def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A secret, a message and a document are lines of their own."""
    await StdoutSink().deliver(SECRET)
    await StdoutSink().deliver(Message(id="1", title="1 token"))
    await StdoutSink(format="json").deliver(Message(id="1", title="1 token"))

    assert capsys.readouterr().out == (
        'hunter2\n1 token\n{"id": "1", "title": "1 token", "text": "1 token"}\n'
    )


class Broken(io.StringIO):
    """A stream whose reader is gone."""

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize(("is_closed", "why"), [(True, "it is closed"), (False, "Broken pipe")])
async def test_broken_stream(is_closed: bool, why: str) -> None:
    """A stream that is closed or broken is an error without the secret."""
    stream = Broken()
    if is_closed:
        stream.close()

    with pytest.raises(SinkError, match=f"Standard output cannot be written: {why}") as caught:
        await StdoutSink(stream).deliver(SECRET)

    assert not frames_that_hold(caught.value, "hunter2")
