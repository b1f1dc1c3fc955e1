"""Operations without a method of their own: `client.request("GET", "/path")`.

The path, the parameters and the body are checked, so that a request goes to the API and to the
path that the program names, and nowhere else. A value such as `..` in a path would lead to another
operation, so values are passed apart from the path, as for a database.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast
from urllib.parse import quote

import attrs

from losant_tokens._api.models import Success
from losant_tokens._api.operations import JsonValue, Operation
from losant_tokens._api.wire_format import write_datetime
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError

M = TypeVar("M")

HttpMethod = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
QueryValue = str | int | float | bool | None
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
NOTHING: Mapping[str, Any] = MappingProxyType({})

_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+", re.ASCII)  # RFC 3986, 3.3, without `%`
_PLACEHOLDER = re.compile(r"{([A-Za-z_]\w*)}", re.ASCII)
_DOTS = frozenset({".", ".."})  # segments that lead to another path: RFC 3986, 5.2.4
_OPTIONS = MappingProxyType({"_actions": "actions", "_links": "links", "_embedded": "embedded"})


@attrs.frozen
class JsonBody:
    """A request body of any JSON value.

    Attributes:
        content: The body.
        members: The names of its members, if it is an object.
        secrets: The values in it that were passed as a `Secret`.
    """

    content: bytes = attrs.field(repr=False)
    members: frozenset[str] = frozenset()
    secrets: tuple[Secret, ...] = attrs.field(default=(), repr=False)


def custom_operation(
    method: object, path: object, path_params: Mapping[str, str | int], cast_to: type[M] | None
) -> Operation[Any]:
    """Return an operation for a method and a path.

    Its scopes are not known, so that the scope check does not refuse it.

    Args:
        method: The HTTP method.
        path: The path below the base URL, with placeholders in braces.
        path_params: The values of the placeholders.
        cast_to: The class of the response, or `None` for plain JSON.

    Raises:
        ValidationError: An argument cannot be part of a request.
    """
    validators.check_argument(validators.one_of(_METHODS), "request", "method", method)
    if cast_to is not None and not _is_response_model(cast_to):
        raise ValidationError(
            f"request.cast_to must be a model of losant_tokens, such as ApiToken, but it is "
            f"{cast_to!r}. Leave it out for plain JSON"
        )
    if method == "DELETE" and cast_to not in {None, Success}:
        raise ValidationError("request.cast_to must be Success or None for the method DELETE")
    filled = _filled(path, path_params)
    return Operation(
        f"{method} {path}",
        cast("str", method),
        filled,
        cast_to or JsonValue,
        JsonBody if method in _WITH_BODY else None,
        is_custom=True,
    )


def _is_response_model(kind: type) -> bool:
    # Imported here, because most programs never use the models of owners and audit logs.
    from losant_tokens._api.response_models import RESPONSE_MODELS  # noqa: PLC0415

    return kind in RESPONSE_MODELS


def _filled(path: object, values: Mapping[str, str | int]) -> str:
    """Return a path with the values of its placeholders, percent-encoded.

    Raises:
        ValidationError: The path or a value could lead to another path.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValidationError(
            f"request.path must begin with a slash, such as '/applications', but it is "
            f"{validators.describe(path)}. The base URL of the client comes before it"
        )
    if "?" in path:
        raise ValidationError("request.path must have no query. Pass it as params")
    _check_mapping("path_params", values)
    names = _PLACEHOLDER.findall(path)
    if set(names) != values.keys():
        raise ValidationError(
            f"request.path_params must have the placeholders of the path "
            f"({', '.join(names) or 'none'}), but it has {', '.join(values) or 'none'}"
        )
    return "".join(f"/{_segment(part, values)}" for part in path.split("/")[1:])


def _segment(part: str, values: Mapping[str, str | int]) -> str:
    if placeholder := _PLACEHOLDER.fullmatch(part):
        name = placeholder[1]
        value = values[name]
        if type(value) not in {str, int} or str(value) in {"", *_DOTS}:
            raise ValidationError(
                f"request.path_params[{name!r}] must be a string or an integer, and neither empty "
                f"nor dots, but it is {validators.describe(value)}"
            )
        return quote(str(value).encode("utf-8", "surrogatepass"), safe="")
    if part in _DOTS or not _SEGMENT.fullmatch(part):
        raise ValidationError(
            f"request.path has the part {validators.describe(part)}, which could lead to another "
            f"path. Write '/things/{{id}}', and pass path_params={{'id': ...}}"
        )
    return part


def custom_query(params: Mapping[str, object]) -> dict[str, str]:
    """Return the parameters of a query as strings, without those that are `None`.

    Args:
        params: The parameters by their names in the URL.

    Raises:
        ValidationError: A name or a value cannot be part of a query.
    """
    _check_mapping("params", params)
    query = {}
    for name, value in params.items():
        validators.check_argument(validators.string(1), "request", "params", name)
        if name in _OPTIONS:
            raise ValidationError(
                f"request.params must not have {name}. Pass {_OPTIONS[name]}=True or False"
            )
        if value is None:
            continue
        if isinstance(value, bool):
            query[name] = "true" if value else "false"
        elif isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
            query[name] = str(value)
        else:
            found = repr(value) if isinstance(value, float) else validators.describe(value)
            raise ValidationError(
                f"request.params[{name!r}] must be a string, a finite number, True, False or None, "
                f"but it is {found}"
            )
    return query


def _check_mapping(argument: str, values: object) -> None:
    if not isinstance(values, Mapping):
        raise ValidationError(
            f"request.{argument} must be a dict, but it is {type(values).__name__}"
        )


def json_body(method: str, value: object) -> JsonBody | None:
    """Return a request body; `None` for a method without one.

    Args:
        method: The HTTP method.
        value: The JSON value, which may contain a `Secret` or a datetime with a time zone. `None`
            sends no body.

    Raises:
        ValidationError: The method has no body, or the value is not JSON.
    """
    if method not in _WITH_BODY:
        if value is not None:
            raise ValidationError(f"request.json must be None for the method {method}")
        return None
    if value is None:
        return JsonBody(b"")
    secrets: list[Secret] = []

    def write(item: object) -> object:
        if isinstance(item, Secret):
            secrets.append(item)
            return item.reveal()
        if isinstance(item, datetime) and item.tzinfo is not None:
            return write_datetime(item)
        raise TypeError

    try:
        content = json.dumps(value, default=write, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        content = None
    if content is None:  # raised here, because the other error may show a value
        raise ValidationError(
            "request.json must consist of dicts, lists, strings, finite numbers, True, False and "
            "None. A Secret and a datetime with a time zone are written as strings"
        )
    members = frozenset(map(str, value)) if isinstance(value, dict) else frozenset[str]()
    return JsonBody(content, members, tuple(secrets))
