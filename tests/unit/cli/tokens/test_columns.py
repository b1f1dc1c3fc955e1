"""The columns of tokens."""

from datetime import UTC, datetime, timedelta

import pytest

from losant_tokens import ApiToken, Owner
from losant_tokens.cli._tokens.columns import (
    COLUMNS,
    ListedToken,
    expiry_style,
    read_columns,
    short_scopes,
    shrink_steps,
    table_row,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APPLICATION = Owner.application("575ec8687ae143cd83dc4a97")


def listed(owner: Owner = APPLICATION, **members: object) -> ListedToken:
    return ListedToken(ApiToken(id="1" * 24, **members), owner, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scopes", "width", "expected"),
    [
        ((), 13, ""),
        (("all.User.read",), 13, "all.User.read"),
        (("all.User.read",), 12, "all.Us….read"),
        (("all.User.bounded",), 13, "all….bounded"),
        (("all.User.read", "device.get"), 24, "all.User.read device.get"),
        (("all.User.read", "device.get"), 23, "all.User.read +1"),
        (("all.User.read", "device.get"), 15, "all.Us….read +1"),
        (("all.User.read", "device.get", "device.post"), 27, "all.User.read device.get +1"),
        (("all.User.read", "device.get", "device.post"), 26, "all.User.read +2"),
        (("applicationApiTokens.patch",), 16, "applicati….patch"),
        (("a\x1b.read",), 20, r"a\x1b.read"),
        (("all.User.read",), 5, "all.…"),
        (("me", "orgs"), 3, "me…"),
        (("applications",), 5, "appl…"),
    ],
)
def test_scopes_keep_their_ends(scopes: tuple[str, ...], width: int, expected: str) -> None:
    """As many scopes as fit are shown; a shortened one keeps its end, such as `.read`."""
    assert short_scopes(scopes, width) == expected


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (36, "application:575ec8687ae143cd83dc4a97"),
        (35, "application:575ec8687ae143cd83dc4a…"),
        (21, "application:575ec868…"),
        (14, "appli…:575ec8…"),
        (10, "a…:575ec8…"),
        (9, "applicat…"),
    ],
)
def test_owners_keep_the_start_of_their_id(width: int, expected: str) -> None:
    """A shortened owner has the first digits of its id, because kinds are alike."""
    (cell,) = table_row(listed(), ["owner"])

    assert cell.fitted(width) == expected


def test_short_owner_without_an_id() -> None:
    """An owner without an id ends with an ellipsis."""
    (cell,) = table_row(listed(Owner.parse("oauth")), ["owner"])

    assert cell.fitted(4) == "oau…"


@pytest.mark.parametrize(
    ("days", "style"), [(-1, "red"), (0, "red"), (1, "yellow"), (30, "yellow"), (31, "")]
)
def test_style_of_an_expiry(days: int, style: str) -> None:
    """An expired token is red, and one that expires in 30 days is yellow."""
    token = ApiToken(id="1", expiration_date=NOW + timedelta(days=days))

    assert expiry_style(token, NOW) == style


def test_style_without_an_expiry() -> None:
    """A token that never expires has no color."""
    assert expiry_style(ApiToken(id="1"), NOW) == ""


@pytest.mark.parametrize(
    ("days", "forms"),
    [
        (-800, ["expired 2 years ago", "expired 2y ago", "expired 2y", "2y ago"]),
        (3, ["in 3 days", "in 3d"]),
    ],
)
def test_forms_of_an_expiry(days: int, forms: list[str]) -> None:
    """The cell of an expiration date has shorter forms."""
    (cell,) = table_row(listed(expiration_date=NOW + timedelta(days=days)), ["expires"])

    assert [cell.text, *cell.shorter] == forms


def test_relative_dates_have_short_forms() -> None:
    """Dates are relative, with a shorter form; a missing date is empty."""
    created, updated = table_row(
        listed(creation_date=NOW - timedelta(days=90)), ["created", "updated"]
    )

    assert (created.text, created.shorter, updated.text) == ("3 months ago", ("3mo ago",), "")


def test_an_event_of_this_second_is_not_ahead() -> None:
    """The server rounds its time down, and a change in the same second is still past."""
    created, updated = table_row(
        listed(creation_date=NOW + timedelta(seconds=0.4), last_updated=NOW + timedelta(minutes=2)),
        ["created", "updated"],
    )

    assert (created.text, updated.text) == ("just now", "in 2 minutes")


def test_creator_is_a_name_or_an_id() -> None:
    """A creator without a name is shown by its id."""
    creators = [
        COLUMNS["creator"].text(listed(creator_name="ada", creator_id="5")),
        COLUMNS["creator"].text(listed(creator_id="5")),
        COLUMNS["creator"].text(listed()),
    ]

    assert creators == ["ada", "5", ""]


def test_all_columns_are_known() -> None:
    """Every column can be chosen, in any case."""
    assert read_columns(",".join(COLUMNS).upper()) == tuple(COLUMNS)


def test_steps_are_in_order() -> None:
    """The least important columns shrink first, and the id near the end."""
    steps = shrink_steps(["id", "scopes", "name"])

    assert steps[0][0] == "SCOPES"
    assert [name for name, _ in steps].index("ID") > 4
