"""Check the public names, and the cost of importing them."""

import ast
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import losant_tokens
from losant_tokens import (
    AsyncClient,
    Owner,
    RetryPolicy,
    Secret,
    errors,
    fleet,
    jobs,
    policy,
    sinks,
)

NAMES = (
    *("NEVER", "ApiToken", "ApiTokenPatch", "ApiTokenPost", "ApiTokens"),
    *("AsyncClient", "AuthenticatedUser", "Listing", "NewApiToken", "OauthDetails"),
    *("OauthRequest", "OrgRole", "Owner", "RequestOptions", "ResourceRole", "RetryPolicy"),
    *("Secret", "Success", "Transport", "UserCredentials", "UserOauthToken", "UserOauthTokenPatch"),
    *("UserOauthTokenPost", "UserOauthTokens", "__version__", "aiohttp_transport", "errors"),
    *("can_create_tokens", "httpx_transport", "published_scopes"),
)


def test_all() -> None:
    """`__all__` is sorted (constants, classes, then the rest), and has every public name."""
    expected = sorted(
        losant_tokens.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert expected == losant_tokens.__all__
    assert set(NAMES) <= set(losant_tokens.__all__)
    assert all(hasattr(losant_tokens, name) for name in losant_tokens.__all__)


@pytest.mark.parametrize("package", [losant_tokens, fleet, jobs, policy, sinks])
def test_lazy_names(package: ModuleType) -> None:
    """Each lazy name has the same module at run time as for type checkers."""
    tree = ast.parse(Path(package.__file__ or "").read_text())
    type_checking = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: import_module(node.module or "")
        for node in type_checking.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert set(package.__all__) - {"__version__"} == {*seen}
    for name, module in seen.items():
        assert getattr(module, name) is getattr(package, name)
    assert set(package.__all__) <= set(dir(package))


def test_deprecated_alias() -> None:
    """The deprecated `ApplicationApiTokenPost` works, and warns for the caller's line."""
    with pytest.warns(DeprecationWarning, match="use ApiTokenPost") as caught:
        alias = losant_tokens.ApplicationApiTokenPost

    assert (losant_tokens.ApiTokenPost, __file__) == (alias, caught[0].filename)


def test_unknown_name() -> None:
    """An unknown name is an `AttributeError`."""
    with pytest.raises(AttributeError, match="'losant_tokens' has no attribute 'Client'"):
        losant_tokens.Client  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match=r"'losant_tokens\.jobs' has no attribute 'run'"):
        jobs.run  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", [name for name in NAMES if name != "errors"])
def test_documented(name: str) -> None:
    """Every public object has a docstring."""
    documented = {"NEVER", "__version__"}  # values without their own docstring
    assert name in documented or getattr(losant_tokens, name).__doc__.strip()


@pytest.mark.parametrize("package", [losant_tokens, errors, fleet, jobs, policy, sinks])
def test_summary_of_a_property_has_no_colon(package: ModuleType) -> None:
    """Sphinx takes the words before a colon in the first line for the type of a property."""
    wrong = [
        f"{class_.__name__}.{name}"
        for class_ in [getattr(package, name) for name in dir(package)]
        if isinstance(class_, type)
        for name, member in vars(class_).items()
        if isinstance(member, property) and not name.startswith("_")
        if ":" in re.sub(r"`[^`]*`", "", (member.__doc__ or "").partition("\n")[0])
    ]

    assert wrong == []


def test_version() -> None:
    """The version is a string of numbers with dots between them."""
    assert all(part.isalnum() for part in losant_tokens.__version__.split("."))
    assert losant_tokens.__version__.count(".") >= 2


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (
            AsyncClient(Secret("hunter2"), base_url="https://example.com"),
            "https://example.com not open, 0 of 20 connections in use, unknown scopes",
        ),
        (
            AsyncClient(
                "hunter2",
                base_url="http://localhost:1/api/",
                scopes=["me", "all.User"],
                max_connections=3,
            ),
            "http://localhost:1/api not open, 0 of 3 connections in use, scopes all.User, me",
        ),
    ],
)
def test_repr(client: AsyncClient, expected: str) -> None:
    """The repr of a client shows its state, and not its token."""
    assert f"<AsyncClient {expected}>" == repr(client)


def test_repr_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The repr of a client without a token states that."""
    monkeypatch.delenv("LOSANT_API_TOKEN", raising=False)
    assert repr(AsyncClient()).endswith("connections in use, no token>")


def test_reprs() -> None:
    """The reprs of public values are readable."""
    assert repr(losant_tokens.NEVER) == "NEVER"
    assert repr(Owner.user()) == "Owner(kind='user', id=None)"
    assert repr(RetryPolicy()) == (
        "RetryPolicy(attempts=4, base=0.5, cap=20.0, deadline=60.0, follow_rate_limit=True)"
    )
    assert repr(errors.NotFound("no")) == "NotFound('no')"
