"""The step `warn` of a clean-up: one message to the webhook of the step, and its record.

A message is delivered before it is recorded, so a worker that dies in between leads to a second
delivery. Its id is the same, so a receiver can drop it. The webhook gets the names of tokens,
because people must recognize them.
"""

import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

import attrs
from attrs import frozen

from losant_tokens import AsyncClient
from losant_tokens._retries.retry_policy import RetryPolicy
from losant_tokens._utils.secret import Secret
from losant_tokens.accounts import Account
from losant_tokens.errors import ValidationError
from losant_tokens.fleet._errors import FleetError
from losant_tokens.fleet._run_planner import owners_of
from losant_tokens.policy import Cleanup, WarnedToken, WarningRecord
from losant_tokens.policy._warning_ledger import merged
from losant_tokens.policy._warnings import warn_once
from losant_tokens.sinks import Message
from losant_tokens.sinks._http import Webhook, check_url

TIMEOUT = 10.0  # seconds of one attempt
RETRY = RetryPolicy(attempts=3, deadline=60)
_PATIENCE = 60.0  # seconds of an outage of the API


@frozen(kw_only=True)
class StoredWarnings:
    """The record of the warnings of one account, in the store of a fleet.

    Attributes:
        before: The records when the step began. No other task of the account runs meanwhile.
        write: Writes records to the store. It blocks, and raises an error if another worker has
            taken over the run.
    """

    before: dict[str, WarningRecord]
    write: Callable[[Mapping[str, WarningRecord]], object]

    def warned(self, _: Cleanup) -> Mapping[str, WarningRecord]:
        """Return the tokens that were warned about, by their ids."""
        return self.before

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Do nothing: the credential has one task at a time."""
        yield

    def record(
        self,
        cleanup: Cleanup,
        selected: Iterable[WarnedToken],
        listed: Collection[str],
        now: datetime,
    ) -> None:
        """Record which tokens a clean-up selects, all of which were warned about."""
        after = merged(self.before, cleanup, selected, listed, now)
        self.write(after)
        self.before.clear()
        self.before.update(after)


@frozen(kw_only=True)
class _Receiver:
    """Sends a warning to the webhook of a step.

    Attributes:
        url: The URL.
        key: The secret of the signature; `None` to sign none.
        account: The name of the account, which the message repeats.
        may_send: Whether this worker still has its lease.
    """

    url: Secret
    key: Secret | None
    account: str
    may_send: Callable[[], bool]

    async def deliver(self, delivery: Message) -> None:
        """Send a message.

        Raises:
            FleetError: The lease of the worker is late.
            SinkError: The webhook does not accept it.
        """
        if not self.may_send():
            raise FleetError("The lease of the worker is late, so it sent no warning.")
        message = attrs.evolve(
            delivery,
            title=f"{delivery.title} in {self.account}",
            data={**delivery.data, "account": self.account},
        )
        webhook = Webhook(
            url=self.url,
            timeout=TIMEOUT,
            policy=RETRY,
            verify=None,
            signing_secret=self.key,
            public_headers={"Idempotency-Key": message.id},
        )
        await webhook.post(message.document)


async def warn(
    client: AsyncClient,
    account: Account,
    cleanup: Cleanup,
    ledger: StoredWarnings,
    may_send: Callable[[], bool],
) -> int:
    """Warn about the tokens of an account that a clean-up selects for the first time.

    Args:
        client: The client of the account.
        account: The account.
        cleanup: The clean-up, whose first step is `warn`.
        ledger: The record of the warnings.
        may_send: Whether this worker still has its lease.

    Returns:
        The number of tokens that messages name.

    Raises:
        ValidationError: The step has no usable webhook.
        GuardRefused: The clean-up selects more tokens than it may.
        SinkError: The webhook did not accept a message.
        LosantError: The tokens cannot be listed.
    """
    url, key = _webhook_of(cleanup)
    receiver = _Receiver(url=url, key=key, account=account.name, may_send=may_send)
    owners = await owners_of(client, account)
    count = 0
    while True:
        # A message names 500 tokens at most, and the next one those after them.
        result = await warn_once(client, owners, cleanup, receiver, ledger, patience=_PATIENCE)
        count += len(result.tokens)
        if not result.left_out:
            return count


def _webhook_of(cleanup: Cleanup) -> tuple[Secret, Secret | None]:
    """Return the URL for warnings, and the secret that signs them.

    Raises:
        ValidationError: One of them is missing or invalid.
    """
    step = cleanup.ladder[0]
    if not step.has_webhook:
        raise ValidationError(
            f"The clean-up {cleanup.name!r} begins with the step 'warn', and a fleet needs a place "
            f"for its warnings. Give the step 'webhook' or 'webhook_env' in the policy file, or "
            f"remove it: during the grace period, a restore activates tokens that somebody misses."
        )
    url = step.webhook or _variable(cleanup, step.webhook_env)
    check_url(url)
    return url, None if step.secret_env is None else _variable(cleanup, step.secret_env)


def _variable(cleanup: Cleanup, name: str | None) -> Secret:
    value = os.environ.get(name or "")
    if not value:
        raise FleetError(
            f"The clean-up {cleanup.name!r} warns with the environment variable {name}, which is "
            f"not set for the worker. Set it, and restart the worker."
        )
    return Secret(value)
