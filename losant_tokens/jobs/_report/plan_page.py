"""Save a plan as a page, for review in a browser."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote
from typing import Self, TextIO

from attrs import define, field

from losant_tokens.jobs._plan.plan import MAX_PLAN_AGE, Plan
from losant_tokens.jobs._report.page import (
    Fact,
    Notice,
    Page,
    Row,
    State,
    Tile,
    account_fact,
    creator_of,
    format_time,
    format_tokens,
    listing_facts,
    write_page,
)
from losant_tokens.jobs._report.path_check import check_page_target
from losant_tokens.jobs._report.save import write_atomically
from losant_tokens.jobs._types import Header


def save_plan_page(plan: Plan, path: str | os.PathLike[str]) -> Path:
    """Save a plan as an HTML page that only you can read, completely or not at all.

    The page is for review, in a browser. To apply the plan, use its own file.

    Args:
        plan: The plan.
        path: The file. Its suffix must be `.html`. An existing file is replaced only if it is
            empty, or a page by this package.

    Returns:
        The path.

    Raises:
        ValidationError: The suffix is not `.html`.
        GuardRefused: The file is not a page by this package, and not empty.
        JobError: The file cannot be written, or the plan can no longer be read.
    """
    path = Path(path)
    check_page_target(path, plan.digest)
    write_atomically(path, lambda file: _write(plan, file))
    return path


@define
class _Totals:
    """Facts about the tokens that the action applies to."""

    creators: set[str] = field(factory=set)
    can_create: int = 0
    has_scopes: bool = False

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Read the tokens of a plan."""
        totals = cls()
        for entry in plan.entries():
            if entry.protected is None:
                totals.has_scopes |= entry.scope is not None
                totals.can_create += entry.can_create_tokens is True
                if creator := creator_of(entry):
                    totals.creators.add(creator)
        return totals


def _write(plan: Plan, file: TextIO) -> None:
    header = plan.header
    action, total = header.action, header.total
    protected = (State("protected", "keep"),) if total.protected else ()
    page = Page(
        headline=f"{'Refused plan: ' if header.refused else ''}"
        f"{format_tokens(total.selected)} to {action}",
        where=(
            "",
            header.base_url,
            f", {', '.join(map(str, header.counts))}. Selected: ",
            header.rule,
            f". Made {format_time(header.created_at)}.",
        ),
        notices=tuple(_notices(header)),
        split=(
            (action, total.selected),
            ("protected", total.protected),
            ("kept", total.listed - total.selected - total.protected),
        ),
        tiles=tuple(_tiles(header, _Totals.of(plan))),
        facts_title="The plan",
        facts=tuple(_facts(plan)),
        state_name="Action",
        states=(State(action, action), *protected),
        rows=_rows(plan),
        full_list=f"The plan has all tokens, one on each line: {plan.path}",
    )
    write_page(page, file)


def _rows(plan: Plan) -> Iterator[Row]:
    for entry in plan.entries():
        yield Row(entry, int(entry.protected is not None), entry.protected or "")


def _notices(header: Header) -> Iterable[Notice]:
    if header.refused:
        yield Notice(f"A guard refused this plan: {' '.join(header.refused)}")
    if header.cannot_apply:
        yield Notice(
            f"The token that made this plan cannot apply it: {'; '.join(header.cannot_apply)}. "
            f"Apply it with another token of the same account."
        )
    if header.incomplete:
        yield Notice(f"Tokens may be missing from this plan: {'; '.join(header.incomplete)}")
    elif header.drifted:
        yield Notice("The tokens kept changing while they were listed, so some may be missing.")
    if header.token_in_use is None and header.total.selected:
        yield Notice("The token that made this plan is unknown, so it may be in the list.")


def _tiles(header: Header, totals: _Totals) -> Iterable[Tile]:
    total = header.total
    yield Tile(
        name=f"To {header.action}",
        value=total.selected,
        note=f"of {total.listed:,} listed",
        key=header.action,
    )
    yield Tile(name="Protected", value=total.protected, note="selected, but kept", key="protected")
    if totals.has_scopes:
        note = f"of those to {header.action}"
        yield Tile(name="Can create tokens", value=totals.can_create, note=note)
    if totals.creators:
        yield Tile(name="Creators", value=len(totals.creators), note="of these tokens")


def _facts(plan: Plan) -> Iterable[Fact]:
    header = plan.header
    yield Fact("Rule", header.rule)
    yield Fact("Account", account_fact(header))
    yield Fact("Made", format_time(header.created_at))
    if not header.refused:
        yield Fact("Valid until", format_time(header.created_at + MAX_PLAN_AGE))
    yield Fact("Plan", str(plan.path), is_code=True)
    yield Fact("Digest", plan.digest, is_code=True)
    if header.token_expires_at is not None:
        yield Fact("Expiry of the token in use", format_time(header.token_expires_at))
    if not header.refused:
        yield Fact("To apply", f"losant-tokens apply {quote(str(plan.path))}", is_code=True)
    yield from listing_facts(header)
