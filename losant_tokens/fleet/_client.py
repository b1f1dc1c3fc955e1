"""`FleetClient`: start runs, decide about them, and read their state. It does no work itself."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from losant_tokens.fleet._types import Run, RunReport, RunState


class FleetClient:
    """A connection to the store of a fleet. `Fleet.client` returns it.

    Use it with `async with`, in any process that can reach the store. It needs neither the accounts
    nor the policy of the workers. Calls to the store run in threads.

    A decision is made once: the first one wins. If the same decision is made again, nothing happens
    and the run is returned as it is. If another one was made before, the call raises
    `DecisionRefused`.
    """

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    async def plan(
        self,
        account: str,
        cleanup: str,
        *,
        by: str,
        key: str | None = None,
    ) -> Run:
        """Start a run: a worker plans a clean-up of an account.

        Args:
            account: The name of the account, as the workers know it.
            cleanup: The name of the clean-up in the policy file of the workers.
            by: The person or the schedule that starts the run. It is recorded, and not verified.
            key: A name for the occasion, such as `nightly 2026-03-01`. A second call with the same
                key, account and clean-up starts nothing, and returns the run of the first. Default:
                each call starts a run.

        Returns:
            The run, with the state `planning`.

        Raises:
            ValidationError: An argument is invalid.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError

    def runs(
        self,
        *,
        state: RunState | Iterable[RunState] | None = None,
        account: str | None = None,
        cleanup: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Run]:
        """Return the runs, the newest first.

        The store selects them and returns them in pages, so thousands of runs need little memory.

        Args:
            state: Only runs with this state, or one of these states.
            account: Only runs for this account.
            cleanup: Only runs of this clean-up.
            since: Only runs that were started at this time or later, with a time zone.
            limit: The maximum number of runs. Default: no limit.

        Raises:
            ValidationError: An argument is invalid.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError

    async def run(self, id: str) -> Run:  # noqa: A002 -- the word of the API
        """Return a run.

        Args:
            id: The id of the run, or the first characters of it if no other id begins with them.

        Raises:
            RunNotFound: There is no such run, or several ids begin with these characters.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError

    async def approve(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        digest: str | None = None,
        reason: str = "",
    ) -> Run:
        """Approve the plan of a run. A worker applies it, and later sweeps the quarantine.

        Approving twice is harmless.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that approves. It is recorded, and not verified.
            digest: The digest of the plan that was reviewed, or its first 8 or more digits. If the
                run has another plan, the approval is refused. Default: the plan that is stored.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run has no plan to approve, the plan has another digest or expired,
                or the run was rejected or cancelled before.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError

    async def reject(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        reason: str = "",
    ) -> Run:
        """Reject the plan of a run. Nothing is changed.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that rejects.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run does not wait for an approval.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError

    async def cancel(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        reason: str = "",
    ) -> Run:
        """Cancel a run. The tokens that it has changed stay as they are.

        A worker that applies the plan finishes the chunk of tokens that it works on. The sweep of a
        quarantine does not happen; `restore` activates its tokens again.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that cancels.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run is at its end.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError

    async def restore(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        reason: str = "",
    ) -> Run:
        """Activate the tokens again that a run has deactivated and nobody has changed since.

        A restore needs no approval, because it only undoes changes of the run. The sweep does not
        happen. Restoring twice is harmless.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that restores.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run has deactivated no token, is still being applied, or its sweep
                has begun.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError

    async def retry(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        by: str,
        reason: str = "",
    ) -> Run:
        """Continue a failed run where it stopped. It needs no second approval.

        Args:
            id: The id of the run, or its first characters.
            by: The person or the rule that retries.
            reason: A reason to record. Default: none.

        Raises:
            DecisionRefused: The run has not failed.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError

    async def report(self, id: str) -> RunReport:  # noqa: A002 -- the word of the API
        """Return the outcome for each token of a run.

        Args:
            id: The id of the run, or its first characters.

        Raises:
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError

    async def wait(
        self,
        id: str,  # noqa: A002 -- the word of the API
        *,
        state: RunState | Iterable[RunState] | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 -- part of the interface
    ) -> Run:
        """Wait until a run has a state, and return it.

        Args:
            id: The id of the run, or its first characters.
            state: The state, or the states, to wait for. Default: `waiting`, `quarantined` and the
                final states.
            timeout: The maximum time to wait. Default: no limit.

        Raises:
            FleetError: The run has another final state, or the time is over.
            RunNotFound: There is no such run.
            StoreError: The store cannot be reached.
        """
        raise NotImplementedError
