"""The options that the commands for jobs share: which tokens, what is forbidden, how to apply."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from attrs import frozen
from cyclopts import Group, Parameter, Token, validators

from losant_tokens import Owner
from losant_tokens.cli._connection import CONNECTION
from losant_tokens.cli._parameters import ME, AsJson, AtLeastOne, Count, Flag, PageSize, Quiet
from losant_tokens.cli._parse import read_span

if TYPE_CHECKING:
    from losant_tokens.jobs import Rule

_WHICH = Group("Which tokens (all of these, or with --any one of them)", sort_key=1)
_GUARDS = Group("What is not touched", sort_key=2)
_HOW = Group("How to apply it", sort_key=3)


def _read_span(_: Any, tokens: Sequence[Token]) -> timedelta:
    return read_span(tokens[0].value)


def _read_owners(_: Any, tokens: Sequence[Token]) -> tuple[Owner, ...]:
    return tuple(Owner.parse(token.value) for token in tokens)


def _said(help_: str) -> Parameter:
    return Parameter(help=help_)


_SPAN = Parameter(converter=_read_span, accepts_keys=False, n_tokens=1, show_default=False)
_MANY = Parameter(negative="", show_default=False, json_list=False)
Span = Annotated[timedelta, _SPAN]
Action = Literal["delete", "deactivate", "activate"]
Plan = Annotated[Path, Parameter(help="The file of the plan.")]
ReportFile = Annotated[Path, Parameter(help="The report, as JSON, of the run that deactivated.")]
Out = Annotated[
    Path | None,
    Parameter(help="The new file of the plan.", show_default=lambda _: "one among your own files"),
]
MaxAge = Annotated[
    timedelta,
    Parameter(
        converter=_read_span,
        accepts_keys=False,
        n_tokens=1,
        show_default=lambda span: f"{span / timedelta(hours=1):g}h",
    ),
]


Patience = Annotated[
    float | None,
    Parameter(
        validator=validators.Number(gte=0),
        help="Seconds to wait out an outage of the service. Default: 300.",
    ),
]


OldEnough = Annotated[
    timedelta,
    Parameter(
        converter=_read_span,
        accepts_keys=False,
        n_tokens=1,
        show_default=lambda span: f"{span.days}d",
    ),
]


@Parameter(name="*", group=_WHICH)
@frozen(kw_only=True)
class Rules:
    """Which tokens are selected."""

    expired: Annotated[Flag, _said("Those that have expired.")] = False
    expires_within: Annotated[
        Span | None, _SPAN, _said("That will expire within 12h, 30d, 4w.")
    ] = None
    never_expires: Annotated[Flag, _said("Those without an expiration date.")] = False
    older_than: Annotated[Span | None, _SPAN, _said("Created longer ago than 90d.")] = None
    not_updated_for: Annotated[Span | None, _SPAN, _said("Last changed longer ago than 90d.")] = (
        None
    )
    inactive: Annotated[Flag, _said("Those whose status is inactive.")] = False
    named: Annotated[tuple[str, ...], _MANY, _said("Whose name matches; repeat it for any.")] = ()
    except_named: Annotated[tuple[str, ...], _MANY, _said("But none whose name matches.")] = ()
    created_by: Annotated[tuple[str, ...], _MANY, _said("Whose creator's id or name matches.")] = ()
    has_scope: Annotated[tuple[str, ...], _MANY, _said("One of whose scopes matches.")] = ()
    can_create_tokens: Annotated[Flag, _said("Whose scopes let them create tokens.")] = False
    any: Annotated[Flag, _said("One of these is enough; but --except-named always holds.")] = False

    def rule(self) -> "Rule | None":
        """All of it as one rule; `None` where nothing says what to select."""
        from losant_tokens import jobs  # noqa: PLC0415 -- not for help

        several = [
            jobs.any_of(make(glob) for glob in globs)
            for make, globs in (
                (jobs.named, self.named),
                (jobs.created_by, self.created_by),
                (jobs.has_scope, self.has_scope),
            )
            if globs
        ]
        timed = [
            make(span)
            for make, span in (
                (jobs.expires_within, self.expires_within),
                (jobs.older_than, self.older_than),
                (jobs.not_updated_for, self.not_updated_for),
            )
            if span is not None
        ]
        plain = [
            make()
            for make, wanted in (
                (jobs.expired, self.expired),
                (jobs.never_expires, self.never_expires),
                (jobs.inactive, self.inactive),
                (jobs.can_create_tokens, self.can_create_tokens),
            )
            if wanted
        ]
        rules = [*plain, *timed, *several]
        if not rules:
            return None
        rule = jobs.any_of(rules) if self.any else jobs.all_of(rules)
        return jobs.all_of([rule, *(~jobs.named(glob) for glob in self.except_named)])


@Parameter(name="*", group=_GUARDS)
@frozen(kw_only=True)
class Guards:
    """What a plan may not do."""

    protect: Annotated[
        tuple[str, ...], _MANY, _said("A token's id, or what its name matches; repeat it for more.")
    ] = ()
    allow_majority: Annotated[
        Flag, _said("Let more than half of an owner's tokens be selected.")
    ] = False
    max_changes: Annotated[Count | None, _said("Fail if more than N tokens are selected.")] = None
    allow_unmatched: Annotated[
        Flag, _said("Accept a --protect or --except-named that matches no token.")
    ] = False
    page_size: Annotated[PageSize, Parameter(group=CONNECTION)] = None
    clock_check: Annotated[
        Literal["enforce", "warn", "off"],
        _said("What to do about times if this machine's clock is not the server's."),
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


@Parameter(name="*", group=_HOW)
@frozen(kw_only=True)
class How:
    """How a plan is applied."""

    yes: Annotated[Flag, _said("Do not ask. Needed where there is no terminal to ask on.")] = False
    no_verify: Annotated[
        Flag, _said("Do not read each token again before it is changed: faster, less safe.")
    ] = False
    rate: Annotated[
        float | None,
        Parameter(validator=validators.Number(gt=0)),
        _said("Requests per second. Default: as many as the API lets through."),
    ] = None
    max_concurrency: Annotated[
        AtLeastOne | None,
        _said("Maximum number of requests in flight. Default: 50, or 20 without aiohttp."),
    ] = None
    report: Annotated[
        tuple[Path, ...],
        _MANY,
        _said("Write a report: .html to look at, .csv, or .json; repeat it for more."),
    ] = ()
    patience: Patience = None
    journal: Annotated[
        Path | None, _said("The journal. Default: FILE.journal beside the plan FILE.")
    ] = None
    account_check: Annotated[
        Literal["enforce", "off"],
        _said("Refuse a plan of another account than the token's, or of an unknown one."),
    ] = "enforce"
    json: Annotated[AsJson, _said("Write what came of it as JSON.")] = False
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

    def options(self) -> tuple[str, ...]:
        """Return the options that it takes to carry on like this, but for `--yes`."""
        journal = () if self.journal is None else ("--journal", str(self.journal))
        return (
            *(["--no-verify"] if self.no_verify else []),
            *([] if self.account_check == "enforce" else ["--account-check", self.account_check]),
            *journal,
            *_option("--rate", self.rate),
            *_option("--max-concurrency", self.max_concurrency),
            *_option("--patience", self.patience),
            *(word for file in self.report for word in ("--report", str(file))),
        )


def _option(name: str, value: float | None) -> tuple[str, ...]:
    return () if value is None else (name, f"{value:g}")


Owners = Annotated[
    tuple[Owner, ...],
    Parameter(
        name="--owner",
        converter=_read_owners,
        accepts_keys=False,
        negative="",
        show_default=lambda owners: ", ".join(map(str, owners)),
        group=_WHICH,
        help="Whose tokens: user, oauth, application:ID, instance:ID; repeat it for more.",
    ),
]
MINE = (ME,)
NO_RULES, NO_GUARDS, AS_USUAL = Rules(), Guards(), How()
A_DAY = timedelta(hours=24)
HALF_A_YEAR = timedelta(days=180)
