"""The client sends the same requests as the official client."""

import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import losant_rest
import pytest

from losant_tokens import (
    NEVER,
    ApiTokenPatch,
    ApiTokenPost,
    AsyncClient,
    AuditLogActor,
    AuditLogFilter,
    OauthRequest,
    OrgRole,
    ResourceRole,
    UserCredentials,
    UserOauthTokenPatch,
    UserOauthTokenPost,
)

ID = "575ec7417ae143cd83dc4a95"
OWNER = "575ec8687ae143cd83dc4a97"
HEADERS = ("accept", "accept-version", "authorization", "content-type", "losantdomain")


@attrs.frozen
class Sent:
    """Return the parts of a request that must be the same."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str | None]
    body: Any


@pytest.fixture
def wire() -> Iterator[tuple[str, list[Sent]]]:
    """A server that responds to any request, and records it."""
    sent: list[Sent] = []
    token = {"id": ID, "items": [], "success": True, "userId": ID, "token": "t"}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _take(self) -> None:
            url = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: self.headers.get(name) for name in HEADERS}
            body = json.loads(content) if content else None
            sent.append(Sent(self.command, url.path, parse_qs(url.query), headers, body))
            answer = json.dumps(token).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PATCH = do_DELETE = do_POST = _take  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


Ours = Callable[[AsyncClient], Awaitable[object]]
Theirs = Callable[[Any], object]

PATCH = {"name": "x", "description": "", "status": "inactive", "defaultRole": "view"}
ROLES = [
    {
        "orgId": "sandbox",
        "role": "edit",
        "applicationRoles": [{"resourceId": OWNER, "role": "none"}],
    }
]
POST = {"name": "ci", "scope": ["all.User.read", "me.*"], "status": "active", "orgRoles": ROLES}
APPLICATION_POST = {"name": "ci", "scope": ["all.Application"], "description": "é\n\U0001f511"}
OAUTH = {
    "client_id": "c" * 24,
    "redirect_uri": "https://app.example/back",
    "code_challenge": "x" * 43,
    "code_challenge_method": "S256",
    "resource": ["https://app.example/"],
}
OAUTH_POST = {"name": "app", "oauth": OAUTH, "expirationDate": None}
LIST = {
    "sortField": "creationDate",
    "sortDirection": "desc",
    "page": "2",
    "perPage": "50",
    "filterField": "name",
    "filter": "ci-* & é+/%?",
}
CREDENTIALS = {"email": "a@b.c", "password": "p4ssw0rd", "twoFactorCode": "1", "tokenTTL": 60}


def patch(kind: Any = ApiTokenPatch) -> Any:
    return kind(name="x", description="", status="inactive", default_role="view")


def post() -> ApiTokenPost:
    role = OrgRole("sandbox", "edit", application_roles=[ResourceRole(OWNER, "none")])
    return ApiTokenPost("ci", scope=["all.User.read", "me.*"], status="active", org_roles=[role])


def application_post() -> ApiTokenPost:
    return ApiTokenPost("ci", scope=["all.Application"], description="é\n\U0001f511")


def oauth_post() -> UserOauthTokenPost:
    oauth = OauthRequest(
        "c" * 24, "https://app.example/back", "x" * 43, resource=["https://app.example/"]
    )
    return UserOauthTokenPost("app", oauth, expiration_date=NEVER)


LISTED: Any = {
    "sort_field": "creationDate",
    "sort_direction": "desc",
    "page": 2,
    "per_page": 50,
    "filter_field": "name",
    "filter": "ci-* & é+/%?",
}
APPLICATION, INSTANCE = {"applicationId": OWNER}, {"instanceId": OWNER}
ONE = {"apiTokenId": ID}

PAIRS: list[tuple[str, Ours, Theirs]] = [
    (
        "userApiToken.get",
        lambda c: c.user_api_token.get(ID),
        lambda o: o.user_api_token.get(**ONE),
    ),
    (
        "userApiToken.get with options",
        lambda c: c.user_api_token.get(
            ID, losantdomain="x.example", actions=True, links=False, embedded=False
        ),
        lambda o: o.user_api_token.get(
            **ONE, losantdomain="x.example", _actions="true", _links="false", _embedded="false"
        ),
    ),
    (
        "userApiToken.patch",
        lambda c: c.user_api_token.patch(ID, patch()),
        lambda o: o.user_api_token.patch(**ONE, apiToken=PATCH),
    ),
    (
        "userApiToken.delete",
        lambda c: c.user_api_token.delete(ID),
        lambda o: o.user_api_token.delete(**ONE),
    ),
    (
        "userApiTokens.get",
        lambda c: c.user_api_tokens.get(),
        lambda o: o.user_api_tokens.get(),
    ),
    (
        "userApiTokens.get with parameters",
        lambda c: c.user_api_tokens.get(**LISTED),
        lambda o: o.user_api_tokens.get(**LIST),
    ),
    (
        "userApiTokens.post",
        lambda c: c.user_api_tokens.post(post()),
        lambda o: o.user_api_tokens.post(apiToken=POST),
    ),
    (
        "userOauthToken.get",
        lambda c: c.user_oauth_token.get(ID),
        lambda o: o.user_oauth_token.get(oauthTokenId=ID),
    ),
    (
        "userOauthToken.patch",
        lambda c: c.user_oauth_token.patch(ID, patch(UserOauthTokenPatch)),
        lambda o: o.user_oauth_token.patch(oauthTokenId=ID, oauthToken=PATCH),
    ),
    (
        "userOauthToken.delete",
        lambda c: c.user_oauth_token.delete(ID),
        lambda o: o.user_oauth_token.delete(oauthTokenId=ID),
    ),
    (
        "userOauthTokens.get",
        lambda c: c.user_oauth_tokens.get(**LISTED),
        lambda o: o.user_oauth_tokens.get(**LIST),
    ),
    (
        "userOauthTokens.post",
        lambda c: c.user_oauth_tokens.post(oauth_post()),
        lambda o: o.user_oauth_tokens.post(oauthToken=OAUTH_POST),
    ),
    (
        "applicationApiToken.get",
        lambda c: c.application_api_token.get(OWNER, ID),
        lambda o: o.application_api_token.get(**APPLICATION, **ONE),
    ),
    (
        "applicationApiToken.patch",
        lambda c: c.application_api_token.patch(OWNER, ID, patch()),
        lambda o: o.application_api_token.patch(**APPLICATION, **ONE, apiToken=PATCH),
    ),
    (
        "applicationApiToken.delete",
        lambda c: c.application_api_token.delete(OWNER, ID),
        lambda o: o.application_api_token.delete(**APPLICATION, **ONE),
    ),
    (
        "applicationApiTokens.get",
        lambda c: c.application_api_tokens.get(OWNER, **LISTED),
        lambda o: o.application_api_tokens.get(**APPLICATION, **LIST),
    ),
    (
        "applicationApiTokens.post",
        lambda c: c.application_api_tokens.post(OWNER, application_post()),
        lambda o: o.application_api_tokens.post(**APPLICATION, apiToken=APPLICATION_POST),
    ),
    (
        "instanceApiToken.get",
        lambda c: c.instance_api_token.get(OWNER, ID),
        lambda o: o.instance_api_token.get(**INSTANCE, **ONE),
    ),
    (
        "instanceApiToken.patch",
        lambda c: c.instance_api_token.patch(OWNER, ID, patch()),
        lambda o: o.instance_api_token.patch(**INSTANCE, **ONE, apiToken=PATCH),
    ),
    (
        "instanceApiToken.delete",
        lambda c: c.instance_api_token.delete(OWNER, ID),
        lambda o: o.instance_api_token.delete(**INSTANCE, **ONE),
    ),
    (
        "instanceApiTokens.get",
        lambda c: c.instance_api_tokens.get(OWNER, **LISTED),
        lambda o: o.instance_api_tokens.get(**INSTANCE, **LIST),
    ),
    (
        "instanceApiTokens.post",
        lambda c: c.instance_api_tokens.post(OWNER, post()),
        lambda o: o.instance_api_tokens.post(**INSTANCE, apiToken=POST),
    ),
    (
        "auditLog.get",
        lambda c: c.audit_log.get(OWNER, ID),
        lambda o: o.audit_log.get(orgId=OWNER, auditLogId=ID),
    ),
    (
        "auditLogs.get",
        lambda c: c.audit_logs.get(
            OWNER,
            sort_direction="asc",
            start=datetime(2026, 1, 1, tzinfo=UTC),
            end=datetime(2026, 1, 2, tzinfo=UTC),
            filter=AuditLogFilter(
                actor=[AuditLogActor(id=ID, type="ApiToken")], response_code=[200, 201]
            ),
        ),
        lambda o: o.audit_logs.get(
            orgId=OWNER,
            sortDirection="asc",
            start="1767225600000",
            end="1767312000000",
            auditLogFilter={
                "actor": [{"id": ID, "type": "ApiToken"}],
                "responseCode": [200, 201],
            },
        ),
    ),
    (
        "instanceAuditLog.get",
        lambda c: c.instance_audit_log.get(OWNER, ID),
        lambda o: o.instance_audit_log.get(**INSTANCE, instanceAuditLogId=ID),
    ),
    (
        "instanceAuditLogs.get",
        lambda c: c.instance_audit_logs.get(OWNER),
        lambda o: o.instance_audit_logs.get(**INSTANCE),
    ),
]


@pytest.mark.parametrize(
    ("ours", "theirs"), [pair[1:] for pair in PAIRS], ids=[p[0] for p in PAIRS]
)
async def test_the_same_request(ours: Ours, theirs: Theirs, wire: tuple[str, list[Sent]]) -> None:
    """Both clients send the same method, path, parameters, headers and body."""
    url, sent = wire
    async with AsyncClient("a.b.c", base_url=url) as client:
        await ours(client)
    theirs(losant_rest.Client(auth_token="a.b.c", url=url))
    ours_sent, theirs_sent = sent
    assert theirs_sent == ours_sent


async def test_the_same_login(wire: tuple[str, list[Sent]]) -> None:
    """Both clients log in with the same request, when neither has a token yet."""
    url, sent = wire
    credentials = UserCredentials("a@b.c", "p4ssw0rd", two_factor_code="1", token_ttl=60)
    async with AsyncClient(base_url=url) as client:
        await client.auth.authenticate_user(credentials)
    losant_rest.Client(url=url).auth.authenticate_user(credentials=CREDENTIALS)
    ours_sent, theirs_sent = sent
    assert theirs_sent == ours_sent
