"""The errors of fleets, below `LosantError`.

::

    LosantError
    └── FleetError             the fleet cannot do what was asked
        ├── StoreError         the store cannot be reached, or was made by a newer release
        ├── RunNotFound        there is no such run
        ├── DecisionRefused    the state of the run does not allow the decision
        ├── WorkerRefused      a worker cannot start
        └── LeaseLost          another worker does the work of this one now
"""

from typing import TYPE_CHECKING

from losant_tokens.errors import LosantError

if TYPE_CHECKING:
    from losant_tokens.fleet._types import Run

# ruff: noqa: N818 -- "Refused" and "NotFound" are the point of these names


class FleetError(LosantError):
    """The fleet cannot do what was asked. No message holds a token or the password of a store."""


class StoreError(FleetError):
    """The store cannot be reached, is not that of a fleet, or was made by a newer release."""


class RunNotFound(FleetError):
    """There is no run with this id, or several begin with it."""


class DecisionRefused(FleetError):
    """The state of a run does not allow the decision, or the stored plan was altered."""

    run: "Run"
    """The run in its current state."""

    def __init__(self, message: str, *, run: "Run") -> None:
        super().__init__(message)
        self.run = run

    def __reduce__(self) -> tuple[object, ...]:
        return _decision_refused, (self.args[0], self.run)


class WorkerRefused(FleetError):
    """A worker cannot start, for example because another one with its name is running."""


def _decision_refused(message: str, run: "Run") -> DecisionRefused:
    return DecisionRefused(message, run=run)
