"""The contents of a policy file."""

from datetime import timedelta
from typing import Literal

from attrs import frozen

from losant_tokens import jobs
from losant_tokens.policy._selection import Selection
from losant_tokens.policy._severity import Severity

Action = Literal["deactivate", "delete"]
StepAction = Literal["warn", "deactivate", "delete"]
Schedule = Literal["hourly", "daily", "weekly", "monthly"]


@frozen(kw_only=True)
class PolicyRule:
    """A rule of a policy: which tokens are a problem.

    Attributes:
        name: The name, which is unique among the rules.
        select: The tokens that the rule is about.
        severity: How serious it is.
        message: What is wrong with these tokens, for people.
    """

    name: str
    select: Selection
    severity: Severity
    message: str

    def rule(self) -> jobs.Rule:
        """Return the selection as a rule."""
        return self.select.rule()


@frozen(kw_only=True)
class Step:
    """A step of a clean-up.

    Attributes:
        action: `warn`, `deactivate` or `delete`.
        after: How long after the step before; zero for the first step.
    """

    action: StepAction
    after: timedelta = timedelta(0)


@frozen(kw_only=True)
class Cleanup:
    """A clean-up of a policy: which tokens to change, and the guards of its plans.

    Attributes:
        name: The name, which is unique among the clean-ups.
        select: The tokens to change.
        action: `deactivate` or `delete`; `None` if there are steps.
        steps: The steps of a ladder, such as warn, deactivate and delete; empty if there is one
            action.
        protect: Ids and name patterns of tokens that are never touched.
        max_changes: The maximum number of tokens of one plan.
        grace: How long deactivated tokens wait before they may be deleted; `None` for no grace
            period.
        schedule: How often to run the clean-up; `None` if the file does not say it.
    """

    name: str
    select: Selection
    max_changes: int
    action: Action | None = None
    steps: tuple[Step, ...] = ()
    protect: tuple[str, ...] = ()
    grace: timedelta | None = None
    schedule: Schedule | None = None

    def rule(self) -> jobs.Rule:
        """Return the selection as a rule."""
        return self.select.rule()


@frozen(kw_only=True)
class Policy:
    """A policy file.

    Attributes:
        file: The file.
        digest: The SHA-256 of the file: `sha256:...`.
        rules: The rules, in the order of the file.
        cleanups: The clean-ups, in the order of the file.
    """

    file: str
    digest: str
    rules: tuple[PolicyRule, ...] = ()
    cleanups: tuple[Cleanup, ...] = ()
