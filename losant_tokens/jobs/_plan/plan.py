"""A plan: the changes that a job will make, as a file that people can review.

The file is JSON Lines. The first line is the header, with a digest over itself and all other lines.
Each other line is one token, with the reason why it was selected. No line holds a secret, but names
and ids are private, so the file is, too (mode 0600).

The digest has no key. It detects changes, but anybody can make a plan with a valid digest. So each
line is checked when a plan is read, and the file is checked once more when it is used. See
`reader`.
"""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import attrs

from losant_tokens._utils import validators as valid
from losant_tokens.jobs._errors import PlanRefused
from losant_tokens.jobs._plan.format import LineCheck, parse_header, short_id
from losant_tokens.jobs._plan.reader import PlanEntries, PlanFile, refusing_unreadable
from losant_tokens.jobs._plan.unnamed_plan_folder import TemporaryFolder
from losant_tokens.jobs._types import Entry, Header, counted

MAX_PLAN_AGE = timedelta(hours=24)
"""The default maximum age of a plan, after which the tokens should be reviewed again."""

MAX_FUTURE = timedelta(minutes=5)
"""How far the timestamp of a plan may be in the future, because clocks differ."""


@attrs.frozen
class Plan:
    """A plan that was made, or read from its file."""

    path: Path
    """The file."""
    header: Header
    """The header: the owners, the rule, the action and the counts."""
    digest: str
    """The digest of the content, which is unique to the plan."""
    folder: TemporaryFolder | None = attrs.field(default=None, eq=False, repr=False, kw_only=True)
    """The temporary folder of a plan that was made without a path; else `None`."""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a plan, and check each of its lines.

        Args:
            path: The file.

        Raises:
            PlanRefused: The file is not a plan, was altered, or cannot be read.
        """
        path = Path(path)
        with refusing_unreadable(path):
            file = PlanFile.open(path)
            try:
                header = parse_header(file.header)
                check = LineCheck(header)
                for line in file.lines():
                    check.check(line)
            finally:
                file.close()
        if problem := check.problem():
            raise PlanRefused(f"{path} is not a plan of losant-tokens: {problem}")
        return cls(path, header, file.digest)

    def entries(self) -> Iterator[Entry]:
        """Iterate over the tokens of the plan.

        Raises:
            PlanRefused: The file is no longer this plan.
        """
        entries = self._open()
        try:
            yield from entries
        finally:
            entries.close()

    def checked_entries(self) -> PlanEntries:
        """Check that the file is still this plan, and open its tokens for a job.

        Raises:
            PlanRefused: The file is no longer this plan, or cannot be read.
        """
        if self.folder is not None:
            self.folder.keep()
        return self._open()

    def _open(self) -> PlanEntries:
        return PlanEntries(self.open_file(), self.header.counts)

    def open_file(self) -> PlanFile:
        """Open the file of the plan, and check that it is still this plan.

        Raises:
            PlanRefused: The file is no longer this plan, or cannot be read.
        """
        with refusing_unreadable(self.path):
            file = PlanFile.open(self.path)
        if file.digest != self.digest:
            file.close()
            raise PlanRefused(f"{self.path} was replaced by another plan. Read it again.")
        return file

    def detached(self) -> Self:
        """Return the plan without its temporary folder, for objects that must not keep it."""
        return attrs.evolve(self, folder=None)

    @property
    def id(self) -> str:
        """The first digits of the digest, as a short id of the plan and its job."""
        return short_id(self.digest)

    def __len__(self) -> int:
        total = self.header.total
        return total.selected + total.protected

    def check(self, base_url: str, max_age: timedelta | None, now: datetime) -> None:
        """Refuse the plan if it must not be applied.

        Args:
            base_url: The base URL of the API.
            max_age: How old the plan may be; `None` for any age.
            now: The time: the server's, if it is known.

        Raises:
            ValidationError: `max_age` is not a `timedelta`.
            PlanRefused: A guard refused the plan, or it is for another base URL, too old, or from
                the future.
        """
        check_header(self.header, str(self.path), base_url, max_age, now)


def check_header(
    header: Header, source: str, base_url: str, max_age: timedelta | None, now: datetime
) -> None:
    """Refuse a plan that must not be applied.

    Args:
        header: The header of the plan.
        source: The plan, for messages.
        base_url: The base URL of the API.
        max_age: How old the plan may be; `None` for any age.
        now: The time: the server's, if it is known.

    Raises:
        ValidationError: `max_age` is not a `timedelta`.
        PlanRefused: A guard refused the plan, or it is for another base URL, too old, or from the
            future.
    """
    valid.check_argument(valid.optional(valid.instance_of(timedelta)), "apply", "max_age", max_age)
    if header.refused:
        raise PlanRefused(
            f"{source} cannot be applied, because a guard refused it: {' '.join(header.refused)}"
        )
    if base_url != header.base_url:
        raise PlanRefused(
            f"{source} was made for {header.base_url}, but the client uses {base_url}. "
            f"Apply it with a client for the same base URL."
        )
    age = now - header.created_at
    if age < -MAX_FUTURE:
        raise PlanRefused(
            f"{source} was made at {header.created_at.isoformat(timespec='seconds')}, "
            f"which is in the future: it is now {now.isoformat(timespec='seconds')}. Check the "
            f"clock of this machine, or make a new plan."
        )
    # The two times may differ by a second, so a plan that was just made can have no age at all.
    if max_age is not None and (age > max_age or max_age <= timedelta(0)):
        raise PlanRefused(
            f"{source} was made {_hours(max(age, timedelta(0)))} ago, and must not be older "
            f"than {_hours(max_age)}. Make a new plan, or pass a larger max_age."
        )


def _hours(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return counted(hours, "hour") if hours >= 1 else counted(hours * 3600, "second")
