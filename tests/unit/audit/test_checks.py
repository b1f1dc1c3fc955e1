"""The findings about one token."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from losant_tokens import UserOauthToken, audit, jobs, policy
from losant_tokens.audit import RULES, AuditContext, AuditRule, findings_of
from losant_tokens.jobs import Quarantine
from losant_tokens.policy import Severity
from tests.support.audits import APPLICATION, DAY, NOW, USER, context, token

TOKEN_ID = "1" * 24
EARLIER: dict[str, Any] = {
    "id": TOKEN_ID,
    "creation_date": NOW - 300 * DAY,
    "last_updated": NOW - 200 * DAY,
}
EXPIRED: dict[str, Any] = {"expiration_date": NOW - DAY}
SEEN: dict[str, Any] = {"last_seen": {TOKEN_ID: NOW - DAY}, "logs_read_since": NOW - 180 * DAY}


def found(members: dict[str, Any], **settings: Any) -> list[str]:
    """Return the rules of the findings about a token."""
    return [one.rule for one in findings_of(token(**members), context(**settings))]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ""),
        ({"scope": ("userApiTokens.post",)}, "can-create-tokens"),
        ({"scope": ("userApiTokens.post",), **EXPIRED}, "expired"),
        ({"scope": ("all.User.read",)}, "all-scopes"),
        ({"scope": ("all.User",)}, "can-create-tokens all-scopes"),
        ({"scope": ("all.User",), **EXPIRED}, "expired"),
        ({"scope": ("me", "orgs")}, "deprecated-scope"),
        ({"scope": ("me",), **EXPIRED}, "expired"),
        ({"scope": ("warp.engage",)}, "unknown-scope"),
        ({"scope": ("warp.engage",), **EXPIRED}, "expired"),
        ({"scope": ()}, ""),
        ({"expiration_date": None}, "never-expires"),
        ({"expiration_date": None, "unreadable": frozenset({"expiration_date"})}, ""),
        ({"expiration_date": NOW + 30 * DAY}, "expires-soon"),
        ({"expiration_date": NOW + 30 * DAY, "status": "inactive"}, "inactive"),
        ({"expiration_date": NOW + 31 * DAY}, ""),
        ({"expiration_date": NOW}, "expired"),
        ({"creation_date": NOW - 365 * DAY}, ""),
        ({"creation_date": NOW - 366 * DAY}, "older-than-a-year"),
        ({"creation_date": NOW - 366 * DAY, **EXPIRED}, "expired"),
        ({"creation_date": None}, ""),
        ({"last_updated": NOW - 181 * DAY}, "not-seen"),
        ({"last_updated": NOW - 180 * DAY}, ""),
        ({"last_updated": NOW - 181 * DAY, "status": "inactive"}, "inactive"),
        ({"last_updated": NOW - 181 * DAY, **EXPIRED}, "expired"),
        ({"last_updated": None}, ""),
        ({"status": "inactive"}, "inactive"),
        ({"status": "inactive", **EXPIRED}, "expired"),
        ({"status": None}, ""),
        ({"creator_id": None, "creator_name": None}, "creator-unknown"),
        ({"creator_id": None}, ""),
        (
            {
                "creator_id": None,
                "creator_name": None,
                "unreadable": frozenset({"creator_id"}),
            },
            "",
        ),
    ],
)
def test_rules(members: dict[str, Any], expected: str) -> None:
    """Each rule finds the tokens that it describes, and no token whose facts are unknown."""
    assert found(members) == expected.split()


def test_oauth_tokens_have_no_creator() -> None:
    """The API never names the creator of an OAuth token, so its absence is not a finding."""
    oauth = UserOauthToken(id=TOKEN_ID, status="active", expiration_date=NOW + 90 * DAY)

    assert findings_of(oauth, context()) == ()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (SEEN, ["expires-soon-in-use"]),
        ({"last_seen": {"9" * 24: NOW}}, ["expires-soon"]),
        ({}, ["expires-soon"]),
    ],
)
def test_seen_tokens_that_expire_soon(settings: dict[str, Any], expected: list[str]) -> None:
    """A token that expires soon is worse if an audit log shows it in use."""
    assert found({"expiration_date": NOW + DAY}, **settings) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SEEN, None),
        ({"last_seen": {TOKEN_ID: NOW - 190 * DAY}}, "no audit log was read."),
        ({"logs_read_since": NOW}, "the audit logs do not show it changing anything."),
    ],
)
def test_not_seen(settings: dict[str, Any], message: str | None) -> None:
    """`not-seen` states whether audit logs were read, and never covers a token that was seen."""
    findings = findings_of(token(last_updated=NOW - 200 * DAY), context(**settings))

    expected = [] if message is None else [f"It was last updated on 2025-08-13, and {message}"]
    assert [one.message for one in findings] == expected


def quarantine(grace: timedelta | None, **members: Any) -> Quarantine:
    """Return a quarantine of the token, which deactivated it ten days ago."""
    from losant_tokens.jobs._quarantine.obstacles import Change

    changes = {(str(USER), TOKEN_ID): Change("ci", NOW - 10 * DAY)}
    return Quarantine(
        **{
            "id": "1f3a9c20",
            "path": None,
            "created_at": NOW,
            "base_url": "https://fake.example",
            "rule": "",
            "owners": (USER,),
            "grace": grace,
            "changes": changes,
            **members,
        }
    )


@pytest.mark.parametrize(
    ("grace", "settings", "expected"),
    [
        (30 * DAY, {}, []),
        (None, {}, []),
        (5 * DAY, {}, ["quarantine-overdue"]),
        (5 * DAY, {"owner": APPLICATION}, ["inactive"]),
    ],
)
def test_quarantined_tokens(
    grace: timedelta | None, settings: dict[str, Any], expected: list[str]
) -> None:
    """A token in quarantine is a finding only once its grace period has ended."""
    members: dict[str, Any] = {"status": "inactive", "last_updated": NOW - 10 * DAY}

    assert found(members, quarantines=[quarantine(grace)], **settings) == expected


def test_tokens_that_left_a_quarantine() -> None:
    """A token that somebody changed since its quarantine is no longer overdue."""
    members: dict[str, Any] = {"status": "inactive", "last_updated": NOW - 9 * DAY}

    assert found(members, quarantines=[quarantine(5 * DAY)]) == ["inactive"]
    assert found({"last_updated": None}, quarantines=[quarantine(5 * DAY)]) == []


@pytest.mark.parametrize(("count", "expected"), [(2, []), (3, ["same-name"])])
def test_equal_names(count: int, expected: list[str]) -> None:
    """A name that three tokens of an owner have is a finding, and two are not."""
    findings = findings_of(token(), context(), same_name=count)

    assert [one.rule for one in findings] == expected


def test_tokens_without_a_name() -> None:
    """Tokens without a name do not have the same name."""
    assert findings_of(token(name=""), context(), same_name=9) == ()


def test_order() -> None:
    """The most severe finding comes first."""
    findings = findings_of(token(scope=("all.User",), **EARLIER), context(), same_name=3)

    severities = [one.severity for one in findings]
    assert severities == sorted(severities, reverse=True)
    assert len(findings) == 4


def test_policy_rules(tmp_path: Path) -> None:
    """A rule of a policy is checked like any other, with its own severity and message."""
    rule = AuditRule(id="policy/ci", severity=Severity.CRITICAL, title="No CI tokens.", help="x")
    settings: dict[str, Any] = {"rules": [*RULES, rule], "policy": {"policy/ci": jobs.named("ci")}}

    (finding,) = findings_of(token(), context(**settings))

    assert (finding.rule, finding.severity) == ("policy/ci", policy.Severity.CRITICAL)
    assert (finding.message, finding.evidence) == ("No CI tokens.", {"reason": "named 'ci'"})
    assert findings_of(token(name="prod"), context(**settings)) == ()


def test_disabled_rules() -> None:
    """Only the rules of the context are checked."""
    members: dict[str, Any] = {"scope": ("all.User",), "expiration_date": None}

    assert found(members, rules=[one for one in RULES if one.id == "never-expires"]) == [
        "never-expires"
    ]
    assert findings_of(token(), context(rules=()), same_name=9) == ()


def test_fingerprints() -> None:
    """A fingerprint depends on the rule and the id, and on nothing that can change."""
    one, other = (
        findings_of(token(name=name, id=id_, expiration_date=None), context(account=name))[0]
        for name, id_ in (("old", "ab" * 12), ("new", "AB" * 12))
    )

    assert one.fingerprint == other.fingerprint
    assert len(one.fingerprint) == 32
    assert (
        one.fingerprint
        != audit.Finding(
            rule="expired", severity=Severity.LOW, message="", token=one.token
        ).fingerprint
    )


def test_findings_have_no_secret() -> None:
    """The facts about a token are chosen one by one, so an unlisted member is never in them."""
    secret = "eyJhbGciOiJIUzI1NiJ9.secret"
    (finding,) = findings_of(
        token(expiration_date=None, extra={"token": secret, "other": secret}), context()
    )

    assert secret not in repr(finding)
    assert (finding.account, finding.owner) == ("prod", USER)


def test_scopes_in_messages() -> None:
    """A message names the scopes, in the singular and the plural."""
    one, many = (
        findings_of(token(scope=scope), context())[0].message for scope in (("me",), ("me", "orgs"))
    )

    assert one == "It has the deprecated scope me."
    assert many == "It has deprecated scopes: me, orgs."
    endless = findings_of(token(scope=(*"abcdefghij", "k" * 99, "l")), context())[0]
    assert endless.message == "It has unpublished scopes: a, b, c, d, e, f, g, h, i, j and 2 more."


def test_context_without_logs() -> None:
    """Without audit logs, no token was seen."""
    assert AuditContext(account="", owner=USER, now=NOW).seen(token()) is None
