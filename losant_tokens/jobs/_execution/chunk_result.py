"""The result of a chunk of a plan, as values that a database can keep."""

from datetime import datetime
from functools import partial
from typing import Any, Self

import attrs

from losant_tokens import Owner
from losant_tokens.jobs._errors import JobError
from losant_tokens.jobs._plan.format import (
    checked,
    members_of,
    optional_string,
    parse_timestamp,
    refusing_values,
    timestamp,
)
from losant_tokens.jobs._types import Outcome

FORMAT = "losant-tokens chunk result"
VERSION = 1
_KIND = "the result of a chunk"


@attrs.frozen(kw_only=True)
class TokenOutcome:
    """The outcome of a chunk for one token."""

    owner: Owner
    """The owner."""
    id: str
    """The id."""
    name: str
    """The name that the plan has."""
    outcome: Outcome | None
    """The outcome; `None` if the chunk has not reached the token."""
    error: str | None = None
    """The error; `None` if there was none."""
    changed_at: datetime | None = None
    """The time of the change by the API; `None` if it is unknown."""


@attrs.frozen(kw_only=True)
class ChunkResult:
    """The result of a chunk of a plan, complete or not."""

    digest: str
    """The digest of the whole plan."""
    first: int
    """The number of the first token in the plan, from 0."""
    results: tuple[TokenOutcome, ...] = attrs.field(repr=False)
    """The outcome of each token, in the order of the plan."""
    requests: int = 0
    """The number of requests sent in this run."""
    retries: int = 0
    """The number of attempts that followed a failed one."""
    refused: int = 0
    """The number of requests refused with 429."""
    seconds: float = 0.0
    """The duration of this run, in seconds."""
    gave_up: str | None = None
    """Why the chunk gave up, or `None`."""

    @property
    def counts(self) -> dict[Outcome, int]:
        """The number of tokens with each outcome."""
        counts = dict.fromkeys(Outcome, 0)
        for result in self.results:
            if result.outcome is not None:
                counts[result.outcome] += 1
        return counts

    @property
    def pending(self) -> int:
        """The number of tokens without an outcome."""
        return sum(result.outcome is None for result in self.results)

    @property
    def is_complete(self) -> bool:
        """Whether every token has a known outcome."""
        return all(result.outcome not in {None, Outcome.UNKNOWN} for result in self.results)

    def without_failures(self) -> Self:
        """Return the result without the outcomes of the tokens that failed.

        Pass it as `earlier` to `apply_chunk` to repeat these tokens alone. The chunk must not be
        in doubt.
        """
        return attrs.evolve(
            self,
            gave_up=None,
            results=tuple(
                attrs.evolve(result, outcome=None, error=None, changed_at=None)
                if result.outcome is Outcome.FAILED
                else result
                for result in self.results
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values, for `from_json` of this or a later release.

        They hold no secret, but the names and ids of tokens are private.
        """
        return {
            "format": FORMAT,
            "version": VERSION,
            "digest": self.digest,
            "first": self.first,
            "results": [_result_json(result) for result in self.results],
            "requests": self.requests,
            "retries": self.retries,
            "refused": self.refused,
            "seconds": self.seconds,
            "gaveUp": self.gave_up,
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Return the result that JSON values describe. Unknown members are left out.

        Args:
            data: The values of `to_json`, after a way through JSON.

        Raises:
            PlanRefused: The values are not the result of a chunk, or are of another version.
        """
        with refusing_values(_KIND):
            members = members_of(
                data, FORMAT, (VERSION,), kind=_KIND, advice="Use the release that wrote them."
            )
            return cls(
                digest=checked(members["digest"], str),
                first=_count(members["first"]),
                results=tuple(_result(one) for one in checked(members["results"], list)),
                requests=_count(members["requests"]),
                retries=_count(members["retries"]),
                refused=_count(members["refused"]),
                seconds=float(members["seconds"]),
                gave_up=optional_string(members["gaveUp"]),
            )


class ChunkFailed(JobError):  # noqa: N818 -- like the other errors of jobs
    """A chunk ended in an error. `__cause__` is that error."""

    result: ChunkResult
    """The result of the tokens that were finished before the error."""

    def __init__(self, message: str, *, result: ChunkResult) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), result=self.result), self.args


def _result_json(result: TokenOutcome) -> dict[str, Any]:
    return {
        "owner": str(result.owner),
        "id": result.id,
        "name": result.name,
        "outcome": None if result.outcome is None else result.outcome.value,
        "error": result.error,
        "changed": timestamp(result.changed_at),
    }


def _result(data: object) -> TokenOutcome:
    members = checked(data, dict)
    outcome, changed = optional_string(members["outcome"]), optional_string(members["changed"])
    return TokenOutcome(
        owner=Owner.parse(checked(members["owner"], str)),
        id=checked(members["id"], str),
        name=checked(members["name"], str),
        outcome=None if outcome is None else Outcome(outcome),
        error=optional_string(members["error"]),
        changed_at=None if changed is None else parse_timestamp(changed),
    )


def _count(value: object) -> int:
    if (number := checked(value, int)) < 0:
        raise ValueError(value)
    return number
