"""The rules of approval."""

import json
from typing import Any

import pytest

from losant_tokens import Secret
from losant_tokens.fleet._automatic_approval import decide, decide_or_ask, read_response, request
from losant_tokens.policy import Approval
from tests.support.fleet_runs import DIGEST, PLAN, run

HOST = "approve.example.com"
URL = Secret(f"https://{HOST}/s3cret-path")


@pytest.mark.parametrize(
    ("approval", "members", "verdict"),
    [
        (Approval(), {}, "wait: the policy has no rule that approves it"),
        (Approval(webhook=URL), {}, "wait: the policy has no rule that approves it"),
        (Approval(auto_below=13), {}, "approve: policy: auto_below = 13"),
        (Approval(auto_below=12), {}, "wait: the plan has 12 changes, and auto_below is 12"),
        (Approval(auto_below=13), {"digest": ""}, "wait: the plan has no digest"),
        (
            Approval(auto_below=13),
            {"warnings": ("A pattern protects no token.",)},
            "wait: the plan has warnings, which a person must read",
        ),
    ],
)
def test_rules(approval: Approval, members: dict[str, Any], verdict: str) -> None:
    """A plan is approved only if it has fewer changes than the limit, a digest and no warning."""
    found = decide(run(**{f"plan_{name}": value for name, value in members.items()}).plan, approval)

    assert f"{found.kind}: {found.by or found.reason}" == verdict


NOT_YET = f"wait: : the webhook at {HOST} has not decided yet"
NOT_THIS = f"wait: : the webhook at {HOST} decided, but did not repeat the digest of the plan"


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        ({"decision": "approve", "digest": DIGEST}, f"approve: webhook {HOST}: "),
        (
            {"decision": "approve", "digest": DIGEST, "by": "ada", "reason": "ok\x1b[2J"},
            f"approve: ada (webhook {HOST}): ok\\x1b[2J",
        ),
        (
            {"decision": "reject", "digest": DIGEST, "by": 7, "reason": "s3cret-path"},
            f"reject: webhook {HOST}: ****",
        ),
        ({"decision": "reject", "digest": DIGEST, "by": "x" * 999}, "reject: " + "x" * 200),
        ({"decision": "approve"}, NOT_THIS),
        ({"decision": "reject", "digest": DIGEST[:-1]}, NOT_THIS),
        ({"decision": "wait", "digest": DIGEST}, NOT_YET),
        ({"decision": True, "digest": DIGEST}, NOT_YET),
        ({"decision": ["approve"], "digest": DIGEST}, NOT_YET),
        ({}, NOT_YET),
        (["approve"], NOT_YET),
    ],
)
def test_responses(response: object, verdict: str) -> None:
    """A response decides only if it repeats the digest, and its strings are safe to store."""
    found = read_response(json.dumps(response), DIGEST, HOST, [Secret("/s3cret-path")])

    assert f"{found.kind}: {found.by}: {found.reason}".startswith(verdict)


@pytest.mark.parametrize("text", ["", "ok", "[" * 4096, '{"decision": "approve"'])
def test_responses_that_are_not_json(text: str) -> None:
    """Anything but a JSON object means that a person must decide."""
    assert read_response(text, DIGEST, HOST).kind == "wait"


def test_request() -> None:
    """The request has the numbers, the digest and the command that approves the plan."""
    document = request(run(plan_warnings=("The clock differs.",))).document

    assert document["title"] == "12 tokens to deactivate in prod: old-ci"
    assert document["text"].splitlines()[2:] == [
        "Selected: 12 of 400 tokens, because of the rule: named 'ci-*'.",
        "The clock differs.",
        "To approve it: losant-tokens fleet approve 1f3a9c20",
    ]
    assert (document["digest"], document["selected"], document["graceHours"]) == (DIGEST, 12, 720)
    assert (document["account"], document["cleanup"]) == ("prod", "old-ci")
    assert document["approveBy"] == "2026-03-08T12:00:00.000Z"
    assert json.dumps(document)

    bare = request(run(planned_at=None, approve_by=None, plan_grace=None, plan_selected=1)).document
    assert (bare["plannedAt"], bare["approveBy"], bare["graceHours"]) == (None, None, None)
    assert bare["title"].startswith("1 token to deactivate")


@pytest.mark.parametrize(
    ("approval", "environ", "reason"),
    [
        (Approval(webhook_env="URL"), {}, "the environment variable URL has no URL of a webhook"),
        (
            Approval(webhook=URL, secret_env="KEY"),
            {"KEY": ""},
            "the environment variable KEY has no secret",
        ),
        (
            Approval(webhook_env="URL"),
            {"URL": "http://example.com/s3cret-path"},
            "The URL of the webhook must start with https://, because",
        ),
    ],
)
async def test_webhook_that_cannot_be_asked(
    approval: Approval, environ: dict[str, str], reason: str
) -> None:
    """If the URL or the secret is missing or unsafe, a person must decide."""
    verdict = await decide_or_ask(run(), approval, environ=environ)

    assert (verdict.kind, verdict.reason.startswith(reason)) == ("wait", True)
    assert "s3cret" not in repr(verdict)


async def test_no_webhook_is_asked_without_need() -> None:
    """A plan that a rule approves, and one without a digest, are not sent to the webhook."""
    approval = Approval(auto_below=PLAN.selected + 1, webhook=Secret("https://192.0.2.1/"))

    assert (await decide_or_ask(run(), approval)).kind == "approve"
    assert (await decide_or_ask(run(plan_digest=""), approval)).kind == "wait"
    assert (await decide_or_ask(run(), Approval())).kind == "wait"
