"""Audits of several accounts."""

from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from losant_tokens import ApiTokenPatch, AsyncClient, AuditLog, accounts, audit
from losant_tokens.audit import AuditProgress, Target
from losant_tokens.audit._change_authors import _add
from losant_tokens.errors import ConnectFailed, ValidationError
from losant_tokens.policy import Severity
from losant_tokens.testing import FakeLosant
from tests.support.audits import (
    APPLICATION,
    DAY,
    NOW,
    USER,
    add,
    audit_of,
    client_of,
    fake_at_now,
)
from tests.support.jobs import on_virtual_time
from tests.support.policies import RULE, load_policy

LOG = "org:58c9e0d5f2b6740001de93b7"
APPLICATION_ONLY = ["applicationApiTokens.get"]
BOTH = [USER, APPLICATION]


@pytest.fixture
def fake() -> FakeLosant:
    return fake_at_now()


def target(fake: FakeLosant, name: str = "prod", **settings: Any) -> Target:
    return Target(**{"name": name, "client": client_of(fake), "owners": [USER], **settings})


async def test_ranking(fake: FakeLosant) -> None:
    """The token with the worst finding comes first, then the token with more of them."""
    add(fake, "fine")
    add(fake, "old", creation_date=NOW - 400 * DAY)
    add(fake, "both", expiration_date=None, scope=["all.User"])
    add(fake, "mint", scope=["userApiTokens.post"])
    add(fake, "eternal", expiration_date=None)

    with await audit_of(fake) as result:
        names = [one.token.name for one in result.tokens()]
        rules = [finding.rule for finding in result.findings()]

        assert names == ["both", "mint", "eternal", "old", "fine"]
        assert rules[:3] == ["can-create-tokens", "all-scopes", "never-expires"]
        assert (result.token_count, result.worst) == (5, Severity.HIGH)
        assert result.findings_by_rule["can-create-tokens"] == 2
        assert list(result.tokens_by_severity.values()) == [0, 2, 1, 1, 0]


async def test_facts(fake: FakeLosant) -> None:
    """The stored facts about a token are the listed ones, whatever characters they have."""
    add(fake, "x\ud800\n", description="d", expiration_date=None)

    with await audit_of(fake) as result:
        (one,) = result.tokens()

    (stored,) = fake.tokens()
    token = one.token
    assert (token.name, token.description, token.scope) == ("x\ud800\n", "d", ("device.get",))
    assert (token.account, token.owner, token.id) == ("prod", USER, stored.id)
    assert (token.creation_date, token.expiration_date) == (NOW - 10 * DAY, None)
    assert one.severity is Severity.MEDIUM


async def test_equal_names(fake: FakeLosant) -> None:
    """Equal names are counted for each owner, over all of its pages."""
    for number in range(7):
        add(fake, "ci" if number % 2 else "nightly")
        add(fake, "ci" if number < 2 else f"ci-{number}", APPLICATION)

    with await audit_of(fake, [USER, APPLICATION], page_size=2) as result:
        found = [(one.owner, one.token.name, one.message) for one in result.findings()]

    assert found.count((USER, "ci", "3 tokens of this owner have this name.")) == 3
    assert found.count((USER, "nightly", "4 tokens of this owner have this name.")) == 4
    assert len(found) == 7


async def test_many_tokens(fake: FakeLosant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens are returned in batches, without leaving out or repeating any."""
    monkeypatch.setattr("losant_tokens.audit._finding_store._BATCH", 7)
    for number in range(30):
        add(fake, f"ci-{number}", expiration_date=None if number % 3 else NOW + DAY)

    with await audit_of(fake) as result:
        ids = [one.token.id for one in result.tokens()]

    assert len(ids) == len(set(ids)) == 30


async def test_several_accounts(fake: FakeLosant) -> None:
    """An account that fails is reported, and the others are audited."""
    add(fake, "ci", expiration_date=None)
    add(fake, "app", APPLICATION)
    good = target(fake, "good")
    targets = [
        target(fake, "bad", client=AsyncClient("nope", transport=fake.transport())),
        target(fake, "broken", client=_Broken()),
        good,
        target(fake, "half", client=client_of(fake, scopes=APPLICATION_ONLY), owners=BOTH),
    ]
    seen: list[AuditProgress] = []

    with await audit.run(targets, max_accounts=2, on_progress=seen.append) as result:
        bad, broken, audited, half = result.accounts

        assert [one.name for one in result.accounts] == ["bad", "broken", "good", "half"]
        assert [one.is_audited for one in result.accounts] == [False, False, True, True]
        assert "Invalid access token" in bad.problems[0]
        assert broken.problems == ("no such host",)
        assert (audited.problems, audited.owners[0].tokens) == ((), 1)
        assert half.problems[0].startswith("user: userApiTokens.get needs a token with one of")
        assert half.owners[1].tokens == 1
        assert not result.is_complete
        assert [one.token.name for one in result.tokens()] == ["ci", "app"]
    assert seen[-1] == AuditProgress(accounts=4, finished=4, tokens=2, findings=1)


class _Broken(nullcontext[AsyncClient]):
    """A client that cannot be opened."""

    def __init__(self) -> None:
        pass

    async def __aenter__(self) -> AsyncClient:
        raise ConnectFailed("no such host")


async def test_refused_tokens_are_not_tried_again(fake: FakeLosant) -> None:
    """If the API refuses the token of an account, no other owner is listed with it."""
    client = AsyncClient("nope", transport=fake.transport(), scope_check="off")

    with await audit.run([target(fake, client=client, owners=[USER, APPLICATION])]) as result:
        (account,) = result.accounts

    assert len(fake.requests) == 1
    assert [one.problem for one in account.owners] == [account.owners[0].problem] * 2


def test_an_outage(fake: FakeLosant) -> None:
    """After an outage that lasts too long, the other owners of the account are not tried."""
    fake.fail(status=503, times=None)

    async def run() -> audit.AuditedAccount:
        with await audit.run([target(fake, owners=BOTH)]) as result:
            return result.accounts[0]

    account = on_virtual_time(run)

    assert [one.problem for one in account.owners] == [account.owners[0].problem] * 2
    assert {request.path for request in fake.requests} == {"/me/tokens"}


async def test_an_owner_of_two_accounts(fake: FakeLosant) -> None:
    """A token that two accounts list is counted once, for the first account."""
    add(fake, "app", APPLICATION, expiration_date=None)
    targets = [target(fake, name, owners=[APPLICATION]) for name in ("one", "two")]

    with await audit.run(targets) as result:
        assert [one.account for one in result.findings()] == ["one"]
        assert [one.owners[0].tokens for one in result.accounts] == [1, 1]
        assert result.token_count == 1


async def test_discovered_owners(fake: FakeLosant) -> None:
    """Owners that the API lists are audited, too, and a list that fails is reported."""
    add(fake, "app", APPLICATION)
    limited = client_of(fake, scopes=["userApiTokens.get", "applicationApiTokens.get"])
    targets = [
        target(fake, "all", owners=BOTH, discover=["applications"]),
        target(fake, "some", client=limited, discover=["applications"]),
    ]

    with await audit.run(targets) as result:
        first, second = result.accounts

    assert ([one.owner for one in first.owners], first.problems) == (BOTH, ())
    assert [one.owner for one in second.owners] == [USER]
    assert second.problems[0].startswith("not all owners are known: the list of applications: ")


async def test_account_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account of the configuration file is a target, with its owners, lists and logs."""
    monkeypatch.delenv("TOKEN_OF_PROD", raising=False)
    account = accounts.Account(
        name="prod",
        token=accounts.EnvironmentToken("TOKEN_OF_PROD"),
        owners=[APPLICATION],
        discover=["applications"],
        audit_logs=[LOG],
    )

    found = Target.for_account(account)

    assert (found.name, found.owners) == ("prod", (APPLICATION,))
    assert (found.discover, found.audit_logs) == (("applications",), (LOG,))
    with await audit.run([found]) as result:
        assert "No token for the account prod" in result.accounts[0].problems[0]


def test_account_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The name of an account is enough, as for a client."""
    config = tmp_path / "config.toml"
    config.write_text(f'[accounts.prod]\ntoken = {{ env = "T" }}\naudit_logs = ["{LOG}"]\n')
    monkeypatch.setenv("LOSANT_TOKENS_CONFIG", str(config))

    found = Target.for_account("prod")

    assert (found.name, found.owners, found.audit_logs) == ("prod", (USER,), (LOG,))


# --- Audit logs ------------------------------------------------------------------------------


async def test_audit_logs(fake: FakeLosant) -> None:
    """Audit logs show which tokens are in use, and who changed or deleted tokens."""
    add(fake, "seen", id="1" * 24, expiration_date=NOW + DAY)
    add(fake, "stale", id="2" * 24, last_updated=NOW - 200 * DAY)
    add(fake, "patched", id="3" * 24)
    add(fake, "doomed", id="4" * 24)
    fake.add_audit_log("1" * 24, creation_date=NOW - DAY)
    async with client_of(fake) as client:
        await client.user_api_token.patch("3" * 24, ApiTokenPatch(description="new"))
        await client.user_api_token.patch("4" * 24, ApiTokenPatch(description="new"))
        await client.user_api_token.delete("4" * 24)

    with await audit.run([target(fake, audit_logs=[LOG])]) as result:
        (account,) = result.accounts
        found = {one.token.name: one for one in result.tokens()}

    (actor,) = {entry.actor_name or entry.actor_id for entry in fake.audit_logs(LOG)[1:]}
    assert [one.rule for one in found["seen"].findings] == ["expires-soon-in-use"]
    assert found["seen"].token.last_seen == NOW - DAY
    assert (
        found["stale"]
        .findings[0]
        .message.endswith("the audit logs do not show it changing anything.")
    )
    assert found["patched"].token.changed_by == actor
    assert account.deleted_by == {"4" * 24: actor}
    assert account.problems == ()


async def test_audit_logs_that_cannot_be_read(fake: FakeLosant) -> None:
    """If an audit log cannot be read, the tokens are audited without it, and that is reported."""
    add(fake, "ci", expiration_date=NOW + DAY)
    client = client_of(fake, scopes=["userApiTokens.get"])

    with await audit.run([target(fake, client=client, audit_logs=[LOG])]) as result:
        (account,) = result.accounts
        assert [one.rule for one in result.findings()] == ["expires-soon"]

    assert account.problems[0].startswith("the audit logs could not be read: ")
    assert not result.is_complete


def test_entries_of_audit_logs() -> None:
    """Only the newest successful change of a token by a known actor counts."""
    changed: dict[str, str] = {}
    deleted: dict[str, str] = {}
    by_ada = {"actor_name": "ada", "request_action": "patch", "response_status": 200}
    one = {"primary_target_type": "ApiToken", "primary_target_id": "AA"}
    for members in (
        {**by_ada, "secondary_target_type": "ApiToken", "secondary_target_id": "bb"},
        {**by_ada, **one},
        {**by_ada, **one, "actor_name": "bob"},
        {**by_ada, **one, "request_action": "delete", "response_status": 404},
        {**by_ada, **one, "request_action": "delete", "actor_name": None},
        {**by_ada, **one, "request_action": "post"},
        {**by_ada, "primary_target_type": "Application", "primary_target_id": "cc"},
    ):
        _add(AuditLog(id="x", **members), changed, deleted)  # type: ignore[arg-type]

    assert (changed, deleted) == ({"bb": "ada", "aa": "ada"}, {})


async def test_tokens_that_move(fake: FakeLosant) -> None:
    """A listing that may be incomplete is read again, and its first reading is discarded."""
    for number in range(9):
        add(fake, f"ci-{number}", expiration_date=None)
    seen: list[AuditProgress] = []

    def move_once(progress: AuditProgress) -> None:
        seen.append(progress)
        if len(seen) == 1:
            add(fake, "first in the list", id="0" * 24)

    with await audit_of(fake, page_size=3, on_progress=move_once) as result:
        names = [one.token.name for one in result.tokens()]

        expected = [*(f"ci-{number}" for number in range(9)), "first in the list"]
        assert sorted(names) == expected
        assert (result.token_count, result.is_complete) == (10, True)
    assert (max(one.tokens for one in seen), seen[-1].tokens) == (10, 10)
    assert len(seen) > 6


async def test_tokens_that_never_stop_moving(fake: FakeLosant) -> None:
    """If the tokens change during each listing, the audit states that some may be missing."""
    for number in range(3):
        add(fake, f"ci-{number}")

    class Moving(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await transport.handle_async_request(request)
            add(fake, "first", id=f"{len(fake.tokens()):024x}")
            return response

    transport = fake.transport()
    async with client_of(fake, transport=Moving()) as client:
        moving = target(fake, client=nullcontext(client))
        with await audit.run([moving], page_size=2) as result:
            (account,) = result.accounts

    assert "user: the tokens kept changing while they were listed" in account.problems
    assert (account.is_audited, result.is_complete) == (True, False)


async def test_policy(fake: FakeLosant, tmp_path: Path) -> None:
    """The rules of a policy are checked, and can be chosen like the others."""
    add(fake, "ci", expiration_date=None)
    policy = load_policy(tmp_path, RULE)

    with await audit_of(fake, policy=policy) as result:
        (one,) = result.tokens()
        assert [finding.rule for finding in one.findings] == [
            "policy/never-expires",
            "never-expires",
        ]
        assert one.findings[0].message == "The token never expires."
        assert result.rules[-1].summary == "The token never expires."
        assert result.rules[0].summary == (
            "A token can create tokens, even with more scopes than its own."
        )
    with await audit_of(fake, policy=policy, ignore=["policy/never-expires"]) as result:
        assert [one.rule for one in result.findings()] == ["never-expires"]
    with await audit_of(fake, policy=policy, only=["policy/never-expires"]) as result:
        assert [one.rule for one in result.findings()] == ["policy/never-expires"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"only": ["nope"]}, "run.only has the unknown rule 'nope'. The rules are can-create-t"),
        ({"ignore": ["nope"]}, "run.ignore has the unknown rule 'nope'"),
        ({"ignore": "expired"}, "run.ignore must be a list of rules, but it is a string"),
        ({"now": NOW.replace(tzinfo=None)}, "run.now"),
        ({"max_accounts": 0}, "run.max_accounts"),
        ({"page_size": 0}, "run.page_size"),
    ],
)
async def test_invalid_arguments(fake: FakeLosant, settings: dict[str, Any], problem: str) -> None:
    """An invalid argument is refused before anything is sent."""
    with pytest.raises(ValidationError, match=problem):
        await audit.run([target(fake)], **settings)

    assert fake.requests == ()


async def test_an_error_of_the_caller(fake: FakeLosant) -> None:
    """An error in the progress function ends the audit, and is raised as it is."""

    def fail(_: AuditProgress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await audit.run([target(fake)], on_progress=fail)


async def test_a_given_time(fake: FakeLosant) -> None:
    """A time that the caller gives is used for all rules, and as that of the audit."""
    add(fake, "ci", expiration_date=NOW + 90 * DAY)
    later = NOW + timedelta(days=91)

    with await audit_of(fake, now=later) as result:
        assert [one.rule for one in result.findings()] == ["expired"]
        assert result.created_at == later


async def test_no_tokens(fake: FakeLosant) -> None:
    """An account without tokens has no findings."""
    with await audit_of(fake) as result:
        assert (list(result.tokens()), result.worst, result.is_complete) == ([], None, True)


async def test_open_client(fake: FakeLosant) -> None:
    """A client that is open is used, and stays open. A single target and owner need no list."""
    add(fake, "old", creation_date=NOW - 400 * DAY)

    async with client_of(fake) as client:
        with await audit.run(Target(name="prod", client=client, owners=USER)) as result:
            assert ([one.problem for one in result.accounts], result.token_count) == ([None], 1)
        assert client.is_open
    assert not client.is_open


async def test_wrong_targets(fake: FakeLosant) -> None:
    """A client in place of a target, and a string in place of an owner, are errors."""
    with pytest.raises(ValidationError, match=r"run\.targets must be of type Target"):
        await audit.run([client_of(fake)])  # type: ignore[list-item]
    with pytest.raises(ValidationError, match=r"Target\.owners"):
        target(fake, owners=["user"])
