"""The types of sinks."""

from pathlib import Path
from typing import Any, assert_type

from losant_tokens import Secret, sinks
from losant_tokens.sinks import Message, Sink, TokenSecret

ID = "575ec7417ae143cd83dc4a95"


class VaultSink:
    async def deliver(self, delivery: TokenSecret) -> None:
        assert_type(delivery.secret, Secret)
        assert_type(delivery.replaces, str | None)
        assert_type(delivery.facts, dict[str, str | None])


def for_secrets() -> list[Sink[TokenSecret]]:
    return [VaultSink(), sinks.CommandSink("vault"), sinks.FileSink("token"), sinks.StdoutSink()]


def for_messages() -> list[Sink[Message]]:
    return [
        sinks.CommandSink(["mail", "ops"], timeout=5, format="json", secrets=["t"]),
        sinks.StdoutSink(),
        sinks.WebhookSink("https://example.com", headers={"Authorization": Secret("t")}),
        sinks.SlackSink(Secret("https://hooks.slack.com/services/a")),
    ]


def not_for_secrets() -> Sink[TokenSecret]:
    return sinks.WebhookSink("https://example.com")  # type: ignore[return-value]


def values(secret: TokenSecret, message: Message) -> None:
    assert_type(sinks.TokenSecret(secret="s", token_id=ID), TokenSecret)
    assert_type(sinks.Message(id="1", title="t", lines=["a"], data={"n": 1}), Message)
    assert_type(message.lines, tuple[str, ...])
    assert_type(message.document, dict[str, Any])
    assert_type(sinks.FileSink("token-{id}").path_for(secret), Path)
    assert_type(sinks.FileSink("token").is_per_token, bool)
    assert_type(sinks.WebhookSink("https://example.com").host, str)


async def failed(secret: TokenSecret) -> None:
    try:
        await VaultSink().deliver(secret)
    except sinks.SinkError as error:
        assert_type(error.ambiguous, bool)
