"""`list`: list the tokens of owners."""

import csv as csv_module
import io
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from losant_tokens.cli._errors import EXIT_SOME_FAILED, UsageError
from losant_tokens.cli._options.common import (
    DEFAULT_ACCOUNTS,
    AccountsOptions,
    AtLeastOne,
    PageSize,
    Quiet,
    SeenIn,
    flag,
)
from losant_tokens.cli._options.jobs import NO_RULES, Owners, RuleOptions
from losant_tokens.cli._terminal.console import (
    print_status,
    quiet_output,
    terminal_width,
    transient_status,
    write_output,
)
from losant_tokens.cli._terminal.format import escaped, format_count, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from losant_tokens import Owner
    from losant_tokens.cli._options.common import ConnectionOptions
    from losant_tokens.cli._tokens.listing import Found
    from losant_tokens.cli._tokens.multi_account_listing import AccountsFound


def list_tokens(  # noqa: PLR0913 -- one parameter per option
    *,
    owner: Annotated[Owners, Parameter(show_default=lambda _: "the account's")] = (),
    rules: RuleOptions = NO_RULES,
    sort: Annotated[
        str | None,
        Parameter(metavar="COLUMN", help="Sort by COLUMN; COLUMN:desc reverses the order."),
    ] = None,
    limit: Annotated[
        int | None,
        Parameter(
            metavar="N",
            validator=AtLeastOne,
            show_default=lambda _: "all",
            help="List the first N tokens.",
        ),
    ] = None,
    columns: Annotated[
        str | None, Parameter(metavar="COLUMNS", help="Show these columns, in this order.")
    ] = None,
    csv: Annotated[bool, flag("Write CSV: all columns, or those of --columns.")] = False,
    json: Annotated[
        tuple[str, ...] | None,
        Parameter(
            metavar="FIELDS",
            consume_multiple=True,
            negative="",
            json_list=False,
            help="Write JSON, with all fields or only FIELDS.",
        ),
    ] = None,
    seen_in: SeenIn = (),
    page_size: PageSize = None,
    quiet: Quiet = False,
    connection: AccountsOptions = DEFAULT_ACCOUNTS,
) -> int:
    """List tokens as a table, CSV or JSON."""
    from losant_tokens.cli._connections.chosen_accounts import selected_connections
    from losant_tokens.cli._event_loop import run_until_stopped
    from losant_tokens.cli._tokens.columns import DEFAULT_COLUMNS, SEEN, read_columns
    from losant_tokens.cli._tokens.json import LAST_SEEN, as_json, read_fields
    from losant_tokens.cli._tokens.listing import ListQuery
    from losant_tokens.cli._tokens.multi_account_listing import list_accounts

    if json is not None and (csv or columns is not None):
        raise UsageError(
            "--json cannot be combined with --csv or --columns",
            "--json id,name writes these fields only",
        )
    fields = None if json is None else read_fields(json)
    chosen = None if columns is None else read_columns(columns)
    column, descending = _read_sort(sort)
    needs_log = bool(seen_in or SEEN in (column, *(chosen or ())) or LAST_SEEN in (fields or ()))
    is_table = json is None and not csv and sys.stdout.isatty()
    query = ListQuery(
        owners=(),
        options=rules,
        sort=column,
        descending=descending,
        limit=limit,
        page_size=page_size,
        needs_total=is_table,
        logs=seen_in,
        needs_log=needs_log,
    )
    reading = transient_status("Listing the tokens...") if needs_log else nullcontext()
    with quiet_output(quiet):
        connections = selected_connections(connection)

        async def work() -> "AccountsFound":
            return await list_accounts(query, connections, tuple(dict.fromkeys(owner)))

        with reading:
            listed = run_until_stopped(work)
        found, code = listed.found, 0 if listed.is_complete else EXIT_SOME_FAILED
        if not found.tokens and fields is None and not csv:
            print_status(_nothing_found(listed.owners, found))
            return code
    several = _distinguishing(listed.owners, connections)
    if fields is not None:
        write_output(as_json(_json_rows(found, fields, several, has_seen=needs_log)))
    elif csv:
        write_output(_csv(found, chosen or _csv_columns(several, has_seen=needs_log)))
    else:
        shown = chosen or (*several, *DEFAULT_COLUMNS, *((SEEN,) if needs_log else ()))
        if is_table:
            _write_table(found, shown)
        else:
            write_output(_tab_separated(found, shown))
    return code


def _csv_columns(several: "Sequence[str]", *, has_seen: bool) -> tuple[str, ...]:
    """Return all columns, but those of accounts and of use only if they are not empty."""
    from losant_tokens.cli._tokens.columns import ACCOUNT, COLUMNS, SEEN

    left_out = {ACCOUNT} - set(several)
    if not has_seen:
        left_out.add(SEEN)
    return tuple(name for name in COLUMNS if name not in left_out)


def _distinguishing(
    owners: "Sequence[Owner]", connections: "Sequence[ConnectionOptions]"
) -> tuple[str, ...]:
    """Return the columns that distinguish the tokens of several accounts and owners."""
    from losant_tokens.cli._tokens.columns import ACCOUNT

    several = {ACCOUNT: len(connections) > 1, "owner": len(owners) > 1}
    return tuple(name for name, is_needed in several.items() if is_needed)


def _read_sort(text: str | None) -> tuple[str | None, bool]:
    """Return the column to sort by, and whether the order is reversed."""
    from losant_tokens.cli._tokens.columns import COLUMNS

    if text is None:
        return None, False
    name, _, direction = text.lower().partition(":")
    if name not in COLUMNS or direction not in {"", "asc", "desc"}:
        raise UsageError(
            f'Invalid value for --sort: "{text}" is not a column: use COLUMN or COLUMN:desc',
            f"the columns are {', '.join(COLUMNS)}",
        )
    return name, direction == "desc"


def _json_rows(
    found: "Found", fields: "Sequence[str]", several: "Sequence[str]", *, has_seen: bool
) -> list[dict[str, object]]:
    """Return the tokens as JSON objects: all their members, or the chosen ones."""
    from losant_tokens.cli._tokens.json import LAST_SEEN, as_wire

    rows = []
    for one in found.tokens:
        members = as_wire(one.token)
        known = {"account": one.account, "owner": str(one.owner)}
        added = {name: known[name] for name in known if name in several or name in fields}
        members = added | members
        if has_seen:
            members[LAST_SEEN] = as_wire(one.seen)
        rows.append({name: members.get(name) for name in fields} if fields else members)
    return rows


def _csv(found: "Found", columns: "Sequence[str]") -> str:
    """Return the tokens as CSV in UTF-8, with cells that no spreadsheet takes for formulas."""
    from losant_tokens.cli._tokens.columns import COLUMNS
    from losant_tokens.jobs import harmless_cell

    file = io.StringIO()
    writer = csv_module.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for one in found.tokens:
        writer.writerow([harmless_cell(COLUMNS[name].text(one)) for name in columns])
    return file.getvalue()


def _tab_separated(found: "Found", columns: "Sequence[str]") -> str:
    """Return complete values, separated by tabs, without a header: a line for each token."""
    from losant_tokens.cli._tokens.columns import COLUMNS

    return "".join(
        "\t".join(escaped(COLUMNS[name].text(one)) for name in columns) + "\n"
        for one in found.tokens
    )


def _write_table(found: "Found", columns: "Sequence[str]") -> None:
    from losant_tokens.cli._terminal.pager import write_paged
    from losant_tokens.cli._terminal.tables import format_table
    from losant_tokens.cli._tokens.columns import shrink_steps, table_row

    number, total = len(found.tokens), format_count(found.matched)
    title = f"Showing {total}" if number == found.matched else f"Showing {number:,} of {total}"
    if found.rule is not None:
        title += f" that {'matches' if found.matched == 1 else 'match'}: {found.rule}"
    lines = wrapped(escaped(title), terminal_width(sys.stdout))
    table = format_table(
        [name.upper() for name in columns],
        (table_row(one, columns) for one in found.tokens),
        steps=shrink_steps(columns),
    )
    write_paged("\n".join([*lines, "", table]))


def _nothing_found(listed: "Sequence[Owner]", found: "Found") -> str:
    owners = f"of {', '.join(map(str, listed))}"
    if found.rule is None:
        return f"There are no tokens {owners}."
    return f"No tokens {owners} match: {found.rule}."
