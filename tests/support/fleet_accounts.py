"""Fake accounts for tests of the fleet, and the comparison of their request logs with the plans."""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import define, field, frozen
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from losant_tokens.testing import FakeLosant
from losant_tokens.testing._server import Serving

STALE = "ci-"
"""The names of the tokens that the policy of a drill selects begin with this."""

FRESH = "ci-fresh"
"""The name of the token that only its age keeps."""

KEPT = "prod-"
"""The names of tokens that the policy does not select."""

_ACTED = {200, 201, 404}
"""The statuses of responses to changes. 404: the token had been deleted before."""


@define
class Request:
    """A request that an account received, with the times and the credential."""

    method: str
    path: str
    credential: str
    """The first digits of the hash of the bearer token."""
    started_at: float
    ended_at: float | None = None
    status: int | None = None
    """None: the request was not complete, for example because the client was killed."""
    body: bytes = b""

    @property
    def change(self) -> str | None:
        """The change that the request asks for; None if it only reads, or was not carried out."""
        if self.status not in _ACTED:
            return None
        if self.method == "DELETE":
            return "delete"
        if self.method == "POST":
            return "create"
        if self.method != "PATCH":
            return None
        status = json.loads(self.body or b"{}").get("status")
        return {"inactive": "deactivate", "active": "activate"}.get(status, "patch")

    @property
    def token_id(self) -> str:
        """The id of the token in the path."""
        return self.path.rpartition("/")[2]


@define
class RecordingApp:
    """Record all requests to an ASGI application."""

    _app: ASGIApp
    requests: list[Request] = field(factory=list, init=False)
    _arrived: threading.Condition = field(factory=threading.Condition, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        digest = hashlib.sha256(headers.get(b"authorization", b"")).hexdigest()
        request = Request(scope["method"], scope["path"], digest[:12], time.monotonic())
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()

        async def receive_body() -> Message:
            message = await receive()
            request.body += message.get("body", b"")
            return message

        async def send_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive_body, send_status)
        finally:
            request.ended_at = time.monotonic()

    def wait_for(self, method: str, count: int, *, timeout: float = 60) -> None:
        """Wait until N requests with a method have arrived.

        Raises:
            AssertionError: They do not arrive within the timeout, in seconds.
        """

        def have_arrived() -> bool:
            return sum(one.method == method for one in self.requests) >= count

        with self._arrived:
            assert self._arrived.wait_for(have_arrived, timeout), (
                f"{count} {method} requests did not arrive in {timeout} s: "
                f"{Counter(one.method for one in self.requests)}"
            )


@frozen
class FleetAccount:
    """An account of a drill: its fake, and the tokens that the policy selects."""

    name: str
    fake: FakeLosant
    app: RecordingApp
    base_url: str
    token: str = field(repr=False)
    stale: set[str] = field(factory=set)
    """The ids of the tokens that the policy selects."""
    owner: str = "user"
    """The owner of the tokens."""

    @property
    def changes(self) -> dict[str, list[str]]:
        """The changes of each token that was changed, in the order of their arrival."""
        changes: dict[str, list[str]] = {}
        for request in tuple(self.app.requests):
            if (change := request.change) is not None:
                changes.setdefault(request.token_id, []).append(change)
        return changes

    def add_tokens(self, count: int, prefix: str, wave: int = 0) -> list[str]:
        """Add old tokens, and return their ids.

        Args:
            count: The number of tokens.
            prefix: The beginning of their names.
            wave: A number for their names.
        """
        old = datetime.now(UTC) - timedelta(days=400)
        return [
            self.fake.add_token(
                f"{prefix}{wave}-{number:05}",
                owner=self.owner,
                creation_date=old,
                last_updated=old,
            ).id
            for number in range(count)
        ]

    @property
    def variable(self) -> str:
        """The environment variable of the token."""
        return f"LOSANT_{self.name.upper().replace('-', '_')}"


@contextmanager
def fleet_accounts(
    *names: str, stale: int = 30, latency: float = 0.0, rate: float | None = None
) -> Iterator[tuple[FleetAccount, ...]]:
    """Serve fake accounts during the block.

    Args:
        names: Their names.
        stale: The number of tokens in each that the policy selects, and of those that it does not.
        latency: The delay of each response in seconds.
        rate: The maximum number of requests per second of each account.
    """
    with ExitStack() as stack:
        accounts = []
        for name in names:
            fake = FakeLosant()
            fake.rate_limit(rate)
            if latency:
                fake.fail("latency", seconds=latency, times=None)
            app = RecordingApp(fake.app)
            base_url = stack.enter_context(Serving(app))
            account = FleetAccount(name, fake, app, base_url, fake.admin_token)
            account.stale.update(account.add_tokens(stale, STALE))
            account.add_tokens(stale, KEPT)
            fake.add_token(FRESH)
            accounts.append(account)
        yield tuple(accounts)


def write_config(accounts: Iterable[FleetAccount], path: Path) -> dict[str, str]:
    """Write the configuration of accounts, and return the environment variables of their tokens."""
    lines = []
    variables = {}
    for account in accounts:
        lines += [
            f"[accounts.{account.name}]",
            f'url = "{account.base_url}"',
            f'owners = ["{account.owner}"]',
            f'token = {{ env = "{account.variable}" }}',
            "",
        ]
        variables[account.variable] = account.token
    path.write_text("\n".join(lines))
    path.chmod(0o600)
    return variables


# --- Comparison ------------------------------------------------------------------------------


def problems(
    account: FleetAccount, expected: Mapping[str, Sequence[str]] | Sequence[str]
) -> list[str]:
    """Return the differences between the changes that arrived and those that were planned.

    Args:
        account: The account.
        expected: The changes of each token by its id, in order; or those of all stale tokens.
    """
    if not isinstance(expected, Mapping):
        expected = dict.fromkeys(sorted(account.stale), expected)
    changes = account.changes
    found = []
    for token_id in sorted({*changes, *expected}):
        actual, planned = changes.get(token_id, []), list(expected.get(token_id, ()))
        if actual == planned:
            continue
        if not planned:
            kind = "foreign"
        elif set(actual) == set(planned) and len(actual) > len(planned):
            kind = "twice"
        elif Counter(planned) - Counter(actual):
            kind = "forgotten"
        else:
            kind = "wrong"
        found.append(f"{account.name}: {kind}: {token_id}: {actual}, not {planned}")
    return found


def peak_rate(requests: Iterable[Request], credential: str, *, seconds: float = 1.0) -> int:
    """Return the maximum number of requests with a credential in any interval of a length."""
    times = sorted(one.started_at for one in requests if one.credential == credential)
    peak = first = 0
    for number, started in enumerate(times):
        while times[first] <= started - seconds:
            first += 1
        peak = max(peak, number - first + 1)
    return peak


def peak_in_flight(requests: Iterable[Request], credential: str) -> int:
    """Return the maximum number of requests with a credential that were in flight at once."""
    events = []
    for one in requests:
        if one.credential == credential:
            events += [(one.started_at, 1), (one.ended_at or float("inf"), -1)]
    peak = current = 0
    for _, step in sorted(events):
        current += step
        peak = max(peak, current)
    return peak
