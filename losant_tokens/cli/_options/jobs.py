"""The options of the job commands: which tokens to select, safety checks, and how to apply."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from attrs import frozen
from cyclopts import Group, Parameter, Token, validators

from losant_tokens import Owner
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._options.common import (
    CONNECTION_GROUP,
    CURRENT_USER,
    AtLeastOne,
    AtLeastZero,
    Json,
    PageSize,
    ProtectSeen,
    Quiet,
    SeenIn,
    Yes,
    age,
    choice,
    flag,
    repeatable,
)
from losant_tokens.cli._options.parse import read_owner
from losant_tokens.cli._options.value_checks import (
    existing_file,
    html_name,
    quarantine_name,
    quarantine_names,
)
from losant_tokens.errors import ValidationError

if TYPE_CHECKING:
    from losant_tokens.jobs import Predicate, Rule

SELECTION_GROUP = Group("Selection", sort_key=1)
_SAFETY = Group("Safety checks", sort_key=2)
_POLICY = Group("Policy", sort_key=3)
_RUN = Group("Run", sort_key=3)

DEFAULT_MAX_AGE = timedelta(hours=24)
DEFAULT_PRUNE_AGE = timedelta(days=180)
DEFAULT_GRACE = timedelta(days=30)


def _read_owners(_: Any, tokens: Sequence[Token]) -> tuple[Owner, ...]:
    return tuple(read_owner(token.value) for token in tokens)


Action = Annotated[
    Literal["delete", "deactivate", "activate"],
    Parameter(
        metavar="ACTION",
        show_choices=False,
        help="Set the action: delete, deactivate or activate.",
    ),
]
PlannedAction = Annotated[
    Literal["delete", "deactivate", "activate", "rotate"] | None,
    Parameter(
        metavar="ACTION",
        show_choices=False,
        show_default=lambda _: "delete",
        help="Set the action: delete, deactivate, activate or rotate.",
    ),
]
PolicyFile = Annotated[
    Path | None,
    Parameter(
        metavar="FILE",
        validator=existing_file,
        show_default=lambda _: "policy.toml",
        help="Read the policy from FILE.",
    ),
]
PlanFile = Annotated[
    Path, Parameter(name="FILE", validator=existing_file, help="Read the plan from FILE.")
]
HtmlFile = Annotated[
    Path | None,
    Parameter(
        name="--html",
        metavar="FILE",
        validator=html_name,
        help="Write a page for a browser to FILE.",
    ),
]
OldPlanFile = Annotated[
    Path, Parameter(name="OLD", validator=existing_file, help="Read the earlier plan from OLD.")
]
NewPlanFile = Annotated[
    Path, Parameter(name="NEW", validator=existing_file, help="Read the later plan from NEW.")
]
QuarantineName = Annotated[
    str,
    Parameter(
        name="QUARANTINE",
        validator=quarantine_name,
        help="Use this quarantine: an id, a report file, or last.",
    ),
]
QuarantineNames = Annotated[
    tuple[str, ...],
    Parameter(
        name="QUARANTINE...",
        validator=quarantine_names,
        show_default=False,
        help="List only these quarantines: ids, report files, or last.",
    ),
]
SweptQuarantine = Annotated[
    str | None,
    Parameter(
        name="QUARANTINE",
        validator=quarantine_name,
        show_default=False,
        help="Use this quarantine: an id, a report file, or last.",
    ),
]
Grace = Annotated[
    timedelta,
    age(
        "Allow sweep to delete the tokens after AGE.",
        show_default=lambda span: f"{span.days}d",
    ),
]
Out = Annotated[
    Path | None,
    Parameter(
        metavar="FILE",
        show_default=lambda _: "in the state folder",
        help="Write the plan to FILE.",
    ),
]
MaxAge = Annotated[
    timedelta,
    age(
        "Refuse a plan that was made more than AGE ago.",
        show_default=lambda span: f"{span / timedelta(hours=1):g}h",
    ),
]
PruneAge = Annotated[
    timedelta,
    age(
        "Remove only files of jobs that ended more than AGE ago.",
        show_default=lambda span: f"{span.days}d",
    ),
]
After = Annotated[
    timedelta | None,
    age(
        "Delete only tokens deactivated more than AGE ago.",
        show_default=lambda _: "their grace period",
    ),
]
Patience = Annotated[
    float | None,
    Parameter(
        metavar="SECONDS",
        validator=AtLeastZero,
        show_default=lambda _: "300",
        help="Wait up to SECONDS for an outage to end.",
    ),
]
Owners = Annotated[
    tuple[Owner, ...],
    Parameter(
        name="--owner",
        metavar="OWNER",
        converter=_read_owners,
        accepts_keys=False,
        negative="",
        show_default=lambda owners: ", ".join(map(str, owners)),
        group=SELECTION_GROUP,
        help="Use the tokens of OWNER; repeat for more.",
    ),
]


@Parameter(name="*", group=SELECTION_GROUP)
@frozen(kw_only=True)
class RuleOptions:
    """The rules that select tokens."""

    expired: Annotated[bool, flag("Select expired tokens.")] = False
    expires_within: Annotated[
        timedelta | None,
        age("Select tokens that expire within DURATION, such as 30d.", metavar="DURATION"),
    ] = None
    never_expires: Annotated[bool, flag("Select tokens without an expiration date.")] = False
    older_than: Annotated[
        timedelta | None, age("Select tokens created more than AGE ago, such as 90d.")
    ] = None
    not_updated_for: Annotated[
        timedelta | None,
        age("Select tokens last updated more than DURATION ago, such as 90d.", metavar="DURATION"),
    ] = None
    active: Annotated[bool, flag("Select active tokens, including expired ones.")] = False
    inactive: Annotated[bool, flag("Select inactive tokens.")] = False
    named: Annotated[
        tuple[str, ...],
        repeatable("GLOB", "Select tokens whose name matches GLOB; repeat for alternatives."),
    ] = ()
    except_named: Annotated[
        tuple[str, ...],
        repeatable("GLOB", "Always exclude tokens whose name matches GLOB; repeat for more."),
    ] = ()
    created_by: Annotated[
        tuple[str, ...],
        repeatable("GLOB", "Select tokens whose creator's id or name matches GLOB."),
    ] = ()
    has_scope: Annotated[
        tuple[str, ...], repeatable("GLOB", "Select tokens with a scope that matches GLOB.")
    ] = ()
    can_create_tokens: Annotated[bool, flag("Select tokens that can create tokens.")] = False
    any: Annotated[bool, flag("Select tokens that match any of these options, not all.")] = False

    def rule(self) -> "Rule | None":
        """Return all options as one rule, or None without an option that selects tokens.

        Raises:
            UsageError: A glob is invalid.
        """
        from losant_tokens import jobs  # noqa: PLC0415 -- the help does not need it

        rules = [
            rule
            for predicate in jobs.PREDICATES.values()
            if not predicate.excludes
            for rule in self._rules(predicate)
        ]
        if not rules:
            return None
        rule = jobs.any_of(rules) if self.any else jobs.all_of(rules)
        return jobs.all_of([rule, *self._exclusions()])

    def filter(self) -> "Rule | None":
        """Return all options as one rule, or None without any option."""
        from losant_tokens import jobs  # noqa: PLC0415 -- the help does not need it

        rule, exclusions = self.rule(), self._exclusions()
        if rule is None and exclusions:
            return jobs.all_of(exclusions)
        return rule

    def _exclusions(self) -> "list[Rule]":
        from losant_tokens import jobs  # noqa: PLC0415 -- the help does not need it

        return [
            ~rule
            for predicate in jobs.PREDICATES.values()
            if predicate.excludes
            for rule in self._rules(predicate)
        ]

    def _rules(self, predicate: "Predicate") -> "list[Rule]":
        """Return the rules of an option: none if it is not set.

        Several values are alternatives, and several exclusions hold each.

        Raises:
            UsageError: A glob is invalid.
        """
        value = getattr(self, predicate.name)
        if value in (False, None, ()):
            return []
        try:
            return predicate.rules(value) if predicate.excludes else [predicate.rule(value)]
        except ValidationError as error:
            _, _, problem = str(error).partition(" must ")
            option = predicate.name.replace("_", "-")
            raise UsageError(f"--{option} must {problem}") from None


@Parameter(name="*", group=_SAFETY)
@frozen(kw_only=True)
class SafetyOptions:
    """The safety checks of a plan."""

    protect: Annotated[
        tuple[str, ...],
        repeatable("ID|GLOB", "Never select the token ID, or tokens whose name matches GLOB."),
    ] = ()
    allow_majority: Annotated[
        bool, flag("Allow the selection of more than half of an owner's tokens.")
    ] = False
    max_changes: Annotated[
        int | None,
        Parameter(
            metavar="N", validator=AtLeastZero, help="Fail if more than N tokens are selected."
        ),
    ] = None
    allow_unmatched: Annotated[
        bool, flag("Allow a --protect or --except-named that matches no token.")
    ] = False
    page_size: Annotated[PageSize, Parameter(group=CONNECTION_GROUP)] = None
    clock_check: Annotated[
        Literal["enforce", "warn", "off"],
        choice(
            *("enforce", "warn", "off"),
            help_="Compare the clock with the server's.",
        ),
    ] = "enforce"

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the functions that make plans."""
        return {
            "protect": self.protect,
            "allow_majority": self.allow_majority,
            "max_changes": self.max_changes,
            "unmatched": "warn" if self.allow_unmatched else "refuse",
            "clock_check": self.clock_check,
            **({} if self.page_size is None else {"page_size": self.page_size}),
        }


@Parameter(name="*", group=_POLICY)
@frozen(kw_only=True)
class PolicyOptions:
    """The clean-up of a policy file."""

    policy: Annotated[
        str | None,
        Parameter(metavar="CLEANUP", help="Use the selection and guards of a clean-up."),
    ] = None
    policy_file: PolicyFile = None
    step: Annotated[
        Literal["deactivate", "delete"] | None,
        Parameter(
            metavar="deactivate|delete",
            show_choices=False,
            show_default=lambda _: "the step that is due",
            help="Plan this step of a ladder.",
        ),
    ] = None


@Parameter(name="*", group=_SAFETY)
@frozen(kw_only=True)
class EvidenceOptions:
    """The audit logs that protect tokens of a plan."""

    protect_seen: ProtectSeen = None
    seen_in: SeenIn = ()


@Parameter(name="*", group=_RUN)
@frozen(kw_only=True)
class RunOptions:
    """How a plan is applied."""

    yes: Yes = False
    no_verify: Annotated[
        bool, flag("Skip the check of each token before its change: faster, less safe.")
    ] = False
    rate: Annotated[
        float | None,
        Parameter(
            metavar="N",
            validator=validators.Number(gt=0),
            show_default=lambda _: "adapts to the API",
            help="Send up to N requests per second.",
        ),
    ] = None
    max_concurrency: Annotated[
        int | None,
        Parameter(
            metavar="N",
            validator=AtLeastOne,
            show_default=lambda _: "50, or 20 without aiohttp",
            help="Send up to N requests at once.",
        ),
    ] = None
    report: Annotated[
        tuple[Path, ...],
        repeatable("FILE", "Write a report to FILE: .html, .csv or .json; repeat for more."),
    ] = ()
    patience: Patience = None
    journal: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            show_default=lambda _: "PLAN.journal beside the plan",
            help="Write the journal to FILE.",
        ),
    ] = None
    account_check: Annotated[
        Literal["enforce", "off"],
        choice(
            *("enforce", "off"),
            help_="Refuse a plan that may be for another account.",
        ),
    ] = "enforce"
    json: Annotated[Json, Parameter(help="Write the outcome as JSON.")] = False
    quiet: Quiet = False

    def settings(self) -> dict[str, Any]:
        """Return the arguments of `jobs.apply`."""
        patience = {} if self.patience is None else {"patience": self.patience}
        return {
            "verify": not self.no_verify,
            "rate": self.rate,
            "account_check": self.account_check,
            **patience,
        }

    def arguments(self) -> tuple[str, ...]:
        """Return the options to resume a job with, except `--yes`."""
        return (
            *(["--no-verify"] if self.no_verify else []),
            *([] if self.account_check == "enforce" else ["--account-check", self.account_check]),
            *(() if self.journal is None else ("--journal", str(self.journal))),
            *_number("--rate", self.rate),
            *_number("--max-concurrency", self.max_concurrency),
            *_number("--patience", self.patience),
            *(word for file in self.report for word in ("--report", str(file))),
        )


def _number(name: str, value: float | None) -> tuple[str, ...]:
    return () if value is None else (name, f"{value:g}")


DEFAULT_OWNERS = (CURRENT_USER,)
NO_RULES, DEFAULT_SAFETY, DEFAULT_RUN = RuleOptions(), SafetyOptions(), RunOptions()
NO_POLICY = PolicyOptions()
DEFAULT_EVIDENCE = EvidenceOptions()
