"""Spans and metrics of calls, by the API of OpenTelemetry. Without its SDK, nothing is recorded.

A call has a span of its own, named after the operation. Below it, each attempt has the span of an
HTTP client. The calls of a snapshot have a common span above them. Those of an iteration have none,
because the code of the application runs between them, and may never end the iteration. Both pools
send through the same code, so the spans do not depend on the pool. Names of attributes and metrics
are those of the semantic conventions if there are any:
https://opentelemetry.io/docs/specs/semconv/http/. The others begin with `losant_tokens.`.

By default, nothing that is recorded has an id of a token or an account: paths have the names of ids
instead of their values, `url.full` and the descriptions of errors are left out, and no header names
the trace to the API.

opentelemetry is imported when a client is created, and only if the application uses it already.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import httpx

from losant_tokens._api.operations import Operation
from losant_tokens._telemetry.observers import RequestEvent, ResponseEvent, RetryEvent, template_of
from losant_tokens._utils import validators
from losant_tokens._version import __version__
from losant_tokens.errors import ValidationError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, Meter, MeterProvider, UpDownCounter
    from opentelemetry.trace import Span, Tracer, TracerProvider

_SCOPE = "losant_tokens"
_SCHEMA = "https://opentelemetry.io/schemas/1.29.0"
_ASK_AGAIN = 1.0  # seconds after which to look for a provider again
_HTTP_ERROR = 400  # the first status that is an error
# The boundaries that the semantic conventions recommend for durations of HTTP requests, in seconds,
# and two more for calls that wait.
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
_COUNTS = (1, 2, 3, 4, 5, 10, 20, 50)


@attrs.frozen(kw_only=True)
class OpenTelemetry:
    """How a client reports its calls to OpenTelemetry. It needs the extra `[otel]`."""

    tracer_provider: "TracerProvider | None" = None
    """Makes the spans. Default: the global one."""
    meter_provider: "MeterProvider | None" = None
    """Makes the metrics. Default: the global one."""
    record_ids: bool = attrs.field(default=False, validator=validators.instance_of(bool))
    """Whether spans may have the ids of tokens and accounts: `url.full`, and the messages of
    errors. Default: False.
    """
    propagate: bool = attrs.field(default=False, validator=validators.instance_of(bool))
    """Whether requests have the header `traceparent`, so that the server can continue the trace.
    Baggage is never sent, because the server belongs to somebody else. Default: False.
    """


def telemetry_of(setting: object, url: httpx.URL) -> "Telemetry":
    """Return the observer for a setting of a client that does not turn telemetry off.

    Args:
        setting: The setting. `None` means that the application has imported opentelemetry.
        url: The base URL of the client.

    Raises:
        ValidationError: The setting has another type, or the extra is not installed.
    """
    if setting is None:
        return Telemetry(OpenTelemetry(), url, is_automatic=True)
    config = OpenTelemetry() if setting is True else setting
    if not isinstance(config, OpenTelemetry):
        raise ValidationError(
            f"AsyncClient.telemetry must be an OpenTelemetry, True, False or None, "
            f"but it is {validators.describe(setting)}"
        )
    try:
        return Telemetry(config, url)
    except ImportError:
        pass
    raise ValidationError(
        "AsyncClient.telemetry needs the package opentelemetry-api, which is not installed. Run "
        "pip install 'losant-tokens[otel]'"
    )


class Telemetry:
    """Reports the calls of a client. It is an observer.

    Args:
        config: What to report.
        url: The base URL of the client.
        is_automatic: Whether the application has not asked for it. Then calls are reported from
            the time on when it has set a provider.
    """

    def __init__(
        self, config: OpenTelemetry, url: httpx.URL, *, is_automatic: bool = False
    ) -> None:
        from opentelemetry import context, metrics, trace  # noqa: PLC0415 -- few clients need it

        self.config = config
        self.is_automatic = is_automatic
        self._is_recording = False
        self._ask_again_at = 0.0
        self.server: dict[str, Any] = {
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
        }
        self.scheme = url.scheme
        self.context, self.trace, self.metrics = context, trace, metrics
        self.tracer: Tracer = trace.get_tracer(_SCOPE, __version__, config.tracer_provider, _SCHEMA)
        meter = metrics.get_meter(_SCOPE, __version__, config.meter_provider, _SCHEMA)
        self.instruments = _Instruments(meter)

    def __call__(self, operation: Operation[Any]) -> "_ObservedCall | None":
        """Return the observer of a call, or `None` if nothing would be recorded."""
        return _ObservedCall(self, operation) if self._records() else None

    def together(self, name: str) -> Callable[[BaseException | None], None] | None:
        """Begin a span for the calls from now on, and return the function that ends it.

        Args:
            name: The name of the span.
        """
        if not self._records():
            return None
        span = self.tracer.start_span(
            name, attributes={"losant_tokens.operation": name, **self.server}
        )
        token = self.context.attach(self.in_context(span))

        def end(error: BaseException | None) -> None:
            self.context.detach(token)
            if error is not None:
                span.set_attribute("error.type", type(error).__name__)
                self.set_error(span, error)
            span.end()

        return end

    def _records(self) -> bool:
        """Return whether anything would be recorded."""
        if self.is_automatic and not self._is_recording:
            # Asking for the providers reads environment variables, so it is not done for each call.
            # It would add 4 microseconds to a call, even if nothing is recorded.
            now = time.monotonic()
            if now < self._ask_again_at:
                return False
            self._ask_again_at = now + _ASK_AGAIN
            self._is_recording = self._has_provider()
            return self._is_recording
        return True

    def _has_provider(self) -> bool:
        """Return whether the application has set a provider of spans or of metrics."""
        tracers, meters = self.trace.get_tracer_provider(), self.metrics.get_meter_provider()
        return not (
            isinstance(tracers, self.trace.ProxyTracerProvider)
            and "Proxy" in type(meters).__name__  # its class is not public
        )

    def in_context(self, span: "Span", *, sends: bool = False) -> "Context":
        """Return a context in which a span is the current one.

        Args:
            span: The span.
            sends: Whether a request is sent in it. Instrumentations of HTTP clients then add no
                span of their own.
        """
        found = self.trace.set_span_in_context(span)
        # The specification has no public name for it yet.
        key = getattr(self.context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", None)
        return found if key is None or not sends else self.context.set_value(key, True, found)

    def set_error(self, span: "Span", error: BaseException | None) -> None:
        """Set the status of a span that has failed.

        Args:
            span: The span.
            error: Its error, whose message may have ids.
        """
        text = str(error) if self.config.record_ids and error is not None else None
        span.set_status(self.trace.Status(self.trace.StatusCode.ERROR, text))


class _Instruments:
    """The metrics of calls.

    Args:
        meter: Creates them.
    """

    def __init__(self, meter: "Meter") -> None:
        self.request_duration: Histogram = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self.active_requests: UpDownCounter = meter.create_up_down_counter(
            "http.client.active_requests", "{request}", "Number of requests in flight."
        )
        self.operation_duration: Histogram = meter.create_histogram(
            "losant_tokens.operation.duration",
            "s",
            "Duration of calls, with all of their attempts and waits.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self.attempts: Histogram = meter.create_histogram(
            "losant_tokens.operation.attempts",
            "{attempt}",
            "Number of attempts of a call.",
            explicit_bucket_boundaries_advisory=_COUNTS,
        )
        self.waiting: UpDownCounter = meter.create_up_down_counter(
            "losant_tokens.limiter.waiting",
            "{call}",
            "Number of calls that wait for the rate limit or a free connection.",
        )
        self.wait_duration: Histogram = meter.create_histogram(
            "losant_tokens.limiter.wait.duration",
            "s",
            "Duration of waits for the rate limit or a free connection.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self.pause_duration: Histogram = meter.create_histogram(
            "losant_tokens.rate_limit.pause.duration",
            "s",
            "Duration of pauses after a response with status 429.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )


class _ObservedCall:
    """Reports one call."""

    def __init__(self, telemetry: Telemetry, operation: Operation[Any]) -> None:
        self._telemetry = telemetry
        self._template = template_of(operation)
        self._facts = {"losant_tokens.operation": operation.name, **telemetry.server}
        self._began = time.perf_counter()
        self._wait_began = 0.0
        self._attempts = 0
        self._attempt: Span | None = None
        self._attempt_token: Any = None
        self._span = telemetry.tracer.start_span(
            operation.name, attributes={**self._facts, "url.template": self._template}
        )
        self._token = telemetry.context.attach(telemetry.in_context(self._span))

    def wait_began(self) -> None:
        """Count the call as waiting."""
        self._wait_began = time.perf_counter()
        self._telemetry.instruments.waiting.add(1, self._telemetry.server)

    def wait_ended(self) -> None:
        """Record the duration of the wait."""
        seconds = time.perf_counter() - self._wait_began
        self._telemetry.instruments.waiting.add(-1, self._telemetry.server)
        self._telemetry.instruments.wait_duration.record(seconds, self._telemetry.server)
        self._span.add_event("wait", {"losant_tokens.wait.duration": seconds})

    def request(self, event: RequestEvent, request: httpx.Request, /) -> None:
        """Begin the span of an attempt, and propagate the trace if that is wanted."""
        telemetry = self._telemetry
        self._attempts = event.attempt
        attributes = {
            "http.request.method": event.method,
            "url.template": self._template,
            "url.scheme": telemetry.scheme,
            **telemetry.server,
        }
        if event.attempt > 1:
            attributes["http.request.resend_count"] = event.attempt - 1
        if telemetry.config.record_ids:
            attributes["url.full"] = str(request.url)
        self._attempt = telemetry.tracer.start_span(
            f"{event.method} {self._template}",
            kind=telemetry.trace.SpanKind.CLIENT,
            attributes=attributes,
        )
        context = telemetry.in_context(self._attempt, sends=True)
        self._attempt_token = telemetry.context.attach(context)
        telemetry.instruments.active_requests.add(1, self._metric_facts(event))
        if telemetry.config.propagate:
            from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 -- rarely used

            tracecontext.TraceContextTextMapPropagator().inject(request.headers, context)

    def response(self, event: ResponseEvent) -> None:
        """End the span of an attempt, and record its outcome."""
        telemetry, span = self._telemetry, self._attempt
        assert span is not None  # noqa: S101 -- each response follows a request
        telemetry.context.detach(self._attempt_token)
        facts = self._metric_facts(event)
        telemetry.instruments.active_requests.add(-1, facts)
        outcome: dict[str, Any] = {}
        if event.status_code is not None:
            outcome["http.response.status_code"] = event.status_code
        if error_type := _attempt_error(event):
            outcome["error.type"] = error_type
            telemetry.set_error(span, event.error)
        span.set_attributes(outcome)
        span.end()
        telemetry.instruments.request_duration.record(
            event.elapsed, {**facts, "url.template": self._template, **outcome}
        )
        self._span.add_event("attempt", {"losant_tokens.attempt": event.attempt, **outcome})

    def retry(self, event: RetryEvent) -> None:
        """Record the delay before the next attempt."""
        self._span.add_event(
            "retry",
            {"losant_tokens.attempt": event.attempt, "losant_tokens.retry.delay": event.delay},
        )
        if event.outcome == "429":
            self._telemetry.instruments.pause_duration.record(event.delay, self._telemetry.server)

    def ended(self, error: BaseException | None) -> None:
        """End the span of the call."""
        telemetry = self._telemetry
        telemetry.context.detach(self._token)
        outcome = {} if error is None else {"error.type": type(error).__name__}
        if error is not None:
            telemetry.set_error(self._span, error)
        self._span.set_attributes({**outcome, "losant_tokens.attempts": self._attempts})
        self._span.end()
        facts = {**self._facts, **outcome}
        telemetry.instruments.operation_duration.record(time.perf_counter() - self._began, facts)
        telemetry.instruments.attempts.record(self._attempts, facts)

    def _metric_facts(self, event: RequestEvent) -> dict[str, Any]:
        return {
            "http.request.method": event.method,
            "url.scheme": self._telemetry.scheme,
            **self._telemetry.server,
        }


def _attempt_error(event: ResponseEvent) -> str | None:
    """Return the attribute `error.type` of an attempt, or `None` if it succeeded."""
    if event.status_code is not None and event.status_code >= _HTTP_ERROR:
        return str(event.status_code)
    if event.error is not None:
        return type(event.error).__name__
    return "cancelled" if event.status_code is None else None
