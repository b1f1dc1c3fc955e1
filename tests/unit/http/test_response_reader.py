"""Read an HTTP response as a model or as the error to raise."""

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import ApiToken, Secret, Success
from losant_tokens._api import operations
from losant_tokens._api.codec import codec
from losant_tokens._api.operations import Operation
from losant_tokens._http.body_reader import ReceivedResponse
from losant_tokens._http.response_reader import read_response, size_limit
from losant_tokens.errors import (
    BadRequest,
    Forbidden,
    LosantError,
    NotFound,
    PayloadTooLarge,
    ResponseError,
    ResponseTooLarge,
    ServerError,
    StatusError,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from tests.support.helpers import jwt, result_of

ID = "575ec7417ae143cd83dc4a95"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
GET, DELETE = operations.USER_API_TOKEN_GET, operations.USER_API_TOKEN_DELETE
LIST = operations.USER_API_TOKENS_GET
TOKENS = [
    *(GET, operations.USER_API_TOKEN_PATCH),
    *(operations.USER_OAUTH_TOKEN_GET, operations.USER_OAUTH_TOKEN_PATCH),
    *(operations.INSTANCE_API_TOKEN_GET, operations.INSTANCE_API_TOKEN_PATCH),
]
SECRET = "hunter2-hunter2"
JSON = {"content-type": "application/json"}


def read(
    content: object,
    status: int = 200,
    headers: dict[str, str] | None = None,
    secrets: tuple[str, ...] = (),
    operation: Operation[Any] = GET,
) -> Any:
    """Read a response. Content that is not bytes is sent as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = ReceivedResponse(status, httpx.Headers(JSON if headers is None else headers), body)
    request = httpx.Request(operation.method, f"https://api.losant.com/me/tokens/{ID}?_links=true")
    hidden = [Secret(text) for text in secrets]
    return result_of(read_response(operation, request, answer, codec(), hidden))


def shown_by(error: LosantError) -> str:
    """Return everything that an error may show in a log."""
    return f"{error!r} {error} {vars(error)} {pickle.dumps(error)!r}"


# --- Successes -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_success(status: int) -> None:
    """A success with any 2xx status and any media type becomes the operation's model."""
    assert read({"id": ID}, status) == ApiToken(id=ID)
    assert read({"id": ID}, status, {}) == ApiToken(id=ID)
    assert read({"success": True}, status, operation=DELETE) == Success()


@pytest.mark.parametrize(
    ("content", "status", "headers", "expected", "path"),
    [
        (
            b"<html>hunter2</html>",
            200,
            {"content-type": "text/html; charset=utf-8"},
            "the response is not JSON (status 200, text/html, 20 bytes)",
            None,
        ),
        (b"", 204, {}, "the response is not JSON (status 204, of no stated type, 0 bytes)", None),
        (
            b'"hunter2"',
            201,
            JSON,
            (
                "the response must be an object, but it is a string (status 201, application/json, "
                "9 bytes)"
            ),
            None,
        ),
        (
            b'{"id":1}',
            200,
            JSON,
            (
                "$.id of the response must be a string, but it is a number (status 200, "
                "application/json, 8 bytes)"
            ),
            "$.id",
        ),
        (
            b"{}",
            200,
            JSON,
            "$.id of the response is missing (status 200, application/json, 2 bytes)",
            "$.id",
        ),
        (
            b"{}",
            200,
            {"content-type": "my-secret"},
            "$.id of the response is missing (status 200, of another type, 2 bytes)",
            "$.id",
        ),
    ],
)
def test_unreadable(
    content: bytes, status: int, headers: dict[str, str], expected: str, path: str | None
) -> None:
    """A success with unexpected content is an error that describes the content."""
    error = read(content, status, headers)
    assert type(error) is ResponseError
    assert str(error) == f"userApiToken.get: {expected}"
    assert vars(error) == {
        "operation": "userApiToken.get",
        "status_code": status,
        "path": path,
        "ambiguous": True,
        "token_id": None,
        "headers": headers,
        "request_id": None,
    }
    assert "hunter2" not in shown_by(error)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
def test_redirect(status: int) -> None:
    """A redirect is an error that does not show its target."""
    error = read({"id": ID}, status, {"location": f"https://evil.com/{SECRET}"})
    assert type(error) is ResponseError
    assert str(error) == (
        "userApiToken.get: the response is a redirect, which is never followed: check the base "
        f"URL (status {status}, of no stated type, 34 bytes)"
    )
    assert SECRET not in shown_by(error)


@pytest.mark.parametrize(
    ("status", "content", "headers"),
    [
        (200, b'{"success":true}', JSON),
        (200, b'{ "success" : true }', JSON),
        (200, b'{"success":true,"_type":"success"}', {}),
        (201, b'{"success":true}', JSON),
        (204, b"", {}),
        (200, b"", {}),
        (200, b"", JSON),
        (200, b"", {"content-length": "0"}),
    ],
)
def test_successful_deletion(status: int, content: bytes, headers: dict[str, str]) -> None:
    """A deletion is successful if its response says so or has no body."""
    assert isinstance(read(content, status, headers, operation=DELETE), Success)


def test_success_keeps_unlisted_members() -> None:
    """Members of a success without an attribute are kept."""
    assert read({"success": True, "n": 1}, operation=DELETE).extra == {"n": 1}


@pytest.mark.parametrize(
    ("status", "content", "headers"),
    [
        (200, b"{}", JSON),
        (200, b'{"success":null}', JSON),
        (200, b'{"success":false}', JSON),
        (200, b'{"success":1}', JSON),
        (200, b'{"success":"true"}', JSON),
        (200, b'{"a":1}', JSON),
        (200, b"null", JSON),
        (200, b"true", JSON),
        (200, b"[]", JSON),
        (200, b'[{"success":true}]', JSON),
        (200, b"<html>Log in</html>", {"content-type": "text/html"}),
        (200, b" ", JSON),
        (200, b"", {"content-type": "text/html; charset=utf-8"}),
        (202, b"", {}),
        (299, b"", {}),
    ],
)
def test_unproven_deletion(status: int, content: bytes, headers: dict[str, str]) -> None:
    """A deletion with another body is an ambiguous error, despite its status."""
    error = read(content, status, headers, operation=DELETE)
    assert (type(error), error.ambiguous) == (ResponseError, True)


@pytest.mark.parametrize("operation", TOKENS, ids=str)
def test_response_to_another_request(operation: Operation[Any]) -> None:
    """A response with the id of another token is an ambiguous error."""
    error = read({"id": "f" * 24, "name": SECRET}, operation=operation)
    assert (type(error), error.path, error.ambiguous) == (ResponseError, "$.id", True)
    assert "$.id of the response is not the id of the requested token" in str(error)
    assert SECRET not in shown_by(error)


@pytest.mark.parametrize("operation", TOKENS, ids=str)
def test_id_in_another_case(operation: Operation[Any]) -> None:
    """Ids are compared without regard to case."""
    assert read({"id": ID.upper()}, operation=operation).id == ID.upper()


def test_id_of_a_new_token_is_not_compared() -> None:
    """The id of a new token is not compared with the request."""
    body = {"id": "f" * 24, "token": SECRET}
    assert read(body, 201, operation=operations.USER_API_TOKENS_POST).id == "f" * 24


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ({}, "is missing"),
        ({"token": None}, "is missing"),
        ({"token": ""}, "is empty"),
        ({"token": {"value": SECRET}}, "must be a string, but it is an object"),
    ],
)
def test_new_token_without_its_secret(token: dict[str, Any], problem: str) -> None:
    """A new token whose secret is lost is an error that names the token to delete."""
    error = read({"id": ID, **token}, 201, operation=operations.USER_API_TOKENS_POST)
    assert (type(error), error.token_id, error.ambiguous, error.path) == (
        ResponseError,
        ID,
        True,
        "$.token",
    )
    assert str(error) == (
        f"userApiTokens.post: the token '{ID}' was created, but its secret is lost: $.token of "
        f"the response {problem} (status 201). Delete this token, and create another one."
    )
    assert SECRET not in shown_by(error)


# --- Errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected", "phrase"),
    [
        (400, BadRequest, "Bad Request"),
        (401, Unauthorized, "Unauthorized"),
        (402, StatusError, "Payment Required"),
        (403, Forbidden, "Forbidden"),
        (404, NotFound, "Not Found"),
        (409, StatusError, "Conflict"),
        (413, PayloadTooLarge, "Request Entity Too Large"),
        (429, TooManyRequests, "Too Many Requests"),
        (451, StatusError, "Unavailable For Legal Reasons"),
        (499, StatusError, "(not a status of HTTP)"),
        (500, ServerError, "Internal Server Error"),
        (502, ServerError, "Bad Gateway"),
        (503, ServerError, "Service Unavailable"),
        (504, ServerError, "Gateway Timeout"),
        (599, ServerError, "(not a status of HTTP)"),
        (100, StatusError, "Continue"),
        (199, StatusError, "(not a status of HTTP)"),
        (999, ServerError, "(not a status of HTTP)"),
    ],
)
def test_status(status: int, expected: type, phrase: str) -> None:
    """Each status has its own error class, and the phrase of HTTP by default."""
    error = read(b"", status)
    assert expected is type(error)
    text = f"userApiToken.get (/me/tokens/{ID}): {status} "
    assert str(error).startswith(text)
    if status != 413:  # whose phrase is another one from Python 3.13 on
        assert str(error).startswith(f"{text}{phrase} - no explanation was given")
    assert vars(error) == {
        "status_code": status,
        "type": "",
        "message": "",
        "operation": "userApiToken.get",
        "details": {},
        "retry_after": None,
        "is_from_api": False,
        "headers": JSON,
        "request_id": None,
    }


HINTS = {
    400: "",
    401: " The token is unknown, inactive, expired or deleted.",
    403: " The token is valid, but not allowed to do this: check its scopes and roles.",
    404: "",
    500: "",
}


@pytest.mark.parametrize(("status", "hint"), HINTS.items())
def test_message_and_advice(status: int, hint: str) -> None:
    """The API's message is in the text and in the attributes of the error, with advice."""
    more = {"validationErrors": [{"path": "name"}], "n": 1}
    error = read({"type": "Odd", "message": "It is odd.", **more}, status)
    assert str(error) == f"userApiToken.get (/me/tokens/{ID}): {status} Odd - It is odd.{hint}"
    assert (error.type, error.message, error.details) == ("Odd", "It is odd.", more)


@pytest.mark.parametrize(
    ("body", "kind", "message", "details"),
    [
        ({}, "", "", {}),
        ({"type": "Odd"}, "Odd", "", {}),
        ({"message": "odd"}, "", "odd", {}),
        ({"type": None, "message": None}, "", "", {}),
        ({"type": 1, "message": ["odd"]}, "", "", {}),
        ({"message": " a\n\n b\t\r\nc "}, "", "a b c", {}),
        ({"message": "x" * 500}, "", "x" * 500, {}),
        ({"message": "x" * 501}, "", "x" * 500 + "...", {}),
        ({"type": "y" * 501}, "y" * 500 + "...", "", {}),
        ({"error": "odd", "statusCode": 400}, "", "", {"error": "odd", "statusCode": 400}),
        ([], "", "", {}),
        (["odd"], "", "", {}),
        ("odd", "", "", {}),
        (None, "", "", {}),
        (1, "", "", {}),
        (b"", "", "", {}),
        (b"{", "", "", {}),
        (b"\xff\xfe", "", "", {}),
        (b"<html><body>502 Bad Gateway</body></html>", "", "", {}),
        (b"[" * 100_000, "", "", {}),
        (b'{"message":"no","a":[' + b"[]," * 20_000 + b"[]]}", "", "", {}),
    ],
)
def test_bodies_of_errors(body: object, kind: str, message: str, details: dict[str, Any]) -> None:
    """An error with any body has the class of its status."""
    error = read(body, 400)
    assert type(error) is BadRequest
    assert (kind, message, details) == (error.type, error.message, error.details)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"type": "NotFound", "message": "Token was not found"}, True),
        ({"type": "NotFound", "message": ""}, True),
        ({"type": "NotFound", "message": "no", "more": 1}, True),
        ({"type": "NotFound"}, False),
        ({"message": "no Route matched with those values"}, False),
        ({"type": "", "message": "no"}, False),
        ({"type": None, "message": "no"}, False),
        ({"type": "NotFound", "message": None}, False),
        ({"type": ["NotFound"], "message": "no"}, False),
        ({"type": "about:blank", "title": "Not Found", "status": 404}, False),
        ({"error": {"type": "NotFound", "message": "no"}}, False),
        ([{"type": "NotFound", "message": "no"}], False),
        (b"", False),
        (b"<html>default backend - 404</html>", False),
        (b"default backend - 404", False),
        (b"{", False),
    ],
)
@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_errors_of_the_api(status: int, content: object, expected: bool) -> None:
    """Only an error object with a type and a message is known to come from the API."""
    assert read(content, status).is_from_api is expected


@pytest.mark.parametrize("status", [401, 403, 404])
def test_errors_of_a_proxy(status: int) -> None:
    """An error that a proxy may have sent has no advice about the token."""
    error = read(b"<html>", status, {"content-type": "text/html"})
    assert str(error).endswith(
        ". This is not an error of the API: a proxy or another service may have responded."
    )


@pytest.mark.parametrize("message", ["Unauthorized", "unauthorized.", "401 Unauthorized"])
def test_repeated_name_of_the_status(message: str) -> None:
    """A message that only repeats the name of the status is left out."""
    body = json.dumps({"type": "Unauthorized", "message": message}).encode()

    assert str(read(body, 401)) == (
        f"userApiToken.get (/me/tokens/{ID}): 401 Unauthorized. "
        "The token is unknown, inactive, expired or deleted."
    )


def test_empty_payload_too_large() -> None:
    """A 413 without a body is read like any other error."""
    error = read(b"", 413, {})
    assert type(error) is PayloadTooLarge
    assert str(error).endswith("- no explanation was given")


# --- Secrets that a server repeats -------------------------------------------------------------

ECHOES = [
    {"type": "Validation", "message": f"{SECRET} is no good"},
    {"type": f"Bad{SECRET}", "message": "no"},
    {"message": "no", "headers": {"authorization": f"Bearer {SECRET}"}},
    {"message": "no", "given": [{"password": SECRET}]},
    {"message": "no", SECRET: 1},
    {"message": "x" * 495 + SECRET},
]


@pytest.mark.parametrize("body", ECHOES)
@pytest.mark.parametrize("status", [400, 401, 500])
def test_redacted(status: int, body: dict[str, Any]) -> None:
    """A secret of the request that a server repeats is removed from the error."""
    error = read(body, status, secrets=("other", SECRET))
    assert isinstance(error, StatusError)
    assert SECRET not in shown_by(error)
    assert "hunter2-" not in shown_by(error)
    assert "****" in shown_by(error)


AWKWARD = [
    'correct"horse"battery',
    "back\\slash\\back",
    "pässwörd-pässwörd",
    "new\nline\ttab-tab",
    "\U0001f600\U0001f600\U0001f600-smile",
    "slash/slash/slash",
    "\x7f\u2028<script>",
]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("password", AWKWARD)
def test_redacted_when_escaped(password: str, ascii_only: bool) -> None:
    """A secret with escaped characters in the JSON is removed as well."""
    body = {"type": "Validation", "message": f"bad: {password}", "given": {"password": password}}
    content = json.dumps(body, ensure_ascii=ascii_only).encode()
    error = read(content, 400, secrets=(password,))
    assert type(error) is BadRequest
    assert " ".join(password.split()) not in error.message
    assert password not in json.dumps(error.details, ensure_ascii=False)
    assert error.details != body
    assert error.details["given"]["password"] == "****"


def test_redacted_when_escaped_slashes() -> None:
    """A secret with unnecessarily escaped characters is removed as well."""
    password = "slash/slash/a"
    content = b'{"message":"no","given":"slash\\/slash\\/\\u0061"}'
    assert read(content, 400, secrets=(password,)).details == {"given": "****"}


@pytest.mark.parametrize("depth", [10, 100, 300, 600, 900, 5000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_deep_bodies_of_errors(depth: int, opening: bytes, closing: bytes) -> None:
    """An error with a deeply nested body has the class of its status."""
    content = b'{"message":"no","a":' + opening * depth + b'"hunter2-hunter2"' + closing * depth
    error = read(content + b"}", 400, secrets=(SECRET,))
    assert type(error) is BadRequest
    assert error.message in {"no", ""}  # "": too deep to be read


@pytest.mark.parametrize("depth", [500, 1000, 1020])
def test_hidden_depth_of_errors(depth: int) -> None:
    """An error whose nesting is hidden by strings has the class of its status."""
    content = b'{"message":"no","a":' + b'["]",' * depth + b"1" + b',"["]' * depth + b"}"
    error = read(content, 400, secrets=(SECRET,))
    assert type(error) is BadRequest
    assert error.message in {"no", ""}


def test_access_tokens_are_redacted() -> None:
    """A string that looks like an access token is removed from an error."""
    token = jwt({"scope": ["all.User"]})
    body = {"type": "Odd", "message": f"made {token}, see eyJhbGciOi", "given": {token: [token]}}

    error = read(body, 400)

    assert token.split(".")[1] not in shown_by(error)
    assert ("made ****, see eyJhbGciOi", {"given": {"****": ["****"]}}) == (
        error.message,
        error.details,
    )


@pytest.mark.parametrize("secret", ["", "1", "abc"])
def test_redacted_nothing(secret: str) -> None:
    """An empty or very short secret hides nothing."""
    body = {"type": "abc1", "message": "no 1", "n": ["abc", 1]}
    error = read(body, 400, secrets=(secret, SECRET))
    assert (error.type, error.message, error.details) == ("abc1", "no 1", {"n": ["abc", 1]})


@given(st.text(min_size=8), st.text(max_size=8), st.text(max_size=8))
def test_any_secret(secret: str, before: str, after: str) -> None:
    """Any secret is removed from a server's message."""
    if "*" in secret or any("\ud800" <= char <= "\udfff" for char in secret):
        return
    error = read({"type": "a", "x": f"{before}{secret}{after}"}, 400, secrets=(secret,))
    assert secret not in error.details["x"]


def test_repr_shows_no_content() -> None:
    """The repr of a response shows neither headers nor content."""
    answer = ReceivedResponse(201, httpx.Headers({"x": SECRET}), SECRET.encode())
    assert repr(answer) == "ReceivedResponse(status_code=201)"


HEADERS = {
    "X-Request-Id": "r-1",
    "Retry-After": "7",
    "X-Echo": f"Bearer {SECRET}",
    "X-Claims": jwt({"sub": "a"}),
    "Location": f"https://login.example/?token={SECRET}",
    "Set-Cookie": "session=hunter2",
    "Authorization": "Bearer hunter2",
}


@pytest.mark.parametrize(("status", "content"), [(404, {}), (200, []), (302, {})])
def test_headers_of_an_error(status: int, content: object) -> None:
    """An error has the headers and the request id, without cookies, credentials and secrets."""
    error = read(content, status, HEADERS, secrets=(SECRET,))
    assert dict(error.headers) == {
        "x-request-id": "r-1",
        "retry-after": "7",
        "x-echo": "Bearer ****",
        "x-claims": "****",
        "location": "https://login.example",
    }
    assert (error.headers["RETRY-AFTER"], error.request_id) == ("7", "r-1")
    assert "hunter2" not in shown_by(error)


@pytest.mark.parametrize("status", [400, 413, 429, 503])
def test_retry_after_of_an_error(status: int) -> None:
    """An error has the seconds of `Retry-After`."""
    assert read(b"", status, {"retry-after": "7"}).retry_after == 7.0


# --- Limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "status", "setting", "expected"),
    [
        (LIST, 200, 32, 32),
        (LIST, 200, 1, 1),
        (LIST, 200, 100, 100),
        (GET, 200, 32, 4),
        (DELETE, 204, 32, 4),
        (DELETE, 200, 2, 2),
        (GET, 200, 64, 8),
        (LIST, 400, 32, 1),
        (GET, 503, 32, 1),
    ],
)
def test_size_limit(operation: Operation[Any], status: int, setting: int, expected: int) -> None:
    """The client's limit applies to pages of lists; other responses have lower limits."""
    assert expected * 1024**2 == size_limit(operation, status, setting * 1024**2)


async def test_too_many_values() -> None:
    """A page with too many values raises `ResponseTooLarge`, which suggests smaller pages."""
    content = b'{"items":[' + b"[]," * 20_000 + b"[]]}"
    request = httpx.Request("GET", "https://api.losant.com/me/tokens")
    answer = ReceivedResponse(200, httpx.Headers(JSON), content)

    error = await read_response(LIST, request, answer, codec(), [], 100_000)

    assert isinstance(error, ResponseTooLarge)
    assert str(error) == (
        "userApiTokens.get: the response holds more than 10,000 values (status 200, "
        f"application/json, {len(content)} bytes). Request smaller pages (per_page), or allow "
        "larger ones (max_response_size of AsyncClient)."
    )


async def test_too_many_values_for_one_token() -> None:
    """A single token with too many values raises another error than `ResponseTooLarge`."""
    content = b'{"id":[' + b"[]," * 20_000 + b"[]]}"
    request = httpx.Request("GET", f"https://api.losant.com/me/tokens/{ID}")
    answer = ReceivedResponse(200, httpx.Headers(JSON), content)

    error = await read_response(GET, request, answer, codec(), [], 10_000)

    assert type(error) is ResponseError


def test_no_response_is_a_transport_error() -> None:
    """No response becomes an error of the transport."""
    assert not any(isinstance(read(b"", status), TransportError) for status in range(100, 600))
