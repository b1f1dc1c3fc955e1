"""Check the tree of errors, and their attributes."""

import copy
import pickle
from typing import Any

import pytest

from losant_tokens import errors

TREE: dict[str, tuple[type, ...]] = {
    "LosantError": (Exception,),
    "AccountError": (errors.LosantError,),
    "TokenUnavailable": (errors.AccountError,),
    "ClientStateError": (errors.LosantError,),
    "ValidationError": (errors.LosantError, ValueError),
    "ScopeError": (errors.LosantError,),
    "IssuerMismatch": (errors.ScopeError,),
    "TokenExpired": (errors.LosantError,),
    "TransportError": (errors.LosantError,),
    "ConnectFailed": (errors.TransportError,),
    "ConfigurationError": (errors.ConnectFailed,),
    "RequestTimeout": (errors.TransportError,),
    "IncompleteListing": (errors.LosantError,),
    "ResponseError": (errors.LosantError,),
    "ResponseTooLarge": (errors.ResponseError,),
    "StatusError": (errors.LosantError,),
    "BadRequest": (errors.StatusError,),
    "Unauthorized": (errors.StatusError,),
    "Forbidden": (errors.StatusError,),
    "NotFound": (errors.StatusError,),
    "PayloadTooLarge": (errors.StatusError,),
    "TooManyRequests": (errors.StatusError,),
    "ServerError": (errors.StatusError,),
}


@pytest.mark.parametrize(("name", "bases"), TREE.items(), ids=TREE)
def test_tree(name: str, bases: tuple[type, ...]) -> None:
    """Each error has the base class that the tree shows."""
    assert bases == getattr(errors, name).__bases__


def test_tree_is_complete() -> None:
    """The tree in the docstring has every error."""
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.LosantError)
    }
    assert defined == set(TREE)
    assert errors.__doc__ is not None
    assert {name for name in TREE if name not in errors.__doc__} == set()


def test_all() -> None:
    """`__all__` is sorted, and has the errors, the warnings and `status_error_class`."""
    expected = [*sorted([*TREE, "PaginationDriftWarning", "ScopeWarning"]), "status_error_class"]
    assert expected == errors.__all__


def test_warning() -> None:
    """`ScopeWarning` is a `UserWarning`, and not a `LosantError`."""
    assert errors.ScopeWarning.__bases__ == (UserWarning,)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.BadRequest),
        (401, errors.Unauthorized),
        (402, errors.StatusError),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (405, errors.StatusError),
        (408, errors.StatusError),
        (409, errors.StatusError),
        (413, errors.PayloadTooLarge),
        (418, errors.StatusError),
        (422, errors.StatusError),
        (429, errors.TooManyRequests),
        (499, errors.StatusError),
        (500, errors.ServerError),
        (501, errors.ServerError),
        (502, errors.ServerError),
        (503, errors.ServerError),
        (504, errors.ServerError),
        (599, errors.ServerError),
        (999, errors.ServerError),
        (100, errors.StatusError),
    ],
)
def test_class_per_status(status: int, expected: type) -> None:
    """Each HTTP status has its own class of error, or `StatusError`."""
    assert expected is errors.status_error_class(status)


FULL = [
    (errors.LosantError("no"), {}),
    (errors.ClientStateError("no"), {}),
    (errors.ValidationError("no"), {}),
    (errors.TokenExpired("no"), {}),
    (errors.ScopeError("no"), {"operation": "", "scopes": (), "accepted": ()}),
    (
        errors.ScopeError("no", operation="a.get", scopes={"c", "b"}, accepted=iter(["e", "d"])),
        {"operation": "a.get", "scopes": ("b", "c"), "accepted": ("d", "e")},
    ),
    (errors.TransportError("no"), {"operation": "", "ambiguous": True}),
    (
        errors.TransportError("no", operation="a.get", ambiguous=False),
        {"operation": "a.get", "ambiguous": False},
    ),
    (errors.ConnectFailed("no"), {"operation": "", "ambiguous": False}),
    (
        errors.ConnectFailed("no", operation="a.get", ambiguous=True),
        {"operation": "a.get", "ambiguous": True},
    ),
    (errors.ConfigurationError("no"), {"operation": "", "ambiguous": False}),
    (errors.RequestTimeout("no"), {"operation": "", "ambiguous": True}),
    (errors.IncompleteListing("no"), {"operation": "", "listed": 0, "problems": ()}),
    (
        errors.IncompleteListing("no", operation="a.get", listed=2, problems=iter(["b"])),
        {"operation": "a.get", "listed": 2, "problems": ("b",)},
    ),
    (
        errors.ResponseError("no"),
        {
            "operation": "",
            "status_code": 0,
            "path": None,
            "ambiguous": True,
            "token_id": None,
            "headers": {},
            "request_id": None,
        },
    ),
    (
        errors.ResponseError(
            "no",
            operation="a",
            status_code=200,
            path="$.id",
            ambiguous=False,
            token_id="b",
            headers={"x-request-id": "r"},
            request_id="r",
        ),
        {
            "operation": "a",
            "status_code": 200,
            "path": "$.id",
            "ambiguous": False,
            "token_id": "b",
            "headers": {"x-request-id": "r"},
            "request_id": "r",
        },
    ),
    (
        errors.NotFound("no"),
        {
            "status_code": 0,
            "type": "",
            "message": "",
            "operation": "",
            "details": {},
            "retry_after": None,
            "is_from_api": False,
            "headers": {},
            "request_id": None,
        },
    ),
    (
        errors.TooManyRequests(
            "no",
            status_code=429,
            type="TooManyRequests",
            message="slow down",
            operation="a.get",
            details={"more": [1]},
            retry_after=1.5,
            is_from_api=True,
            headers={"x-request-id": "r"},
            request_id="r",
        ),
        {
            "status_code": 429,
            "type": "TooManyRequests",
            "message": "slow down",
            "operation": "a.get",
            "details": {"more": [1]},
            "retry_after": 1.5,
            "is_from_api": True,
            "headers": {"x-request-id": "r"},
            "request_id": "r",
        },
    ),
]


@pytest.mark.parametrize(("error", "expected"), FULL)
def test_attributes(error: errors.LosantError, expected: dict[str, Any]) -> None:
    """Errors have the documented attributes, and their string is the message."""
    assert expected == vars(error)
    assert str(error) == "no"


@pytest.mark.parametrize(("error", "expected"), FULL)
def test_copies(error: errors.LosantError, expected: dict[str, Any]) -> None:
    """An error can be pickled and copied without a change."""
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(error), "no", expected) == (type(other), str(other), vars(other))


def test_details_are_its_own() -> None:
    """The details of an error are a copy."""
    given = {"a": 1}
    error, other = errors.BadRequest("no", details=given), errors.BadRequest("no")
    given["b"] = 2
    other.details["c"] = 3
    assert error.details == {"a": 1}
    assert errors.BadRequest("no").details == {}
