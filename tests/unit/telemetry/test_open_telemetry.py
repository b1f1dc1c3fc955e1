"""Spans and metrics of calls, collected with the SDK of OpenTelemetry in memory."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import attrs
import httpx
import pytest
import trio
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from losant_tokens import AsyncClient, OpenTelemetry, ResponseEvent, RetryPolicy, errors
from losant_tokens._api import operations
from losant_tokens.testing import FakeLosant
from tests.support.servers import ID

SECRET = "my-secret-bearer"
TEMPLATE = "/me/tokens/{apiTokenId}"
SERVER = {"server.address": "api.example.com", "server.port": 8443}


@attrs.define
class Collector:
    """The spans and metrics of a test."""

    exporter: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = attrs.field(factory=InMemoryMetricReader)

    def telemetry(self, **settings: Any) -> OpenTelemetry:
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        meters = MeterProvider(metric_readers=[self.reader])
        return OpenTelemetry(tracer_provider=tracers, meter_provider=meters, **settings)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def points(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """Return the attributes and the value or count of each data point, by the metric."""
        data = self.reader.get_metrics_data()
        assert data is not None
        (scope,) = data.resource_metrics[0].scope_metrics
        return {
            metric.name: [
                (
                    dict(point.attributes or {}),
                    point.value if isinstance(point, NumberDataPoint) else point.count,
                )
                for point in metric.data.data_points
            ]
            for metric in scope.metrics
        }


def client_of(*responses: Any, **settings: Any) -> AsyncClient:
    """Return a client of an API that gives these responses, and raises exceptions among them."""
    pending = list(responses)

    async def handle(request: httpx.Request) -> httpx.Response:
        response = pending.pop(0)
        if callable(response):
            response = await response(request)
        if isinstance(response, Exception):
            raise response
        body = {"id": ID, "success": True} if response == 200 else {"type": "X", "message": ID}
        return httpx.Response(response, json=body)

    return AsyncClient(
        SECRET,
        base_url="https://api.example.com:8443",
        transport=httpx.MockTransport(handle),
        retry=RetryPolicy(base=0.001),
        **settings,
    )


async def test_a_call_with_a_retry() -> None:
    """A call has a span, and each attempt has a client span below it, without an id or a secret."""
    collector = Collector()
    async with client_of(503, 200, telemetry=collector.telemetry()) as client:
        await client.user_api_token.get(ID)

    first, second, call = collector.spans
    assert (call.name, call.kind, call.status.status_code) == (
        "userApiToken.get",
        SpanKind.INTERNAL,
        StatusCode.UNSET,
    )
    assert dict(call.attributes or {}) == {
        "losant_tokens.operation": "userApiToken.get",
        "losant_tokens.attempts": 2,
        "url.template": TEMPLATE,
        **SERVER,
    }
    assert [(event.name, dict(event.attributes or {})) for event in call.events] == [
        (
            "attempt",
            {
                "losant_tokens.attempt": 1,
                "http.response.status_code": 503,
                "error.type": "503",
            },
        ),
        (
            "retry",
            {"losant_tokens.attempt": 2, "losant_tokens.retry.delay": pytest.approx(0, abs=0.1)},
        ),
        ("attempt", {"losant_tokens.attempt": 2, "http.response.status_code": 200}),
    ]
    for span in (first, second):
        assert (span.name, span.kind) == (f"GET {TEMPLATE}", SpanKind.CLIENT)
        assert span.parent is not None
        assert span.parent.span_id == call.context.span_id
    common = {
        "http.request.method": "GET",
        "url.template": TEMPLATE,
        "url.scheme": "https",
        **SERVER,
    }
    assert dict(first.attributes or {}) == {
        **common,
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert dict(second.attributes or {}) == {
        **common,
        "http.response.status_code": 200,
        "http.request.resend_count": 1,
    }
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, None)
    shown = "".join(span.to_json() for span in collector.spans)
    assert SECRET not in shown
    assert ID not in shown


@pytest.mark.parametrize(
    ("response", "attempt_error", "call_error"),
    [
        (404, "404", "NotFound"),
        (httpx.ConnectError("no"), "ConnectFailed", "ConnectFailed"),
        (httpx.ReadTimeout("no"), "RequestTimeout", "RequestTimeout"),
    ],
)
async def test_a_call_that_fails(response: Any, attempt_error: str, call_error: str) -> None:
    """The spans of a failed call have the type of the error, without its message."""
    collector = Collector()
    async with client_of(response, telemetry=collector.telemetry()) as client:
        with pytest.raises(errors.LosantError):
            await client.user_api_token.get(ID, retry=RetryPolicy(attempts=1))
    attempt, call = collector.spans
    for span, error_type in ((attempt, attempt_error), (call, call_error)):
        assert (span.attributes or {})["error.type"] == error_type
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert call.events[0].attributes is not None
    assert call.events[0].attributes["error.type"] == attempt_error


@pytest.mark.parametrize("run", [anyio.run, trio.run])
def test_a_cancelled_call(run: Callable[..., object]) -> None:
    """A cancelled call ends its spans, and restores the context of the caller."""
    collector = Collector()

    async def hang(request: httpx.Request) -> int:
        await anyio.sleep_forever()
        raise AssertionError

    async def main() -> None:
        before = context.get_current()
        async with client_of(hang, telemetry=collector.telemetry()) as client:
            with anyio.move_on_after(0.01):
                await client.user_api_token.get(ID)
            assert context.get_current() == before

    run(main)
    attempt, call = collector.spans
    assert attempt.attributes is not None
    assert call.attributes is not None
    assert attempt.attributes["error.type"] == "cancelled"
    assert call.attributes["error.type"] in {"CancelledError", "Cancelled"}


async def test_the_caller_is_the_parent() -> None:
    """The span of a call is below the span of the caller, also with calls at the same time.

    While a request is sent, the span of its attempt is the current one.
    """
    collector = Collector()
    current: list[int] = []

    async def respond(request: httpx.Request) -> int:
        current.append(trace.get_current_span().get_span_context().span_id)
        await anyio.sleep(0.01)
        return 200

    telemetry = collector.telemetry()
    assert telemetry.tracer_provider is not None
    tracer = telemetry.tracer_provider.get_tracer("app")
    async with client_of(respond, respond, telemetry=telemetry) as client:
        with tracer.start_as_current_span("parent") as parent:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.user_api_token.get, ID)
                tasks.start_soon(client.user_api_token.get, ID)
            assert trace.get_current_span() is parent
    by_name: dict[str, list[ReadableSpan]] = {}
    for span in collector.spans:
        by_name.setdefault(span.name, []).append(span)
    calls, attempts = by_name["userApiToken.get"], by_name[f"GET {TEMPLATE}"]
    (root,) = by_name["parent"]
    assert [span.parent.span_id for span in calls if span.parent] == [root.context.span_id] * 2
    assert {span.parent.span_id for span in attempts if span.parent} == {
        span.context.span_id for span in calls
    }
    assert sorted(current) == sorted(span.context.span_id for span in attempts)


async def test_a_snapshot() -> None:
    """The calls of a snapshot are below a span of its own, with hooks as well."""
    collector, fake = Collector(), FakeLosant()
    events: list[ResponseEvent] = []
    for number in range(3):
        fake.add_token(f"ci-{number}")
    settings: Any = {"transport": fake.transport(), "telemetry": collector.telemetry()}
    settings["on_response"] = events.append
    before = context.get_current()
    async with AsyncClient(fake.admin_token, base_url="https://h", **settings) as client:
        assert len(await client.user_api_tokens.snapshot(per_page=2)) == 3
    assert context.get_current() == before

    *_, snapshot = collector.spans
    calls = [span for span in collector.spans if span.name == "userApiTokens.get"]
    assert (snapshot.name, dict(snapshot.attributes or {})) == (
        "userApiTokens.snapshot",
        {
            "losant_tokens.operation": "userApiTokens.snapshot",
            "server.address": "h",
            "server.port": 443,
        },
    )
    assert {span.parent.span_id for span in calls if span.parent} == {snapshot.context.span_id}
    assert len(calls) == len(events) > 2


@pytest.mark.parametrize("run", [anyio.run, trio.run])
@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_snapshot_that_ends_early(run: Callable[..., object], is_cancelled: bool) -> None:
    """The span of a snapshot ends with its error, even if that is a cancellation."""
    collector = Collector()

    async def respond(request: httpx.Request) -> int:
        if is_cancelled:
            await anyio.sleep_forever()
        return 401

    async def main() -> None:
        before = context.get_current()
        async with client_of(respond, telemetry=collector.telemetry()) as client:
            with anyio.move_on_after(0.01 if is_cancelled else 9), suppress(errors.Unauthorized):
                await client.user_api_tokens.snapshot()
            assert context.get_current() == before

    run(main)
    *_, snapshot = collector.spans
    assert snapshot.name == "userApiTokens.snapshot"
    assert snapshot.status.status_code is StatusCode.ERROR
    expected = {"CancelledError", "Cancelled"} if is_cancelled else {"Unauthorized"}
    assert (snapshot.attributes or {})["error.type"] in expected


async def test_ids_on_request() -> None:
    """With `record_ids`, spans have the whole URL and the message of an error, but no secret."""
    collector = Collector()
    async with client_of(404, telemetry=collector.telemetry(record_ids=True)) as client:
        with pytest.raises(errors.NotFound):
            await client.user_api_token.get(ID)
    attempt, call = collector.spans
    assert str((attempt.attributes or {})["url.full"]).startswith(
        f"https://api.example.com:8443/me/tokens/{ID}?"
    )
    assert call.status.description is not None
    assert call.status.description.startswith(f"userApiToken.get (/me/tokens/{ID}): 404")
    assert SECRET not in call.to_json() + attempt.to_json()


@pytest.mark.parametrize("propagate", [True, False])
async def test_propagation(propagate: bool) -> None:
    """Only with `propagate`, each attempt names its own span to the API, and never any baggage."""
    collector = Collector()
    headers: list[httpx.Headers] = []

    async def respond(request: httpx.Request) -> int:
        headers.append(httpx.Headers(request.headers))
        return 200 if len(headers) > 1 else 503

    telemetry = collector.telemetry(propagate=propagate)
    token = context.attach(baggage.set_baggage("user", "ada"))
    try:
        async with client_of(respond, respond, telemetry=telemetry) as client:
            await client.user_api_token.get(ID)
    finally:
        context.detach(token)
    spans = [f"{span.context.span_id:016x}" for span in collector.spans[:2]]
    sent = [one.get("traceparent", "--").split("-")[2] for one in headers]
    assert sent == (spans if propagate else ["", ""])
    assert not any("baggage" in one for one in headers)


async def test_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metrics count requests, calls, attempts, waits and pauses, and what is in flight."""
    monkeypatch.setattr("losant_tokens._limits.adaptive_rate._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("losant_tokens._limits.adaptive_rate._SKIPPED_REQUESTS", 0.01)
    collector = Collector()
    async with client_of(429, 200, telemetry=collector.telemetry()) as client:
        await client.user_api_token.get(ID)

    http = {"http.request.method": "GET", "url.scheme": "https", **SERVER}
    refused = {"http.response.status_code": 429, "error.type": "429"}
    call = {"losant_tokens.operation": "userApiToken.get", **SERVER}
    assert collector.points() == {
        "http.client.request.duration": [
            ({**http, "url.template": TEMPLATE, **refused}, 1),
            ({**http, "url.template": TEMPLATE, "http.response.status_code": 200}, 1),
        ],
        "http.client.active_requests": [(http, 0)],
        "losant_tokens.operation.duration": [(call, 1)],
        "losant_tokens.operation.attempts": [(call, 1)],
        "losant_tokens.limiter.waiting": [(SERVER, 0)],
        "losant_tokens.limiter.wait.duration": [(SERVER, 1)],
        "losant_tokens.rate_limit.pause.duration": [(SERVER, 1)],
    }


# --- Switching it on --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "provider", "reports"),
    [
        (None, True, True),
        (None, False, False),
        (True, False, True),
        (False, True, False),
    ],
)
async def test_when_calls_are_reported(
    setting: Any, provider: bool, reports: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default, calls are reported if the application has set a provider, even later."""
    collector = Collector()
    global_provider = collector.telemetry().tracer_provider
    seen: list[object] = []

    async def respond(request: httpx.Request) -> int:
        seen.append(trace.get_current_span())
        return 200

    async with client_of(respond, telemetry=setting) as client:
        if provider:
            monkeypatch.setattr(trace, "get_tracer_provider", lambda: global_provider)
        watched = client._session.observers
        assert (watched is not None) == (setting is not False)
        call = await client._session._new_call(
            operations.USER_API_TOKEN_GET,
            {"apiTokenId": ID},
            None,
            None,
            {},
        )
        await call.result()
        assert (call._watch is not None) == reports


async def test_a_provider_that_is_set_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a provider, the client looks for one again after a second, and then reports calls."""
    times = [100.0]
    found = Collector().telemetry().tracer_provider
    monkeypatch.setattr("losant_tokens._telemetry.open_telemetry.time.monotonic", lambda: times[-1])
    observers = client_of()._session.observers
    assert observers is not None
    (observe,) = observers.observers
    watched: list[bool] = []
    for time, is_set in ((100.0, False), (100.5, True), (101.5, True), (101.6, True)):
        times.append(time)
        if is_set:
            monkeypatch.setattr(trace, "get_tracer_provider", lambda: found)
        call = observe(operations.USER_API_TOKEN_GET)
        watched.append(call is not None)
        if call is not None:
            call.ended(None)
    assert watched == [False, False, True, True]


def test_an_application_without_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """If opentelemetry was not imported, it is not imported now, and nothing is observed."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "opentelemetry":
            monkeypatch.delitem(sys.modules, name)
    assert client_of()._session.observers is None
    assert "opentelemetry" not in sys.modules


def test_the_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it was asked for and is not installed, the error names the extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(errors.ValidationError, match=r"pip install 'losant-tokens\[otel\]'"):
        client_of(telemetry=True)


@pytest.mark.parametrize("setting", ["yes", 1, object()])
def test_invalid_settings(setting: Any) -> None:
    """A setting of another type is refused."""
    with pytest.raises(errors.ValidationError, match=r"AsyncClient\.telemetry must be"):
        client_of(telemetry=setting)
