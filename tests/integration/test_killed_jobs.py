"""Jobs whose process is killed, and the files that it leaves."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from losant_tokens import jobs
from losant_tokens.jobs import Plan, Report
from losant_tokens.jobs._plan.unnamed_plan_folder import TemporaryFolder
from losant_tokens.testing import FakeLosant
from tests.support.jobs import (
    client_of,
    counts,
    fake_with,
    planned,
    sent,
)
from tests.support.plans import plan_folders, write

# --- Killed processes ------------------------------------------------------------------------

APPLY = """
import asyncio, sys
from losant_tokens import AsyncClient, aiohttp_transport, jobs
async def main():
    transport = aiohttp_transport(max_connections=8)
    async with AsyncClient(sys.argv[1], base_url=sys.argv[2], transport=transport) as client:
        await jobs.apply(client, jobs.Plan.read(sys.argv[3]), resume=True)
asyncio.run(main())
"""


def run_and_kill(fake: FakeLosant, base_url: str, plan: Plan, deletions: int) -> bool:
    """Apply a plan in a process that is killed after N requests; return whether it ended."""
    before = len(fake.requests)
    arguments = [sys.executable, "-c", APPLY, fake.admin_token, base_url, str(plan.path)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            if len(fake.requests) - before >= deletions:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return False
            time.sleep(0.0005)
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, b"")
    return True


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path, thorough: bool) -> None:
    """Killed at any instant and resumed, a job ends as if it had never been interrupted."""
    tokens, kills, at_once = 120 if thorough else 60, 0, 8
    fake = fake_with(tokens, kept=20)
    chance = random.Random(7)
    with fake.serve() as base_url:

        async def make() -> Plan:
            async with client_of(fake, base_url=base_url) as client:
                return await planned(client, tmp_path)

        plan = asyncio.run(make())
        listed = {entry.id for entry in plan.entries()}
        fake.clear_requests()
        while not run_and_kill(fake, base_url, plan, chance.randrange(1, 40)):
            kills += 1

        async def finish() -> Report:
            async with client_of(fake, base_url=base_url) as client:
                return await jobs.apply(client, plan, resume=True)

        report = asyncio.run(finish())

    deleted = Counter(sent(fake, "DELETE"))
    assert kills >= (5 if thorough else 1)
    assert {token.name for token in fake.tokens()} == {f"keep-{n}" for n in range(20)}
    assert set(deleted) == listed
    assert sum(deleted.values()) - tokens <= kills * at_once
    assert (counts(report), report.requests) == ({"done": tokens}, 0)


# --- Files of killed processes ---------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from losant_tokens._utils import private_files
with private_files.part_of(Path(sys.argv[1])):
    if sys.argv[2] == "wait":
        print("ready", flush=True)
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_parts_of_killed_processes_are_removed(tmp_path: Path) -> None:
    """The next plan in a folder removes only the unfinished files of killed processes."""
    path = str(tmp_path / "other.jsonl")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, path, "wait"], stdin=-1, stdout=-1, text=True
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        subprocess.run([sys.executable, "-c", KILLED, path, "now"], check=False)
        names = [".x.part", "x.losant-tokens.part", ".x.0123456789ab.losant-tokens.part.txt"]
        for name in names:
            (tmp_path / name).write_text("mine")
        os.mkfifo(tmp_path / ".y.0123456789ab.losant-tokens.part")
        assert len(list(tmp_path.glob(".other*"))) == 2

        write(tmp_path / "plan.jsonl")

        left = [file.name for file in tmp_path.iterdir() if file.name.startswith(".other")]
        assert len(left) == 1
        assert all((tmp_path / name).exists() for name in names)
        running.kill()


@pytest.mark.slow
def test_folders_of_killed_processes(temporary_folder: Path) -> None:
    """The next process removes the folder of a killed one, unless it has a journal."""
    program = (
        "import os, signal, sys, tempfile\n"
        f"tempfile.tempdir = {str(temporary_folder)!r}\n"
        "from losant_tokens.jobs._plan.unnamed_plan_folder import TemporaryFolder\n"
        "own = TemporaryFolder.create()\n"
        "if sys.argv[1]: (own.path / 'plan.jsonl.journal').write_text('x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for journal in ("", "journal", ""):
        subprocess.run([sys.executable, "-c", program, journal], check=False)
    mine = TemporaryFolder.create()

    assert plan_folders(temporary_folder) == 2
    assert mine.path.exists()
    TemporaryFolder.create()
    assert mine.path.exists()
