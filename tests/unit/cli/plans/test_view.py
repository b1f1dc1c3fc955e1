"""Plans, totals and progress for people."""

import os
import pty
import re
import termios
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.cells import cell_len

from losant_tokens import Owner
from losant_tokens.cli._plans.footer import plan_status
from losant_tokens.cli._plans.groups import review
from losant_tokens.cli._plans.token_line import Page, relative_reason
from losant_tokens.cli._plans.view import plan_lines, plan_summary, totals_line
from losant_tokens.cli._terminal.format import format_seconds, relative_time
from losant_tokens.jobs import Entry, Outcome, Plan, journal_path
from losant_tokens.jobs._execution.journal import Journal
from losant_tokens.jobs._execution.plan_lock import PlanLock
from tests.support.reports import NOW, entry, report

PAGE = Page()
MINUTES = timedelta(minutes=5)

DONE = dict.fromkeys(Outcome, 0)


def shown(tmp_path: Path, *entries: Entry, page: Page = PAGE, **header: Any) -> str:
    """The summary of a plan with these tokens."""
    return plan_summary(planned(tmp_path, *entries, **header), page)


def planned(tmp_path: Path, *entries: Entry, **header: Any) -> Plan:
    """A plan with these tokens."""
    action = header.pop("action", "delete")
    return report(
        tmp_path, [None] * len(entries), entries=entries, header=header, action=action
    ).plan


def facts(text: str) -> list[str]:
    """The lines of a summary with facts about its groups."""
    return [line for line in text.splitlines() if line.startswith("    ")]


def test_reasons_are_grouped(tmp_path: Path) -> None:
    """Tokens whose reasons differ only in their dates are one group, with first and last date."""
    dates = ["2025-03-01", "2024-01-02", "2025-01-01"]
    tokens = [
        entry(number, f"ci-{number}", reason=f"expired on {date}, named 'x'")
        for number, date in enumerate(dates)
    ]

    text = shown(tmp_path, *tokens)

    assert "- delete 3 tokens of user: expired on 2024-01-02 to 2025-03-01, named 'x'\n" in text


def test_equal_dates(tmp_path: Path) -> None:
    """If all dates are the same, the date is shown once."""
    text = shown(tmp_path, *(entry(number, "same") for number in range(2)))

    assert "- delete 2 tokens of user: expired on 2025-01-02\n" in text


def test_facts_of_a_group(tmp_path: Path) -> None:
    """A group states its names, dates, creators and scopes, and who can create tokens."""
    dates = {"creation_date": NOW, "expiration_date": NOW}
    tokens = [
        entry(1, "ci-1", creator_name="ada", scope=("all.User.read",), **dates),
        entry(2, "ci-2", creator_name="ada", scope=("userApiTokens.post",), **dates),
        entry(3, "x", creator_id="c" * 24, scope=("all.User", "all.User.read")),
    ]

    assert facts(shown(tmp_path, *tokens)) == [
        "    Names       ci-* (2), x (1)",
        "    Examples    ci-1, ci-2, x",
        "    Created     2025-01-02 to 2026-03-01",
        "    Expires     2026-03-01, never (1)",
        f"    Creators    ada (2), {'c' * 24} (1)",
        "    Scopes      all.User.read (2), userApiTokens.post (1), all.User (1)",
        "    Can create  2 tokens: userApiTokens.post (1), all.User all.User.read (1)",
    ]


def test_group_without_facts(tmp_path: Path) -> None:
    """A group of tokens about which nothing is known states only examples and dates."""
    assert facts(shown(tmp_path, entry(1, "a", creation_date=None))) == [
        "    Examples    a",
        "    Created     unknown",
        "    Expires     never",
    ]


def test_unknown_creators(tmp_path: Path) -> None:
    """If only some creators are known, the others are counted as unknown."""
    text = shown(tmp_path, entry(1, creator_name="ada"), entry(2))

    assert "    Creators    ada (1), unknown (1)\n" in text


def test_examples(tmp_path: Path) -> None:
    """Four examples are chosen from the whole list of tokens."""
    text = shown(tmp_path, *(entry(number, str(number)) for number in range(1000)))

    (line,) = (line for line in text.splitlines() if line.startswith("    Examples"))
    *some, more = line.removeprefix("    Examples    ").split(", ")
    assert (len(set(some)), more) == (4, "...")
    assert max(map(int, some)) > 300


def test_names_are_counted_in_families(tmp_path: Path) -> None:
    """Names that differ only in their numbers are a family, and the largest ones are shown."""
    names = [f"{letter}-{number}" for letter in "abcdef" for number in range(ord(letter) - 95)]

    text = shown(tmp_path, *(entry(number, name) for number, name in enumerate(names)))

    assert "    Names       f-* (7), e-* (6), d-* (5), c-* (4), 2 more\n" in text


def test_number_of_families_is_limited(tmp_path: Path) -> None:
    """The memory for families of names does not grow without a limit."""
    names = [chr(0x4E00 + number) for number in range(1001)]

    text = shown(tmp_path, *(entry(number, name) for number, name in enumerate([*names, names[0]])))

    assert "(2), " in text
    assert " 996 more\n" in text


def test_protected_tokens(tmp_path: Path) -> None:
    """Protected tokens are kept and have their own reason; the largest group comes first."""
    tokens = [
        entry(0, protected="protected by 'x'", scope=("all.User",)),
        entry(1, reason="inactive"),
        entry(2),
        entry(3),
    ]

    text = shown(tmp_path, *tokens)

    assert [line for line in text.splitlines() if line[:2] in {"- ", "= "}] == [
        "- delete 2 tokens of user: expired on 2025-01-02",
        "- delete 1 token of user: inactive",
        "= keep 1 token of user: protected by 'x'",
        "= keep 4 tokens of user: not selected",
    ]
    assert "Can create" not in text


def test_many_reasons(tmp_path: Path) -> None:
    """A summary has a limited number of groups."""
    tokens = [entry(number, reason=f"reason {chr(65 + number)}") for number in range(20)]

    text = shown(tmp_path, *tokens)

    assert text.count("- delete 1 token of user: reason ") == 12
    assert "\n- delete 8 tokens: 8 other reasons\n" in text


def test_incomplete_plan(tmp_path: Path) -> None:
    """A plan shows why tokens may be missing, and why its token cannot apply it."""
    text = shown(
        tmp_path,
        entry(1),
        incomplete=("user: the API lists 1 token twice",),
        cannot_apply=("it is read-only",),
        token_expires_at=NOW,
    )

    assert "May miss:      user: the API lists 1 token twice\n" in text
    assert "Cannot apply:  it is read-only\n" in text
    assert "Expires:       the token in use: 2026-03-01 12:00 UTC\n" in text


def test_token_in_use_that_expires_later(tmp_path: Path) -> None:
    """A plan does not show when its token expires if the plan is too old before."""
    text = shown(tmp_path, entry(1), token_expires_at=NOW + timedelta(days=2))

    assert "the token in use: " not in text


def test_control_characters_in_a_plan(tmp_path: Path) -> None:
    """Control characters in a plan are escaped, in groups and in lines."""
    evil = "\x1b[2J"
    tokens = [
        entry(0, evil, reason=evil, creator_name=evil, scope=(evil,), description=evil),
        entry(1, evil, protected=evil, owner=Owner.user_oauth()),
    ]
    plan = planned(tmp_path, *tokens, rule=evil, protected=(evil,), token_in_use=evil)

    text = plan_summary(plan, PAGE) + "".join(plan_lines(plan, PAGE))

    assert "\x1b" not in text
    assert "Rule:          \\x1b[2J\nProtected:     \\x1b[2J\n" in text


@pytest.mark.parametrize(
    ("action", "start"),
    [("delete", "\x1b[31m- delete\x1b[0m "), ("deactivate", "\x1b[33m~ deactivate\x1b[0m ")],
)
def test_colors(tmp_path: Path, action: str, start: str) -> None:
    """With colors, each action has its own."""
    page = Page(has_color=True)

    text = shown(tmp_path, entry(1), action=action, page=page)

    assert f"\n{start}1 token of user: " in text
    assert "\n\x1b[2m= keep\x1b[0m 1 token of user: not selected\n" in text


def test_colors_do_not_count_as_characters(tmp_path: Path) -> None:
    """A line is wrapped at the same place with colors and without."""
    token = entry(1, reason="word " * 30)
    pages = [Page(70, is_terminal=True, has_color=color) for color in (False, True)]

    plain, with_colors = (shown(tmp_path, token, page=page) for page in pages)

    names = re.compile(r"plan \d+")  # The number of the plan differs.
    assert names.sub("", plain) == names.sub("", re.sub(r"\x1b\[\d*m", "", with_colors))


def test_path_is_not_wrapped(tmp_path: Path) -> None:
    """The path of a plan stays on its line, so that it can be copied."""
    text = shown(tmp_path, entry(1), page=Page(20, is_terminal=True))

    assert f"\nPlan:          {tmp_path}/plan 0.jsonl\n" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_summary_fits_a_terminal(tmp_path: Path, width: int) -> None:
    """No line of a summary is wider than the terminal."""
    tokens = [
        entry(number, f"{letter * 20}-{number}", scope=("all.User",), creator_name=letter * 30)
        for number, letter in enumerate("abcdefgh" * 2)
    ]

    text = shown(tmp_path, *tokens, page=Page(width, is_terminal=True), rule="named " * 40)

    shown_lines = [line for line in text.splitlines() if str(tmp_path) not in line]
    assert max(map(cell_len, shown_lines)) <= width


# --- The lines of tokens ---------------------------------------------------------------------


CI = entry(
    1,
    "ci-1",
    expiration_date=NOW - timedelta(days=800),
    reason=f"expired on {(NOW - timedelta(days=800)).date()}, named 'ci-*'",
    scope=("all.User.read", "userApiTokens.post"),
    creator_name="grace",
)


def lines(tmp_path: Path, *entries: Entry, page: Page = PAGE, **header: Any) -> list[str]:
    """The lines about the tokens of a plan, which was made now."""
    plan = planned(tmp_path, *entries, **{"created_at": datetime.now(UTC), **header})
    text = "".join(plan_lines(plan, page))
    return text.split("\n\n")[1].splitlines()


def relative(plan_entry: Entry) -> str:
    assert plan_entry.expiration_date is not None
    return relative_time(plan_entry.expiration_date, datetime.now(UTC))


def test_line_of_a_token(tmp_path: Path) -> None:
    """Without a terminal, a line has the whole id, the reason, the scopes and the creator."""
    (line,) = lines(tmp_path, CI)

    assert line == (
        f"- delete  ci-1  {CI.id}  expired {relative(CI)}, named 'ci-*'  "
        f"all.User.read, userApiTokens.post  can create tokens, created by grace"
    )


def test_selected_tokens_come_first(tmp_path: Path) -> None:
    """The lines are aligned, and those of protected tokens are last."""
    tokens = [entry(1, "prod", protected="protected by 'p*'"), entry(2, "ci-22"), entry(3, "漢")]

    assert [line[:17] for line in lines(tmp_path, *tokens, action="deactivate")] == [
        "~ deactivate  ci-",
        "~ deactivate  漢  ",
        "= keep        pro",
    ]


def test_last_lines_of_a_full_view(tmp_path: Path) -> None:
    """After the tokens, the full view has the tokens that are kept, and the totals."""
    plan = planned(tmp_path, CI, entry(2))

    text = "".join(plan_lines(plan, PAGE))

    assert "\n\n= keep 2 tokens of user: not selected\n\nPlan: 2 to delete, 2 to keep. " in text


def test_full_view_without_tokens(tmp_path: Path) -> None:
    """The full view of an empty plan has no lines for tokens."""
    text = "".join(plan_lines(planned(tmp_path), PAGE))

    assert "\n\nPlan: nothing to delete, 0 to keep. Made " in text


@pytest.mark.parametrize("width", [60, 80])
def test_narrow_terminal(tmp_path: Path, width: int) -> None:
    """On a narrow terminal, a token takes several lines, and nothing but its name is shortened."""
    page = Page(width, is_terminal=True)
    token = attrs.evolve(CI, name="n" * 90)

    found = lines(tmp_path, token, page=page)

    assert found[0].endswith(f"n…  {CI.id[:8]}…")
    words = " ".join(line.strip() for line in found[1:])
    assert words == (
        f"expired {relative(CI)}, named 'ci-*', all.User.read, userApiTokens.post, can create "
        f"tokens, created by grace"
    )
    assert max(map(cell_len, found)) <= width


@pytest.mark.parametrize(("width", "length"), [(100, 9), (149, 9), (150, 24)])
def test_wide_terminal(tmp_path: Path, width: int, length: int) -> None:
    """On a wide terminal, a token is one line that fits. It has the whole id if there is room."""
    page = Page(width, is_terminal=True)
    token = attrs.evolve(CI, name="n" * 90, creator_name="grace" * 20)

    (found,) = lines(tmp_path, token, page=page)

    assert cell_len(found) <= width
    assert found.startswith("- delete  nnn")
    assert cell_len(found.split("  ")[2]) == length


def test_token_that_can_create_tokens(tmp_path: Path) -> None:
    """With colors, the scopes of a token that can create tokens are red."""
    for width in (60, 200):
        page = Page(width, is_terminal=True, has_color=True)

        text = "".join(plan_lines(planned(tmp_path, CI, entry(2)), page))

        assert text.count("\x1b[31m") == 3


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("expires on 2026-03-04", "expires in 3 days"),
        ("created on 2025-03-01", "created 1 year ago"),
        ("last updated on 2025-03-02", "last updated 11 months ago"),
        ("quarantined on 2025-03-02", "quarantined 11 months ago"),
        ("expires on 2020-01-01", "expires on 2020-01-01"),
        ("expired on 2026-03-045", "expired on 2026-03-045"),
        ("inactive", "inactive"),
    ],
)
def test_relative_reason(reason: str, expected: str) -> None:
    """A date in a reason becomes a relative time, if it is a date of the token."""
    token = entry(
        1,
        reason=reason,
        expiration_date=NOW + timedelta(days=3),
        creation_date=NOW - timedelta(days=365),
        last_updated=NOW - timedelta(days=364),
    )

    assert relative_reason(token, NOW) == expected


@pytest.mark.parametrize("width", [100, 120])
def test_times_are_brief_in_one_line(tmp_path: Path, width: int) -> None:
    """On a terminal where a token has one line, a relative time is short, so it is not cut off."""
    expired = NOW - timedelta(days=800)
    reason = f"expired on {expired:%Y-%m-%d}, named 'ci-*'"
    token = attrs.evolve(CI, expiration_date=expired, reason=reason)

    (line,) = lines(tmp_path, token, page=Page(width, is_terminal=True))

    assert "  expired 2y ago" in line


def test_reason_with_a_date_that_is_missing() -> None:
    """A date stays in a reason if the token has no such date."""
    assert relative_reason(entry(1, reason="expired on 2020-01-01"), NOW) == "expired on 2020-01-01"


# --- The last line ---------------------------------------------------------------------------


def status(plan: Plan, *, age: timedelta = MINUTES, journal: bool = False) -> str:
    """The last line about a plan of this age."""
    now = plan.header.created_at + age
    return plan_status(plan, review(plan), now, journal_path(plan) if journal else None)


def test_status(tmp_path: Path) -> None:
    """The last line has the totals, the tokens that can create tokens, the creators and the age."""
    tokens = [attrs.evolve(CI, id=f"{number:024x}", scope=("a.read",)) for number in range(2, 4)]
    readers = [
        attrs.evolve(CI, id=f"{number:024x}", scope=("all.User.read",), creator_name="ada")
        for number in range(4, 6)
    ]

    assert status(planned(tmp_path, CI, *tokens, *readers)) == (
        "Plan: 5 to delete, 5 to keep. 1 of the 5 can create tokens; of 2, that is unknown. "
        "2 creators. Made 5 minutes ago, valid for 24 hours."
    )


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ([("all.User",)], "It can create tokens."),
        ([("all.User.read",)], "It cannot create tokens."),
        ([None], "It is unknown whether it can create tokens."),
        ([None, None], "It is unknown whether they can create tokens."),
        ([("all.User.read",)] * 2, "None of them can create tokens."),
        ([("all.User",)] * 2, "2 of the 2 can create tokens."),
    ],
)
def test_status_about_creating(tmp_path: Path, scopes: list[Any], expected: str) -> None:
    """The last line states whether the selected tokens can create tokens."""
    tokens = [entry(number, scope=scope) for number, scope in enumerate(scopes)]

    assert f" to keep. {expected} Made " in status(planned(tmp_path, *tokens))


def test_status_of_an_old_plan(tmp_path: Path) -> None:
    """The last line states that a plan is no longer valid."""
    assert status(planned(tmp_path, entry(1)), age=timedelta(hours=25)).endswith(
        "Made 1 day ago, no longer valid: a plan is valid for 24 hours. Make a new one, or apply "
        "it with --max-age."
    )


def test_status_of_a_refused_plan(tmp_path: Path) -> None:
    """The last line states that a plan was refused."""
    plan = planned(tmp_path, entry(1), refused=("too many",))

    assert status(plan).endswith("Made 5 minutes ago, and refused.")
    assert "Plan: " not in plan_summary(plan, PAGE).partition("\n\n")[0]


@pytest.mark.parametrize(
    ("outcomes", "age", "expected"),
    [
        ([], 1, ", started, 2 left: apply it with --resume."),
        ([Outcome.DONE], 1, ", started, 1 left: apply it with --resume."),
        ([Outcome.DONE], 30, ", started, 1 left: apply it with --resume and --max-age."),
        ([Outcome.DONE, Outcome.GONE], 30, ", and applied: complete."),
    ],
)
def test_status_of_a_job(tmp_path: Path, outcomes: list[Outcome], age: int, expected: str) -> None:
    """The last line states whether a plan was started, or is complete."""
    plan = planned(tmp_path, entry(1), entry(2))
    with Journal.open(plan, journal_path(plan), resume=False) as journal:
        for number, outcome in enumerate(outcomes):
            journal.record_outcome(number, outcome)

    assert status(plan, age=timedelta(hours=age), journal=True).endswith(f" ago{expected}")


def test_status_of_a_running_job(tmp_path: Path) -> None:
    """The last line states that a plan is being applied now."""
    plan = planned(tmp_path, entry(1))
    with closing(PlanLock.acquire(plan.digest, plan.header.base_url)):
        assert status(plan, journal=True).endswith("Made 5 minutes ago, and being applied now.")


def test_status_with_an_unreadable_journal(tmp_path: Path) -> None:
    """A journal that cannot be read does not hide the plan."""
    plan = planned(tmp_path, entry(1))
    journal_path(plan).write_text("x\n")

    assert status(plan, journal=True).endswith("Made 5 minutes ago, valid for 24 hours.")


# --- Totals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([Outcome.DONE], "Deleted 1, left alone 0, failed 0: 10.0 seconds, 2 requests per second."),
        (
            list(Outcome),
            "Deleted 1, left alone 3 (1 changed, 1 gone, 1 protected), failed 1, in doubt 1: ",
        ),
        ([None, Outcome.DONE], "Deleted 1, left alone 0, failed 0, not started 1: "),
    ],
)
def test_totals(tmp_path: Path, outcomes: list[Outcome | None], expected: str) -> None:
    """The totals of a job are one line."""
    assert totals_line(report(tmp_path, outcomes))[: len(expected)] == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "?"),
        (0.2, "1 s"),
        (59, "59 s"),
        (61, "1 min"),
        (3599, "1 h 00 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_format_seconds(seconds: float | None, expected: str) -> None:
    """An estimate has a unit that fits its size."""
    assert format_seconds(seconds) == expected


def test_page_of_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan fits the terminal that it is written to, even if stdout is a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = pty.openpty()
    with os.fdopen(ours), os.fdopen(theirs, "w") as stderr:
        termios.tcsetwinsize(theirs, (24, 60))

        assert Page.of(stderr).width == 60
