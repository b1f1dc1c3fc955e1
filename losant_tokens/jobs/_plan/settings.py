"""The arguments of `plan`, `sweep` and `restore` as values that are checked once."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import attrs

from losant_tokens import Owner
from losant_tokens._utils import validators
from losant_tokens.errors import ValidationError
from losant_tokens.jobs._evidence.last_seen import LogProgress
from losant_tokens.jobs._evidence.log_source import LogSource, distinct_sources
from losant_tokens.jobs._name_patterns import protect_patterns
from losant_tokens.jobs._plan.guards import Guards
from losant_tokens.jobs._token_rules import Pattern, Rule
from losant_tokens.jobs._types import ACTIONS, Action, PolicyReference

ClockCheck = Literal["enforce", "warn", "off"]
CLOCK_CHECKS: tuple[ClockCheck, ...] = ("enforce", "warn", "off")
OnUnmatched = Literal["warn", "refuse", "ignore"]
ON_UNMATCHED: tuple[OnUnmatched, ...] = ("warn", "refuse", "ignore")
OnIncomplete = Literal["warn", "refuse"]
ON_INCOMPLETE: tuple[OnIncomplete, ...] = ("warn", "refuse")

PAGE_SIZE = 1000
"""The default number of tokens on a page of a list."""

PROTECT_SEEN = timedelta(days=90)
"""How long ago a token may have changed something to be protected, by default."""

_PROTECTED_ACTIONS = frozenset({"delete", "deactivate"})

LogSources = LogSource | str | Iterable[LogSource | str]
OnLog = Callable[[LogProgress], object]

PATIENCE = 300.0
"""The default time to wait for the end of an outage, in seconds."""


@attrs.frozen(kw_only=True)
class Selection:
    """The tokens to select, and the action for them.

    Attributes:
        rules: The rule for the tokens of each owner.
        description: The rules as a phrase.
        uses_time: Whether a rule depends on the time.
        patterns: The parts of the rules that match by a pattern.
        action: The action.
        owner_ids: The ids that the API must give for the owners, if they are known.
        source: The origin of these ids, for messages.
        grace: The grace period of the deactivated tokens, if there is one.
        quarantines: The ids of the quarantines that the tokens are in.
        policy: The clean-up of a policy file that the plan is made by, if there is one.
        warns_of_own_token: Whether to warn if the token of the client may be among the tokens.
    """

    rules: Mapping[Owner, Rule]
    description: str
    uses_time: bool
    patterns: tuple[Pattern, ...] = ()
    action: Action
    owner_ids: Mapping[Owner, tuple[str, ...]] = attrs.field(factory=dict)
    source: str = ""
    grace: timedelta | None = None
    quarantines: tuple[str, ...] = ()
    policy: PolicyReference | None = None
    warns_of_own_token: bool = True


def _zero_or_positive_number(instance: object, field: validators.Field, value: object) -> None:
    if value != 0:
        validators.positive_number(instance, field, value)


def _span(instance: object, field: validators.Field, value: object) -> None:
    if not isinstance(value, timedelta) or value < timedelta(0):
        problem = f"must be a timedelta that is not negative, but it is {value!r}"
        raise validators.validation_error(instance, field, problem)


_VALIDATORS: Mapping[str, validators.Validator] = MappingProxyType(
    {
        "max_changes": validators.optional(validators.integer(minimum=0)),
        "now": validators.optional(validators.aware_datetime),
        "clock_check": validators.one_of(CLOCK_CHECKS),
        "unmatched": validators.one_of(ON_UNMATCHED),
        "incomplete": validators.one_of(ON_INCOMPLETE),
        "page_size": validators.integer(minimum=1),
        "patience": _zero_or_positive_number,
        "protect_seen": _span,
    }
)


@attrs.frozen
class PlanSettings:
    """How a plan is made: the arguments of `plan` under their names.

    Attributes:
        function: The public function that takes the arguments, for messages.
        guards: The guards that the arguments describe.
        sources: The audit logs that the caller names, without duplicates.

    Raises:
        ValidationError: An argument is invalid.
    """

    function: str
    path: str | Path | None = attrs.field(kw_only=True)
    protect: Iterable[str] = attrs.field(kw_only=True)
    allow_majority: bool = attrs.field(kw_only=True)
    max_changes: int | None = attrs.field(kw_only=True)
    now: datetime | None = attrs.field(default=None, kw_only=True)
    clock_check: ClockCheck = attrs.field(default="warn", kw_only=True)
    unmatched: OnUnmatched = attrs.field(kw_only=True)
    incomplete: OnIncomplete = attrs.field(kw_only=True)
    page_size: int = attrs.field(kw_only=True)
    patience: float = attrs.field(kw_only=True)
    seen_in: LogSources = attrs.field(default=(), kw_only=True)
    protect_seen: timedelta = attrs.field(default=PROTECT_SEEN, kw_only=True)
    on_log: OnLog | None = attrs.field(default=None, kw_only=True)
    guards: Guards = attrs.field(init=False)
    sources: tuple[LogSource, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        for name, validator in _VALIDATORS.items():
            validators.check_argument(validator, self.function, name, getattr(self, name))
        guards = Guards(
            protect=protect_patterns(self.function, self.protect),
            allow_majority=self.allow_majority,
            max_changes=self.max_changes,
        )
        object.__setattr__(self, "guards", guards)
        sources = distinct_sources(self.function, "seen_in", self.seen_in)
        object.__setattr__(self, "sources", sources)

    def logs_for(self, selection: Selection) -> tuple[LogSource, ...]:
        """Return the audit logs to read; none if no token is to be protected because of them.

        An instance has a log of its own, which is always read before its tokens are deleted or
        deactivated. The log of an organization has another id than the owner.

        Args:
            selection: The tokens to select.
        """
        if not self.protect_seen:
            return ()
        if selection.action not in _PROTECTED_ACTIONS:
            return self.sources
        own = [str(owner) for owner in selection.rules if owner.kind == "instance"]
        return distinct_sources(self.function, "seen_in", (*self.sources, *own))


def check_action(function: str, action: object) -> None:
    """Check the argument `action`.

    Raises:
        ValidationError: It is not an action.
    """
    validators.check_argument(validators.one_of(ACTIONS), function, "action", action)


def check_grace(function: str, grace: object, action: Action) -> None:
    """Check the argument `grace`.

    Raises:
        ValidationError: It is not a timedelta, is negative, or the action is not `deactivate`.
    """
    if grace is None:
        return
    if not isinstance(grace, timedelta) or grace < timedelta(0):
        raise ValidationError(
            f"{function}.grace must be a timedelta that is not negative, but it is {grace!r}"
        )
    if action != "deactivate":
        raise ValidationError(
            f"{function}.grace must be None for the action {action!r}, because only deactivated "
            f"tokens have a grace period"
        )


def check_owners(function: str, owners: Iterable[Owner], action: Action) -> None:
    """Check that the tokens of the owners can be rotated, if that is the action.

    Raises:
        ValidationError: They are OAuth tokens.
    """
    if action == "rotate" and any(owner.kind == "oauth" for owner in owners):
        raise ValidationError(
            f"{function}.owners must not be 'oauth' for the action 'rotate', because only a user "
            f"can create an OAuth token, by authorizing an application"
        )


def distinct_owners(function: str, owners: Owner | Iterable[Owner]) -> tuple[Owner, ...]:
    """Return the owners without duplicates. The case of their ids does not matter.

    Raises:
        ValidationError: One of them is not an `Owner`.
    """
    found: dict[str, Owner] = {}
    for owner in (owners,) if isinstance(owners, Owner) else owners:
        validators.check_argument(validators.instance_of(Owner), function, "owners", owner)
        found.setdefault(str(owner).lower(), owner)
    return tuple(found.values())
