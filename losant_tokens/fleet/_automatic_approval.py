"""The rules of approval: which plans of a fleet are applied without a person.

The key `approval` of a clean-up decides. A plan with fewer changes than `auto_below` is approved if
it has no warning. A webhook decides about the other plans, if there is one. A plan that the rules
neither approve nor reject waits for a person. So does a plan whose rules fail: they fail closed.
If the webhook cannot be reached, it is asked again later, while the plan waits.

The webhook receives the numbers of the plan and its digest, and neither a secret nor the name of a
token. Its response counts only if it repeats the digest, so that a response to an older request, or
a page of a proxy, approves nothing.
"""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

import httpx
from attrs import frozen

from losant_tokens._api.wire_format import write_datetime
from losant_tokens._retries.retry_policy import RetryPolicy
from losant_tokens._transports.tls import Verify
from losant_tokens._utils.safe_text import printable, redacted
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.fleet._types import PlanSummary, Run
from losant_tokens.policy import Approval
from losant_tokens.sinks import Message, SinkError
from losant_tokens.sinks._http import Webhook, check_url, host_of

TIMEOUT = 10.0  # seconds of one attempt
RETRY = RetryPolicy(attempts=3, deadline=60)
ATTEMPT_HEADER = "Losant-Tokens-Attempt"
_MAX_TEXT = 200  # characters of a name or a reason that a webhook returns


@frozen(kw_only=True)
class Verdict:
    """The verdict of the rules about a plan.

    Attributes:
        kind: `approve`, `reject`, or `wait` for a person.
        by: The rule or the webhook that decided; empty if a person must.
        reason: The reason, for people.
        can_ask_again: Whether the webhook could not be reached, and may be later.
    """

    kind: Literal["approve", "reject", "wait"]
    by: str = ""
    reason: str = ""
    can_ask_again: bool = False


def decide(plan: PlanSummary, approval: Approval) -> Verdict:
    """Return the verdict about a plan without asking a webhook.

    Args:
        plan: The plan.
        approval: The approval of its clean-up.
    """
    limit = approval.auto_below
    if limit is None:
        return Verdict(kind="wait", reason="the policy has no rule that approves it")
    if not plan.digest:
        return Verdict(kind="wait", reason="the plan has no digest")
    if plan.selected >= limit:
        changes = f"{plan.selected:,} change{'' if plan.selected == 1 else 's'}"
        return Verdict(kind="wait", reason=f"the plan has {changes}, and auto_below is {limit:,}")
    if plan.warnings:
        return Verdict(kind="wait", reason="the plan has warnings, which a person must read")
    return Verdict(kind="approve", by=f"policy: auto_below = {limit}")


async def decide_or_ask(
    run: Run,
    approval: Approval,
    *,
    environ: Mapping[str, str] | None = None,
    verify: Verify = None,
) -> Verdict:
    """Return the verdict about the plan of a run, and ask the webhook if the rules need one.

    Nothing is raised if the webhook fails: then a person must decide.

    Args:
        run: The run, whose plan waits for an approval.
        approval: The approval of its clean-up.
        environ: The environment variables. Default: those of the process.
        verify: The trusted authorities of the webhook, as for `httpx_transport`.
    """
    verdict = decide(run.plan, approval)
    if verdict.kind != "wait" or not approval.asks_webhook or not run.plan.digest:
        return verdict
    environ = os.environ if environ is None else environ
    message = request(run)
    # The body is the same at each attempt, so a receiver can compare it.
    headers = {"Idempotency-Key": message.id, ATTEMPT_HEADER: str(run.webhook_failures + 1)}
    webhook = _webhook(approval, environ, verify, headers)
    if isinstance(webhook, str):
        return Verdict(kind="wait", reason=webhook)
    try:
        response = await webhook.post(message.document)
    except SinkError as error:
        return Verdict(kind="wait", reason=str(error), can_ask_again=error.is_temporary)
    # The response is stored, so the secret part of its URL must not be in it.
    path = Secret(httpx.URL(webhook.url.reveal()).raw_path.decode())
    return read_response(response, run.plan.digest, host_of(webhook.url), (path,))


def _webhook(
    approval: Approval, environ: Mapping[str, str], verify: Verify, headers: Mapping[str, str]
) -> Webhook | str:
    """Return the webhook of an approval, or why it cannot be asked."""
    url, key = approval.webhook, None
    if approval.webhook_env is not None:
        url = _read(environ, approval.webhook_env)
    if url is None:
        return f"the environment variable {approval.webhook_env} has no URL of a webhook"
    if approval.secret_env is not None:
        key = _read(environ, approval.secret_env)
        if key is None:
            return f"the environment variable {approval.secret_env} has no secret"
    try:
        check_url(url)
    except ValidationError as error:
        return str(error)
    return Webhook(
        url=url,
        timeout=TIMEOUT,
        policy=RETRY,
        verify=verify,
        signing_secret=key,
        public_headers=headers,
    )


def _read(environ: Mapping[str, str], name: str) -> Secret | None:
    return Secret(environ[name]) if environ.get(name) else None


def request(run: Run) -> Message:
    """Return the message that asks a webhook about the plan of a run.

    Args:
        run: The run.
    """
    plan = run.plan
    tokens = f"{plan.selected:,} token{'' if plan.selected == 1 else 's'}"
    lines = [
        f"Selected: {plan.selected:,} of {plan.listed:,} tokens, because of the rule: {plan.rule}.",
        *plan.warnings,
        f"To approve it: losant-tokens fleet approve {run.id}",
    ]
    return Message(
        id=f"{run.id}-{plan.id}",
        title=f"{tokens} to {plan.action} in {run.account}: {run.cleanup}",
        lines=lines,
        data={
            "kind": "fleet-approval",
            "run": run.id,
            "account": run.account,
            "cleanup": run.cleanup,
            "requestedBy": run.requested_by,
            "action": plan.action,
            "rule": plan.rule,
            "selected": plan.selected,
            "listed": plan.listed,
            "protected": plan.protected,
            "owners": list(map(str, plan.owners)),
            "graceHours": _hours(plan.grace),
            "warnings": list(plan.warnings),
            "digest": plan.digest,
            "plannedAt": None if run.planned_at is None else write_datetime(run.planned_at),
            "approveBy": None if run.approve_by is None else write_datetime(run.approve_by),
        },
    )


def _hours(span: timedelta | None) -> float | None:
    return None if span is None else span / timedelta(hours=1)


def read_response(text: str, digest: str, host: str, secrets: Sequence[Secret] = ()) -> Verdict:
    """Return the verdict in the response of a webhook.

    Args:
        text: The response.
        digest: The digest of the plan that the webhook was asked about.
        host: The host of the webhook.
        secrets: The secrets that the response may repeat, but the verdict must not.
    """
    data = _parse(text)
    if data is None:
        return Verdict(kind="wait", reason=f"the webhook at {host} has not decided yet")
    kind = data.get("decision")
    if kind not in ("approve", "reject"):
        return Verdict(kind="wait", reason=f"the webhook at {host} has not decided yet")
    if data.get("digest") != digest:
        problem = f"the webhook at {host} decided, but did not repeat the digest of the plan"
        return Verdict(kind="wait", reason=problem)
    by = _text(data.get("by"), secrets)
    return Verdict(
        kind="approve" if kind == "approve" else "reject",
        by=f"{by} (webhook {host})" if by else f"webhook {host}",
        reason=_text(data.get("reason"), secrets),
    )


def _parse(text: str) -> dict[str, Any] | None:
    """Return a JSON object, or `None` for anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _text(value: object, secrets: Sequence[Secret]) -> str:
    """Return a string that a webhook returned, for a record; empty if it is something else."""
    return printable(redacted(value, secrets))[:_MAX_TEXT] if isinstance(value, str) else ""
