"""The contents of a policy file."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, Literal

from attrs import field, frozen

from losant_tokens import ApiToken, UserOauthToken, jobs
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._name_patterns import NamePattern, PatternSet
from losant_tokens.policy._approval import MANUAL, Approval
from losant_tokens.policy._schedule import cron_of
from losant_tokens.policy._selection import Selection
from losant_tokens.policy._severity import Severity

Token = ApiToken | UserOauthToken
Status = Literal["active", "inactive"]
Action = Literal["deactivate", "delete"]
StepAction = Literal["warn", "deactivate", "delete"]
Schedule = Annotated[str, "a word such as daily, or a cron expression"]
TimeZone = Annotated[str, "the name of a time zone"]

APPROVE_WITHIN = timedelta(days=7)
ALL_ACCOUNTS = ("*",)

_SAMPLE_ID = "0" * 24


@frozen(kw_only=True)
class PolicyRule:
    """A rule of a policy: which tokens are a problem."""

    name: str
    """The name, which is unique among the rules."""
    select: Selection
    """The tokens that the rule is about."""
    severity: Severity
    """How serious it is."""
    message: str
    """The problem with these tokens, for people."""

    def rule(self) -> jobs.Rule:
        """Return the selection as a rule."""
        return self.select.rule()

    def matches(self, token: Token, now: datetime) -> bool:
        """Return whether the rule is about a token; False if that is unknown.

        Args:
            token: The token.
            now: The time to compare the dates of the token with, with a time zone.
        """
        return self.rule().matches(token, now) is True


@frozen(kw_only=True)
class Step:
    """A step of a clean-up."""

    action: StepAction
    """`warn`, `deactivate` or `delete`."""
    after: timedelta = timedelta(0)
    """How long after the step before; zero for the first step."""
    webhook: Secret | None = field(default=None, repr=False)
    """The URL of a webhook that gets the warnings of a fleet; `None` if there is none. It is a
    secret, so it is not shown.
    """
    webhook_env: str | None = None
    """The environment variable that holds the URL instead; `None` if there is none."""
    secret_env: str | None = None
    """The environment variable that holds the secret with which warnings are signed; `None` to sign
    none.
    """

    @property
    def has_webhook(self) -> bool:
        """Whether a fleet can send warnings."""
        return self.webhook is not None or self.webhook_env is not None


@frozen(kw_only=True)
class Cleanup:
    """A clean-up of a policy: which tokens to change, and the guards of its plans."""

    name: str
    """The name, which is unique among the clean-ups."""
    select: Selection
    """The tokens to change."""
    max_changes: int
    """The maximum number of tokens of one plan."""
    action: Action | None = None
    """`deactivate` or `delete`; `None` if there are steps."""
    steps: tuple[Step, ...] = ()
    """The steps of a ladder, such as warn, deactivate and delete; empty if there is one action."""
    protect: tuple[str, ...] = ()
    """Ids and name patterns of tokens that are never touched."""
    grace: timedelta | None = None
    """How long deactivated tokens wait before they may be deleted; `None` for no grace period. In a
    ladder, it is the wait of the step `delete`.
    """
    protect_seen: timedelta | None = None
    """How long ago a token may have changed something, according to an audit log, to be never
    touched; `None` if the file does not say it.
    """
    allow_majority: bool = False
    """Whether more than half of an owner's tokens may be selected."""
    allow_unmatched: bool = False
    """Whether a pattern that protects or excludes may match no token."""
    allow_seen: bool = False
    """Whether a plan may do without audit logs, or protect tokens for less than the default span of
    90 days.
    """
    schedule: Schedule | None = None
    """When to run the clean-up: `hourly`, `daily`, `weekly`, `monthly` or a cron expression of five
    fields; `None` if the file does not say it.
    """
    time_zone: TimeZone = "UTC"
    """The time zone of the schedule. By default, UTC."""
    approval: Approval = MANUAL
    """The rule that decides whether a fleet applies a plan. By default, a person decides."""
    approve_within: timedelta = APPROVE_WITHIN
    """How long after a plan a fleet may still apply it. By default, 7 days."""
    accounts: tuple[str, ...] = ALL_ACCOUNTS
    """Names and name patterns of the accounts of a fleet that the clean-up applies to. By default,
    all.
    """
    reference: jobs.PolicyReference | None = None
    """The name and the digest of the file, which plans record."""
    _protected: PatternSet = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_protected", PatternSet(map(NamePattern, self.protect)))
        # The last step of a ladder deletes what is deactivated, so its wait is the grace period.
        for step in self.steps:
            if step.action == "delete":
                object.__setattr__(self, "grace", step.after)

    @property
    def ladder(self) -> tuple[Step, ...]:
        """The steps, even if there is only one."""
        return self.steps if self.action is None else (Step(action=self.action),)

    @property
    def warns(self) -> bool:
        """Whether the first step warns."""
        return self.ladder[0].action == "warn"

    @property
    def is_for_fleets(self) -> bool:
        """Whether a fleet can run the clean-up. If it warns, its first step needs a webhook."""
        return not self.warns or self.ladder[0].has_webhook

    @property
    def cron(self) -> str | None:
        """The schedule as a cron expression; `None` without a schedule."""
        return None if self.schedule is None else cron_of(self.schedule)

    def applies_to(self, account: str) -> bool:
        """Return whether the clean-up applies to an account.

        Args:
            account: The name of the account.
        """
        return any(NamePattern(pattern).matches(account) for pattern in self.accounts)

    def select_accounts(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the accounts that the clean-up applies to, in the order of their names' list.

        Args:
            names: The names of all accounts.

        Raises:
            ValidationError: A pattern of `accounts` matches none of them, so it may be misspelled.
        """
        all_names = tuple(names)
        for pattern in map(NamePattern, self.accounts):
            if not any(map(pattern.matches, all_names)):
                known = f"the accounts are {', '.join(all_names)}" if all_names else "there is none"
                raise ValidationError(
                    f"The clean-up {self.name!r} applies to {pattern.text!r}, which is the name of "
                    f"no account: {known}"
                )
        return tuple(filter(self.applies_to, all_names))

    def rule(self) -> jobs.Rule:
        """Return the selection as a rule."""
        return self.select.rule()

    def matches(self, token: Token, now: datetime) -> bool:
        """Return whether the clean-up selects a token and does not protect it.

        Args:
            token: The token.
            now: The time to compare the dates of the token with, with a time zone.
        """
        if self.rule().matches(token, now) is not True:
            return False
        return next(self._protected.matching(token.id, token.name), None) is None


@frozen(kw_only=True)
class SampleToken:
    """The token of a test. Its dates are relative to the time of the test."""

    name: str
    """The name."""
    status: Status = "active"
    """The status."""
    scope: tuple[str, ...] = ()
    """The scopes."""
    creator: str | None = None
    """The name of the creator."""
    created: timedelta = timedelta(0)
    """How long ago it was created."""
    updated: timedelta | None = None
    """How long ago it was last updated. By default, it never was since its creation."""
    expires: timedelta | None = None
    """In how long it expires."""
    expired: timedelta | None = None
    """How long ago it expired. Without this and `expires`, it never expires."""

    def at(self, now: datetime) -> ApiToken:
        """Return the token as it is at a time.

        Args:
            now: The time, with a time zone.
        """
        expiration = None
        if self.expires is not None:
            expiration = now + self.expires
        if self.expired is not None:
            expiration = now - self.expired
        return ApiToken(
            id=_SAMPLE_ID,
            name=self.name,
            status=self.status,
            scope=self.scope,
            creator_name=self.creator,
            creation_date=now - self.created,
            last_updated=now - (self.created if self.updated is None else self.updated),
            expiration_date=expiration,
        )


@frozen(kw_only=True)
class PolicyTest:
    """A test of a policy: a token, and the rules and clean-ups that must match it."""

    name: str
    """The name, which is unique among the tests."""
    token: SampleToken
    """The token."""
    expect: tuple[str, ...]
    """The names of the rules and clean-ups that match it, and no others."""


@frozen(kw_only=True)
class Policy:
    """The rules, the clean-ups and the tests of a policy file, which was checked as a whole."""

    file: str
    """The file."""
    digest: str
    """The SHA-256 of the file: `sha256:...`."""
    rules: tuple[PolicyRule, ...] = ()
    """The rules, in the order of the file."""
    cleanups: tuple[Cleanup, ...] = ()
    """The clean-ups, in the order of the file."""
    tests: tuple[PolicyTest, ...] = ()
    """The tests, in the order of the file."""

    def matching(self, token: Token, now: datetime) -> tuple[str, ...]:
        """Return the names of the rules and clean-ups that match a token, in their order.

        A clean-up does not match a token that it protects.

        Args:
            token: The token.
            now: The time to compare the dates of the token with, with a time zone.
        """
        return tuple(one.name for one in self.entries if one.matches(token, now))

    def cleanup(self, name: str) -> Cleanup:
        """Return a clean-up by its name.

        Args:
            name: The name of the clean-up in the file.

        Raises:
            ValidationError: There is no clean-up with this name.
        """
        names = [one.name for one in self.cleanups]
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"its clean-ups are {', '.join(names)}" if names else "it has none"
            if close:
                hint = f"did you mean {close[0]!r}?"
            raise ValidationError(f"{self.file} has no clean-up {name!r}: {hint}")
        return self.cleanups[names.index(name)]

    @property
    def entries(self) -> "tuple[PolicyRule | Cleanup, ...]":
        """The rules and the clean-ups."""
        return (*self.rules, *self.cleanups)
