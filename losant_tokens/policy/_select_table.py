"""Read the table `select` of a policy file."""

from collections.abc import Collection
from typing import Any

from losant_tokens import jobs
from losant_tokens.policy._selection import Selection, matches_everything
from losant_tokens.policy._values import (
    Problem,
    Wrong,
    read_patterns,
    read_span,
    require,
    type_name,
    unknown_key,
)

# Two conditions that no token can match together.
_CONTRADICTIONS = (
    ("active", "inactive"),
    ("never_expires", "expired"),
    ("never_expires", "expires_within"),
    ("expired", "expires_within"),
)


def read_selection(value: Any, _: Any) -> Selection:
    """Return the selection of a table `select`."""
    require(value, dict, "a table of conditions, such as { expired = true }")
    if not value:
        raise Wrong(
            [((), "must have a condition, because an empty table would select every token")]
        )
    problems: list[Problem] = []
    members = dict(value)
    alternatives, exclude = members.pop("any", None), members.pop("not", None)
    parts: dict[str, Any] = {}
    for name, read in (
        ("any", lambda: () if alternatives is None else _read_alternatives(alternatives)),
        ("not", lambda: {} if exclude is None else _read_conditions(exclude, ())),
        ("", lambda: _read_conditions(members, ("any", "not")) if members else {}),
    ):
        try:
            parts[name] = read()
        except Wrong as error:
            problems += error.below(*([name] if name else []))
    if problems:
        raise Wrong(problems)
    if parts["not"] and parts["not"].items() <= parts[""].items():
        raise Wrong([(("not",), "leaves out every token that the other conditions select")])
    return Selection(conditions=parts[""], any=parts["any"], exclude=parts["not"])


def _read_alternatives(value: Any) -> tuple[dict[str, Any], ...]:
    require(value, list, "a list of tables, such as [{ expired = true }, { inactive = true }]")
    if len(value) < 2:  # noqa: PLR2004 -- one alternative is none
        raise Wrong([((), "must have at least 2 tables, one of which must match")])
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for number, item in enumerate(value):
        try:
            found.append(_read_conditions(item, ()))
        except Wrong as error:
            problems += error.below(number)
    if problems:
        raise Wrong(problems)
    return tuple(found)


def _read_conditions(value: Any, also_known: Collection[str]) -> dict[str, Any]:
    """Return the conditions of a table.

    Args:
        value: The table.
        also_known: Other keys that could be there, for suggestions.

    Raises:
        Wrong: There are mistakes.
    """
    require(value, dict, "a table of conditions, such as { expired = true }")
    if not value:
        raise Wrong([((), "must have a condition")])
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, member in value.items():
        try:
            found[name] = _read_condition(name, member, also_known)
        except Wrong as error:
            problems += error.below(name)
    for one, other in _CONTRADICTIONS:
        if one in value and other in value:
            problems.append(((other,), f"contradicts {one}: no token matches both"))
    if "named" in found and set(found["named"]) <= set(found.get("except_named", ())):
        problems.append((("except_named",), "leaves out all names of named"))
    if problems:
        raise Wrong(problems)
    return found


def _read_condition(name: str, value: Any, also_known: Collection[str]) -> Any:
    predicate = jobs.PREDICATES.get(name)
    if predicate is None:
        raise Wrong([((), unknown_key(name, [*jobs.PREDICATES, *also_known]))])
    if predicate.kind == "flag":
        if value is not True:
            found = "false" if value is False else type_name(value)
            text = (
                f"must be true, but it is {found}: leave it out, or use not = {{ {name} = true }}"
            )
            raise Wrong([((), text)])
        return True
    if predicate.kind == "duration":
        return read_span(value, None)
    if value == []:
        raise Wrong([((), "must have a pattern")])
    patterns = read_patterns(value, None)
    if matches_everything(patterns):
        verb = "leaves out" if predicate.excludes else "matches"
        raise Wrong([((), f"{verb} every token: leave it out, or write a narrower pattern")])
    return patterns
