"""Jobs over sockets."""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from losant_tokens import aiohttp_transport, httpx_transport, jobs
from losant_tokens._transports.aiohttp_pool import _Connector
from losant_tokens._transports.httpcore_unread_data import Network
from losant_tokens.testing import FakeLosant
from tests.support.jobs import (
    counts,
    fake_with,
    planned,
    sent,
    served,
)


async def test_plan_is_carried_out_over_sockets(tmp_path: Path) -> None:
    """Each token of the plan is deleted once, and no other token."""
    fake = fake_with(300, kept=30)
    async with served(fake) as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan)

    assert {token.name for token in fake.tokens()} == {f"keep-{n}" for n in range(30)}
    assert sorted(sent(fake, "DELETE")) == sorted(entry.id for entry in plan.entries())
    assert (counts(report), report.is_complete, report.requests) == ({"done": 300}, True, 600)
    assert (report.retries, report.refused, report.gave_up) == (0, 0, None)


@pytest.mark.parametrize("pool", [httpx_transport, aiohttp_transport])
async def test_permission_that_is_withdrawn_before_the_write(
    tmp_path: Path, pool: Callable[[], httpx.AsyncBaseTransport]
) -> None:
    """The pool asks `may_change` again before it writes, and a change that it stops is not sent."""
    fake = fake_with(1)
    answers = [True, False, False]
    async with served(fake, transport=pool()) as client:
        plan = await planned(client, tmp_path)
        with pytest.raises(jobs.JobFailed, match="may_change returned False"):
            await jobs.apply(client, plan, may_change=lambda: answers.pop(0))
        report = jobs.job_report(plan)

    assert (sent(fake, "DELETE"), answers, counts(report)) == ([], [], {})


@pytest.mark.parametrize("action", ["delete", "deactivate"])
@pytest.mark.parametrize("pool", [httpx_transport, aiohttp_transport])
async def test_permission_that_is_withdrawn_while_a_connection_is_opened(
    tmp_path: Path,
    pool: Callable[[], httpx.AsyncBaseTransport],
    action: Literal["delete", "deactivate"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change that waits for its connection asks again, and is not sent without permission."""
    fake = fake_with(1)
    transport: Any = pool()
    asked: list[bool] = []
    is_gone = False

    def may_change() -> bool:
        asked.append(not is_gone)
        return not is_gone

    def close_after(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        async def replacement(*args: Any, **options: Any) -> Any:
            nonlocal is_gone
            opened = await function(*args, **options)
            is_gone = bool(asked)
            return opened

        monkeypatch.setattr(owner, name, replacement)

    close_after(Network, "connect_tcp")
    close_after(_Connector, "_create_connection")
    async with served(fake, transport=transport) as client:
        plan = await planned(client, tmp_path, action=action)
        transport.keeps_connections = False
        with pytest.raises(jobs.JobFailed, match="may_change returned False"):
            await jobs.apply(client, plan, may_change=may_change)

    assert [one.method for one in fake.requests if one.method in {"DELETE", "PATCH"}] == []
    assert (asked[0], asked[-1]) == (True, False)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the option is Linux's")
@pytest.mark.parametrize("pool", [httpx_transport, aiohttp_transport])
async def test_change_that_the_network_delays(
    tmp_path: Path, pool: Callable[[], httpx.AsyncBaseTransport]
) -> None:
    """The kernel gives up on a change after 3 s, and does not send it minutes later."""
    fake = fake_with(1)
    found: list[set[int]] = []

    def may_change() -> bool:
        found.append(_times_in_kernel(int(client.base_url.rpartition(":")[2])))
        return True

    async with served(fake, transport=pool()) as client:
        plan = await planned(client, tmp_path)
        await jobs.apply(client, plan, may_change=may_change)

    assert 3000 in found[-1]
    assert len(sent(fake, "DELETE")) == 1


def _times_in_kernel(port: int) -> set[int]:
    """Return the limits, in milliseconds, of the connections of this process to a port."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(link.name))) as connection:
            if connection.family == socket.AF_INET and connection.getpeername()[1] == port:
                option = socket.TCP_USER_TIMEOUT
                found.add(connection.getsockopt(socket.IPPROTO_TCP, option))
    return found


# --- Stopping --------------------------------------------------------------------------------


def slow_fake(tokens: int = 60, seconds: float = 1.0) -> FakeLosant:
    fake = fake_with(tokens)
    fake.fail("latency", seconds=seconds, times=None, method="DELETE")
    return fake


async def test_task_that_is_cancelled(tmp_path: Path) -> None:
    """A cancelled task ends once the requests in flight are recorded, even if cancelled twice."""
    fake = slow_fake(40, seconds=0.05)
    async with served(fake) as client:
        plan = await planned(client, tmp_path)
        task = asyncio.create_task(jobs.apply(client, plan))
        while len(sent(fake, "DELETE")) < 15:  # noqa: ASYNC110 -- the fake has no event for it
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        before = len(sent(fake, "DELETE"))
        report = await jobs.apply(client, plan, resume=True)

    assert before < 40
    assert counts(report) == {"done": 40}
    assert sorted(Counter(sent(fake, "DELETE")).values()) == [1] * 40
