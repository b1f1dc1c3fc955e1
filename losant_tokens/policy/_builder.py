"""Build a policy from the values of a TOML file, and find all mistakes in them.

cattrs builds the classes and collects the problems of all members. The readers of `_values` and
`_select_table` read the members, and `_table_checks` checks a table as a whole.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, get_args

import attrs
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from losant_tokens import jobs
from losant_tokens._utils.secret import Secret
from losant_tokens.policy._approval import Approval
from losant_tokens.policy._approval_table import read_approval, read_webhook
from losant_tokens.policy._select_table import read_selection
from losant_tokens.policy._selection import Selection
from losant_tokens.policy._severity import Severity
from losant_tokens.policy._table_checks import (
    check_cleanup,
    check_contents,
    check_rule,
    check_sample,
)
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
    TimeZone,
)
from losant_tokens.policy._values import (
    Path,
    Problem,
    Wrong,
    one_of,
    read_bool,
    read_max_changes,
    read_patterns,
    read_schedule,
    read_severity,
    read_span,
    read_text,
    read_time_zone,
    require,
    unknown_key,
)

Check = Callable[[dict[str, Any]], Iterator[Problem]]


@attrs.frozen
class _Contents:
    """The tables of a policy file."""

    rules: tuple[PolicyRule, ...] = ()
    cleanups: tuple[Cleanup, ...] = ()
    tests: tuple[PolicyTest, ...] = ()


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


def _problems(error: Any, path: Path = ()) -> Iterator[Problem]:
    """Yield the problems of an error of cattrs or of a reader."""
    if isinstance(error, Wrong):
        yield from error.below(*path)
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


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    readers: dict[Any, Callable[[Any, Any], Any]] = {
        timedelta: read_span,
        timedelta | None: read_span,
        Severity: read_severity,
        Selection: read_selection,
        Action | None: one_of(get_args(Action)),
        StepAction: one_of(get_args(StepAction)),
        Schedule | None: read_schedule,
        TimeZone: read_time_zone,
        Approval: read_approval,
        Status: one_of(get_args(Status)),
        Secret | None: lambda value, _: read_webhook(read_text(value, None)),
        str | None: read_text,
        tuple[str, ...]: read_patterns,
    }
    for kind, reader in readers.items():
        converter.register_structure_hook_func(_is(kind), reader)
    converter.register_structure_hook(str, read_text)
    converter.register_structure_hook(int, read_max_changes)
    converter.register_structure_hook(bool, read_bool)
    # The reader of a table looks up those of its members at once, so the inner tables come first.
    tables: dict[Any, tuple[Any, Check]] = {
        tuple[Step, ...]: (Step, lambda _: iter(())),
        tuple[PolicyRule, ...]: (PolicyRule, check_rule),
        tuple[Cleanup, ...]: (Cleanup, check_cleanup),
        tuple[SampleToken, ...]: (SampleToken, check_sample),
        tuple[PolicyTest, ...]: (PolicyTest, lambda _: iter(())),
    }
    for kinds, (kind, check) in tables.items():
        converter.register_structure_hook_func(_is(kind), _table_reader(kind, converter, check))
        converter.register_structure_hook_func(_is(kinds), _list_reader(kind, converter))
    read_contents = _table_reader(_Contents, converter, check_contents)
    converter.register_structure_hook_func(_is(_Contents), read_contents)
    return converter


def _is(kind: object) -> Callable[[Any], bool]:
    return lambda other: other == kind


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
        require(value, dict, "a table")
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
        require(value, list, "a list of tables")
        found: list[Any] = []
        problems: list[Problem] = []
        for number, item in enumerate(value):
            try:
                found.append(converter.structure(item, kind))
            except Wrong as error:
                problems += error.below(number)
        if problems:
            raise Wrong(problems)
        return tuple(found)

    return read
