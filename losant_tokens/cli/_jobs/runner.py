"""Run `jobs.apply` with stop signals, a progress display and an event loop."""

from typing import Any

import anyio
from attrs import define, evolve, field

from losant_tokens import jobs
from losant_tokens.cli._connections.clients import ClientFactory
from losant_tokens.cli._event_loop import print_stopping, run_event_loop
from losant_tokens.cli._jobs.progress import job_progress
from losant_tokens.cli._signals.stop_signals import GRACE, StopSignals


@define
class JobRunner:
    """Apply a plan once.

    Attributes:
        plan: The plan.
        label: The text beside the progress, such as `Deleting`.
        make_client: Makes the client.
        max_concurrency: The maximum number of requests in flight. None: that of the client.
        settings: Further arguments of `jobs.apply`.
        prints_lines: Whether to print lines about the progress even if the command is not verbose.
        has_work: Whether tokens are left, so that there is progress to show.
        signals: The stop signals that were received.
    """

    plan: jobs.Plan
    label: str
    make_client: ClientFactory
    max_concurrency: int | None = None
    settings: dict[str, Any] = field(factory=dict)
    prints_lines: bool = False
    has_work: bool = True
    signals: StopSignals = field(factory=StopSignals)
    _used_concurrency: int = 0

    @property
    def is_stopped(self) -> bool:
        """Whether a signal has stopped the job."""
        return self.signals.count > 0

    def run(self) -> jobs.Report:
        """Apply the plan.

        Raises:
            LosantError: As `jobs.apply`.
        """
        try:
            report = run_event_loop(self._apply)
        except jobs.JobFailed as error:
            error.report = self._with_settings(error.report)
            raise
        return self._with_settings(report)

    def _with_settings(self, report: jobs.Report) -> jobs.Report:
        """Return a report that states the settings of the run."""
        settings = {
            "Requests per second": self.settings.get("rate"),
            "Requests at once": self._used_concurrency,
            "Each token read before it is changed": (
                "yes" if self.settings.get("verify", True) else "no"
            ),
        }
        return evolve(report, settings=settings)

    async def _apply(self) -> jobs.Report:
        stop, abort = anyio.Event(), anyio.Event()

        def react() -> None:
            if self.signals.count > 1:
                abort.set()
            else:
                stop.set()
                print_stopping(GRACE)

        total = self.plan.header.total.selected if self.has_work else 0
        async with self.make_client(self.max_concurrency) as client:
            self._used_concurrency = client.max_connections
            with (
                self.signals.listening(react),
                job_progress(self.label, total, prints_lines=self.prints_lines) as listener,
            ):
                return await jobs.apply(
                    client,
                    self.plan,
                    grace=GRACE,
                    stop=stop,
                    abort=abort,
                    on_progress=listener,
                    **self.settings,
                )
