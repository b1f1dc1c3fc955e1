"""Both official clients against the fake, compared with our client call by call."""

from collections.abc import Callable
from typing import Any

import losant_rest
import pytest

from losant_tokens import AsyncClient
from losant_tokens.testing import FakeLosant
from tests.contract.conftest import Stage
from tests.contract.official_calls import Recorder, add_token_for, state
from tests.integration.test_official_client import CREDENTIALS, PAIRS, Ours, Theirs

EACH = [pytest.param(*pair, id=pair[0]) for pair in PAIRS]


def sent(fake: FakeLosant) -> list[tuple[Any, ...]]:
    """The requests that the fake received, and its responses.

    The clients' versions differ, and so do the versions of the API that they ask for.
    """
    names = ("accept", "losantdomain")
    return [
        (
            request.method,
            request.path,
            dict(request.query),
            {name: request.headers.get(name) for name in names},
            request.status,
        )
        for request in fake.requests
    ]


async def outcome_of(ours: Ours, name: str, stage: Stage) -> tuple[Any, ...]:
    """Return the result of a call of our client, with its own fake."""
    stage.fake = fake = FakeLosant()
    add_token_for(fake, name)
    async with AsyncClient(fake.admin_token, base_url=stage.base_url) as client:
        await ours(client)
    return sent(fake), state(fake, name)


@pytest.mark.parametrize(("name", "ours", "theirs"), EACH)
async def test_python(stage: Stage, name: str, ours: Ours, theirs: Theirs) -> None:
    """The official client for Python sends the same requests, with the same results."""
    expected = await outcome_of(ours, name, stage)
    stage.fake = fake = FakeLosant()
    add_token_for(fake, name)
    theirs(losant_rest.Client(auth_token=fake.admin_token, url=stage.base_url))

    assert expected == (sent(fake), state(fake, name))


@pytest.mark.parametrize(("name", "ours", "theirs"), EACH)
async def test_node(
    stage: Stage, node_client: Callable[..., Any], name: str, ours: Ours, theirs: Theirs
) -> None:
    """The official client for Node.js sends the same requests, with the same results."""
    expected = await outcome_of(ours, name, stage)
    stage.fake = fake = FakeLosant()
    add_token_for(fake, name)
    recorder = Recorder()
    theirs(recorder)
    (call,) = recorder.calls
    answer = node_client(stage.base_url, fake.admin_token, *call)

    if "missing" in answer:
        pytest.skip(f"this version of the official client has no {answer['missing']}")
    assert "result" in answer, answer
    assert expected == (sent(fake), state(fake, name))


@pytest.mark.parametrize(
    ("credentials", "status", "message"),
    [
        (CREDENTIALS, 200, None),
        ({**CREDENTIALS, "password": "another one"}, 401, "Invalid email or password"),
        ({"email": "a@b.c"}, 400, "credentials.password is required"),
    ],
)
def test_log_in(
    stage: Stage,
    fake: FakeLosant,
    node_client: Callable[..., Any],
    credentials: dict[str, Any],
    status: int,
    message: str | None,
) -> None:
    """Both log in, and report the fake's refusals as they report Losant's."""
    fake.add_user("a@b.c", "p4ssw0rd", "1")
    node = node_client(
        stage.base_url, None, "auth", "authenticateUser", {"credentials": credentials}
    )
    try:
        losant_rest.Client(url=stage.base_url).auth.authenticate_user(credentials=credentials)
        python = None
    except losant_rest.LosantError as error:
        python = error.args[1]["message"]

    assert [status] * 2 == [request.status for request in fake.requests]
    assert [message] * 2 == [node.get("message"), python]


def test_the_command_line(stage: Stage, fake: FakeLosant, node_client: Callable[..., Any]) -> None:
    """`losant login` gets its responses: no single sign-on, and a token of the command line."""
    fake.add_user("a@b.c", "p4ssw0rd")
    wanted = {"requestedScopes": ["all.User.cli"], "tokenTTL": 0, "email": "a@b.c"}
    credentials = {**wanted, "password": "p4ssw0rd"}
    sso = node_client(stage.base_url, None, "auth", "ssoDomain", {"email": "a@b.c"})
    login = node_client(
        stage.base_url, None, "auth", "authenticateUser", {"credentials": credentials}
    )
    listed = node_client(stage.base_url, login["result"]["token"], "userApiTokens", "get", {})

    assert not sso.get("result")
    assert [204, 200, 403] == [request.status for request in fake.requests]
    assert listed["status"] == 403
