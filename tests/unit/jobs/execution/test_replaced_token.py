"""Jobs whose client gets another token meanwhile, which may be of another account.

The tokens do not claim an account, so only the responses of the API show it.
"""

from pathlib import Path

import httpx
import pytest

from losant_tokens import AsyncClient, Owner, jobs
from losant_tokens.jobs import Outcome
from tests.support.jobs import counts, fake_with, outcomes, planned


class TwoAccounts:
    """An API with two accounts, and the token source of a client.

    Attributes:
        account: The account with 50 tokens named `ci-…`.
        other: The account with one such token.
        left: The number of requests of a method after which the first token is refused.
        method: This method.
    """

    def __init__(self, left: int, method: str, *, is_rotation: bool) -> None:
        self.account, self.other = fake_with(50), fake_with(1)
        self.left, self.method = left, method
        self.first = self.account.admin_token
        owner = self.account if is_rotation else self.other
        self.next = owner.add_token("next", scope=["all.User"]).secret
        self.fakes = {self.first: self.account, self.next: owner}
        self.tokens = [self.first, self.next]

    async def source(self) -> str:
        return self.tokens.pop(0)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        if token == self.first and self.left <= 0:
            return httpx.Response(401, json={"type": "InvalidToken", "message": "no"})
        self.left -= request.method == self.method
        return await self.fakes[token].transport().handle_async_request(request)

    def client(self) -> AsyncClient:
        transport = httpx.MockTransport(self)
        return AsyncClient(self.source, base_url="https://h", transport=transport)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("is_rotation", [True, False])
async def test_a_token_is_replaced_during_a_job(
    is_rotation: bool, verify: bool, tmp_path: Path
) -> None:
    """A job continues with a token of the same account, and gives up with one of another.

    No token of the plan is then recorded as gone, because the other account does not have it.
    """
    api = TwoAccounts(20, "DELETE", is_rotation=is_rotation)
    async with api.client() as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan, verify=verify)

    assert len(api.other.tokens()) == (1 if is_rotation else 2)
    if is_rotation:
        assert counts(report) == {"done": 50}
        assert report.gave_up is None
    else:
        assert outcomes(report).count(Outcome.DONE) == 20
        assert outcomes(report).count(None) == 30
        assert "may be of another account. Run the job again with a token of the" in str(
            report.gave_up
        )


async def test_the_last_tokens_of_a_job(tmp_path: Path) -> None:
    """The last tokens, too few for a list to be read, are not recorded as gone either."""
    api = TwoAccounts(45, "DELETE", is_rotation=False)
    async with api.client() as client:
        plan = await planned(client, tmp_path)
        report = await jobs.apply(client, plan)
        assert outcomes(report).count(None) == 5
        third = api.account.add_token("third", scope=["all.User"]).secret
        api.fakes[third] = api.account
        client.use_token(third)
        assert counts(await jobs.apply(client, plan, resume=True)) == {"done": 50}


async def test_a_token_is_replaced_after_the_account_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of another account confirms no 404, even if the token was replaced before the job."""
    api = TwoAccounts(1000, "DELETE", is_rotation=False)
    async with api.client() as client:
        plan = await planned(client, tmp_path)
        monkeypatch.setattr(
            "losant_tokens.jobs._execution.apply.check_age",
            lambda *_, **__: client.use_token(api.next),
        )
        report = await jobs.apply(client, plan)

    assert outcomes(report) == [None] * 50
    assert "may be of another account" in str(report.gave_up)


@pytest.mark.parametrize("is_rotation", [True, False])
async def test_a_token_is_replaced_while_tokens_are_listed(
    is_rotation: bool, tmp_path: Path
) -> None:
    """A plan is refused if its lists may be of two accounts."""
    api = TwoAccounts(4, "GET", is_rotation=is_rotation)
    async with api.client() as client:
        if is_rotation:
            plan = await planned(client, tmp_path, page_size=15)
            assert plan.header.counts[Owner.user()].selected == 50
        else:
            with pytest.raises(jobs.GuardRefused, match="Make the plan again"):
                await planned(client, tmp_path, page_size=15)
