"""Posting a JSON document to a webhook.

The URL of a webhook is a secret in itself: anyone who has it can post. So it is a `Secret`, and no
message shows more of it than the host. The client of httpx is not used, because it logs URLs.

A document is posted again after a failure, although the first one may have arrived. A message that
comes twice is better than one that never comes, and it has an id, so that a receiver can drop the
second one.
"""

import hashlib
import hmac
import json
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, cast

import anyio
import httpx
from attrs import field, frozen

from losant_tokens._http.status_errors import retry_after
from losant_tokens._retries.retry_policy import RetryPolicy, delay_before_retry, may_have_arrived
from losant_tokens._transports import httpx_transport
from losant_tokens._transports.failures import Failure, without_frames
from losant_tokens._transports.tls import Verify
from losant_tokens._utils.host_names import is_loopback, is_valid_host
from losant_tokens._utils.safe_text import end_of, redacted
from losant_tokens._utils.secret import Secret
from losant_tokens._version import __version__
from losant_tokens.errors import (
    LosantError,
    RequestTimeout,
    StatusError,
    TooManyRequests,
    ValidationError,
    status_error_class,
)
from losant_tokens.sinks._errors import SinkError

_MAX_RESPONSE = 4096  # bytes; services say in a few words what is wrong
_MAX_PORT = 65535
_SERVER_ERROR = 500  # and higher statuses
_TIMEOUTS = ("connect", "read", "write", "pool")

_UNREACHABLE = "Check its URL, the network and the proxy."
_HINTS: Mapping[int, str] = {
    401: "Check its credentials.",
    403: "The receiver refuses this webhook: check its URL and its credentials.",
    404: "There is no such webhook, or it was deleted: check its URL.",
    410: "The webhook was deleted: create another one.",
    429: "The receiver gets too many messages: try again later.",
}


def check_url(url: Secret) -> None:
    """Check the URL of a webhook.

    Raises:
        ValidationError: It is not a URL with `https://`, or with `http://` for this machine.
    """
    problem: str | None = "must be a string"
    if isinstance(url.reveal(), str):
        problem = _problem_of(url)
    if problem:
        raise ValidationError(f"The URL of the webhook {problem}. Its value is not shown.")


def valid_url(_: object, __: object, url: Secret) -> None:
    """Check the URL of a webhook, as a validator of attrs.

    Raises:
        ValidationError: As for `check_url`.
    """
    check_url(url)


def _problem_of(secret: Secret) -> str | None:
    """Return what is wrong with the URL of a webhook, or `None`."""
    try:
        url = httpx.URL(secret.reveal())
        host, port = url.host, url.port
    except (httpx.InvalidURL, ValueError):
        return "is not a URL such as https://example.com/hook"
    if url.scheme not in ("http", "https") or not host:
        return "must start with https:// and a host"
    if url.scheme == "http" and not is_loopback(host):
        return "must start with https://, because others could read it on the network"
    if url.userinfo:
        return "must not hold a user name or a password: send them in a header"
    if not is_valid_host(url.raw_host.decode("ascii")) or not 0 < (port or 1) <= _MAX_PORT:
        return "has a host or a port that is not valid"
    return None


def host_of(url: Secret) -> str:
    """Return the host in the URL of a webhook, which is not secret."""
    return httpx.URL(url.reveal()).host


@frozen(kw_only=True)
class Webhook:
    """A URL to which documents are posted.

    Attributes:
        url: The checked URL.
        timeout: The maximum duration of one attempt, in seconds.
        policy: How often a document is posted, and how long that may take.
        verify: The trusted authorities.
        headers: Further headers.
        signing_secret: The secret of the signature of each document; `None` to sign none.
        public_headers: Further headers, which are no secrets.
    """

    url: Secret
    timeout: float
    policy: RetryPolicy
    verify: Verify
    headers: Mapping[str, Secret] = field(factory=dict)
    signing_secret: Secret | None = None
    public_headers: Mapping[str, str] = field(factory=dict)

    async def post(self, document: Mapping[str, Any]) -> str:
        """Post a document, with retries, and return when the receiver has accepted it.

        Returns:
            The beginning of the response: up to 4096 bytes, as text.

        Raises:
            SinkError: The receiver did not accept it, or could not be reached.
        """
        async with httpx_transport(max_connections=1, verify=self.verify) as pool:
            result = await self._last_result(pool, document)
        if isinstance(result, str):
            return result
        raise SinkError(
            f"The webhook at {host_of(self.url)} did not accept the message: {result}",
            ambiguous=may_have_arrived(result),
            is_temporary=_is_temporary(result),
        )

    async def _last_result(
        self, pool: httpx.AsyncBaseTransport, document: Mapping[str, Any]
    ) -> LosantError | str:
        """Post a document, with retries; return the last error, or the response if accepted."""
        began = time.monotonic()
        attempts = refusals = 0
        while True:
            result = await self._attempt(pool, document)
            if isinstance(result, str):
                return result
            # A 429 costs time, not attempts.
            if isinstance(result, TooManyRequests):
                refusals += 1
            else:
                attempts += 1
                refusals = 0
            delay = delay_before_retry(
                self.policy,
                # A document may be posted twice, so this is not a POST that creates a token.
                "PUT",
                result,
                attempt=refusals or attempts,
                elapsed=time.monotonic() - began,
                random=random.random,
            )
            if delay is None:
                return result
            await anyio.sleep(delay)

    async def _attempt(
        self, pool: httpx.AsyncBaseTransport, document: Mapping[str, Any]
    ) -> LosantError | str:
        """Post a document once; return the error, or the response if it was accepted."""
        with anyio.move_on_after(self.timeout):
            try:
                return await self._exchange(pool, document)
            except Exception as error:  # noqa: BLE001 -- each becomes one of our errors
                failure = Failure.of(error)
            except BaseException as error:  # noqa: BLE001
                raise without_frames(error)  # noqa: B904 -- it is the same exception
            return failure.kind(f"{failure.text}. {_UNREACHABLE}")
        return RequestTimeout(f"no response within {self.timeout:g} seconds. {_UNREACHABLE}")

    async def _exchange(
        self, pool: httpx.AsyncBaseTransport, document: Mapping[str, Any]
    ) -> LosantError | str:
        """Post a document once; return the error of the response, or its text."""
        response = await pool.handle_async_request(self._request(document))
        text = await _beginning(response)
        if response.is_success:
            return text
        status = response.status_code
        if response.is_redirect:
            problem = f"it responded with {status}, a redirect. Use the URL to which it leads."
            return StatusError(problem, status_code=status, is_from_api=True)
        path = Secret(httpx.URL(self.url.reveal()).raw_path.decode())
        quoted = end_of(redacted(text, [path, *self.headers.values()]))
        problem = f"it responded with {status}{f': {quoted}' if quoted else ''}"
        return status_error_class(status)(
            f"{problem}. {_HINTS.get(status, '')}".rstrip(),
            status_code=status,
            retry_after=retry_after(response.headers, datetime.now(UTC)),
            # The receiver is the service itself, so a refusal is final.
            is_from_api=True,
        )

    def _request(self, document: Mapping[str, Any]) -> httpx.Request:
        content = json.dumps(document).encode("ascii")
        return httpx.Request(
            "POST",
            self.url.reveal(),
            headers={
                "User-Agent": f"losant-tokens/{__version__}",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                **self.public_headers,
                **{name: value.reveal() for name, value in self.headers.items()},
                **self._signature(content),
            },
            content=content,
            extensions={"timeout": dict.fromkeys(_TIMEOUTS, self.timeout)},
        )

    def _signature(self, content: bytes) -> dict[str, str]:
        """Return the header with the signature of a request body, in the form of GitHub's."""
        if self.signing_secret is None:
            return {}
        key = self.signing_secret.reveal().encode("utf-8", "surrogateescape")
        digest = hmac.new(key, content, hashlib.sha256).hexdigest()
        return {"X-Hub-Signature-256": f"sha256={digest}"}


def _is_temporary(error: LosantError) -> bool:
    """Return whether a receiver was not available, or could not be reached."""
    if not isinstance(error, StatusError):
        return True
    return error.status_code == HTTPStatus.TOO_MANY_REQUESTS or error.status_code >= _SERVER_ERROR


async def _beginning(response: httpx.Response) -> str:
    """Return the beginning of a response as text, and close the response."""
    body = cast("httpx.AsyncByteStream", response.stream)
    received = b""
    try:
        async for part in body:
            received += part
            if len(received) >= _MAX_RESPONSE:
                break
    finally:
        await body.aclose()
    return received[:_MAX_RESPONSE].decode("utf-8", "replace")
