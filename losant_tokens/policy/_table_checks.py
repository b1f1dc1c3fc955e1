"""Check the tables of a policy file as a whole.

The checks read plain values, so that they find their mistakes even if a member of the table is
wrong.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from losant_tokens._utils.durations import shortened
from losant_tokens.policy._approval_table import contradictions, read_variable
from losant_tokens.policy._select_table import read_selection
from losant_tokens.policy._selection import Selection, matches_everything
from losant_tokens.policy._types import StepAction
from losant_tokens.policy._values import Path, Problem, Wrong, path_text

MAX_NAME_LENGTH = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
NAME_PATTERN = f"^{_NAME.pattern}$"
MAX_MESSAGE_LENGTH = 500
_ENTRIES = ("rules", "cleanups")
_LISTS = (*_ENTRIES, "tests")


def check_contents(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is missing in a file, equal names, and tests that expect unknown names."""
    if not (data.get("rules") or data.get("cleanups")):
        yield (), "the file has no rules and no cleanups: add a table [[rules]] or [[cleanups]]"
    lists = {key: data[key] for key in _LISTS if isinstance(data.get(key), list)}
    # A test names rules and clean-ups, so they have one set of names.
    entries = [(key, number) for key in _ENTRIES for number in range(len(lists.get(key, [])))]
    known = [name for key in _ENTRIES for name in _names(lists.get(key, []))]
    tests = [("tests", number) for number in range(len(lists.get("tests", [])))]
    yield from _check_names(entries, known)
    yield from _check_names(tests, _names(lists.get("tests", [])))
    for number, test in enumerate(lists.get("tests", [])):
        expected = test.get("expect") if isinstance(test, dict) else None
        for place, name in enumerate(expected if isinstance(expected, list) else []):
            if isinstance(name, str) and name not in known:
                close = get_close_matches(name, [one for one in known if isinstance(one, str)], n=1)
                hint = f": did you mean {close[0]}?" if close else ""
                text = f'"{shortened(name)}" is the name of no rule and no clean-up{hint}'
                yield ("tests", number, "expect", place), text


def _names(tables: list[Any]) -> list[Any]:
    return [table.get("name") if isinstance(table, dict) else None for table in tables]


def _check_names(places: Sequence[Path], names: list[Any]) -> Iterator[Problem]:
    """Yield the names that two tables have.

    Args:
        places: The paths of the tables.
        names: The names, or other values in their places.
    """
    for place, name in zip(places, names, strict=True):
        first = places[names.index(name)]
        if isinstance(name, str) and first != place:
            text = f'"{shortened(name)}" is already the name of {path_text(first)}'
            yield (*place, "name"), text


def check_rule(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield the problems of a rule."""
    yield from _check_name(data)
    message = data.get("message")
    if isinstance(message, str) and len(message) > MAX_MESSAGE_LENGTH:
        yield ("message",), f"has {len(message)} characters: the maximum is {MAX_MESSAGE_LENGTH}"


def _check_name(data: dict[str, Any]) -> Iterator[Problem]:
    name = data.get("name")
    if isinstance(name, str) and name.strip() and not _NAME.fullmatch(name):
        text = f"must be up to {MAX_NAME_LENGTH} letters, digits, hyphens and underscores"
        yield ("name",), f'{text}, but it is "{shortened(name)}"'


def check_cleanup(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield missing and contradicting members of a clean-up."""
    yield from _check_name(data)
    action, steps = data.get("action"), data.get("steps")
    if action is None and steps is None:
        yield (), 'needs action = "deactivate" or action = "delete", or steps'
    if action is not None and steps is not None:
        yield ("steps",), "cannot be combined with action: steps have actions of their own"
    actions = [action]
    if isinstance(steps, list):
        actions += [step.get("action") for step in steps if isinstance(step, dict)]
        yield from _check_steps(steps)
    if "delete" in actions and "protect" not in data:
        yield (
            ("protect",),
            "is required if tokens are deleted: write protect = [] if none needs protection",
        )
    if "grace" in data and action != "deactivate":
        yield (
            ("grace",),
            'is only for action = "deactivate"'
            + ("" if steps is None else ": write the time as after of the step delete"),
        )
    if data.get("allow_seen") is True and "protect_seen" in data:
        yield ("allow_seen",), "contradicts protect_seen: leave one of them out"
    if "time_zone" in data and "schedule" not in data:
        yield ("time_zone",), "is only for a clean-up with a schedule"
    if data.get("accounts") == []:
        yield ("accounts",), "must have a pattern: leave it out for all accounts"
    yield from _check_selected(data.get("select"))
    yield from _check_protected(data.get("select"), data.get("protect"))


def _check_selected(select: object) -> Iterator[Problem]:
    """Yield whether a selection says only which tokens it leaves out."""
    if not isinstance(select, dict) or not select:
        return
    try:
        selection = read_selection(select, Selection)
    except Wrong:
        return
    if selection.only_excludes:
        yield (
            ("select",),
            'would select nearly all tokens: add a condition, such as older_than = "90d"',
        )


def _check_protected(select: object, protect: object) -> Iterator[Problem]:
    if not isinstance(protect, list):
        return
    patterns = tuple(one for one in protect if isinstance(one, str))
    if matches_everything(patterns):
        yield ("protect",), "protects every token, so the clean-up would never change one"
    named = select.get("named") if isinstance(select, dict) else None
    if isinstance(named, list) and named and all(name in patterns for name in named):
        yield ("protect",), "protects all names of select.named, so the clean-up changes no token"


def _check_steps(steps: list[Any]) -> Iterator[Problem]:
    """Yield the problems of a ladder: its order, and the time before each step."""
    order = list(get_args(StepAction))
    actions = [step.get("action") if isinstance(step, dict) else None for step in steps]
    known = [action for action in actions if action in order]
    if len(steps) < 2:  # noqa: PLR2004 -- one step is not a ladder
        yield ("steps",), 'must have at least 2 steps: for one, write action = "..." instead'
    if known != sorted(set(known), key=order.index):
        yield ("steps",), f"must be in the order {', '.join(order)}, each at most once"
    elif len(known) == len(steps) and "deactivate" not in known:
        yield (
            ("steps",),
            "must have the step deactivate, because it can be undone and delete cannot",
        )
    for number, step in enumerate(steps):
        if not isinstance(step, dict):
            continue
        yield from _check_receiver(number, step)
        if number == 0 and "after" in step:
            yield ("steps", 0, "after"), "the first step has no step before it: leave after out"
        if number > 0 and "after" not in step:
            yield (
                ("steps", number, "after"),
                'is required: write how long after the step before, such as after = "30d"',
            )


def _check_receiver(number: int, step: dict[str, Any]) -> Iterator[Problem]:
    """Yield the problems of the webhook that gets the warnings of a step."""
    keys = [key for key in ("webhook", "webhook_env", "secret_env") if key in step]
    if keys and step.get("action") != "warn":
        yield ("steps", number, keys[0]), "is only for the step warn"
        return
    for key in keys:
        if key != "webhook" and isinstance(step[key], str):
            try:
                read_variable(step[key])
            except Wrong as error:
                yield from error.below("steps", number, key)
    for path, problem in contradictions(step):
        yield ("steps", number, *path), problem


def check_sample(data: dict[str, Any]) -> Iterator[Problem]:
    """Yield contradictions of the token of a test."""
    if "expires" in data and "expired" in data:
        yield ("expired",), "contradicts expires: a token has one expiration date"
