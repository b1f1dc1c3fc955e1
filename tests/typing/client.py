"""The types of the client."""

import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, assert_type

import httpx
import httpx2

from losant_tokens import (
    NEVER,
    ApiToken,
    ApiTokenPatch,
    ApiTokenPost,
    ApiTokens,
    Application,
    Applications,
    AsyncClient,
    AuditLog,
    AuditLogActor,
    AuditLogFilter,
    AuditLogRequest,
    AuditLogs,
    AuditLogTarget,
    AuthenticatedUser,
    Instance,
    InstanceAuditLog,
    InstanceAuditLogs,
    Instances,
    Listing,
    NewApiToken,
    OauthRequest,
    OauthScope,
    OpenTelemetry,
    Organization,
    Organizations,
    Owner,
    OwnerTokens,
    PublishedScope,
    RawClient,
    RawResponse,
    RequestEvent,
    RequestOptions,
    ResponseEvent,
    RetryEvent,
    RetryPolicy,
    Scope,
    Secret,
    Success,
    Transport,
    UnlistedScope,
    UserCredentials,
    UserOauthToken,
    UserOauthTokenPatch,
    UserOauthTokenPost,
    UserOauthTokens,
    aiohttp_transport,
    can_create_tokens,
    environment_proxy,
    errors,
    httpx_transport,
    parse_duration,
    published_scopes,
)
from losant_tokens.errors import ScopeError

ID = "575ec7417ae143cd83dc4a95"
POST = ApiTokenPost(name="ci", scope=["all.User.read", UnlistedScope("new.scope")])
SCOPE: Scope = "galaxy.get"  # any string
PUBLISHED: PublishedScope = "all.User.read"
MISSPELT: PublishedScope = "all.User.reed"  # type: ignore[assignment]
OAUTH_SCOPE: OauthScope = "only.User.read"
NOT_OAUTH: OauthScope = "all.User"  # type: ignore[assignment]
PATCH = ApiTokenPatch(status="inactive")
OAUTH_REQUEST = OauthRequest(
    client_id="c" * 24, redirect_uri="https://example.com", code_challenge="c" * 43
)


async def user_tokens(client: AsyncClient) -> None:
    assert_type(await client.user_api_token.get(ID), ApiToken)
    assert_type(await client.user_api_token.patch(ID, PATCH), ApiToken)
    assert_type(await client.user_api_token.delete(ID, losantdomain="example.com"), Success)
    assert_type(await client.user_api_tokens.get(per_page=50), ApiTokens)
    assert_type(await client.user_api_tokens.post(POST), NewApiToken)
    assert_type(client.user_api_tokens.iter(sort_field="expirationDate"), Listing[ApiToken])
    async for token in client.user_api_tokens.iter():
        assert_type(token, ApiToken)


async def life_cycle() -> None:
    client = await AsyncClient().open()
    assert_type(client, AsyncClient)
    await client.aclose(drain=5.0)


async def oauth_tokens(client: AsyncClient) -> None:
    post = UserOauthTokenPost(name="app", oauth=OAUTH_REQUEST, expiration_date=NEVER)
    assert_type(await client.user_oauth_token.get(ID), UserOauthToken)
    patch = UserOauthTokenPatch(name="app")
    assert_type(await client.user_oauth_token.patch(ID, patch), UserOauthToken)
    assert_type(await client.user_oauth_token.delete(ID), Success)
    assert_type(await client.user_oauth_tokens.get(), UserOauthTokens)
    assert_type(await client.user_oauth_tokens.post(post), UserOauthToken)
    assert_type(client.user_oauth_tokens.iter(), Listing[UserOauthToken])


async def application_tokens(client: AsyncClient) -> None:
    assert_type(await client.application_api_token.get(ID, ID), ApiToken)
    assert_type(await client.application_api_token.patch(ID, ID, PATCH), ApiToken)
    assert_type(await client.application_api_token.delete(ID, ID), Success)
    assert_type(await client.application_api_tokens.get(ID), ApiTokens)
    assert_type(await client.application_api_tokens.post(ID, POST), NewApiToken)
    assert_type(client.application_api_tokens.iter(ID), Listing[ApiToken])


async def instance_tokens(client: AsyncClient) -> None:
    assert_type(await client.instance_api_token.get(ID, ID), ApiToken)
    assert_type(await client.instance_api_token.patch(ID, ID, PATCH), ApiToken)
    assert_type(await client.instance_api_token.delete(ID, ID), Success)
    assert_type(await client.instance_api_tokens.get(ID), ApiTokens)
    assert_type(await client.instance_api_tokens.post(ID, POST), NewApiToken)
    assert_type(client.instance_api_tokens.iter(ID), Listing[ApiToken])


async def tokens_of_any_owner(client: AsyncClient) -> None:
    tokens = client.tokens(Owner.application(ID))
    assert_type(tokens, OwnerTokens)
    assert_type(client.tokens("user"), OwnerTokens)
    assert_type(tokens.refusal("delete"), ScopeError | None)
    assert_type(await tokens.get(ID), ApiToken | UserOauthToken)
    assert_type(await tokens.patch(ID, PATCH), ApiToken | UserOauthToken)
    assert_type(await tokens.delete(ID), Success)
    assert_type(await tokens.post(POST), NewApiToken)
    oauth_post = UserOauthTokenPost(name="app", oauth=OAUTH_REQUEST)
    assert_type(await tokens.post(oauth_post), UserOauthToken)
    assert_type(tokens.iter(), Listing[ApiToken | UserOauthToken])
    assert_type(await tokens.page(page=2), ApiTokens | UserOauthTokens)
    assert_type(await tokens.count(), int | None)


async def snapshots(client: AsyncClient) -> None:
    assert_type(await client.user_api_tokens.snapshot(per_page=10, timeout=5.0), list[ApiToken])
    assert_type(await client.user_oauth_tokens.snapshot(), list[UserOauthToken])
    assert_type(await client.application_api_tokens.snapshot(ID, max_tokens=5), list[ApiToken])
    assert_type(await client.instance_api_tokens.snapshot(ID), list[ApiToken])
    assert_type(await client.tokens("user").snapshot(), list[ApiToken | UserOauthToken])
    await client.user_api_tokens.snapshot(filter="ci-*")  # type: ignore[call-arg]


async def raw_responses(client: AsyncClient) -> None:
    raw = client.with_raw_response
    assert_type(raw, RawClient)
    response = await raw.user_api_token.get(ID, timeout=5.0)
    assert_type(response, RawResponse[ApiToken])
    assert_type(response.parse(), ApiToken)
    assert_type(response.status_code, int)
    assert_type(response.headers["date"], str)
    assert_type(response.request_id, str | None)
    assert_type(response.elapsed, timedelta)
    assert_type(await raw.user_api_tokens.get(per_page=50), RawResponse[ApiTokens])
    assert_type(await raw.user_api_tokens.post(POST), RawResponse[NewApiToken])
    assert_type(await raw.application_api_token.delete(ID, ID), RawResponse[Success])
    assert_type(await raw.instance_audit_logs.get(ID, page=1), RawResponse[InstanceAuditLogs])
    tokens = raw.tokens("user")
    assert_type(await tokens.get(ID), RawResponse[ApiToken | UserOauthToken])
    assert_type(await tokens.post(POST), RawResponse[NewApiToken])
    await raw.user_api_token.get(1)  # type: ignore[arg-type]
    await raw.user_api_token.get(ID, retries=3)  # type: ignore[call-arg]
    await raw.user_api_tokens.get(sort_field="age")  # type: ignore[arg-type]


async def custom_operations(client: AsyncClient) -> None:
    page = await client.request("GET", "/a/{id}", path_params={"id": ID}, params={"perPage": 1})
    assert_type(page, Any)
    assert_type(await client.request("GET", "/a", cast_to=Applications, timeout=1), Applications)
    raw = client.with_raw_response
    assert_type(await raw.request("POST", "/a", json={"b": [1]}), RawResponse[Any])
    assert_type(await raw.request("DELETE", "/a", cast_to=Success), RawResponse[Success])
    await client.request("HEAD", "/a")  # type: ignore[call-overload]
    await client.request("GET", "/a", params={"b": [1]})  # type: ignore[call-overload]


async def audit_logs(client: AsyncClient, now: datetime) -> None:
    chosen = AuditLogFilter(
        actor=[AuditLogActor(type="ApiToken")],
        primary_target=[AuditLogTarget(id=ID)],
        request=[AuditLogRequest(resource="device", action="patch")],
        response_code=[200],
    )
    assert_type(await client.audit_log.get(ID, ID), AuditLog)
    assert_type(await client.audit_logs.get(ID, end=now, filter=chosen), AuditLogs)
    assert_type(client.audit_logs.iter(ID, sort_direction="asc"), Listing[AuditLog])
    assert_type(await client.instance_audit_log.get(ID, ID), InstanceAuditLog)
    assert_type(await client.instance_audit_logs.get(ID, page=1), InstanceAuditLogs)
    assert_type(client.instance_audit_logs.iter(ID, start=now), Listing[InstanceAuditLog])
    await client.audit_logs.get(ID, start="yesterday")  # type: ignore[arg-type]


async def owners(client: AsyncClient) -> None:
    assert_type(await client.applications.get(page=1, org_id=ID), Applications)
    assert_type(client.applications.iter(org_id=""), Listing[Application])
    assert_type(await client.instances.get(sort_field="name"), Instances)
    assert_type(client.instances.iter(), Listing[Instance])
    assert_type(await client.orgs.get(filter_field="name", filter="a*"), Organizations)
    assert_type(client.orgs.iter(), Listing[Organization])


async def log_in(client: AsyncClient) -> None:
    credentials = UserCredentials(email="ada@example.com", password="a password")
    user = await client.auth.authenticate_user(credentials)
    assert_type(user, AuthenticatedUser)
    assert_type(user.token, Secret)


async def new_token_has_a_secret(client: AsyncClient) -> None:
    new = await client.user_api_tokens.post(POST)
    assert_type(new.token, Secret)
    assert_type(new.token.reveal(), str)
    listed = await client.user_api_token.get(ID)
    assert_type(listed.token, Secret | None)
    listed.token.reveal()  # type: ignore[union-attr]


async def text_source() -> str:
    return "t"


async def secret_source() -> Secret:
    return Secret("t")


def tokens_that_change() -> None:
    client = AsyncClient(text_source)
    AsyncClient(secret_source, rate_limit=20)
    client.use_token("t", scopes=["all.User"])
    client.use_token(Secret("t"), allow_other_account=True)
    client.use_token(text_source)  # type: ignore[arg-type]
    AsyncClient(lambda: "t")  # type: ignore[arg-type, return-value]


def hooks(request: RequestEvent, response: ResponseEvent, retry: RetryEvent) -> None:
    assert_type(request.call_id, int)
    assert_type(request.path_template, str)
    assert_type(response.status_code, int | None)
    assert_type(response.error, errors.LosantError | None)
    assert_type(response.elapsed, float)
    assert_type(retry.error, errors.LosantError)
    assert_type(retry.delay, float)
    AsyncClient(on_request=print, on_response=print, on_retry=lambda event: event.delay)
    AsyncClient(on_retry=lambda event: event.elapsed)  # type: ignore[attr-defined]
    AsyncClient(telemetry=OpenTelemetry(record_ids=True, propagate=False))
    AsyncClient(telemetry="yes")  # type: ignore[arg-type]


async def opened_client() -> None:
    context = ssl.create_default_context()
    transport = aiohttp_transport(max_connections=10, verify=context)
    async with AsyncClient(Secret("t"), transport=transport, retry=RetryPolicy()) as client:
        assert_type(client, AsyncClient)
        assert_type(client.base_url, str)
        assert_type(client.max_connections, int)
        assert_type(client.clock_skew, timedelta | None)
        assert_type(client.server_time(), datetime | None)
        assert_type(client.account, str | None)
        assert_type(client.uses_token(ID), bool)
        assert_type(client.token_fingerprint, str | None)
        assert_type(client.uses_secret(Secret("t")), bool)
        assert_type(client.has_claimed_ids, bool)
    own: Transport = httpx.AsyncHTTPTransport()
    AsyncClient(transport=own)
    AsyncClient(transport=httpx2.AsyncHTTPTransport())
    AsyncClient(transport=httpx2.HTTPTransport())  # type: ignore[arg-type]
    AsyncClient(transport=httpx_transport(proxy=environment_proxy("https://api.losant.com")))
    AsyncClient(proxy=Secret("http://u:p@proxy"), verify=ssl.create_default_context())
    AsyncClient(proxy="http://proxy", verify="ca.pem", trust_env=False)
    AsyncClient(verify=False)  # type: ignore[arg-type]


def models(token: ApiToken, page: ApiTokens) -> None:
    assert_type(token.id, str)
    assert_type(token.name, str)
    assert_type(token.expiration_date, datetime | None)
    assert_type(page.items, tuple[ApiToken, ...])
    assert_type(page.total_count, int | None)
    assert_type(can_create_tokens(["all.User"]), bool)
    assert_type(parse_duration("90d"), timedelta)
    assert_type(published_scopes(), frozenset[str])
    assert_type(token.extra, Mapping[str, Any])
    assert_type(token.to_dict(), dict[str, Any])
    assert_type(page.to_json(reveal_secrets=True, indent=2), str)


async def options(client: AsyncClient) -> None:
    shared: RequestOptions = {"timeout": 5.0, "retry": RetryPolicy(attempts=1)}
    await client.user_api_token.get(ID, **shared)


async def mistakes(client: AsyncClient) -> None:
    await client.user_api_token.get()  # type: ignore[call-arg]
    await client.user_api_token.get(1)  # type: ignore[arg-type]
    await client.user_api_token.patch(ID, POST)  # type: ignore[arg-type]
    await client.user_api_token.get(ID, retries=3)  # type: ignore[call-arg]
    await client.user_api_tokens.post("ci")  # type: ignore[arg-type]
    await client.user_oauth_tokens.get(sort_field="expirationDate")  # type: ignore[arg-type]
    client.user_api_tokens.iter(sort_field="age")  # type: ignore[arg-type]
    client.user_api_tokens.iter(page=2)  # type: ignore[call-arg]
    ApiTokenPatch(status="deleted")  # type: ignore[arg-type]
    ApiTokenPost()  # type: ignore[call-arg]
    AsyncClient(Secret("t")).base_url = "https://example.com"  # type: ignore[misc]
    Secret("t").reveal().decode()  # type: ignore[attr-defined]
