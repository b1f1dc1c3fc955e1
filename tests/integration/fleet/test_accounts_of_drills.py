"""The comparison that all drills of the fleet end with."""

from pathlib import Path

import pytest

from losant_tokens import ApiTokenPatch, AsyncClient, accounts
from tests.support.fleet_accounts import (
    FleetAccount,
    Request,
    fleet_accounts,
    peak_in_flight,
    peak_rate,
    problems,
    write_config,
)

OTHER = "f" * 24


def account_with(*changes: tuple[str, str]) -> FleetAccount:
    """Return an account whose log has changes: the number of the token, and the change."""
    with fleet_accounts("acme", stale=2) as (account,):
        ids = [*sorted(account.stale), OTHER]
    bodies = {"deactivate": b'{"status": "inactive"}', "activate": b'{"status": "active"}'}
    for number, change in changes:
        method = "DELETE" if change == "delete" else "PATCH"
        path = f"/me/tokens/{ids[int(number)]}"
        body = bodies.get(change, b"{}")
        account.app.requests.append(Request(method, path, "a", 0, 1, 200, body))
    return account


BOTH = (("0", "deactivate"), ("1", "deactivate"), ("0", "delete"), ("1", "delete"))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        (BOTH, None),
        (BOTH[:-1], "forgotten"),
        ((*BOTH, BOTH[0]), "twice"),
        ((*BOTH, ("2", "delete")), "foreign"),
        ((*BOTH, ("2", "patch")), "foreign"),
        ((("0", "delete"), *BOTH[1:2], ("0", "deactivate"), BOTH[3]), "wrong"),
        ((*BOTH[:2], ("0", "activate"), BOTH[3]), "forgotten"),
    ],
)
@pytest.mark.sweep(sample=7)
def test_each_difference_is_found(changes: tuple[tuple[str, str], ...], kind: str | None) -> None:
    """A change that is missing, repeated, foreign or out of order is reported, and no other."""
    found = problems(account_with(*changes), ["deactivate", "delete"])

    assert [problem.split(": ")[1] for problem in found] == ([] if kind is None else [kind])


def test_requests_that_the_server_turns_away_are_no_changes() -> None:
    """A request that got a 429 or a 503 changes nothing, so its retry is not a second change."""
    account = account_with(*BOTH)
    for status in (429, 503):
        first = account.app.requests[0]
        account.app.requests.append(Request("PATCH", first.path, "a", 0, 1, status, first.body))

    assert problems(account, ["deactivate", "delete"]) == []


def test_a_retry_of_a_deletion_that_worked_is_a_second_change() -> None:
    """A second deletion is found, although the server answers it with 404."""
    account = account_with(*BOTH)
    account.app.requests.append(Request("DELETE", account.app.requests[0].path, "a", 0, 1, 404))

    assert [one.split(": ")[1] for one in problems(account, ["deactivate", "delete"])] == ["twice"]


def test_peaks() -> None:
    """The highest rate and the highest concurrency are those of one credential."""
    spans = ((0.0, 0.3), (0.1, 0.2), (0.2, 0.9), (0.95, None), (1.0, 1.1), (1.5, 1.6))
    log = [Request("GET", "/", "a", started, ended) for started, ended in spans]
    log += [Request("GET", "/", "b", 0.1, None) for _ in range(9)]

    assert (peak_rate(log, "a"), peak_in_flight(log, "a")) == (4, 2)
    assert (peak_rate(log, "b"), peak_in_flight(log, "b")) == (9, 9)


async def test_real_requests_are_recorded(tmp_path: Path) -> None:
    """The log has the change, the status and the times of each request over a real connection."""
    with fleet_accounts("acme-1", "bolt", stale=2) as both:
        acme, bolt = both
        variables = write_config(both, tmp_path / "config.toml")
        loaded = accounts.load(tmp_path / "config.toml")
        token_id = min(acme.stale)
        async with AsyncClient(acme.token, base_url=loaded["acme-1"].base_url) as client:
            await client.user_api_token.patch(token_id, ApiTokenPatch(status="inactive"))
            await client.user_api_token.delete(token_id)
        with pytest.raises(AssertionError, match="3 DELETE requests did not arrive"):
            acme.app.wait_for("DELETE", 3, timeout=0.01)
        acme.app.wait_for("DELETE", 1)
        async with AsyncClient(bolt.token, base_url=bolt.base_url) as client:
            await client.user_api_tokens.get(per_page=1)

    first = acme.app.requests[0]
    assert variables == {"LOSANT_ACME_1": acme.token, "LOSANT_BOLT": bolt.token}
    assert acme.changes == {token_id: ["deactivate", "delete"]}
    assert (first.status, first.ended_at is not None) == (200, True)
    assert peak_in_flight(acme.app.requests, first.credential) == 1
    assert bolt.changes == {}
