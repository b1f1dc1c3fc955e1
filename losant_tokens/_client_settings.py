"""The settings of `AsyncClient`: their types, their checks, and their environment variables."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypedDict

from losant_tokens._calls.session import ScopeCheck
from losant_tokens._calls.token_source import TokenSource
from losant_tokens._http.endpoint import Endpoint
from losant_tokens._retries.retry_policy import RetryPolicy
from losant_tokens._transports import Transport
from losant_tokens._transports.tls import Verify
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError

if TYPE_CHECKING:
    from losant_tokens._telemetry.observers import (
        Observers,
        RequestEvent,
        ResponseEvent,
        RetryEvent,
    )
    from losant_tokens._telemetry.open_telemetry import OpenTelemetry

_SWITCH = {"1": True, "true": True, "yes": True, "on": True}
_SWITCH |= {"": False, "0": False, "false": False, "no": False, "off": False}


class ClientSettings(TypedDict, total=False):
    """The settings of `AsyncClient` that do not belong to an account."""

    scopes: Iterable[str] | None
    """The scopes of the token. Default: those in its claims, if they name any."""
    scope_check: ScopeCheck
    """The reaction to a token that the server is certain to refuse: `enforce`, `warn` or `off`.
    Default: `enforce`.
    """
    oauth: bool | None
    """Whether the token is an OAuth token. Default: as in its claims."""
    timeout: float
    """The maximum duration of one attempt, in seconds. Default: 30."""
    max_connections: int | None
    """The maximum number of requests in flight. Default: that of the transport, or 20."""
    rate_limit: float | None
    """The maximum number of requests per second, retries and jobs included. Default: no maximum."""
    retry: RetryPolicy
    """How often a request is sent, and how long a call may take. Default: `RetryPolicy()`."""
    transport: Transport | None
    """The connection pool. The client closes it. Default: `httpx_transport()`."""
    proxy: str | Secret | None
    """The URL of a proxy for all requests. Default: the proxy that the environment names."""
    verify: Verify
    """The trusted authorities: a TLS context, or the path of a PEM file or of a folder with such
    files. Default: those of the environment, or else of certifi.
    """
    trust_env: bool
    """Whether to read the environment variables for proxies and authorities. Default: True."""
    losantdomain: str | None
    """The domain scope of all requests, which few programs need."""
    api_version: str
    """The version of the API, for the header `Accept-Version`. Default: `^1.31.0`."""
    max_response_size: int
    """The largest page of a list that is read, in bytes. Default: 32 MiB."""
    insecure_http: bool | None
    """Whether the base URL may be plain http to another machine. Default: the environment variable
    `LOSANT_INSECURE_HTTP`, or False.
    """
    on_request: "Callable[[RequestEvent], object] | None"
    """Called with a `RequestEvent` before each attempt."""
    on_response: "Callable[[ResponseEvent], object] | None"
    """Called with a `ResponseEvent` after each attempt, with or without a response."""
    on_retry: "Callable[[RetryEvent], object] | None"
    """Called with a `RetryEvent` before the delay of each retry."""
    telemetry: "OpenTelemetry | bool | None"
    """Whether to report calls to OpenTelemetry, or how. Default: if the application has imported
    opentelemetry.
    """


def check_settings(
    *,
    timeout: float,
    scope_check: ScopeCheck,
    rate_limit: float | None,
    retry: RetryPolicy,
    max_response_size: int,
) -> None:
    """Check the settings of a client that no other part checks.

    Raises:
        ValidationError: One of them has a wrong type or value.
    """
    optional_number = validators.optional(validators.positive_number)
    is_scope_check = validators.one_of(("enforce", "warn", "off"))
    for name, value, validator in (
        ("timeout", timeout, validators.positive_number),
        ("scope_check", scope_check, is_scope_check),
        ("rate_limit", rate_limit, optional_number),
        ("retry", retry, validators.instance_of(RetryPolicy)),
        ("max_response_size", max_response_size, validators.integer(minimum=1)),
    ):
        validators.check_argument(validator, "AsyncClient", name, value)


def token_or_environment(
    token: str | Secret | TokenSource | None,
) -> Secret | TokenSource | None:
    """Return the token that was passed, or the one that the environment names.

    Raises:
        ValidationError: The environment names two tokens.
        TokenUnavailable: The token file cannot be used.
    """
    if callable(token):
        return token
    if token is not None:
        return Secret.of(token)
    has_token = bool(os.environ.get("LOSANT_API_TOKEN"))
    path = os.environ.get("LOSANT_API_TOKEN_FILE")
    if has_token and path:
        raise ValidationError(
            "LOSANT_API_TOKEN and LOSANT_API_TOKEN_FILE are both set, and they may hold the tokens "
            "of different accounts. Unset one of them"
        )
    if path:
        # Few clients need it.
        from losant_tokens.accounts._token_file import read_token_file  # noqa: PLC0415

        return read_token_file(path)
    return Secret(os.environ["LOSANT_API_TOKEN"]) if has_token else None


def changed_pool_settings(
    transport: Transport | None, proxy: Secret | None, verify: Verify, trust_env: object
) -> dict[str, Any]:
    """Return the settings of the default pool that differ from their defaults.

    Raises:
        ValidationError: There are any, and the pool is not the default one.
    """
    changed: dict[str, Any] = {}
    if proxy is not None:
        changed["proxy"] = proxy
    if verify is not None:
        changed["verify"] = verify
    if trust_env is not True:
        changed["trust_env"] = trust_env
    if changed and transport is not None:
        arguments = ", ".join(f"{name}=..." for name in changed)
        raise ValidationError(
            f"AsyncClient got {' and '.join(changed)} as well as transport, but they are settings "
            f"of the default pool, which the transport replaces. Pass them to the transport, as in "
            f"transport=httpx_transport({arguments}) or transport=aiohttp_transport({arguments})"
        )
    return changed


def observers_of_client(
    endpoint: Endpoint,
    telemetry: "OpenTelemetry | bool | None",
    hooks: tuple[Callable[..., object] | None, ...],
) -> "Observers | None":
    """Return the observers of the calls of a client: the hooks, and OpenTelemetry.

    Raises:
        ValidationError: A hook is not a plain function, or OpenTelemetry cannot be used.
    """
    is_used = not sys.modules.keys().isdisjoint(("opentelemetry.trace", "opentelemetry.metrics"))
    is_off = telemetry is False or (telemetry is None and not is_used)
    if is_off and hooks == (None, None, None):
        return None
    from losant_tokens._telemetry.observers import observers_of  # noqa: PLC0415 -- few clients have any
    from losant_tokens._telemetry.open_telemetry import telemetry_of  # noqa: PLC0415

    return observers_of(hooks, [] if is_off else [telemetry_of(telemetry, endpoint.url)])


def flag(name: str, value: bool | None, variable: str) -> bool:
    """Return the value of a flag, or the value of its environment variable if it is `None`.

    Args:
        name: The name of the argument.
        value: Its value.
        variable: The name of the environment variable.

    Raises:
        ValidationError: The value is not a boolean, or the variable is neither on nor off.
    """
    if value is None:
        switched = _SWITCH.get(os.environ.get(variable, "").strip().lower())
        if switched is None:
            raise ValidationError(
                f"{variable} must be 1 or 0, but it is "
                f"{validators.describe(os.environ.get(variable))}"
            )
        return switched
    if not isinstance(value, bool):
        raise ValidationError(
            f"AsyncClient.{name} must be True or False, but it is {validators.describe(value)}"
        )
    return value
