"""The parts of `fleet demo`: fake accounts, a worker process, and the proof from the servers."""

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from attrs import field, frozen

from losant_tokens.cli._errors import CommandError
from losant_tokens.cli._fake_process import RunningFake, running_fake
from losant_tokens.cli._terminal.console import environment_without_token

if TYPE_CHECKING:
    from losant_tokens import AsyncClient

CLEANUP = "stale-builds"
POLICY = f"""\
[[cleanups]]
name = "{CLEANUP}"
select = {{ active = true, named = ["ci-*"], not_updated_for = "30d" }}
protect = ["prod-*"]
action = "deactivate"
grace = "30d"
max_changes = 5000
"""
_COMMAND = (
    *(sys.executable, "-P", "-c"),
    "from losant_tokens.cli._fleet.demo_worker import main; main()",
)
_ACTIONS = ("post", "patch", "delete")
_POLL = 0.1  # seconds


@frozen
class DemoAccount:
    """A fake account of the demo, in a process of its own."""

    name: str
    fake: RunningFake = field(repr=False)

    @property
    def variable(self) -> str:
        """The environment variable of its token."""
        return f"LOSANT_DEMO_{self.name.upper()}"

    def client(self) -> "AsyncClient":
        """Return a client that reads from the server directly, without the fleet."""
        from losant_tokens import AsyncClient  # noqa: PLC0415 -- slow

        return AsyncClient(self.fake.token, base_url=self.fake.base_url)


@contextmanager
def demo_accounts(names: tuple[str, ...], tokens: int) -> Iterator[tuple[DemoAccount, ...]]:
    """Run fake accounts during the block.

    Args:
        names: Their names.
        tokens: The number of tokens of each.

    Raises:
        CommandError: A fake does not start.
    """
    with ExitStack() as stack:
        options = (f"--tokens={tokens}", "--latency=15ms")
        yield tuple(
            DemoAccount(name, stack.enter_context(running_fake(*options, f"--seed={number}")))
            for number, name in enumerate(names)
        )


@contextmanager
def demo_worker(
    name: str, accounts: tuple[DemoAccount, ...], folder: Path, grace: float
) -> Iterator["subprocess.Popen[str]"]:
    """Run a worker during the block, and stop it gracefully at the end.

    Args:
        name: The name of the worker.
        accounts: The accounts.
        folder: The folder of the store and of the configuration, which this writes.
        grace: The grace period in seconds.

    Raises:
        CommandError: The worker does not start.
    """
    variables = {one.variable: one.fake.token for one in accounts}
    config, policy = folder / "config.toml", folder / "policy.toml"
    config.write_text(
        "".join(
            f'[accounts.{one.name}]\nurl = "{one.fake.base_url}"\n'
            f'token = {{ env = "{one.variable}" }}\n'
            for one in accounts
        )
    )
    policy.write_text(POLICY)
    arguments = (str(folder / "fleet.sqlite"), str(config), str(policy), name, f"{grace:g}")
    with subprocess.Popen(  # noqa: S603 -- our own module; each value is one argument
        [*_COMMAND, *arguments],
        stdin=subprocess.PIPE,  # closes when this process ends, even if it is killed
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment_without_token(), **variables, "XDG_STATE_HOME": str(folder)},
        text=True,
        start_new_session=True,  # Ctrl-C reaches only this process, which then stops the worker
    ) as process:
        assert process.stdout is not None  # noqa: S101 -- the streams are pipes
        assert process.stdin is not None  # noqa: S101
        reader = threading.Thread(target=_keep_last_line, args=(process, last := [""]), daemon=True)
        reader.start()
        try:
            if not process.stdout.readline():
                process.wait()
                reader.join()
                raise CommandError(f"the worker did not start: {last[0]}")
            yield process
            process.stdin.close()
            process.wait()
        finally:
            process.kill()
            process.wait()
            reader.join()


def _keep_last_line(process: "subprocess.Popen[str]", last: list[str]) -> None:
    """Read all that a worker prints to stderr: it would wait if the pipe was full."""
    assert process.stderr is not None  # noqa: S101 -- a pipe
    for line in process.stderr:
        last[0] = line.strip() or last[0]


# --- The proof -------------------------------------------------------------------------------


@frozen
class Snapshot:
    """The tokens of an account as its server lists them, and the changes in its audit log.

    Attributes:
        tokens: The name, the status and the last update of each token of the user, by its id.
        changes: The number of changes of tokens, by `post`, `patch` and `delete`.
    """

    tokens: Mapping[str, tuple[str | None, str | None, datetime | None]]
    changes: Counter[str]


async def read_snapshot(account: DemoAccount) -> Snapshot:
    """Read the tokens of an account, and its audit log."""
    async with account.client() as client:
        tokens = {
            token.id: (token.name, token.status, token.last_updated)
            async for token in client.user_api_tokens.iter()
        }
        log = client.audit_logs.iter(account.fake.log.removeprefix("org:"))
        changes = Counter(
            [
                entry.request_action
                async for entry in log
                if "Token" in (entry.request_resource or "") and entry.request_action in _ACTIONS
            ]
        )
    return Snapshot(tokens, changes)


async def wait_for_changes(
    accounts: tuple[DemoAccount, ...], before: Mapping[str, Snapshot], count: int
) -> None:
    """Wait until the servers have changed N tokens, or all that they can.

    Args:
        accounts: The accounts.
        before: The accounts before.
        count: The number of changes.
    """
    while True:
        made = 0
        for account in accounts:
            changes = (await read_snapshot(account)).changes
            made += changes.total() - before[account.name].changes.total()
        if made >= count:
            return
        await anyio.sleep(_POLL)


@frozen(kw_only=True)
class Proof:
    """The facts about the demo from the server of an account.

    Attributes:
        selected: The number of tokens of the plan.
        changes_planned: The number of changes that its run should make.
        changes_made: The number of changes in the audit log of the account.
        wrong: The number of other tokens that changed, and of planned ones that did not.
    """

    selected: int
    changes_planned: int
    changes_made: int
    wrong: int

    @property
    def holds(self) -> bool:
        """Whether each planned change was made once, and no other."""
        return self.changes_made == self.changes_planned and not self.wrong


def prove(before: Snapshot, after: Snapshot, planned: set[str], *, is_restored: bool) -> Proof:
    """Compare the server of an account before and after the demo.

    Args:
        before: The account before the demo.
        after: The account after it.
        planned: The ids of the tokens that the plan selected.
        is_restored: Whether its tokens were activated again, and not deleted.
    """
    wrong = 0
    for token_id in before.tokens.keys() | after.tokens.keys():
        old, new = before.tokens.get(token_id), after.tokens.get(token_id)
        if token_id not in planned:
            wrong += old != new
        elif is_restored:
            wrong += old is None or new is None or old[:2] != new[:2]
        else:
            wrong += new is not None
    return Proof(
        selected=len(planned),
        changes_planned=2 * len(planned),
        changes_made=after.changes.total() - before.changes.total(),
        wrong=wrong,
    )
