"""Reading policy files."""

# ruff: noqa: E501 -- a mistake and its message are one line

import pickle
from datetime import timedelta
from pathlib import Path

import pytest

from losant_tokens import Secret, policy
from losant_tokens._utils.private_files import UnfitFileError
from losant_tokens.errors import ValidationError
from tests.support.policies import (
    CLEANUP,
    LADDER,
    RULE,
    SAMPLE,
    load_policy,
    mistakes,
    places,
    write_policy,
)


def test_contents(tmp_path: Path) -> None:
    """A policy has the rules and clean-ups of its file, and the digest of the file."""
    loaded = load_policy(tmp_path, RULE + CLEANUP + LADDER)

    (rule,), (old, stale) = loaded.rules, loaded.cleanups
    assert (rule.name, rule.severity, rule.message) == (
        "never-expires",
        policy.Severity.HIGH,
        "The token never expires.",
    )
    assert (old.action, old.max_changes, old.steps, old.protect) == ("deactivate", 50, (), ())
    assert str(old.rule()) == "named 'ci-*' and older than 90 days"
    assert (stale.action, stale.schedule, stale.protect) == (None, "weekly", ("svc-*",))
    assert [(step.action, step.after / timedelta(days=1)) for step in stale.steps] == [
        ("warn", 0),
        ("deactivate", 14),
        ("delete", 30),
    ]
    assert loaded.file == str(tmp_path / "policy.toml")
    assert loaded.digest.startswith("sha256:")
    assert len(loaded.digest) == 71


def test_fleet_keys(tmp_path: Path) -> None:
    """A clean-up says when a fleet runs it, for which accounts, and who approves its plans."""
    text = (
        'schedule = " 0  4 * * mon-fri"\ntime_zone = "Europe/Berlin"\naccounts = ["prod-*"]\n'
        'approval = { auto_below = 50, webhook = "https://example.com/s3cret", secret_env = "KEY" }\n'
        'approve_within = "3d"\n'
    )
    other = CLEANUP.replace("old-ci", "other")

    set_, default = load_policy(tmp_path, CLEANUP + text + other).cleanups

    assert (set_.cron, set_.time_zone) == ("0 4 * * mon-fri", "Europe/Berlin")
    assert (set_.accounts, set_.approve_within) == (("prod-*",), timedelta(days=3))
    approval = set_.approval
    assert (approval.auto_below, approval.secret_env) == (50, "KEY")
    assert approval.webhook == Secret("https://example.com/s3cret")
    assert str(approval) == "auto below 50, webhook"
    assert "s3cret" not in repr(set_)
    assert (default.cron, default.time_zone) == (None, "UTC")
    assert (default.accounts, default.approve_within) == (("*",), timedelta(days=7))
    assert default.approval == policy.Approval()
    assert (str(default.approval), default.approval.is_manual) == ("manual", True)


def test_webhook_of_a_warning(tmp_path: Path) -> None:
    """The step warn has a webhook for a fleet, whose URL is not shown."""
    keys = '"warn", webhook = "https://example.com/s3cret", secret_env = "KEY"'
    by_url = load_policy(tmp_path, LADDER.replace('"warn"', keys)).cleanups[0]
    by_name = load_policy(
        tmp_path, LADDER.replace('"warn"', '"warn", webhook_env = "URL"')
    ).cleanups[0]
    without = load_policy(tmp_path, LADDER).cleanups[0]
    other = load_policy(tmp_path, CLEANUP).cleanups[0]

    assert (by_url.steps[0].webhook, by_url.steps[0].secret_env) == (
        Secret("https://example.com/s3cret"),
        "KEY",
    )
    assert "s3cret" not in repr(by_url)
    assert by_name.steps[0].webhook_env == "URL"
    found = [one.is_for_fleets for one in (by_url, by_name, without, other)]
    assert found == [True, True, False, True]


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [
        ("hourly", "0 * * * *"),
        ("daily", "0 0 * * *"),
        ("weekly", "0 0 * * 0"),
        ("monthly", "0 0 1 * *"),
        ("*/15 8-18/2 1,15 jan-MAR 1-7", "*/15 8-18/2 1,15 jan-MAR 1-7"),
        ("0 0 31 2 mon", "0 0 31 2 mon"),
    ],
)
def test_schedules(tmp_path: Path, schedule: str, cron: str) -> None:
    """A schedule is a word or a cron expression."""
    (cleanup,) = load_policy(tmp_path, f'{CLEANUP}schedule = "{schedule}"\n').cleanups

    assert cleanup.cron == cron


def test_manual_approval(tmp_path: Path) -> None:
    """The word manual is the default approval."""
    (cleanup,) = load_policy(tmp_path, f'{CLEANUP}approval = "manual"\n').cleanups

    assert cleanup.approval == policy.Approval()


def test_accounts(tmp_path: Path) -> None:
    """A clean-up applies to the accounts that its patterns match, in the order of the accounts."""
    text = f'{CLEANUP}accounts = ["test", "prod-*"]\n'
    (cleanup,) = load_policy(tmp_path, text).cleanups

    assert cleanup.select_accounts(["prod-eu", "dev", "test"]) == ("prod-eu", "test")
    assert [cleanup.applies_to(name) for name in ("prod-us", "dev")] == [True, False]


@pytest.mark.parametrize(
    ("names", "known"),
    [(["prod-eu", "prod-us"], "the accounts are prod-eu, prod-us"), ([], "there is none")],
)
def test_unknown_account(tmp_path: Path, names: list[str], known: str) -> None:
    """A pattern that matches no account is an error, because it may be misspelled."""
    (cleanup,) = load_policy(tmp_path, f'{CLEANUP}accounts = ["prod-*", "tset"]\n').cleanups
    pattern = "tset" if names else r"prod-\*"

    with pytest.raises(ValidationError, match=f"'{pattern}', which is .* no account: {known}$"):
        cleanup.select_accounts(names)


def test_thirty_mistakes(tmp_path: Path) -> None:
    """Each of 30 mistakes in a file is reported with its place, in the order of the file."""
    text = "".join(
        f'[[rules]]\nname = "r{n}"\nselect = {{ older_than = "{n}x" }}\nseverity = "hgh"\n'
        for n in range(10)
    )

    assert [(one.line, one.path) for one in mistakes(tmp_path, text)] == [
        place
        for n in range(10)
        for place in (
            (4 * n + 1, f"rules[{n}].message"),
            (4 * n + 3, f"rules[{n}].select.older_than"),
            (4 * n + 4, f"rules[{n}].severity"),
        )
    ]


CASES = [
    ("", "None: the file has no rules and no cleanups: add a table [[rules]] or [[cleanups]]"),
    ("rules = []", "None: the file has no rules and no cleanups: add a table [[rules]] or [[cleanups]]"),
    ("[rules]\nname = 1", "1: rules: must be a list of tables, but it is a table"),
    (f"{RULE}[cleanup]", "7: cleanup: is not a key: did you mean cleanups?"),
    (f"{RULE}[owners]", "7: owners: is not a key: pass the owners to the command"),
    (RULE + RULE, '9: rules[1].name: "never-expires" is already the name of rules[0]'),
    (RULE.replace("high", "severe"), '5: rules[0].severity: must be one of info, low, medium, high, critical, but it is "severe"'),
    (RULE.replace('"high"', "1"), "5: rules[0].severity: must be a string, but it is a number"),
    (RULE.replace("The token", "x" * 500), "6: rules[0].message: has 515 characters: the maximum is 500"),
    (RULE.replace("never-expires", "never expires"), '3: rules[0].name: must be up to 64 letters, digits, hyphens and underscores, but it is "never expires"'),
    (RULE.replace("{ never_expires = true }", "1"), "4: rules[0].select: must be a table of conditions, such as { expired = true }, but it is a number"),
    (CLEANUP.replace('action = "deactivate"', ""), '2: cleanups[0]: needs action = "deactivate" or action = "delete", or steps'),
    (CLEANUP.replace("deactivate", "activate"), '5: cleanups[0].action: must be one of deactivate, delete, but it is "activate"'),
    (CLEANUP.replace("deactivate", "delet"), '5: cleanups[0].action: must be one of deactivate, delete, but it is "delet": did you mean delete?'),
    (CLEANUP.replace("deactivate", "delete"), "2: cleanups[0].protect: is required if tokens are deleted: write protect = [] if none needs protection"),
    (CLEANUP.replace('"deactivate"', "[]"), "5: cleanups[0].action: must be a string, but it is a list"),
    (RULE.replace('"never-expires"', "1") + SAMPLE, '3: rules[0].name: must be a string, but it is a number; 11: tests[0].expect[0]: "never-expires" is the name of no rule and no clean-up'),
    (CLEANUP.replace("max_changes = 50", ""), "2: cleanups[0].max_changes: is required"),
    (CLEANUP.replace("50", "0"), "6: cleanups[0].max_changes: must be at least 1, but it is 0"),
    (CLEANUP.replace("50", "1.5"), "6: cleanups[0].max_changes: must be an integer, but it is a number"),
    (CLEANUP.replace("50", "true"), "6: cleanups[0].max_changes: must be an integer, but it is true or false"),
    (CLEANUP.replace('"deactivate"', '"delete"\nprotect = []\ngrace = "1d"'), '7: cleanups[0].grace: is only for action = "deactivate"'),
    (CLEANUP + 'protect = ["*"]', "7: cleanups[0].protect: protects every token, so the clean-up would never change one"),
    (CLEANUP + 'protect = ["ci-*"]', "7: cleanups[0].protect: protects all names of select.named, so the clean-up changes no token"),
    (CLEANUP.replace("select", "#"), "2: cleanups[0].select: is required"),
    (CLEANUP.replace("90d", "90"), '4: cleanups[0].select.older_than: "90" is not a duration: use hours, days, weeks, months or years, such as 12h, 30d, 4w, 18mo or 2y'),
    (CLEANUP + "protect = 1", '7: cleanups[0].protect: must be a list of strings, such as ["ci-*"], but it is a number'),
    (CLEANUP + 'schedule = "weekli"', '7: cleanups[0].schedule: must be hourly, daily, weekly, monthly, or a cron expression of 5 fields, such as "0 4 * * 1", but it is "weekli": did you mean weekly?'),
    (CLEANUP + 'schedule = "@daily"', '7: cleanups[0].schedule: must be hourly, daily, weekly, monthly, or a cron expression of 5 fields, such as "0 4 * * 1", but it is "@daily": did you mean daily?'),
    (CLEANUP + 'schedule = "0 0 0 4 * * 1"', '7: cleanups[0].schedule: must be hourly, daily, weekly, monthly, or a cron expression of 5 fields, such as "0 4 * * 1", but it is "0 0 0 4 * * 1"'),
    (CLEANUP + 'schedule = "0 25 * * *"', '7: cleanups[0].schedule: the hour must be 0 to 23, but it is "25"'),
    (CLEANUP + 'schedule = "99999999 * * * *"', '7: cleanups[0].schedule: the minute must be 0 to 59, but it is "99999999"'),
    (CLEANUP + 'schedule = "0 0 * foo *"', '7: cleanups[0].schedule: the month must be 1 to 12, or jan to dec, but it is "foo"'),
    (CLEANUP + 'schedule = "0 0 * * fri-sun"', '7: cleanups[0].schedule: the day of the week "fri-sun" ends before it begins'),
    (CLEANUP + 'schedule = "5/15 * * * *"', '7: cleanups[0].schedule: the minute "5/15" has a step, but is not a range'),
    (CLEANUP + 'schedule = "0 5-5 * * *"', '7: cleanups[0].schedule: the hour "5-5" is one value: write 5'),
    (CLEANUP + 'schedule = "*/0 * * * *"', '7: cleanups[0].schedule: the step of the minute "*/0" must be 1 to 59'),
    (CLEANUP + 'schedule = "0 0 L * *"', '7: cleanups[0].schedule: the day of the month must be 1 to 31, but it is "L"'),
    (CLEANUP + 'schedule = "0 0 ? * *"', '7: cleanups[0].schedule: the day of the month "?" is not a value, a range or a step'),
    (CLEANUP + 'schedule = "0 0 31 feb,4 *"', "7: cleanups[0].schedule: never happens, because these months have no day 31"),
    (CLEANUP + 'schedule = "daily"\ntime_zone = "Mars/Base"', '8: cleanups[0].time_zone: "Mars/Base" is not a time zone that this machine knows: use a name such as "Europe/Berlin"'),
    (CLEANUP + 'schedule = "daily"\ntime_zone = "../UTC"', '8: cleanups[0].time_zone: "../UTC" is not a time zone that this machine knows: use a name such as "Europe/Berlin"'),
    (CLEANUP + 'time_zone = "Europe/Berlin"', "7: cleanups[0].time_zone: is only for a clean-up with a schedule"),
    (CLEANUP + 'approval = "auto"', '7: cleanups[0].approval: must be "manual", or a table such as { auto_below = 50 }'),
    (CLEANUP + "approval = {}", '7: cleanups[0].approval: must be "manual", or a table such as { auto_below = 50 }'),
    (CLEANUP + "approval = { auto_below = 1 }", "7: cleanups[0].approval.auto_below: must be at least 2, but it is 1"),
    (CLEANUP + 'approval = { auto_below = "9" }', "7: cleanups[0].approval.auto_below: must be an integer, but it is a string"),
    (CLEANUP + "approval = { auto_blow = 9 }", "7: cleanups[0].approval.auto_blow: is not a key: did you mean auto_below?"),
    (CLEANUP + 'approval = { webhook = "http://example.com" }', "7: cleanups[0].approval.webhook: must start with https://, because others could read it on the network. Its value is not shown."),
    (CLEANUP + 'approval = { webhook_env = "https://x" }', "7: cleanups[0].approval.webhook_env: must be the name of an environment variable that holds the value"),
    (CLEANUP + 'approval = { webhook = "https://x", webhook_env = "X" }', "7: cleanups[0].approval.webhook_env: contradicts webhook: leave one of them out"),
    (CLEANUP + 'approval = { auto_below = 9, secret_env = "X" }', "7: cleanups[0].approval.secret_env: needs webhook or webhook_env, because it signs their requests"),
    (CLEANUP + 'approve_within = "7"', '7: cleanups[0].approve_within: "7" is not a duration: use hours, days, weeks, months or years, such as 12h, 30d, 4w, 18mo or 2y'),
    (CLEANUP + "accounts = []", "7: cleanups[0].accounts: must have a pattern: leave it out for all accounts"),
    (CLEANUP + 'accounts = "prod"', '7: cleanups[0].accounts: must be a list of strings, such as ["ci-*"], but it is a string'),
    (CLEANUP + 'steps = [{ action = "warn" }, { action = "deactivate", after = "1d" }]', "7: cleanups[0].steps: cannot be combined with action: steps have actions of their own"),
    (CLEANUP + "steps = 1", "7: cleanups[0].steps: must be a list of tables, but it is a number"),
    (LADDER + 'grace = "1d"', '13: cleanups[0].grace: is only for action = "deactivate": write the time as after of the step delete'),
    (LADDER.replace("warn", "wran"), '9: cleanups[0].steps[0].action: must be one of warn, deactivate, delete, but it is "wran": did you mean warn?'),
    (LADDER.replace('{ action = "warn" }', "1"), "9: cleanups[0].steps[0]: must be a table, but it is a number"),
    (LADDER.replace('"warn"', '"warn", after = "1d"'), "9: cleanups[0].steps[0].after: the first step has no step before it: leave after out"),
    (LADDER.replace(', after = "14d"', ""), '10: cleanups[0].steps[1].after: is required: write how long after the step before, such as after = "30d"'),
    (LADDER.replace('"warn"', '"warn", webhook_env = "https://x/s3cret"'), "9: cleanups[0].steps[0].webhook_env: must be the name of an environment variable that holds the value"),
    (LADDER.replace('"warn"', '"warn", webhook = "http://example.com"'), "9: cleanups[0].steps[0].webhook: must start with https://, because others could read it on the network. Its value is not shown."),
    (LADDER.replace('"warn"', '"warn", secret_env = "KEY"'), "9: cleanups[0].steps[0].secret_env: needs webhook or webhook_env, because it signs their requests"),
    (LADDER.replace('"warn"', '"warn", webhook_env = 1'), "9: cleanups[0].steps[0].webhook_env: must be a string, but it is a number"),
    (LADDER.replace('"14d"', '"14d", webhook_env = "URL"'), "10: cleanups[0].steps[1].webhook_env: is only for the step warn"),
    (LADDER.replace("deactivate", "warn"), "8: cleanups[0].steps: must be in the order warn, deactivate, delete, each at most once"),
    (LADDER.replace('{ action = "deactivate", after = "14d" },', ""), "8: cleanups[0].steps: must have the step deactivate, because it can be undone and delete cannot"),
    ('[[cleanups]]\nname = "x"\nselect = { expired = true }\nmax_changes = 1\nsteps = [{ action = "deactivate" }]', '5: cleanups[0].steps: must have at least 2 steps: for one, write action = "..." instead'),
    (CLEANUP + 'protect_seen = "9d"\nallow_seen = true', "8: cleanups[0].allow_seen: contradicts protect_seen: leave one of them out"),
    (CLEANUP + "allow_majority = 1", "7: cleanups[0].allow_majority: must be true or false, but it is a number"),
    (RULE + CLEANUP.replace("old-ci", "never-expires"), '9: cleanups[0].name: "never-expires" is already the name of rules[0]'),
    (RULE + SAMPLE.replace("never-expires", "never-expire"), '11: tests[0].expect[0]: "never-expire" is the name of no rule and no clean-up: did you mean never-expires?'),
    (RULE + SAMPLE.replace("never-expires", "x"), '11: tests[0].expect[0]: "x" is the name of no rule and no clean-up'),
    (RULE + SAMPLE.replace('"never-expires"', "1"), "11: tests[0].expect[0]: must be a string, but it is a number"),
    (RULE + SAMPLE + SAMPLE, '14: tests[1].name: "a token without a date" is already the name of tests[0]'),
    (RULE + SAMPLE.replace("updated", "updatd"), "10: tests[0].token.updatd: is not a key: did you mean updated?"),
    (RULE + SAMPLE.replace("creator", 'expires = "1d", expired = "1d", creator'), "10: tests[0].token.expired: contradicts expires: a token has one expiration date"),
    (RULE + SAMPLE.replace("creator", 'status = "gone", creator'), '10: tests[0].token.status: must be one of active, inactive, but it is "gone"'),
    (RULE + "[[tests]]\n", "7: tests[0].name: is required; 7: tests[0].token: is required; 7: tests[0].expect: is required"),
    (RULE + "tests = 1", "7: rules[0].tests: is not a key: the keys are name, select, severity, message"),
    (RULE + "[tests]", "7: tests: must be a list of tables, but it is a table"),
    (f"tests = [1]\n{RULE}", "1: tests[0]: must be a table, but it is a number"),
    (RULE + SAMPLE.replace('["never-expires"]', "1"), '11: tests[0].expect: must be a list of strings, such as ["ci-*"], but it is a number'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_mistakes(tmp_path: Path, text: str, expected: str) -> None:
    """A mistake is reported with its line, its path, and what to write instead."""
    assert "; ".join(places(tmp_path, text)) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[[rules]]\nname = ", "2: is not valid TOML: invalid value"),
        (b"a = 1\n= 2\n", "2: is not valid TOML: invalid statement"),
        (b"a = 1\na = 2", "2: is not valid TOML: cannot overwrite a value"),
        (b"a = \xff", "1: is not valid UTF-8"),
        (b"x = 1\ny = " + b"[" * 5000, "None: is nested too deeply"),
        (b"x = " + b"9" * 5000, "None: is not valid TOML: exceeds the limit (4300 digits)"),
        (b"#" * 1_100_000, "None: is larger than 1,048,576 bytes, so it is not a policy file"),
    ],
)
def test_unreadable_files(tmp_path: Path, data: bytes, expected: str) -> None:
    """A file that is not TOML, not UTF-8 or huge is a `PolicyError`, with the line if it is known."""
    path = tmp_path / "policy.toml"
    path.write_bytes(data)

    with pytest.raises(policy.PolicyError) as caught:
        policy.load(path)

    (mistake,) = caught.value.mistakes
    assert f"{mistake.line}: {mistake}".startswith(expected)


def test_byte_order_mark(tmp_path: Path) -> None:
    """A file may start with a byte order mark."""
    assert load_policy(tmp_path, "\ufeff" + RULE).rules


def test_folder(tmp_path: Path) -> None:
    """A folder is not read."""
    with pytest.raises(UnfitFileError, match="it is a folder"):
        policy.load(tmp_path)


def test_writable_by_all(tmp_path: Path) -> None:
    """A file that every user can change is a warning for the caller's line."""
    path = write_policy(tmp_path, RULE)
    path.chmod(0o666)

    with pytest.warns(policy.PolicyWarning, match="chmod o-w") as caught:
        policy.load(path)

    assert caught[0].filename == __file__


def test_error(tmp_path: Path) -> None:
    """The error has one line for each mistake, with the file and line, and can be pickled."""
    with pytest.raises(policy.PolicyError) as caught:
        load_policy(tmp_path, "rule = 1")

    error = caught.value
    file = str(tmp_path / "policy.toml")
    assert str(error).splitlines() == [
        f"{file}: the file has no rules and no cleanups: add a table [[rules]] or [[cleanups]]",
        f"{file}:1: rule: is not a key: did you mean rules?",
    ]
    assert pickle.loads(pickle.dumps(error)).mistakes == error.mistakes
