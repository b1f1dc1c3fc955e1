"""The example deployment: its files, and the commands in them."""

import configparser
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from losant_tokens import accounts, policy
from losant_tokens.cli._app import app
from tests.support.fleet_accounts import FleetAccount, fleet_accounts, problems
from tests.support.fleet_drill import wait_until

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "fleet"
POLICY = EXAMPLE / "policy.toml"
UNIT = EXAMPLE / "systemd" / "losant-tokens-fleet@.service"
CONFIGS = (EXAMPLE / "config.toml", EXAMPLE / "systemd" / "config.toml")
PLACES = {"%l": "machine", "%i": "1", "%S": "/var/lib"}
MAX_EXPOSURE = 1.5  # of systemd-analyze, from 0 to 10


def compose() -> dict[str, Any]:
    """Return the Compose file."""
    data: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())
    return data


def workers() -> dict[str, dict[str, Any]]:
    """Return the workers of the Compose file, by their names."""
    services = compose()["services"].items()
    return {name: service for name, service in services if name.startswith("worker")}


def unit() -> configparser.RawConfigParser:
    """Return the service."""

    class Values(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            # A setting may occur several times. configparser passes lists while it reads.
            if isinstance(value, list) and isinstance(self.get(key), list):
                value = [*self[key], *value]
            super().__setitem__(key, value)

    parser = configparser.RawConfigParser(strict=False, dict_type=Values, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def exec_start() -> list[str]:
    """Return the command of the service."""
    text = unit()["Service"]["ExecStart"]
    for place, value in PLACES.items():
        text = text.replace(place, value)
    return shlex.split(text)


def parse(arguments: list[str]) -> dict[str, Any]:
    """Return the options that a command line sets.

    Raises:
        CycloptsError: The command refuses it.
    """
    local = [one.replace("/etc/losant-tokens/policy.toml", str(POLICY)) for one in arguments]
    with contextlib.chdir(EXAMPLE):
        _, bound, _ = app.parse_args(local, print_error=False, exit_on_error=False)
    return dict(bound.arguments)


def test_each_worker_has_a_command_and_a_name_of_its_own() -> None:
    """The commands of the containers and of the service are valid, and differ in the name."""
    names = [parse(service["command"])["name"] for service in workers().values()]

    assert names == list(workers()) == ["worker-1", "worker-2"]
    assert exec_start()[0] == "/opt/losant-tokens/bin/losant-tokens"
    assert parse(exec_start()[1:])["name"] == "machine-1"
    for service in workers().values():
        assert service["restart"] == "unless-stopped"
        assert service["environment"]["LOSANT_TOKENS_FLEET"].startswith("postgresql://fleet:${")
        assert service["depends_on"] == {"store": {"condition": "service_healthy"}}


def test_commands_of_the_readme() -> None:
    """The commands that the README of the example shows are valid."""
    text = (EXAMPLE / "README.md").read_text()
    commands = re.findall(r"losant-tokens ((?:fleet|policy) [a-z][^`\n]*)", text)

    assert len(commands) == 4
    for command in commands:
        parse(shlex.split(command))


@pytest.mark.parametrize("config", CONFIGS, ids=("compose", "systemd"))
def test_the_policy_fits_the_accounts(config: Path, tmp_path: Path) -> None:
    """The policy has no mistake, its tests pass, and its clean-ups apply to accounts that exist."""
    copy = tmp_path / "config.toml"
    copy.write_text(config.read_text())
    copy.chmod(0o600)
    names = tuple(accounts.load(copy))
    loaded = policy.load(POLICY)

    assert names == ("acme", "bolt")
    assert [one.select_accounts(names) for one in loaded.cleanups] == [names, ("acme",)]
    assert all(one.cron is not None for one in loaded.cleanups)
    assert [one.passed for one in policy.run_tests(loaded, datetime.now(UTC))] == [True, True]


def test_each_variable_is_in_the_example_of_the_environment() -> None:
    """`.env.example` has the variables of the accounts and of the Compose file, without values."""
    lines = (EXAMPLE / ".env.example").read_text().splitlines()
    variables = dict(line.split("=") for line in lines if line and not line.startswith("#"))
    config = tomllib.loads((EXAMPLE / "config.toml").read_text())
    used = {account["token"]["env"] for account in config["accounts"].values()}
    used |= set(re.findall(r"\$\{(\w+)", (EXAMPLE / "compose.yaml").read_text()))

    assert variables == dict.fromkeys(used, "")


def test_the_image_copies_files_that_exist() -> None:
    """Each file that the image copies exists, and each extra that it installs, too."""
    text = (EXAMPLE / "Dockerfile").read_text()
    sources = [
        word for line in re.findall(r"^COPY (.*)", text, re.MULTILINE) for word in line.split()[:-1]
    ]
    extras = re.search(r"\[([a-z,]+)\]", text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert len(sources) == 6
    assert all((ROOT / source).exists() for source in sources)
    assert extras is not None
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])


def test_the_service_reads_the_credentials_of_its_accounts() -> None:
    """Each account of the service reads a credential that the service loads."""
    loaded, folder = unit()["Service"]["LoadCredential"].split(":")
    config = tomllib.loads(CONFIGS[1].read_text())

    assert folder == "/etc/losant-tokens/tokens"
    for name, account in config["accounts"].items():
        assert account["token"] == {"command": ["systemd-creds", "cat", f"{loaded}_{name}"]}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-creds") is None, reason="systemd is not installed")
async def test_a_credential_becomes_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account of the service reads its token from the folder that systemd creates."""
    (tmp_path / "tokens_acme").write_text("secret-of-acme\n")
    (tmp_path / "tokens_acme").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    copy = tmp_path / "config.toml"
    copy.write_text(CONFIGS[1].read_text())
    copy.chmod(0o600)

    token = await accounts.load(copy)["acme"].read_token()

    assert token.reveal() == "secret-of-acme"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_service_is_valid_and_hardened(tmp_path: Path) -> None:
    """systemd accepts each setting of the service, and rates its exposure as low."""
    path = tmp_path / "losant-tokens-fleet@1.service"
    path.write_text(UNIT.read_text().replace(exec_start()[0], "/bin/true"))

    def analyze(*arguments: str) -> str:
        command = ["systemd-analyze", *arguments, str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    assert analyze("verify") == ""
    exposure = re.search(r"Overall exposure level .*: ([\d.]+)", analyze("security", "--offline=1"))
    assert exposure is not None
    assert float(exposure[1]) <= MAX_EXPOSURE


@pytest.mark.slow
def test_two_workers_with_the_commands_of_the_example(postgres_url: str, tmp_path: Path) -> None:
    """The workers of the example apply a plan that a person has approved, and stop on SIGTERM."""
    with fleet_accounts("acme", "bolt", stale=60) as pair:
        _run_example(pair, postgres_url, tmp_path)

    assert problems(pair[0], ["deactivate"]) == []
    assert pair[1].changes == {}


def _run_example(pair: tuple[FleetAccount, ...], url: str, folder: Path) -> None:
    """Run the commands of the example with the URLs of fake accounts."""
    config = tomllib.loads((EXAMPLE / "config.toml").read_text())
    text = "".join(
        f'[accounts.{one.name}]\nurl = "{one.base_url}"\n'
        f'token = {{ env = "{config["accounts"][one.name]["token"]["env"]}" }}\n'
        for one in pair
    )
    (folder / "config.toml").write_text(text)
    variables = {config["accounts"][one.name]["token"]["env"]: one.token for one in pair}
    environment = {
        **os.environ,
        **variables,
        "LOSANT_TOKENS_FLEET": url,
        "LOSANT_TOKENS_CONFIG": str(folder / "config.toml"),
    }
    program = [sys.executable, "-P", "-m", "losant_tokens"]
    policy_file = str(POLICY)

    def command(*arguments: str) -> str:
        result = subprocess.run(
            [*program, "fleet", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    started = []
    logs = []
    try:
        for name, service in workers().items():
            arguments = [
                policy_file if one == "/etc/losant-tokens/policy.toml" else one
                for one in service["command"]
            ]
            log = folder / f"{name}.log"
            logs.append(log)
            with log.open("wb") as output:
                started.append(
                    subprocess.Popen(
                        [*program, *arguments],
                        env={**environment, "XDG_STATE_HOME": str(folder / name)},
                        stdout=output,
                        stderr=output,
                    )
                )
        runs = command("plan", "stale-builds", "--account", "acme", "--wait", "--json")
        (run,) = yaml.safe_load(runs)
        assert run["state"] == "waiting"
        command("approve", run["id"], "--yes", "--by", "ops@example.com")
        wait_until(
            lambda: '"quarantined"' in command("show", run["id"], "--json"),
            what="the run is quarantined",
            log=lambda: "\n".join(log.read_text() for log in logs),
        )
        command("doctor", "--policy", policy_file)
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(60) for process in started]
    assert codes == [0, 0], [log.read_text() for log in logs]
