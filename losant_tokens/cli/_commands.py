"""The commands as cyclopts knows them: names, options and help. What they do is imported late."""

# ruff: noqa: D417 -- the options that commands share describe themselves

from typing import Literal

from cyclopts import App

from losant_tokens import __version__
from losant_tokens.cli import _help as texts
from losant_tokens.cli._connection import USUAL, Connection
from losant_tokens.cli._parameters import (
    ME,
    AllowOwnToken,
    AsJson,
    AtLeastOne,
    Count,
    Expiry,
    Flag,
    OfOwner,
    PageSize,
    Port,
    Quiet,
    Scopes,
    SortField,
    Status,
)

app = App(
    "losant-tokens",
    help="API tokens of Losant: list, show, create, change and delete them.",
    help_epilogue=texts.ROOT,
    help_format="plaintext",
    version=f"losant-tokens {__version__}",
)


@app.command(name="list", help_epilogue=texts.LIST)
def list_(  # noqa: PLR0913 -- options, all by keyword
    *,
    name: str | None = None,
    status: Status | None = None,
    sort_field: SortField | None = None,
    sort_direction: Literal["asc", "desc"] | None = None,
    filter_field: Literal["name", "status"] | None = None,
    filter: str | None = None,
    limit: AtLeastOne | None = None,
    page_size: PageSize = None,
    owner: OfOwner = ME,
    json: AsJson = False,
    connection: Connection = USUAL,
) -> int:
    """List tokens, as a table or as JSON.

    Args:
        name: Only those whose name is GLOB, or matches it.
        status: Only those of this status.
        sort_field: What to sort by.
        sort_direction: Which way to sort.
        filter_field: What to filter by, in the API's own words.
        filter: What that must match.
        limit: List at most this many tokens.
        owner: Whose tokens.
        json: Write an array of tokens as the API writes them.
    """
    from losant_tokens.cli.commands.tokens import Query, list_tokens  # noqa: PLC0415

    query = Query(
        sort_field=sort_field,
        sort_direction=sort_direction,
        filter_field=filter_field,
        filter=filter,
        name=name,
        status=status,
        limit=limit,
        page_size=page_size,
    )
    return list_tokens(owner, query, connection, json=json)


@app.command(help_epilogue=texts.SHOW)
def show(
    token_id: str,
    /,
    *,
    owner: OfOwner = ME,
    json: AsJson = False,
    connection: Connection = USUAL,
) -> int:
    """Show a token, without its secret, which nobody can see again.

    Args:
        token_id: The id of the token: 24 hexadecimal digits.
        owner: Whose token.
        json: Write it as the API writes it.
    """
    from losant_tokens.cli.commands.tokens import show_token  # noqa: PLC0415

    return show_token(owner, token_id, connection, json=json)


@app.command(help_epilogue=texts.CREATE)
def create(  # noqa: PLR0913 -- an option each
    name: str,
    /,
    *,
    scope: Scopes = (),
    unlisted_scope: Scopes = (),
    expires: Expiry = None,
    description: str | None = None,
    status: Status | None = None,
    owner: OfOwner = ME,
    json: AsJson = False,
    connection: Connection = USUAL,
) -> int:
    """Create a token; its secret, and nothing else, goes to stdout, this one time.

    Args:
        name: What people shall know it by.
        scope: What it may do; repeat it for more than one.
        unlisted_scope: Like --scope, for a new scope that this version does not know.
        expires: When it stops working: 12h, 90d or 4w from now, a date (2030-01-01, UTC), or never.
        description: What it is for.
        status: Whether it works from the start.
        owner: Whose token.
        json: Write all of the token, with its secret.
    """
    from losant_tokens import ApiTokenPost, UnlistedScope  # noqa: PLC0415
    from losant_tokens.cli.commands.tokens import create_token  # noqa: PLC0415

    def new() -> ApiTokenPost:
        return ApiTokenPost(
            name,
            description=description,
            expiration_date=expires,
            scope=(*scope, *map(UnlistedScope, unlisted_scope)) or None,
            status=status,
        )

    return create_token(owner, new, connection, json=json)


@app.command(help_epilogue=texts.PATCH)
def patch(
    token_id: str,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    status: Status | None = None,
    allow_own_token: AllowOwnToken = False,
    owner: OfOwner = ME,
    json: AsJson = False,
    connection: Connection = USUAL,
) -> int:
    """Change a token's name, description or status. Scopes and expiry can never be changed.

    Args:
        token_id: The id of the token.
        name: Its new name.
        description: Its new description; "" empties it.
        status: inactive makes requests with it fail, until it is active again.
        owner: Whose token.
        json: Write it as the API writes it.
    """
    from losant_tokens.cli.commands.tokens import patch_token  # noqa: PLC0415

    return patch_token(
        owner,
        token_id,
        connection,
        name=name,
        description=description,
        status=status,
        allow_own_token=allow_own_token,
        json=json,
    )


@app.command(help_epilogue=texts.DELETE)
def delete(
    token_ids: tuple[str, ...],
    /,
    *,
    yes: Flag = False,
    allow_own_token: AllowOwnToken = False,
    owner: OfOwner = ME,
    quiet: Quiet = False,
    connection: Connection = USUAL,
) -> int:
    """Delete tokens for good. Asks before it does, and goes on after a failure.

    Args:
        token_ids: The ids of the tokens.
        yes: Do not ask. Required without a terminal.
        owner: Whose tokens.
    """
    from losant_tokens.cli.commands.delete import delete_tokens  # noqa: PLC0415

    return delete_tokens(
        owner, token_ids, connection, yes=yes, allow_own_token=allow_own_token, is_quiet=quiet
    )


@app.command(help_epilogue=texts.SANDBOX)
def sandbox(*, port: Port = 0, host: str = "127.0.0.1", tokens: Count = 1000) -> int:
    """Serve a fake Losant on this machine to try things out on, until Ctrl-C.

    Args:
        port: Where to serve it; 0 is any port that is free.
        host: The address to listen on; 0.0.0.0 lets other machines and containers use the fake.
        tokens: How many tokens it starts with.
    """
    from losant_tokens.cli.commands import sandbox  # noqa: PLC0415

    return sandbox.sandbox(port, host, tokens)


@app.command(help_epilogue=texts.DEMO)
def demo(*, tokens: Count = 1000, concurrency: AtLeastOne = 20) -> int:
    """Watch a clean-up of a thousand tokens, at a fake Losant that is gone afterwards.

    Args:
        tokens: How many tokens the fake starts with.
        concurrency: How many requests are in flight at once.
    """
    from losant_tokens.cli.commands import demo  # noqa: PLC0415

    return demo.demo(tokens, concurrency)
