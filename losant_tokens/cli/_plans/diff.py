"""The differences between two plans."""

from collections import Counter
from collections.abc import Iterator

from attrs import frozen

from losant_tokens import jobs
from losant_tokens.cli._errors import UsageError
from losant_tokens.cli._plans.footer import current_time
from losant_tokens.cli._plans.groups import KEEP
from losant_tokens.cli._plans.json import entry_members
from losant_tokens.cli._plans.token_line import Columns, Page
from losant_tokens.cli._terminal.format import escaped, relative_time
from losant_tokens.cli._tokens.json import as_wire

_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
_LABEL_WIDTH = len("removed  ")


@frozen
class Difference:
    """A token that differs between two plans.

    Attributes:
        kind: `added`, `removed` or `changed`.
        entry: The token in the new plan, or in the old one if it was removed.
        old: The token in the old plan; None if it was added.
        new: The token in the new plan; None if it was removed.
    """

    kind: str
    entry: jobs.Entry
    old: jobs.Entry | None
    new: jobs.Entry | None


@frozen
class PlanDiff:
    """The differences between two plans.

    Attributes:
        old: The old plan.
        new: The new plan.
        changes: The tokens that differ: first those of the new plan, in its order.
        same: The number of tokens that do not differ.
    """

    old: jobs.Plan
    new: jobs.Plan
    changes: tuple[Difference, ...]
    same: int

    @classmethod
    def of(cls, old: jobs.Plan, new: jobs.Plan) -> "PlanDiff":
        """Compare two plans of one account.

        Raises:
            UsageError: The plans are for different base URLs or accounts.
        """
        _check_account(old, new)
        is_same_action = old.header.action == new.header.action
        before = {_key(entry): entry for entry in old.entries()}
        changes, same = [], 0
        for entry in new.entries():
            earlier = before.pop(_key(entry), None)
            if earlier is None:
                changes.append(Difference("added", entry, None, entry))
            elif _decision(entry) != _decision(earlier) or not (is_same_action or entry.protected):
                changes.append(Difference("changed", entry, earlier, entry))
            else:
                same += 1
        changes += [Difference("removed", entry, entry, None) for entry in before.values()]
        return cls(old, new, tuple(changes), same)

    @property
    def counts(self) -> dict[str, int]:
        """The number of tokens for each kind of difference, and without one."""
        found = Counter(change.kind for change in self.changes)
        return {**{kind: found[kind] for kind in _STYLES}, "same": self.same}


def _check_account(old: jobs.Plan, new: jobs.Plan) -> None:
    values = (
        ("the base URL", old.header.base_url, new.header.base_url),
        ("the account", old.header.account, new.header.account),
    )
    for name, one, other in values:
        if one is not None and other is not None and one != other:
            raise UsageError(
                f"the plans cannot be compared: {name} of {old.path} is {one}, and that of "
                f"{new.path} is {other}"
            )
    for owner, before in old.header.owner_ids.items():
        after = new.header.owner_ids.get(owner, ())
        if before and after and set(before).isdisjoint(after):
            raise UsageError(
                f"the plans cannot be compared: the tokens of {owner} in {old.path} belong to "
                f"{', '.join(before)}, and those in {new.path} to {', '.join(after)}"
            )


def _key(entry: jobs.Entry) -> tuple[str, str]:
    return str(entry.owner).lower(), entry.id.lower()


def _decision(entry: jobs.Entry) -> tuple[bool, str]:
    return entry.protected is None, entry.protected or entry.reason


def diff_lines(diff: PlanDiff, page: Page) -> Iterator[str]:
    """Return the differences as text, with a last line about all of them."""
    for label, plan in (("Old", diff.old), ("New", diff.new)):
        made = relative_time(plan.header.created_at, current_time(plan))
        text = f"{label}: {plan.path}: {plan.header.action} {plan.header.rule}, made {made}"
        yield f"{page.wrapped(escaped(text), '     ')}\n"
    yield "\n"
    columns = Columns.of(
        [change.entry for change in diff.changes],
        max(diff.old.header.action, diff.new.header.action, key=len),
        page.narrower(_LABEL_WIDTH),
        current_time(diff.new),
    )
    for change in diff.changes:
        yield from _lines(diff, change, columns, page)
    if diff.changes:
        yield "\n"
    counts = ", ".join(f"{count:,} {kind}" for kind, count in diff.counts.items())
    yield f"{page.wrapped(f'Plans: {counts}.')}\n"


def _lines(diff: PlanDiff, change: Difference, columns: Columns, page: Page) -> Iterator[str]:
    label = page.styled(f"{change.kind:<{_LABEL_WIDTH}}", _STYLES[change.kind])
    indent = " " * _LABEL_WIDTH
    plan = diff.old if change.new is None else diff.new
    line = columns.line(change.entry, _action(plan, change.entry))
    first, *rest = line.splitlines(keepends=True)
    yield label + first
    yield from (indent + further for further in rest)
    if change.old is not None and change.new is not None:
        reason = change.old.protected or change.old.reason
        text = f"{indent}was: {_action(diff.old, change.old)}, {escaped(reason)}"
        yield f"{page.wrapped(text, indent + '     ')}\n"


def _action(plan: jobs.Plan, entry: jobs.Entry) -> str:
    return plan.header.action if entry.protected is None else KEEP


def _plan(plan: jobs.Plan) -> dict[str, object]:
    header = plan.header
    return {
        "plan": str(plan.path),
        "digest": plan.digest,
        "created": as_wire(header.created_at),
        "action": header.action,
        "rule": header.rule,
    }


def diff_document(diff: PlanDiff) -> Iterator[str]:
    """Return the differences as a JSON document, in parts."""
    members: dict[str, object] = {
        "old": _plan(diff.old),
        "new": _plan(diff.new),
        "totals": diff.counts,
    }
    changes = (
        {
            "change": change.kind,
            "old": change.old and entry_members(change.old, diff.old.header.action),
            "new": change.new and entry_members(change.new, diff.new.header.action),
        }
        for change in diff.changes
    )
    return jobs.json_document(members, "tokens", changes)
