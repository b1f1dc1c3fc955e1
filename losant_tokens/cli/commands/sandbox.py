"""`sandbox`: serve a fake Losant until Ctrl-C."""

import os
import select
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from losant_tokens.cli._errors import CommandError, UsageError
from losant_tokens.cli._options.common import AtLeastZero, repeatable
from losant_tokens.cli._terminal.console import (
    print_after_signal,
    print_error,
    print_status,
    write_output,
)

if TYPE_CHECKING:
    from losant_tokens.cli._fake_process import RunningFake

_POLL_INTERVAL = 0.2  # seconds
_CHUNK = 4096
_MARK = "# Written by `losant-tokens sandbox`, which removes it when it ends.\n"
# Each line fits a terminal of 60 columns.
_NO_CLOCK_CHECK = (
    "Rules about time now need --clock-check off, as in:",
    "  losant-tokens sweep --due --clock-check off",
)


def serve_sandbox(
    *,
    port: Annotated[
        int,
        Parameter(
            metavar="N",
            validator=validators.Number(gte=0, lte=65535),
            show_default=lambda _: "a free port",
            help="Listen on port N.",
        ),
    ] = 0,
    host: Annotated[
        str,
        Parameter(
            metavar="HOST",
            help="Listen on HOST; 0.0.0.0 lets other machines connect.",
        ),
    ] = "127.0.0.1",
    tokens: Annotated[
        int, Parameter(metavar="N", validator=AtLeastZero, help="Start with N API tokens.")
    ] = 1000,
    env_file: Annotated[
        Path | None,
        Parameter(
            metavar="FILE", show_default=False, help="Write the variables to FILE, for a shell."
        ),
    ] = None,
    rate_limit: Annotated[
        float | None,
        Parameter(
            metavar="N",
            validator=validators.Number(gt=0),
            show_default=lambda _: "no limit",
            help="Respond with 429 to more than N requests per second.",
        ),
    ] = None,
    fail: Annotated[
        tuple[str, ...],
        repeatable("KIND:SHARE", "Fail some requests, such as 503:2%; repeat for more."),
    ] = (),
    latency: Annotated[
        str | None,
        Parameter(
            metavar="TIME",
            show_default=False,
            help="Delay each response, such as by 50ms or 20ms-200ms.",
        ),
    ] = None,
    clock: Annotated[
        str | None,
        Parameter(
            metavar="OFFSET",
            allow_leading_hyphen=True,
            show_default=False,
            help="Move the clock of the fake, such as by +30d.",
        ),
    ] = None,
) -> int:
    """Run a fake Losant on this machine until Ctrl-C."""
    from losant_tokens.cli._fake_process import running_fake

    options = [f"--tokens={tokens}", f"--port={port}", f"--host={host}"]
    options += [f"--fail={fault}" for fault in fail]
    for name, value in (("rate-limit", rate_limit), ("latency", latency), ("clock", clock)):
        options += [] if value is None else [f"--{name}={value}"]
    try:
        with running_fake(*options) as fake:
            variables = (
                f"export LOSANT_API_URL={shlex.quote(fake.base_url)}\n"
                f"export LOSANT_API_TOKEN={shlex.quote(fake.token)}\n"
            )
            with _written(env_file, variables):
                _introduce(fake, tokens, variables, env_file)
                if clock is not None:
                    _print_clock_check()
                print_status("Ctrl-C stops it and discards its tokens.")
                _move_clock_while_running(fake)
    except KeyboardInterrupt:
        print_after_signal("Stopped.")
        return 0  # Ctrl-C is the normal way to end the sandbox.
    raise CommandError("the fake has stopped unexpectedly")


# --- What it prints --------------------------------------------------------------------------


def _introduce(fake: "RunningFake", tokens: int, variables: str, env_file: Path | None) -> None:
    """Print the environment variables, and what to try first."""
    print_status(f"A fake Losant with {tokens:,} API tokens. In another terminal:")
    if env_file is None:
        write_output(variables)
    else:
        write_output(f". {shlex.quote(_sourced(env_file))}\n")
    print_status("Then try:")
    print_status("  losant-tokens list --limit 10")
    print_status("  losant-tokens plan --expired --out plan.jsonl")
    others = [one for one in fake.owners if one.tokens and one.owner != "user"]
    if others:
        print_status("Values of --owner, with the number of tokens:")
    for one in others:
        print_status(f"  {one.owner:<36}  {one.tokens:>4,}  {one.name}")
    if others and fake.log:
        print_status("A value of --seen-in, to see tokens in use:")
        print_status(f"  {fake.log}")
    print_status("Type +30d and Enter here to move its clock 30 days ahead.")


def _sourced(path: Path) -> str:
    """Return a path for the dot command of a shell, which searches PATH for a bare name."""
    return str(path) if path.is_absolute() else f"./{path}"


# --- The file with the variables ---------------------------------------------------------------


@contextmanager
def _written(path: Path | None, variables: str) -> Iterator[None]:
    """Keep a file with the variables during the block; only its owner can read it.

    Raises:
        CommandError: The file exists, and no sandbox has written it.
    """
    if path is None:
        yield
        return
    try:
        with suppress(FileNotFoundError):
            if not path.read_text(errors="replace").startswith(_MARK):
                raise CommandError(
                    f"{path} exists, and no sandbox has written it", "pass another --env-file"
                )
            path.unlink()
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(_MARK + variables)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            # Another sandbox may have replaced the file.
            if path.read_text(errors="replace") == _MARK + variables:
                path.unlink()


# --- The clock -------------------------------------------------------------------------------


def _move_clock_while_running(fake: "RunningFake") -> None:
    """Move the clock of the fake by each offset that is typed, until the fake ends."""
    while fake.is_running:
        for line in _typed_lines(_POLL_INTERVAL):
            _move_clock(fake, line)


def _typed_lines(seconds: float) -> Iterator[str]:
    """Wait, and return the lines that were typed; none if no person can type here."""
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return
    descriptor = sys.stdin.fileno()
    readable, _, _ = select.select([descriptor], [], [], seconds)
    # The terminal stops a process in the background that reads from it.
    if readable and _is_in_foreground(descriptor):
        yield from os.read(descriptor, _CHUNK).decode(errors="replace").splitlines()
    elif readable:
        time.sleep(seconds)


def _is_in_foreground(terminal: int) -> bool:
    """Return whether this process may read from a terminal."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # It is not the terminal of this session.
        return False


def _move_clock(fake: "RunningFake", line: str) -> None:
    if not line.strip():
        return
    try:
        offset = fake.move_clock(line.strip())
    except UsageError as error:
        print_error(error)
        return
    now = datetime.now(UTC) + offset
    print_status(f"The clock of the fake is at {now:%Y-%m-%d %H:%M} UTC.")
    if offset:
        _print_clock_check()


def _print_clock_check() -> None:
    """Print the option that accepts the clock of the fake, in a command to copy."""
    for line in _NO_CLOCK_CHECK:
        print_status(line)
