"""Record the command in a terminal, for the documentation.

    python -m tests.support.recordings [FOLDER]

It writes an SVG file for each recording. The time, the ids and the port are the same in each run;
durations and request rates differ.
"""

import os
import pty
import select
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import attrs
import pyte

from losant_tokens.testing import FakeLosant
from tests.support.documentation import ROOT
from tests.support.terminal_svg import Frame, Row, Run, Style, to_svg
from tests.support.terminals import set_terminal_size, take_terminal

FOLDER = ROOT / "docs" / "_static" / "recordings"
SETUP_TIME = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
START = SETUP_TIME + timedelta(minutes=5)
PORT = 43771
ROWS = 300
_INTERVAL = 0.2  # seconds between two frames
_QUESTION = b"[y/N] "
_TYPING_TIME, _READING_TIME = 1.2, 2.0  # seconds

_PROGRAM = """\
#!{python}
import datetime
import os
import sys

import time_machine

start = datetime.datetime.fromisoformat(os.environ["RECORDING_START"])
time_machine.travel(start, tick=True).start()

from losant_tokens.cli import main

sys.exit(main())
"""


@attrs.frozen(kw_only=True)
class Recording:
    """A recording of commands.

    Attributes:
        name: The name of its file.
        title: What it shows.
        setup: The commands that run before it.
        commands: The commands that it shows.
        columns: The width of the terminal.
        max_rows: The number of rows that it shows, as a pager does; None: all.
        is_animated: Whether it plays. Otherwise it is the last screen.
    """

    name: str
    title: str
    setup: tuple[str, ...] = ()
    commands: tuple[str, ...]
    columns: int = 100
    max_rows: int | None = None
    is_animated: bool = False


PLAN = "losant-tokens plan --expired --named 'ci-*' --protect 'ci-billing-*' --out plan.jsonl"
RECORDINGS = (
    Recording(
        name="list",
        title="List tokens",
        commands=("losant-tokens list --expires-within 30d --sort expires --limit 12",),
    ),
    Recording(
        name="plan-show",
        title="Review a plan",
        setup=(PLAN,),
        commands=("losant-tokens plan show plan.jsonl --full",),
        columns=120,
        max_rows=21,
    ),
    Recording(
        name="apply",
        title="Apply a plan",
        setup=(PLAN,),
        commands=("losant-tokens apply plan.jsonl --report report.html",),
        is_animated=True,
    ),
)


def main() -> None:
    """Write all recordings."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for recording in RECORDINGS:
        (folder / f"{recording.name}.svg").write_text(record(recording))
        print(folder / f"{recording.name}.svg")  # noqa: T201


def record(recording: Recording) -> str:
    """Run the commands of a recording in a new account, and return what the terminal shows."""
    with (
        tempfile.TemporaryDirectory() as temporary,
        patch("losant_tokens.testing._store.secrets.token_hex", return_value="9c1e07b2d4"),
    ):
        home = Path(temporary)
        program = home / "bin" / "losant-tokens"
        program.parent.mkdir()
        program.write_text(_PROGRAM.format(python=sys.executable))
        program.chmod(0o700)
        fake = FakeLosant(clock_offset=SETUP_TIME - datetime.now(UTC))
        account = fake.seed_account()
        assert account.own_token is not None
        with fake.serve(PORT) as base_url:
            environment = {
                "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": temporary,
                "LANG": "C.UTF-8",
                "TERM": "xterm-256color",
                "COLUMNS": str(recording.columns),
                "PAGER": "cat",
                "RECORDING_START": SETUP_TIME.isoformat(),
                "LOSANT_API_URL": base_url,
                "LOSANT_API_TOKEN": account.own_token.secret,
            }
            for command in recording.setup:
                subprocess.run(
                    command,
                    shell=True,
                    cwd=home,
                    env=environment,
                    check=True,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            fake.clock_offset = START - datetime.now(UTC)
            environment["RECORDING_START"] = START.isoformat()
            terminal = Terminal(recording.columns, home, environment)
            frames = [frame for command in recording.commands for frame in terminal.run(command)]
    shown = frames if recording.is_animated else frames[-1:]
    shown = [attrs.evolve(frame, rows=frame.rows[: recording.max_rows]) for frame in shown]
    return to_svg(without_empty_rows(shown), recording.columns, recording.title)


@attrs.define
class Terminal:
    """A terminal that runs commands and returns its screens."""

    columns: int
    folder: Path
    environment: dict[str, str]
    _time: float = attrs.field(default=0.0, init=False)

    _screen: pyte.Screen = attrs.field(init=False)
    _stream: pyte.ByteStream = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._screen = pyte.Screen(self.columns, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def run(self, command: str) -> Iterator[Frame]:
        """Run a command, confirm what it asks, and return the screens that differ."""
        self._feed(f"\x1b[1;32m$\x1b[0m {_folded(command, self.columns)}\r\n".encode())
        yield self._frame(_TYPING_TIME)
        ours, theirs = pty.openpty()
        set_terminal_size(theirs, ROWS, self.columns)
        with subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 -- it only makes a system call
        ) as process:
            os.close(theirs)
            yield from self._follow(ours, process)
            os.close(ours)
        if process.returncode:
            raise RuntimeError(f"{command} exited with {process.returncode}: {self._text()}")

    def _text(self) -> str:
        return "\n".join(self._screen.display).strip()

    def _follow(self, ours: int, process: "subprocess.Popen[bytes]") -> Iterator[Frame]:
        last = time.monotonic()
        while True:
            readable, _, _ = select.select([ours], [], [], _INTERVAL)
            try:
                chunk = os.read(ours, 65536) if readable else b""
            except OSError:  # The command has closed the terminal.
                break
            if not readable and process.poll() is not None:
                break
            self._feed(chunk)
            if chunk.endswith(_QUESTION):
                yield self._frame(_READING_TIME)
                os.write(ours, b"y\n")
                last = time.monotonic()
            elif time.monotonic() - last >= _INTERVAL:
                yield self._frame(_INTERVAL)
                last = time.monotonic()
        yield self._frame(_INTERVAL)

    def _feed(self, data: bytes) -> None:
        self._stream.feed(data)

    def _frame(self, seconds: float) -> Frame:
        """Return the screen, which is shown for a number of seconds."""
        frame = Frame(tuple(self._row(number) for number in range(ROWS)), self._time)
        self._time += seconds
        return frame

    def _row(self, number: int) -> Row:
        runs: list[Run] = []
        line = self._screen.buffer[number]
        for column in range(self.columns):
            cell = line[column]
            foreground, background = cell.fg, cell.bg
            if cell.reverse:
                foreground, background = background, foreground
            style = Style(foreground, background, cell.bold, cell.italics, cell.underscore)
            if runs and runs[-1].style == style and not (cell.data == " " == runs[-1].text[-1:]):
                last = runs[-1]
                runs[-1] = attrs.evolve(last, text=last.text + cell.data, width=last.width + 1)
            else:
                runs.append(Run(column, cell.data, 1, style))
        return tuple(run for run in runs if run.text.strip() or run.style.background != "default")


def _folded(command: str, columns: int) -> str:
    """Return a command as a person would type it in several lines."""
    lines = textwrap.wrap(command, columns - 6, break_on_hyphens=False, break_long_words=False)
    return " \\\r\n    ".join(lines)


def without_empty_rows(frames: list[Frame]) -> list[Frame]:
    """Return frames without the rows below the last one, and without repeated frames."""
    count = max(number + 1 for frame in frames for number, row in enumerate(frame.rows) if row)
    shown: list[Frame] = []
    for frame in frames:
        rows = frame.rows[:count]
        if not shown or shown[-1].rows != rows:
            shown.append(Frame(rows, frame.time - frames[0].time))
    return shown


if __name__ == "__main__":
    main()
