"""Check the keyword options of the methods, and the query parameters of lists."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from losant_tokens import AuditLogActor, AuditLogFilter, AuditLogRequest, AuditLogTarget
from losant_tokens._api import audit_log_operations, operations
from losant_tokens._http import audit_log_options
from losant_tokens._http import call_options as options
from losant_tokens.errors import ValidationError

LIST, OAUTH_LIST = operations.USER_API_TOKENS_GET, operations.USER_OAUTH_TOKENS_GET
COMMON = ["losantdomain", "actions", "links", "embedded", "timeout", "retry"]
OF_LOGS = ["sort_field", "sort_direction", "per_page", "start", "end", "filter"]
OF_LISTS = ["sort_field", "sort_direction", "per_page", "filter_field", "filter"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (options.RequestOptions, COMMON),
        (options.ListOptions, [*COMMON, *OF_LISTS]),
        (options.PageOptions, [*COMMON, *OF_LISTS, "page"]),
        (options.OauthListOptions, [*COMMON, *OF_LISTS]),
        (options.OauthPageOptions, [*COMMON, *OF_LISTS, "page"]),
        (options.OwnerListOptions, [*COMMON, *OF_LISTS]),
        (options.OwnerPageOptions, [*COMMON, *OF_LISTS, "page"]),
        (options.ApplicationListOptions, [*COMMON, *OF_LISTS, "org_id"]),
        (options.ApplicationPageOptions, [*COMMON, *OF_LISTS, "org_id", "page"]),
        (audit_log_options.AuditLogListOptions, [*COMMON, *OF_LOGS]),
        (audit_log_options.AuditLogPageOptions, [*COMMON, *OF_LOGS, "page"]),
    ],
)
def test_names(kind: type, expected: list[str]) -> None:
    """Each kind of call has its own options and the common ones, and none is required."""
    assert expected == list(get_type_hints(kind))
    assert kind.__required_keys__ == frozenset()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "operation"), [(options.ListOptions, LIST), (options.OauthListOptions, OAUTH_LIST)]
)
def test_types_match_the_table(kind: type, operation: operations.Operation[Any]) -> None:
    """The types allow the same fields as the table of operations."""
    hints = get_type_hints(kind)
    assert operation.sorts_by == get_args(hints["sort_field"])
    assert operation.filters_by == get_args(hints["filter_field"])


@pytest.mark.parametrize("name", COMMON)
def test_known(name: str) -> None:
    """A known option passes, with any value."""
    options.check_options(LIST, {name: object()})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("losantDomain", "'losantDomain'. Did you mean 'losantdomain'?"),
        ("time_out", "'time_out'. Did you mean 'timeout'?"),
        ("link", "'link'. Did you mean 'links'?"),
        (
            "xyzzy",
            "'xyzzy'. The options are losantdomain, actions, links, embedded, timeout, retry.",
        ),
        ("page", "'page'. The options are losantdomain, actions, links, embedded, timeout, retry."),
    ],
)
def test_unknown(name: str, expected: str) -> None:
    """An unknown option is a `TypeError` that suggests a similar option."""
    with pytest.raises(TypeError) as caught:
        options.check_options(LIST, {"timeout": 1, name: 1})
    actual = str(caught.value)
    assert f"userApiTokens.get got an unexpected keyword argument {expected}" == actual


def test_split() -> None:
    """The options of a list are separated from those of any request."""
    given = {"page": 1, "timeout": 2.0, "filter": "a", "links": False}
    expected = ({"page": 1, "filter": "a"}, {"timeout": 2.0, "links": False})
    assert expected == options.split(LIST, given, options.PageOptions)


def test_split_refuses() -> None:
    """An option of another kind of call is refused."""
    with pytest.raises(TypeError, match=r"'page'\. Did you mean 'per_page'\?"):
        options.split(LIST, {"page": 1}, options.ListOptions)


def test_query() -> None:
    """Each parameter has its name in the API, and is a string."""
    given = {
        "sort_field": "expirationDate",
        "sort_direction": "desc",
        "page": 0,
        "per_page": 1000,
        "filter_field": "status",
        "filter": "ci-*",
    }
    expected = {
        "sortField": "expirationDate",
        "sortDirection": "desc",
        "page": "0",
        "perPage": "1000",
        "filterField": "status",
        "filter": "ci-*",
    }
    assert expected == options.list_query(LIST, given)
    assert options.list_query(LIST, {}) == {}


@pytest.mark.parametrize(
    ("operation", "name", "value"),
    [
        *((LIST, "sort_field", word) for word in LIST.sorts_by),
        *((OAUTH_LIST, "sort_field", word) for word in OAUTH_LIST.sorts_by),
        *((LIST, "sort_direction", word) for word in ("asc", "desc")),
        *((LIST, "filter_field", word) for word in ("name", "status")),
        (OAUTH_LIST, "filter_field", "name"),
        (LIST, "filter", ""),
        (LIST, "filter", "x" * 5000),
        (LIST, "page", 10**9),
        (LIST, "per_page", 1),
    ],
)
def test_accepted(operation: operations.Operation[Any], name: str, value: object) -> None:
    """A valid value is sent unchanged."""
    assert [str(value)] == list(options.list_query(operation, {name: value}).values())


@pytest.mark.parametrize(
    ("operation", "name", "value", "expected"),
    [
        (LIST, "sort_field", "token", "must be one of 'name', 'status', 'id', 'creationDate', "),
        (LIST, "sort_field", "expiration_date", "'lastUpdated', 'expirationDate', but it is 'exp"),
        (OAUTH_LIST, "sort_field", "expirationDate", "'lastUpdated', but it is 'expirationDate'"),
        (LIST, "sort_direction", "ASC", "must be one of 'asc', 'desc', but it is 'ASC'"),
        (LIST, "filter_field", "id", "must be one of 'name', 'status', but it is 'id'"),
        (OAUTH_LIST, "filter_field", "status", "must be one of 'name', but it is 'status'"),
        (LIST, "filter", None, "must be a string, but it is NoneType"),
        (LIST, "filter", "\ud800", "has half of a surrogate pair, which cannot be sent"),
        (LIST, "page", -1, "must be an integer, at least 0, but it is -1"),
        (LIST, "page", "1", "must be an integer, at least 0, but it is '1'"),
        (LIST, "page", None, "must be an integer, at least 0, but it is NoneType"),
        (LIST, "per_page", 0, "must be an integer, at least 1, but it is 0"),
        (LIST, "per_page", 1.5, "must be an integer, at least 1, but it is float"),
    ],
)
def test_refused(
    operation: operations.Operation[Any], name: str, value: object, expected: str
) -> None:
    """A value that the API would refuse is refused, with the name of the parameter."""
    with pytest.raises(ValidationError) as caught:
        options.list_query(operation, {name: value})
    assert str(caught.value).startswith(f"{operation.name}.{name} ")
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["page", "per_page"])
def test_huge_numbers(name: str) -> None:
    """A number with too many digits for Python to print is a `ValidationError`."""
    with pytest.raises(ValidationError):
        options.list_query(LIST, {name: 10**5000})


@given(st.text())
def test_any_filter(text: str) -> None:
    """Any string is refused, or is sent unchanged as the filter."""
    try:
        query = options.list_query(LIST, {"filter": text})
    except ValidationError:
        assert any("\ud800" <= character <= "\udfff" for character in text)
    else:
        assert query == {"filter": text}


LOG = audit_log_operations.AUDIT_LOGS_GET


def test_query_of_an_audit_log() -> None:
    """Times are in milliseconds, rounded outwards, and the filter is flattened."""
    time = datetime(2026, 1, 1, 0, 0, 0, 1500, tzinfo=UTC)
    chosen = AuditLogFilter(
        actor=[AuditLogActor(type="ApiToken"), AuditLogActor(id="a" * 24, name="x")],
        primary_target=[AuditLogTarget(type="Application")],
        request=[AuditLogRequest(resource="device", action="patch")],
        response_code=[200, 404],
    )
    given = {"page": 2, "start": time, "end": time, "filter": chosen, "sort_field": "actorName"}
    expected = {
        "page": "2",
        "sortField": "actorName",
        "start": "1767225600001",
        "end": "1767225600002",
        "auditLogFilter[actor][0][type]": "ApiToken",
        "auditLogFilter[actor][1][id]": "a" * 24,
        "auditLogFilter[actor][1][name]": "x",
        "auditLogFilter[primaryTarget][0][type]": "Application",
        "auditLogFilter[request][0][resource]": "device",
        "auditLogFilter[request][0][action]": "patch",
        "auditLogFilter[responseCode][0]": "200",
        "auditLogFilter[responseCode][1]": "404",
    }
    assert expected == audit_log_options.audit_log_query(LOG, given)
    assert audit_log_options.audit_log_query(LOG, {"start": datetime.min.replace(tzinfo=UTC)}) == {
        "start": "0"
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"start": 5}, "auditLogs.get.start must be a datetime"),
        ({"end": datetime(2026, 1, 1)}, "auditLogs.get.end must have a time zone"),  # noqa: DTZ001
        ({"filter": "ApiToken"}, "auditLogs.get.filter must be of type AuditLogFilter"),
        ({"sort_field": "name"}, "auditLogs.get.sort_field must be one of"),
    ],
)
def test_audit_log_refuses(given: dict[str, Any], expected: str) -> None:
    """A parameter that the API would refuse is refused before anything is sent."""
    with pytest.raises(ValidationError, match=expected):
        audit_log_options.audit_log_query(LOG, given)


@pytest.mark.parametrize(
    "make",
    [
        lambda: AuditLogActor(id="1"),
        lambda: AuditLogTarget(type=""),
        lambda: AuditLogRequest(action="x" * 1025),
        lambda: AuditLogFilter(actor=["ApiToken"]),
        lambda: AuditLogFilter(actor="ApiToken"),
        lambda: AuditLogFilter(response_code=[99]),
    ],
)
def test_audit_log_filter_refuses(make: Callable[[], object]) -> None:
    """A filter that the API would refuse cannot be made."""
    with pytest.raises(ValidationError):
        make()
