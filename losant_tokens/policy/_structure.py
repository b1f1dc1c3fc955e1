"""Build a policy from the values of a TOML file, and find all mistakes in them.

cattrs builds the classes and collects the problems of all members. The readers here accept exactly
one type each, because cattrs would convert the number 90 to the string `"90"`. A reader raises
`Wrong`, which has all problems of a value. Checks of a table as a whole read its plain values, so
that they find their mistakes even if a member of the table is wrong.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any, get_args

import attrs
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from losant_tokens import jobs
from losant_tokens._durations import parse_duration, shortened
from losant_tokens.policy._selection import Selection, matches_everything
from losant_tokens.policy._severity import Severity
from losant_tokens.policy._types import (
    Action,
    Cleanup,
    Policy,
    PolicyRule,
    PolicyTest,
    SampleToken,
    Schedule,
    Status,
    Step,
    StepAction,
)

Path = tuple[str | int, ...]
"""The keys and positions that lead to a value."""
Problem = tuple[Path, str]
Check = Callable[[dict[str, Any]], Iterator[Problem]]

MAX_NAME_LENGTH = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
NAME_PATTERN = f"^{_NAME.pattern}$"
MAX_MESSAGE_LENGTH = 500
_TYPE_NAMES = {
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    datetime: "a date",
    date: "a date",
    time: "a time",
}
# Two conditions that no token can match together.
_CONTRADICTIONS = (
    ("active", "inactive"),
    ("never_expires", "expired"),
    ("never_expires", "expires_within"),
    ("expired", "expires_within"),
)
_ENTRIES = ("rules", "cleanups")
_LISTS = (*_ENTRIES, "tests")
_HINTS = {
    "status": "write active = true or inactive = true",
    "owner": "pass the owner to the command",
    "owners": "pass the owners to the command",
}


@attrs.frozen
class _Contents:
    """The tables of a policy file."""

    rules: tuple[PolicyRule, ...] = ()
    cleanups: tuple[Cleanup, ...] = ()
    tests: tuple[PolicyTest, ...] = ()


class Wrong(Exception):  # noqa: N818 -- it never leaves this package
    """A value is wrong.

    Attributes:
        problems: The problems, each with its path from the value.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__()
        self.problems = tuple(problems)


def structure(data: Mapping[str, Any], file: str, digest: str) -> Policy:
    """Return the policy that the values of a TOML file describe.

    Args:
        data: The values.
        file: The name of the file.
        digest: Its digest.

    Raises:
        Wrong: There are mistakes.
    """
    contents: _Contents = _converter().structure(data, _Contents)
    return Policy(
        file=file,
        digest=digest,
        rules=contents.rules,
        cleanups=tuple(
            attrs.evolve(one, reference=jobs.PolicyReference(one.name, digest))
            for one in contents.cleanups
        ),
        tests=contents.tests,
    )


def path_text(path: Path) -> str:
    """Return a path as a string: `cleanups[2].select.older_than`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _problems(error: Any, path: Path = ()) -> Iterator[Problem]:
    """Yield the problems of an error of cattrs or of a reader."""
    if isinstance(error, Wrong):
        for inner, text in error.problems:
            yield (*path, *inner), text
    elif isinstance(error, ForbiddenExtraKeysError):
        for key in sorted(error.extra_fields):
            yield (
                (*path, key),
                unknown_key(key, [one.name for one in attrs.fields(error.cl) if _is_key(one)]),
            )
    elif isinstance(error, KeyError):
        yield path, "is required"
    else:
        members, others = error.group_exceptions()
        for member, note in members:
            yield from _problems(member, (*path, note.name))
        for other in others:
            yield from _problems(other, path)


def _is_key(attribute: "attrs.Attribute[Any]") -> bool:
    """Return whether a key of the file sets an attribute."""
    return attribute.init and attribute.name != "reference"


def unknown_key(key: str, known: Collection[str]) -> str:
    """Return the problem of a key that does not exist, with a suggestion."""
    if key in _HINTS:
        return f"is not a key: {_HINTS[key]}"
    close = get_close_matches(key.lower().replace("-", "_"), known, n=1)
    if close:
        return f"is not a key: did you mean {close[0]}?"
    return f"is not a key: the keys are {', '.join(known)}"


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    readers: dict[Any, Callable[[Any, Any], Any]] = {
        timedelta: _read_span,
        timedelta | None: _read_span,
        Severity: _read_severity,
        Selection: _read_selection,
        Action | None: _one_of(get_args(Action)),
        StepAction: _one_of(get_args(StepAction)),
        Schedule | None: _one_of(get_args(Schedule)),
        Status: _one_of(get_args(Status)),
        str | None: _read_text,
        tuple[str, ...]: _read_patterns,
    }
    for kind, reader in readers.items():
        converter.register_structure_hook_func(_is(kind), reader)
    converter.register_structure_hook(str, _read_text)
    converter.register_structure_hook(int, _read_max_changes)
    converter.register_structure_hook(bool, _read_bool)
    # The reader of a table looks up those of its members at once, so the inner tables come first.
    tables: dict[Any, tuple[Any, Check]] = {
        tuple[Step, ...]: (Step, lambda _: iter(())),
        tuple[PolicyRule, ...]: (PolicyRule, _check_rule),
        tuple[Cleanup, ...]: (Cleanup, _check_cleanup),
        tuple[SampleToken, ...]: (SampleToken, _check_sample),
        tuple[PolicyTest, ...]: (PolicyTest, lambda _: iter(())),
    }
    for kinds, (kind, check) in tables.items():
        converter.register_structure_hook_func(_is(kind), _table_reader(kind, converter, check))
        converter.register_structure_hook_func(_is(kinds), _list_reader(kind, converter))
    read_contents = _table_reader(_Contents, converter, _check_contents)
    converter.register_structure_hook_func(_is(_Contents), read_contents)
    return converter


def _is(kind: object) -> Callable[[Any], bool]:
    return lambda other: other == kind


# --- Tables ----------------------------------------------------------------------------------


def _table_reader(kind: Any, converter: Converter, check: Check) -> Callable[[Any, Any], Any]:
    """Return a reader of a table, which finds the problems of its members and of the whole."""
    hidden: dict[str, Any] = {
        one.name: override(omit=True) for one in attrs.fields(kind) if not _is_key(one)
    }
    read_members = make_dict_structure_fn(
        kind,
        converter,
        _cattrs_forbid_extra_keys=True,
        _cattrs_detailed_validation=True,
        **hidden,
    )

    def read(value: Any, _: Any) -> Any:
        _require(value, dict, "a table")
        problems: list[Problem] = []
        made = None
        try:
            made = read_members(value, kind)
        except ClassValidationError as error:
            problems += _problems(error)
        wrong = {path for path, _ in problems}
        problems += [problem for problem in check(value) if problem[0] not in wrong]
        if problems:
            raise Wrong(problems)
        return made

    return read


def _list_reader(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    """Return a reader of a list of tables."""

    def read(value: Any, _: Any) -> Any:
        _require(value, list, "a list of tables")
        found: list[Any] = []
        problems: list[Problem] = []
        for number, item in enumerate(value):
            try:
                found.append(converter.structure(item, kind))
            except Wrong as error:
                problems += _problems(error, (number,))
        if problems:
            raise Wrong(problems)
        return tuple(found)

    return read


def _check_contents(data: dict[str, Any]) -> Iterator[Problem]:
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


def _check_rule(data: dict[str, Any]) -> Iterator[Problem]:
    yield from _check_name(data)
    message = data.get("message")
    if isinstance(message, str) and len(message) > MAX_MESSAGE_LENGTH:
        yield ("message",), f"has {len(message)} characters: the maximum is {MAX_MESSAGE_LENGTH}"


def _check_name(data: dict[str, Any]) -> Iterator[Problem]:
    name = data.get("name")
    if isinstance(name, str) and name.strip() and not _NAME.fullmatch(name):
        text = f"must be up to {MAX_NAME_LENGTH} letters, digits, hyphens and underscores"
        yield ("name",), f'{text}, but it is "{shortened(name)}"'


def _check_cleanup(data: dict[str, Any]) -> Iterator[Problem]:
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
    yield from _check_selected(data.get("select"))
    yield from _check_protected(data.get("select"), data.get("protect"))


def _check_selected(select: object) -> Iterator[Problem]:
    """Yield whether a selection says only which tokens it leaves out."""
    if not isinstance(select, dict) or not select:
        return
    try:
        selection = _read_selection(select, Selection)
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
    if len(steps) < 2:  # noqa: PLR2004 -- one step is no ladder
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
        if number == 0 and "after" in step:
            yield ("steps", 0, "after"), "the first step has no step before it: leave after out"
        if number > 0 and "after" not in step:
            yield (
                ("steps", number, "after"),
                'is required: write how long after the step before, such as after = "30d"',
            )


def _check_sample(data: dict[str, Any]) -> Iterator[Problem]:
    if "expires" in data and "expired" in data:
        yield ("expired",), "contradicts expires: a token has one expiration date"


# --- Values ----------------------------------------------------------------------------------


def _type_name(value: Any) -> str:
    return _TYPE_NAMES[type(value)]


def _require(value: Any, kind: type, name: str) -> None:
    """Check the type of a value.

    Raises:
        Wrong: It has another type.
    """
    if type(value) is not kind:
        raise Wrong([((), f"must be {name}, but it is {_type_name(value)}")])


def _read_text(value: Any, _: Any) -> str:
    _require(value, str, "a string")
    if not value.strip():
        raise Wrong([((), "must not be blank")])
    if not value.isprintable():
        raise Wrong([((), "must be one line without control characters")])
    return str(value)


def _read_max_changes(value: Any, _: Any) -> int:
    _require(value, int, "an integer")
    if value < 1:
        raise Wrong([((), f"must be at least 1, but it is {value}")])
    return int(value)


def _read_bool(value: Any, _: Any) -> bool:
    _require(value, bool, "true or false")
    return bool(value)


def _read_span(value: Any, _: Any) -> timedelta:
    _require(value, str, 'a duration, such as "90d"')
    try:
        span = parse_duration(value)
    except ValueError as error:
        raise Wrong([((), str(error))]) from None
    if not span:
        raise Wrong([((), f'"{value}" must be longer than 0')])
    return span


def _read_severity(value: Any, _: Any) -> Severity:
    return Severity(_one_of([one.value for one in Severity])(value, None))


def _one_of(values: Collection[str]) -> Callable[[Any, Any], str]:
    """Return a reader of one of a few words. It does not suggest deactivate for activate."""

    def read(value: Any, _: Any) -> str:
        _require(value, str, "a string")
        if value not in values:
            close = [] if value == "activate" else get_close_matches(value.lower(), values, n=1)
            hint = f": did you mean {close[0]}?" if close else ""
            text = f'must be one of {", ".join(values)}, but it is "{shortened(value)}"{hint}'
            raise Wrong([((), text)])
        return str(value)

    return read


def _read_patterns(value: Any, _: Any) -> tuple[str, ...]:
    _require(value, list, 'a list of strings, such as ["ci-*"]')
    problems: list[Problem] = []
    for number, pattern in enumerate(value):
        try:
            _read_text(pattern, str)
        except Wrong as error:
            problems += _problems(error, (number,))
    if problems:
        raise Wrong(problems)
    return tuple(value)


def _read_selection(value: Any, _: Any) -> Selection:
    _require(value, dict, "a table of conditions, such as { expired = true }")
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
            problems += _problems(error, (name,) if name else ())
    if problems:
        raise Wrong(problems)
    if parts["not"] and parts["not"].items() <= parts[""].items():
        raise Wrong([(("not",), "leaves out every token that the other conditions select")])
    return Selection(conditions=parts[""], any=parts["any"], exclude=parts["not"])


def _read_alternatives(value: Any) -> tuple[dict[str, Any], ...]:
    _require(value, list, "a list of tables, such as [{ expired = true }, { inactive = true }]")
    if len(value) < 2:  # noqa: PLR2004 -- one alternative is none
        raise Wrong([((), "must have at least 2 tables, one of which must match")])
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for number, item in enumerate(value):
        try:
            found.append(_read_conditions(item, ()))
        except Wrong as error:
            problems += _problems(error, (number,))
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
    _require(value, dict, "a table of conditions, such as { expired = true }")
    if not value:
        raise Wrong([((), "must have a condition")])
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, member in value.items():
        try:
            found[name] = _read_condition(name, member, also_known)
        except Wrong as error:
            problems += _problems(error, (name,))
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
            found = "false" if value is False else _type_name(value)
            text = (
                f"must be true, but it is {found}: leave it out, or use not = {{ {name} = true }}"
            )
            raise Wrong([((), text)])
        return True
    if predicate.kind == "duration":
        return _read_span(value, None)
    if value == []:
        raise Wrong([((), "must have a pattern")])
    patterns = _read_patterns(value, None)
    if matches_everything(patterns):
        verb = "leaves out" if predicate.excludes else "matches"
        raise Wrong([((), f"{verb} every token: leave it out, or write a narrower pattern")])
    return patterns
