"""The webhook that decides about the plans of a fleet."""

import hashlib
import hmac
import json

import anyio
import pytest

from losant_tokens import RetryPolicy, Secret
from losant_tokens.fleet import _automatic_approval
from losant_tokens.fleet._automatic_approval import Verdict, decide_or_ask
from losant_tokens.policy import Approval
from tests.support.fleet_runs import DIGEST, run
from tests.support.wire import Peer, response, serve


def test_signed_request() -> None:
    """The webhook gets a signed request without a secret, and its decision counts."""
    decision = json.dumps({"decision": "approve", "digest": DIGEST, "by": "ada"}).encode()

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(response(decision))

    with serve(play) as server:
        approval = Approval(webhook=Secret(f"{server.url}/hook"), secret_env="KEY")

        async def ask() -> Verdict:
            return await decide_or_ask(run(), approval, environ={"KEY": "hunter2"})

        verdict = anyio.run(ask)

    (seen,) = server.seen
    signature = hmac.new(b"hunter2", seen.content, hashlib.sha256).hexdigest()
    assert (verdict.kind, verdict.by) == ("approve", "ada (webhook 127.0.0.1)")
    assert seen.headers["x-hub-signature-256"] == f"sha256={signature}"
    assert json.loads(seen.content)["digest"] == DIGEST
    assert b"hunter2" not in seen.content


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("302 Found", "it responded with 302, a redirect."),
        ("403 Forbidden", "it responded with 403"),
    ],
)
def test_failures(status: str, reason: str) -> None:
    """A redirect and a failure decide nothing, although they repeat the digest."""
    decision = json.dumps({"decision": "approve", "digest": DIGEST}).encode()

    def play(peer: Peer) -> None:
        while peer.request():
            peer.send(response(decision, status, "Location: /other\r\n"))

    with serve(play) as server:
        approval = Approval(webhook_env="URL")

        async def ask() -> Verdict:
            environ = {"URL": f"{server.url}/s3cret-path"}
            return await decide_or_ask(run(), approval, environ=environ)

        verdict = anyio.run(ask)

    assert (verdict.kind, reason in verdict.reason) == ("wait", True)
    assert "s3cret" not in verdict.reason


@pytest.mark.parametrize(
    ("status", "can_ask_again"),
    [
        ("503 Service Unavailable", True),
        ("429 Too Many Requests", True),
        ("404 Not Found", False),
        ("", True),
    ],
)
def test_question_that_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, status: str, can_ask_again: bool
) -> None:
    """Only a webhook that is not available is asked again, with the same body and key."""
    monkeypatch.setattr(_automatic_approval, "RETRY", RetryPolicy(attempts=1))

    def play(peer: Peer) -> None:
        while peer.request():
            if not status:
                return
            peer.send(response(b"no", status))

    with serve(play) as server:
        approval = Approval(webhook=Secret(f"{server.url}/hook"))

        async def ask() -> list[Verdict]:
            return [await decide_or_ask(run(webhook_failures=n), approval) for n in (0, 4)]

        verdicts = anyio.run(ask)

    first, second = server.seen
    assert [verdict.can_ask_again for verdict in verdicts] == [can_ask_again] * 2
    assert first.content == second.content
    assert [one.headers["losant-tokens-attempt"] for one in (first, second)] == ["1", "5"]
    assert {one.headers["idempotency-key"] for one in (first, second)} == {
        json.loads(first.content)["id"]
    }
