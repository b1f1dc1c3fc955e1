"""A world for rotations: a fake, a store that the users of tokens read, and simulated kills."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from losant_tokens import AsyncClient, Secret, jobs
from losant_tokens.jobs import Rotation
from losant_tokens.jobs._rotation.rotation_journal import RotationJournal
from losant_tokens.sinks import SinkError, TokenSecret
from losant_tokens.testing import FakeLosant, FakeToken

LIFETIME = timedelta(days=90)
NONE = timedelta(0)
URL = "https://fake.example"


class Killed(BaseException):
    """The process is killed."""


@attrs.define(eq=False)
class Steps:
    """Counts the steps of a rotation, and kills the process at one of them.

    Attributes:
        kill_at: The step to kill the process at; 0 for none.
        count: The number of steps.
        is_safe: Returns whether all is well.
        unsafe: The steps at which it was not.
    """

    kill_at: int = 0
    is_safe: Callable[[], bool] = lambda: True
    count: int = 0
    unsafe: list[int] = attrs.field(factory=list)

    def __call__(self) -> None:
        if not self.is_safe():
            self.unsafe.append(self.count)
        self.count += 1
        # A killed process takes no further step.
        if 0 < self.kill_at <= self.count:
            raise Killed


class Store:
    """A sink whose content the users of the tokens read.

    `failures` has for each delivery: None, `refuses` (it stores nothing), `fails` (it stores
    nothing, but cannot know that), `stores` (it stores the secret, and then fails) or `raises`.
    """

    def __init__(self, steps: Callable[[], None], *failures: str | None) -> None:
        self.secrets: dict[str, str] = {}
        self.deliveries: list[TokenSecret] = []
        self._failures = list(failures)
        self._steps = steps

    async def deliver(self, delivery: TokenSecret) -> None:
        self._steps()
        self.deliveries.append(delivery)
        failure = self._failures.pop(0) if self._failures else None
        if failure == "raises":
            raise RuntimeError(delivery.secret.reveal())
        if failure in {"refuses", "fails"}:
            raise SinkError("The store is down.", ambiguous=failure == "fails")
        assert delivery.replaces is not None
        self.secrets[delivery.replaces] = delivery.secret.reveal()
        self._steps()
        if failure == "stores":
            raise SinkError("The store did not respond.", ambiguous=True)


class _Transport(httpx.AsyncBaseTransport):
    """A transport with a step before each request arrives, and one before its response does."""

    def __init__(self, inner: httpx.AsyncBaseTransport, steps: Callable[[], None]) -> None:
        self._inner = inner
        self._steps = steps

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._steps()
        response = await self._inner.handle_async_request(request)
        self._steps()
        return response


class World:
    """A fake with tokens, the store of their users, and the journal of a rotation."""

    def __init__(self, folder: Path, *failures: str | None) -> None:
        self.fake = FakeLosant()
        self.folder = folder
        self.steps = Steps()
        self.store = Store(self.step, *failures)
        self.journal = folder / "rotation.journal"
        self.ledger = jobs.Ledger(folder / "quarantines")
        for number in range(3):
            self.fake.add_token(f"keep-{number}")
        self.before = {token.id for token in self.fake.tokens()}

    def step(self) -> None:
        self.steps()

    def add(self, name: str = "ci-deploy", **members: Any) -> FakeToken:
        """Add a token whose users read the store."""
        token = self.fake.add_token(name, **members)
        self.store.secrets[token.id] = token.secret
        self.before.add(token.id)
        return token

    def client(self, secret: str | Secret | None = None, **options: Any) -> AsyncClient:
        return AsyncClient(
            self.fake.admin_token if secret is None else secret,
            base_url=URL,
            transport=_Transport(self.fake.transport(), self.step),
            **{"scope_check": "off", **options},
        )

    def token(self, token_id: str) -> FakeToken:
        return next(token for token in self.all_tokens() if token.id == token_id)

    def all_tokens(self) -> tuple[FakeToken, ...]:
        return (*self.fake.tokens(), *self.fake.tokens("application:" + "a" * 24))

    def made(self) -> list[FakeToken]:
        """Return the tokens that the rotation has created and not deleted."""
        return [token for token in self.all_tokens() if token.id not in self.before]

    def works(self, secret: str) -> bool:
        """Return whether a secret is that of an active token."""
        return any(one.secret == secret and one.status == "active" for one in self.all_tokens())

    def users_have_working_tokens(self) -> bool:
        return all(map(self.works, self.store.secrets.values()))

    def unknown(self) -> list[FakeToken]:
        """Return the created tokens that neither the journal nor their marker reveals."""
        known: set[str] = set()
        if self.journal.exists():
            rotation = jobs.read_rotation(self.journal)
            known = {id_ for token in rotation.tokens for id_ in token.successor_ids}
        return [
            one
            for one in self.made()
            if one.id not in known and "[rotation " not in (one.description or "")
        ]

    async def rotate(
        self, *ids: str, client: AsyncClient | None = None, **options: Any
    ) -> Rotation:
        async with client or self.client() as opened:
            return await jobs.rotate(
                opened,
                options.pop("tokens", [("user", one) for one in ids]),
                **{
                    "sink": self.store,
                    "expires": LIFETIME,
                    "overlap": NONE,
                    "journal": self.journal,
                    "ledger": self.ledger,
                    "make_client": self.client,
                    **options,
                },
            )

    async def resume(self, client: AsyncClient | None = None, **options: Any) -> Rotation:
        async with client or self.client() as opened:
            return await jobs.resume_rotation(
                opened,
                self.journal,
                **{
                    "sink": self.store,
                    "ledger": self.ledger,
                    "make_client": self.client,
                    **options,
                },
            )

    async def cancel(self) -> Rotation:
        async with self.client() as opened:
            return await jobs.cancel_rotation(opened, self.journal)

    async def until_complete(self, start: Callable[[], Awaitable[Rotation]]) -> Rotation:
        """Resume a rotation until it is complete, as an operator would."""
        rotation = await start()
        for _ in range(5):
            if rotation.is_complete:
                return rotation
            rotation = await self.resume()
        raise AssertionError(rotation)


@contextmanager
def counted_writes(world: World) -> Iterator[None]:
    """Make each write of a journal two steps, with the write between them."""
    write = RotationJournal._write

    def stepped(journal: RotationJournal, data: bytes) -> None:
        world.step()
        write(journal, data)
        world.step()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RotationJournal, "_write", stepped)
        yield
