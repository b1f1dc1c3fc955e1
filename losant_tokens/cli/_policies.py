"""Policy files for the commands: reading them, and printing their contents and mistakes."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from typing import Any

from losant_tokens import ApiToken, policy
from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._terminal.console import (
    fit_lines,
    print_error,
    print_status,
    print_warning,
    write_output,
)
from losant_tokens.cli._terminal.format import escaped, format_count, format_number
from losant_tokens.cli._terminal.tables import Cell, Row, format_table

DEFAULT_FILE = Path("policy.toml")
_MAX_SHOWN = 5  # tokens of a rule or clean-up
_STYLES = {"info": "", "low": "cyan", "medium": "yellow", "high": "red", "critical": "red"}


# --- Reading ---------------------------------------------------------------------------------


def read_policy(path: Path) -> policy.Policy:
    """Return a policy, and print a warning if every user can change its file.

    Raises:
        PolicyError: The file has mistakes.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", policy.PolicyWarning)
        loaded = policy.load(path)
    for warning in caught:
        print_warning(str(warning.message))
    return loaded


def named_file(path: Path | None) -> Path:
    """Return the policy file that an argument names. Default: `policy.toml`.

    Raises:
        UsageError: No file is named, and there is no `policy.toml`.
    """
    if path is None and not DEFAULT_FILE.exists():
        raise UsageError(f"{DEFAULT_FILE} does not exist", "name the policy file")
    return path or DEFAULT_FILE


def valid_policy(path: Path, hint: str = "") -> policy.Policy:
    """Return a policy for a command that does something with it.

    Args:
        path: The file.
        hint: What to do if it does not exist.

    Raises:
        CommandError: The file has mistakes, or cannot be read.
    """
    try:
        return read_policy(path)
    except FileNotFoundError:
        raise CommandError(f"{escaped(str(path))} does not exist", hint) from None
    except policy.PolicyError as error:
        if len(error.mistakes) == 1:
            (line,) = error.lines()
            raise CommandError(escaped(line)) from None
        raise CommandError(
            f"{escaped(str(path))} has {mistake_count(error)}",
            f"to see them: losant-tokens policy check {quote(escaped(str(path)))}",
        ) from None


def find_cleanup(path: Path | None, name: str, option: str = "--policy-file") -> policy.Cleanup:
    """Return a clean-up of a policy file.

    Args:
        path: The file. Default: `policy.toml`.
        name: The name of the clean-up.
        option: The option that names the file, for messages.

    Raises:
        UsageError: There is no such clean-up.
        CommandError: The file has mistakes, or cannot be read.
    """
    if path is None and name.endswith(".toml"):
        raise UsageError(
            f"{escaped(name)} is a file, and this needs the name of a clean-up",
            f"name the file: CLEANUP {option} {escaped(name)}",
        )
    path = path or DEFAULT_FILE
    loaded = valid_policy(path, f"name the policy file: {option} FILE")
    names = [one.name for one in loaded.cleanups]
    if name not in names:
        known = f"its clean-ups are {', '.join(names)}" if names else "it has none"
        close = get_close_matches(name, names, n=1)
        suggestion = f". Did you mean {close[0]}?" if close else ""
        raise UsageError(
            f'{escaped(str(path))} has no clean-up "{escaped(name)}"{suggestion}', known
        )
    return loaded.cleanups[names.index(name)]


def describe_warning(result: "policy.WarningResult", receiver: str, *, is_dry_run: bool) -> str:
    """Return what `policy warn` did, as a sentence."""
    count, before = len(result.tokens), result.warned_before
    earlier = f"; {format_count(before)} before" if before else ""
    if result.left_out:
        earlier += f"; {format_count(result.left_out)} left for the next run"
    if not count:
        return f"No new token to warn about{earlier}."
    if is_dry_run:
        return (
            f"{format_count(count)} to warn about{earlier}. Nothing was sent or recorded: choose a "
            "receiver, such as --to-command."
        )
    return f"Warned about {format_count(count)} by {receiver}{earlier}."


def read_tokens(path: Path) -> Sequence[ApiToken]:
    """Return the tokens of a snapshot.

    Raises:
        CommandError: The file is not a snapshot.
    """
    try:
        return policy.read_snapshot(path)
    except policy.PolicyError as error:
        more = len(error.mistakes) - 1
        others = f" ({format_number(more, 'other token')} cannot be read, too)" if more else ""
        raise CommandError(
            f"{escaped(error.lines()[0])}{others}",
            "write a snapshot with: losant-tokens list --json > tokens.json",
        ) from None


def mistake_count(error: policy.PolicyError) -> str:
    """Return the number of mistakes, such as `1 mistake`."""
    return format_number(len(error.mistakes), "mistake")


def mistake_lines(error: policy.PolicyError) -> str:
    """Return each mistake as a line, wrapped on a terminal."""
    lines = fit_lines(map(escaped, error.lines()), indent="    ")
    return "".join(f"{line}\n" for line in lines)


# --- Contents --------------------------------------------------------------------------------


def show_policy(loaded: policy.Policy) -> None:
    """Write the rules and the clean-ups of a policy as tables."""
    tables = []
    if loaded.rules:
        rules = [(rule.name, _severity(rule.severity), str(rule.rule())) for rule in loaded.rules]
        tables.append(_table(("RULE", "SEVERITY", "TOKENS"), rules))
    if loaded.cleanups:
        tables.append(_cleanups_table(loaded.cleanups))
    write_output("\n".join(tables))


def fleet_notes(loaded: policy.Policy) -> Iterator[str]:
    """Yield a sentence for each clean-up that a fleet refuses."""
    for cleanup in loaded.cleanups:
        if not cleanup.is_for_fleets:
            yield (
                f"A fleet refuses {escaped(cleanup.name)}, because its step warn has no webhook. "
                f"Run it on one machine, or give the step webhook or webhook_env for a fleet."
            )


def _cleanups_table(cleanups: Sequence[policy.Cleanup]) -> str:
    """Return a table of clean-ups. It has the columns of a fleet if the file has their keys."""
    columns = {
        "CLEAN-UP": [one.name for one in cleanups],
        "ACTION": [describe_action(one) for one in cleanups],
        "MAX": [f"{one.max_changes:,}" for one in cleanups],
        "SCHEDULE": [_schedule(one) for one in cleanups],
        "APPROVAL": [str(one.approval) for one in cleanups],
        "ACCOUNTS": [", ".join(one.accounts) for one in cleanups],
        "TOKENS": [str(one.rule()) for one in cleanups],
    }
    if all(one.approval.is_manual for one in cleanups):
        del columns["APPROVAL"]
    if all(one.accounts == ("*",) for one in cleanups):
        del columns["ACCOUNTS"]
    rows = list(zip(*columns.values(), strict=True))
    return _table(tuple(columns), rows, numbers=("MAX",))


def _schedule(cleanup: policy.Cleanup) -> str:
    zone = "" if cleanup.time_zone == "UTC" else f", {cleanup.time_zone}"
    return "-" if cleanup.schedule is None else f"{cleanup.schedule}{zone}"


def policy_counts(loaded: policy.Policy) -> str:
    """Return the numbers of entries: `1 rule, 2 clean-ups and 0 tests`."""
    rules, cleanups, tests = map(len, (loaded.rules, loaded.cleanups, loaded.tests))
    counts = (format_number(rules, "rule"), format_number(cleanups, "clean-up"))
    return f"{', '.join(counts)} and {format_number(tests, 'test')}"


def describe_action(cleanup: policy.Cleanup) -> str:
    """Return what a clean-up does: `warn, deactivate after 14d, delete after 30d`."""
    if cleanup.action is not None:
        grace = "" if cleanup.grace is None else f", grace {_span(cleanup.grace)}"
        return f"{cleanup.action}{grace}"
    return ", ".join(
        f"{step.action} after {_span(step.after)}" if step.after else step.action
        for step in cleanup.steps
    )


def _span(span: timedelta) -> str:
    hours = span // timedelta(hours=1)
    return f"{hours}h" if hours % 24 else f"{hours // 24}d"


def _severity(severity: policy.Severity) -> Cell:
    return Cell(str(severity), _STYLES[str(severity)])


def _table(headers: Sequence[str], rows: Iterable[Row], numbers: Sequence[str] = ()) -> str:
    return format_table(headers, rows, wrap="TOKENS", numbers=numbers)


# --- Tests and snapshots ---------------------------------------------------------------------


def show_results(
    results: Sequence[policy.PolicyTestResult], matches: Sequence[policy.EntryMatches] | None
) -> None:
    """Write the results of tests, and the matches of a snapshot if there is one."""
    if results:
        _show_tests(results)
    if results and matches is not None:
        write_output("\n")
    if matches is not None:
        _show_matches(matches)


def print_totals(results: Sequence[policy.PolicyTestResult]) -> None:
    """Print the number of tests that passed, and an error if some failed."""
    failed = sum(not result.passed for result in results)
    total = format_number(len(results), "test")
    if failed:
        print_error(CommandError(f"{failed:,} of {total} failed"))
    elif results:
        print_status(f"{total} passed.")


def _show_tests(results: Sequence[policy.PolicyTestResult]) -> None:
    """Write one line for each test, with the reason of a failure."""
    rows = [
        (
            result.test.name,
            Cell("passed", "green") if result.passed else Cell("failed", "red"),
            "; ".join(_differences(result)),
        )
        for result in results
    ]
    write_output(format_table(("TEST", "RESULT", "PROBLEM"), rows, wrap="PROBLEM"))


def _differences(result: policy.PolicyTestResult) -> Iterator[str]:
    if result.missing:
        yield f"expected, but not matching: {', '.join(result.missing)}"
    if result.unexpected:
        yield f"matching, but not expected: {', '.join(result.unexpected)}"


def _show_matches(matches: Sequence[policy.EntryMatches]) -> None:
    """Write how many tokens of a snapshot match each rule and clean-up, and some of them."""
    rows: list[Row] = [
        (
            one.entry.name,
            _kind(one.entry),
            f"{len(one.tokens):,}",
            f"{one.unknown:,}" if one.unknown else "-",
            ", ".join(_some_names(one)) or "-",
        )
        for one in matches
    ]
    headers = ("NAME", "KIND", "TOKENS", "UNKNOWN", "NAMES")
    table = format_table(headers, rows, wrap="NAMES", numbers=("TOKENS", "UNKNOWN"))
    write_output(table)
    for one in matches:
        if one.exceeds_max_changes and isinstance(one.entry, policy.Cleanup):
            print_warning(
                f"{one.entry.name} would be refused, because it selects "
                f"{format_count(len(one.tokens))} and max_changes is {one.entry.max_changes:,}."
            )


def _kind(entry: policy.PolicyRule | policy.Cleanup) -> str:
    return f"rule, {entry.severity}" if isinstance(entry, policy.PolicyRule) else "clean-up"


def _some_names(one: policy.EntryMatches) -> list[str]:
    names = [token.name for token in one.tokens[:_MAX_SHOWN]]
    more = len(one.tokens) - len(names)
    return [*names, f"and {more:,} more"] if more else names


# --- JSON ------------------------------------------------------------------------------------


def mistakes_as_json(error: policy.PolicyError) -> list[dict[str, Any]]:
    """Return the mistakes of a file as plain values."""
    return [{"line": one.line, "path": one.path, "message": one.message} for one in error.mistakes]


def tests_as_json(results: Sequence[policy.PolicyTestResult]) -> list[dict[str, Any]]:
    """Return the results of tests as plain values."""
    return [
        {
            "name": result.test.name,
            "passed": result.passed,
            "missing": list(result.missing),
            "unexpected": list(result.unexpected),
        }
        for result in results
    ]


def matches_as_json(matches: Sequence[policy.EntryMatches]) -> list[dict[str, Any]]:
    """Return the matches of a snapshot as plain values, with the ids and names of all tokens."""
    return [
        {
            "name": one.entry.name,
            "kind": "rule" if isinstance(one.entry, policy.PolicyRule) else "cleanup",
            "unknown": one.unknown,
            "tokens": [{"id": token.id, "name": token.name} for token in one.tokens],
        }
        for one in matches
    ]
