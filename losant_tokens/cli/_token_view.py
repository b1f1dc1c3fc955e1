"""Tokens for people: the rows of a table, and the details of one token."""

from losant_tokens import ApiToken, UserOauthToken
from losant_tokens.cli._format import escaped, format_date, format_datetime, no_expiry
from losant_tokens.cli._json import as_json, as_wire

Token = ApiToken | UserOauthToken

COLUMNS = ("ID", "NAME", "STATUS", "EXPIRES", "CREATED", "SCOPES")


def table_row(token: Token) -> tuple[str, ...]:
    """Return the cells of a token, in the order of `COLUMNS`."""
    return (
        token.id,
        token.name,
        token.status or "",
        format_date(token.expiration_date, no_expiry(token)),
        format_date(token.creation_date, ""),
        " ".join(token.scope),
    )


def describe_token(token: Token, *, json: bool) -> str:
    """Return the details of a token, without its secret, as lines or as JSON."""
    if json:
        return as_json(as_wire(token))
    details = {
        "Id": token.id,
        "Name": token.name,
        "Status": token.status,
        "Expires": format_datetime(token.expiration_date, no_expiry(token)),
        "Created": format_datetime(token.creation_date, ""),
        "Updated": format_datetime(token.last_updated, ""),
        "Scopes": " ".join(token.scope),
        "Role": token.default_role,
        "Creator": getattr(token, "creator_name", None),
        "Description": token.description,
    }
    return "".join(
        f"{name + ':':<12} {escaped(value)}\n" for name, value in details.items() if value
    )
