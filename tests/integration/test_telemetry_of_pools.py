"""The spans of calls over real connections, with each pool."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from losant_tokens import AsyncClient, OpenTelemetry, aiohttp_transport, httpx_transport
from losant_tokens.testing import FakeLosant


@pytest.mark.sweep(sample=1)
@pytest.mark.parametrize("make", [aiohttp_transport, httpx_transport])
async def test_the_spans_of_a_pool(make: Any) -> None:
    """Over each pool, a retry and a rotation have the same spans, and the new token is sent."""
    fake = FakeLosant()
    token = fake.add_token("ci")
    fake.fail(status=503)
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = OpenTelemetry(tracer_provider=provider, propagate=True)

    async def source() -> str:
        return fake.admin_token if fake.requests else "rotated"

    with fake.serve() as url:
        client = AsyncClient(source, base_url=url, transport=make(), telemetry=telemetry)
        async with client:
            await client.user_api_token.get(token.id)

    template = "GET /me/tokens/{apiTokenId}"
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == [template] * 3 + ["userApiToken.get"]
    assert [dict(span.attributes or {}).get("http.response.status_code") for span in spans] == [
        503,
        401,
        200,
        None,
    ]
    sent = [request.headers["traceparent"].split("-")[2] for request in fake.requests]
    assert sent == [f"{span.context.span_id:016x}" for span in spans[:3]]
