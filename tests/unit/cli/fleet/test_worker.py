"""`fleet work`, with a fleet in memory."""

import json
import logging
import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import time_machine

from losant_tokens.cli._fleet import worker as fleet_worker
from losant_tokens.cli._fleet.worker import Worker
from losant_tokens.fleet import Diagnosis, Fleet, Problem
from losant_tokens.fleet import Worker as FleetWorker
from losant_tokens.fleet._workers.lease import Heartbeat
from losant_tokens.policy import Severity
from tests.support.command import Command
from tests.support.fake_fleet import WorkingFleet
from tests.support.fleet_runs import NOW, run
from tests.support.policies import CLEANUP, write_policy

LOGGER = logging.getLogger("losant_tokens.fleet")


def log_events() -> None:
    facts = {"run": "1f3a9c20", "account": "prod", "cleanup": "old-ci", "state": "waiting"}
    LOGGER.info("Run %s is waiting", "1f3a9c20", extra=facts)
    LOGGER.debug("a request")
    LOGGER.warning("The store cannot be reached.\x1b[2J")


def interrupt() -> None:
    log_events()
    signal.raise_signal(signal.SIGTERM)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(fleet_worker, "_POLL_INTERVAL", 0.001)
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """The options with the policy and the accounts."""
    config = tmp_path / "config.toml"
    config.write_text('[accounts.prod]\ntoken = { env = "X" }\n')
    config.chmod(0o600)
    return ("--policy", str(write_policy(tmp_path, CLEANUP)), "--config", str(config))


def worker(app: WorkingFleet, **members: Any) -> Worker:
    return Worker(
        **{
            "app": app,
            "name": None,
            "concurrency": 4,
            "fleet_concurrency": None,
            "port": None,
            "until_idle": False,
            "is_json": False,
            **members,
        }
    )


def test_until_idle(
    command: Command, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]
) -> None:
    """The worker gets the policy, the accounts and its options, and stops if nothing is left."""
    later = NOW + timedelta(days=1)
    app = WorkingFleet(
        run(id="a", state="planning", retry_at=later),
        run(id="b", state="quarantined", sweep_due_at=later),
        run(id="c", state="quarantined"),
        run(id="d", state="waiting"),
        during=log_events,
    ).install(monkeypatch)

    code, out, err = command("fleet", "work", "--until-idle", "--name", "alpha", *files)

    assert (code, out, app.has_stopped) == (0, "", True)
    assert err.splitlines() == [
        "2026-03-01T12:00:00Z Worker alpha is ready: None",
        "2026-03-01T12:00:00Z Run 1f3a9c20 is waiting",
        "losant-tokens: WARNING: 2026-03-01T12:00:00Z The store cannot be reached.\\x1b[2J",
    ]
    assert (app.options["name"], app.options["concurrency"]) == ("alpha", 4)
    assert list(app.accounts) == ["prod"]
    assert app.policies is not None


@pytest.mark.parametrize(
    "busy",
    [
        {"state": "approved"},
        {"state": "planning", "retry_at": NOW - timedelta(seconds=1)},
        {"state": "quarantined", "sweep_due_at": NOW},
        {"state": "waiting", "retry_at": NOW},
    ],
)
def test_not_idle(busy: dict[str, Any]) -> None:
    """A run that a worker can continue now keeps it from stopping."""
    assert fleet_worker._needs_worker(run(**busy), NOW)


def test_signal(capsys: pytest.CaptureFixture[str]) -> None:
    """A signal stops the worker in order, and each event is a line of JSON."""
    app = WorkingFleet(run(state="planning"), during=interrupt)

    worker(app, is_json=True).run()

    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[1] == {
        "time": "2026-03-01T12:00:00Z",
        "level": "info",
        "run": "1f3a9c20",
        "account": "prod",
        "cleanup": "old-ci",
        "state": "waiting",
        "message": "Run 1f3a9c20 is waiting",
    }
    assert [line["level"] for line in lines] == ["info", "info", "warning"]
    assert err.startswith("Stopping: the tokens in flight are finished")
    assert app.has_stopped


def interrupt_from_thread() -> None:
    thread = threading.Thread(target=log_events)
    thread.start()
    thread.join()
    signal.raise_signal(signal.SIGTERM)


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """A quiet worker prints only warnings, also those from the thread of the engine."""
    app = WorkingFleet(run(state="planning"), during=interrupt_from_thread)

    worker(app, is_quiet=True).run()

    assert capsys.readouterr() == (
        "",
        "losant-tokens: WARNING: 2026-03-01T12:00:00Z The store cannot be reached.\\x1b[2J\n",
    )


def test_second_signal() -> None:
    """A second signal ends the process at once."""
    codes: list[int] = []

    def interrupt_twice() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    worker(WorkingFleet(during=interrupt_twice), exit=codes.append).run()

    assert 130 in codes


def test_policy_is_required(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a policy file, the message names the option."""
    monkeypatch.chdir(tmp_path)
    WorkingFleet().install(monkeypatch)

    code, _, err = command("fleet", "work")

    assert (code, "name the policy file: --policy FILE" in err) == (1, True)


LIVE = FleetWorker(
    id="alpha",
    state="live",
    host="db1",
    process=7,
    version="1.0",
    started_at=NOW - timedelta(hours=2),
    heartbeat_at=NOW,
    heartbeat=Heartbeat(boot="b", beats=1),
)
PROBLEM = Problem(
    severity=Severity.HIGH,
    check="credential",
    subject="prod",
    message="The token\x1b[2J cannot be read.",
    remedy="Put a valid token in its place.",
)


def test_doctor(command: Command, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]) -> None:
    """The problems and the workers are tables, and a serious problem leads to exit code 5."""
    app = WorkingFleet().install(monkeypatch)
    app.diagnosis = Diagnosis(at=NOW, problems=(PROBLEM,), workers=(LIVE,))

    code, out, err = command("fleet", "doctor", *files)

    assert (code, err) == (5, "1 problem found, 1 live worker.\n")
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "SEVERITY CHECK ABOUT PROBLEM",
        ("high credential prod The token\\x1b[2J cannot be read. Put a valid token in its place."),
        "",
        "WORKER STATE HOST VERSION STARTED HEARTBEAT",
        "alpha live db1 1.0 2 hours ago just now",
    ]
    assert list(app.accounts) == ["prod"]
    assert command("fleet", "doctor", "--quiet", *files)[:2] == (5, out)


@pytest.mark.parametrize("message", ["No clean-up x: did you mean y?", "It failed"])
def test_sentences_of_doctor(
    message: str, command: Command, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]
) -> None:
    """A problem ends with one mark, and what to do follows."""
    app = WorkingFleet().install(monkeypatch)
    problem = attrs.evolve(PROBLEM, message=message)
    app.diagnosis = Diagnosis(at=NOW, problems=(problem,), workers=())

    _, out, _ = command("fleet", "doctor", *files)

    sentence = message if message.endswith("?") else f"{message}."
    assert f"{sentence} Put a valid token in its place." in out


def test_healthy_fleet(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a serious problem, the exit code is 0. Without a policy, no account is checked."""
    monkeypatch.chdir(tmp_path)
    app = WorkingFleet().install(monkeypatch)
    app.diagnosis = Diagnosis(at=NOW, problems=(), workers=())

    code, out, err = command("fleet", "doctor")
    assert (code, out) == (0, "")
    assert err.startswith("The accounts are not checked, because there is no policy file")
    assert err.endswith("No problem found, 0 live workers.\n")
    no_worker = attrs.evolve(PROBLEM, severity=Severity.INFO, check="no-worker")
    app.diagnosis = Diagnosis(at=NOW, problems=(no_worker,), workers=())
    assert "no-worker" in command("fleet", "doctor")[1]
    assert command("fleet", "doctor", "--quiet") == (0, "", "")

    app.diagnosis = Diagnosis(at=NOW, problems=(PROBLEM,), workers=(LIVE,))
    code, out, _ = command("fleet", "doctor", "--json")
    found = json.loads(out)
    assert (code, found["isHealthy"], found["problems"][0]["check"]) == (5, False, "credential")
    assert (found["workers"][0]["id"], found["workers"][0]["endedAt"]) == ("alpha", None)


def test_fake_has_the_methods_of_a_fleet() -> None:
    """The fleet in memory has the attributes that the command uses."""
    assert all(
        hasattr(Fleet("x.sqlite"), name) for name in ("accounts", "policies", "work", "diagnose")
    )
