"""The types of the parameters: how each is read from the command line, and checked."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from cyclopts import Parameter, Token, validators

from losant_tokens import Owner
from losant_tokens.cli._parse import read_expiry


def _read_owner(_: Any, tokens: Sequence[Token]) -> Owner:
    return Owner.parse(tokens[0].value)


def _read_expiry(_: Any, tokens: Sequence[Token]) -> datetime | None:
    return read_expiry(tokens[0].value, datetime.now(UTC))


ME = Owner.user()
OfOwner = Annotated[
    Owner,
    Parameter(
        name="--owner",
        converter=_read_owner,
        accepts_keys=False,
        n_tokens=1,
        show_default=str,
        help="Whose tokens: user, oauth, application:ID or instance:ID.",
    ),
]
AsJson = Annotated[bool, Parameter(negative="", show_default=False)]
Expiry = Annotated[
    datetime | None,
    Parameter(converter=_read_expiry, n_tokens=1, show_default=lambda _: "never"),
]
Scopes = Annotated[tuple[str, ...], Parameter(negative="", show_default=False)]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Quiet = Annotated[
    bool,
    Parameter(negative="", show_default=False, help="Print nothing but errors and warnings."),
]
AllowOwnToken = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Also change the token that this command uses, which locks it out.",
    ),
]
Count = Annotated[int, Parameter(validator=validators.Number(gte=0))]
AtLeastOne = Annotated[int, Parameter(validator=validators.Number(gte=1))]
PageSize = Annotated[
    int | None,
    Parameter(
        validator=validators.Number(gte=1, lte=1000),
        help="Tokens to ask for at a time. Default: 1000, or fewer if a page is too large.",
    ),
]
Port = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))]
Status = Literal["active", "inactive"]
SortField = Literal["name", "status", "id", "creationDate", "lastUpdated", "expirationDate"]
