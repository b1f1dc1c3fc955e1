"""Rotations whose process is killed with SIGKILL, with sinks that fail at random."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import attrs
import pytest

from losant_tokens import jobs
from losant_tokens.testing import FakeLosant, FakeToken

ROTATE = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from losant_tokens import AsyncClient, jobs
from losant_tokens.sinks import CommandSink, FileSink

folder, url, own, other, kind = Path(sys.argv[1]), *sys.argv[2:]
journal, ledger = folder / "rotation.journal", jobs.Ledger(folder / "quarantines")
if kind == "file":
    sink = FileSink(folder / "store" / "{replaces}")
else:
    sink = CommandSink(["sh", str(folder / "sink.sh"), str(folder / "store")])

async def main():
    # The command uses the token that its users have.
    secret = (folder / "store" / own).read_text()
    async with AsyncClient(secret, base_url=url) as client:
        if journal.exists():
            rotation = await jobs.resume_rotation(client, journal, sink=sink, ledger=ledger)
        else:
            rotation = await jobs.rotate(
                client, [("user", own), ("user", other)], sink=sink, ledger=ledger,
                expires=timedelta(days=90), overlap=timedelta(0), journal=journal,
            )
    sys.exit(0 if rotation.is_complete else 3)

asyncio.run(main())
"""

# It reports a failure only if it has stored nothing, as a sink must.
SINK = """\
cat > "$1/.$LOSANT_TOKEN_REPLACES.$$" || exit 1
case $(od -An -N1 -tu1 /dev/urandom) in
*[0-2]) exit 3 ;;
*3) kill -9 $$ ;;
esac
mv "$1/.$LOSANT_TOKEN_REPLACES.$$" "$1/$LOSANT_TOKEN_REPLACES"
case $(od -An -N1 -tu1 /dev/urandom) in
*0) kill -9 $$ ;;
esac
"""


@attrs.define(eq=False)
class Trial:
    """One rotation of two tokens, one of which the command itself uses.

    Attributes:
        folder: The folder of the journal and of the store that the users read.
        fake: The fake.
        base_url: The address of the fake.
        chance: Decides when the process is killed.
        kills: The number of kills.
        stages: The stage of each token after each kill.
        violations: The problems that were found.
    """

    folder: Path
    fake: FakeLosant
    base_url: str
    chance: random.Random
    kills: int = 0
    stages: Counter[str] = attrs.field(factory=Counter)
    violations: list[str] = attrs.field(factory=list)

    def run(self, kind: str) -> None:
        """Rotate the tokens, and check at each kill and at the end that all is well."""
        (self.folder / "store").mkdir(mode=0o700, parents=True)
        (self.folder / "sink.sh").write_text(SINK)
        keep = self.fake.add_token("keep")
        own = self.fake.add_token("admin", scope=["all.User"])
        other = self.fake.add_token("ci-deploy", description="deploys")
        before = {token.id for token in self.fake.tokens()}
        for token in (own, other):
            (self.folder / "store" / token.id).write_text(token.secret)
        for attempt in range(40):
            may_kill = attempt < 8
            code = self._process(own, other, kind, self.chance.randrange(1, 22) if may_kill else 0)
            self._check_users(own, other)
            self._check_known(before)
            if code == 0:
                break
        rotation = jobs.read_rotation(self.folder / "rotation.journal")
        working = {token.id for token in self.fake.tokens() if token.status == "active"}
        expected = {keep.id, *(str(token.successor_id) for token in rotation.tokens)}
        if not rotation.is_complete or working - before | {keep.id} != expected:
            self.violations.append(f"{self.folder.name}: {working} and not {expected}: {rotation}")
        if self.fake_status(own) != "inactive" or self.fake_status(other) != "inactive":
            self.violations.append(f"{self.folder.name}: an old token is active: {rotation}")
        secrets = [(self.folder / "store" / one.id).read_text() for one in (own, other)]
        if self._holds_secret(secrets):
            self.violations.append(f"{self.folder.name}: a file holds a secret")

    def fake_status(self, token: FakeToken) -> str:
        return next(one.status for one in self.fake.tokens() if one.id == token.id)

    def _process(self, own: FakeToken, other: FakeToken, kind: str, kill_at: int) -> int:
        """Run the rotation, and kill it after a number of requests; return its exit code."""
        arguments = [str(self.folder), self.base_url, own.id, other.id, kind]
        before = len(self.fake.requests)
        delay = self.chance.random() * 0.02
        with subprocess.Popen(
            [sys.executable, "-c", ROTATE, *arguments], stderr=subprocess.PIPE, text=True
        ) as process:
            while process.poll() is None:
                self._check_users(own, other)
                if kill_at and len(self.fake.requests) - before >= kill_at:
                    time.sleep(delay)
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    break
                time.sleep(0.001)
            assert process.stderr is not None
            errors = process.stderr.read()
        if process.returncode == -signal.SIGKILL:
            self.kills += 1
        elif process.returncode not in {0, 3}:
            self.violations.append(f"{self.folder.name}: {errors}")
        return process.returncode

    def _check_users(self, *tokens: FakeToken) -> None:
        """Check that the users of each token have a secret that works."""
        for token in tokens:
            secret = (self.folder / "store" / token.id).read_text()
            if not any(
                one.secret == secret and one.status == "active" for one in self.fake.tokens()
            ):
                self.violations.append(f"{self.folder.name}: the users of {token.name} are out")

    def _check_known(self, before: set[str]) -> None:
        """Check that the journal or a marker reveals each new token."""
        known: set[str] = set()
        if (self.folder / "rotation.journal").exists():
            rotation = jobs.read_rotation(self.folder / "rotation.journal")
            known = {one for token in rotation.tokens for one in token.successor_ids}
            self.stages.update(token.stage.value for token in rotation.tokens)
        for token in self.fake.tokens():
            is_marked = "[rotation " in (token.description or "")
            if token.id not in before | known and not is_marked:
                self.violations.append(f"{self.folder.name}: {token.id} is unknown")

    def _holds_secret(self, secrets: list[str]) -> bool:
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return any(
            secret in path.read_text()
            for secret in secrets
            for path in files
            if path.parent.name != "store"
        )


@pytest.mark.slow
def test_killed_rotations(tmp_path: Path, thorough: bool) -> None:
    """Killed with SIGKILL at random, a rotation leaves no user without a token, and no orphan."""
    trials, kills = int(os.environ.get("ROTATION_TRIALS", "2")), 0
    chance = random.Random(os.environ.get("ROTATION_SEED", "1"))
    stages: Counter[str] = Counter()
    for number in range(trials):
        fake = FakeLosant()
        with fake.serve() as base_url:
            trial = Trial(tmp_path / str(number), fake, base_url, chance)
            trial.run("file" if number % 2 else "command")
        assert trial.violations == []
        kills += trial.kills
        stages += trial.stages
        if trials > 2:
            sys.stderr.write(f"{number + 1} trials, {kills} kills, {dict(stages)}\n")

    assert kills >= trials
