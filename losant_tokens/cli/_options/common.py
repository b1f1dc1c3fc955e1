"""The options of several commands: how each is read from the command line, and its help."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from attrs import frozen
from cyclopts import Group, Parameter, Token, validators

from losant_tokens import Owner, parse_duration
from losant_tokens.cli._options.parse import checked_log, read_expiry, read_owner

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
CONNECTION_GROUP = Group("Connection", sort_key=4)


def _read_owner(_: Any, tokens: Sequence[Token]) -> Owner:
    return read_owner(tokens[0].value)


def _read_expiry(_: Any, tokens: Sequence[Token]) -> str:
    return checked_expiry(tokens[0].value)


def checked_expiry(text: str) -> str:
    """Return the string of an expiration date after a check of its form.

    The date itself depends on the server's time, which is not known yet.

    Raises:
        ValueError: The string has another form.
    """
    read_expiry(text, _LONG_AGO)
    return text


def _read_age(_: Any, tokens: Sequence[Token]) -> timedelta:
    return parse_duration(tokens[0].value)


def _read_logs(_: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(checked_log(token.value) for token in tokens)


def _read_span(_: Any, tokens: Sequence[Token]) -> timedelta:
    text = tokens[0].value
    if text in {"off", "0"}:
        return timedelta(0)
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{error}; to protect none, write off") from None


def flag(help_: str) -> Parameter:
    """Return the parameter of an option without a value."""
    return Parameter(help=help_, negative="", show_default=False)


def repeatable(metavar: str, help_: str, name: str | None = None) -> Parameter:
    """Return the parameter of an option that can be given several times."""
    return Parameter(
        name=name,
        help=help_,
        metavar=metavar,
        negative="",
        show_default=False,
        json_list=False,
    )


def choice(*values: str, help_: str) -> Parameter:
    """Return the parameter of an option with a few values, which its metavar lists."""
    return Parameter(help=help_, metavar="|".join(values), show_choices=False)


def age(
    help_: str, show_default: bool | Callable[[timedelta], str] = False, metavar: str = "AGE"
) -> Parameter:
    """Return the parameter of an option for a duration, such as `12h`, `30d` or `2y`."""
    return Parameter(
        help=help_,
        metavar=metavar,
        converter=_read_age,
        accepts_keys=False,
        n_tokens=1,
        show_default=show_default,
    )


def audit_logs(help_: str, default: str | None = None) -> Parameter:
    """Return the parameter of `--seen-in`, with a description of its default for the help."""
    return Parameter(
        name="--seen-in",
        metavar="LOG",
        converter=_read_logs,
        negative="",
        show_default=False if default is None else lambda _: default,
        json_list=False,
        help=help_,
    )


ProtectSeen = Annotated[
    timedelta | None,
    Parameter(
        metavar="AGE|off",
        converter=_read_span,
        accepts_keys=False,
        n_tokens=1,
        show_default=lambda _: "90d with a LOG",
        help="Skip tokens seen in use within AGE.",
    ),
]
OwnerOption = Annotated[
    Owner,
    Parameter(
        name="--owner",
        metavar="OWNER",
        converter=_read_owner,
        accepts_keys=False,
        n_tokens=1,
        show_default=str,
        help="Use the tokens of OWNER.",
    ),
]
TokenId = Annotated[str, Parameter(name="ID", help="Use the token with this id.")]
Json = Annotated[bool, flag("Write JSON, with the members that the API documents.")]
Quiet = Annotated[bool, flag("Print only errors and warnings.")]
Yes = Annotated[bool, flag("Do not ask for confirmation. Required without a terminal.")]
AllowOwnToken = Annotated[bool, flag("Allow a change that locks out this command's own token.")]
Status = Literal["active", "inactive"]
Expiry = Annotated[
    str | None,
    Parameter(
        metavar="WHEN",
        converter=_read_expiry,
        n_tokens=1,
        help="Set the expiration date. Required without a terminal.",
    ),
]
Scopes = Annotated[tuple[str, ...], repeatable("SCOPE", "Grant SCOPE; repeat for more.")]
AllowUnknownScope = Annotated[
    bool, flag("Send scopes that this version does not know, with a warning.")
]
PageSize = Annotated[
    int | None,
    Parameter(
        metavar="N",
        validator=validators.Number(gte=1, lte=1000),
        show_default=lambda _: "1000",
        help="Request up to N tokens per page.",
    ),
]
SeenIn = Annotated[
    tuple[str, ...], audit_logs("Read which tokens are in use from LOG; repeat for more.")
]
AtLeastZero = validators.Number(gte=0)
AtLeastOne = validators.Number(gte=1)


ConfigFile = Annotated[
    Path | None,
    Parameter(
        name="--config",
        metavar="FILE",
        help="Read the accounts from FILE.",
    ),
]


@frozen(kw_only=True)
class _Connection:
    """The options that all commands with a connection share."""

    scope_check: Annotated[
        Literal["enforce", "warn", "off"],
        choice(
            *("enforce", "warn", "off"),
            help_="Check scopes and expiry before each request.",
        ),
    ] = "enforce"

    timeout: Annotated[
        float | None,
        Parameter(
            metavar="SECONDS",
            validator=validators.Number(gt=0),
            show_default=lambda _: "30",
            help="Wait up to SECONDS for each response.",
        ),
    ] = None

    insecure_http: Annotated[
        bool, flag("Allow http:// to another host; this exposes the token.")
    ] = False

    verbose: Annotated[bool, flag("Print a line for each request.")] = False

    log_file: Annotated[
        Path | None,
        Parameter(metavar="FILE", help="Append messages and requests to FILE."),
    ] = None

    config: ConfigFile = None

    def settings(self) -> dict[str, Any]:
        """Return the arguments of `AsyncClient`."""
        return {
            "scope_check": self.scope_check,
            # None leaves the decision to LOSANT_INSECURE_HTTP.
            "insecure_http": self.insecure_http or None,
            **({} if self.timeout is None else {"timeout": self.timeout}),
        }


@Parameter(name="*", group=CONNECTION_GROUP)
@frozen(kw_only=True)
class ConnectionOptions(_Connection):
    """The connection to the API."""

    account: Annotated[
        str | None,
        Parameter(
            metavar="ACCOUNT",
            help="Use ACCOUNT of the configuration file.",
        ),
    ] = None

    def account_arguments(self) -> tuple[str, ...]:
        """Return the options that select the account, as on the command line."""
        return (
            *(() if self.account is None else ("--account", self.account)),
            *(() if self.config is None else ("--config", str(self.config))),
        )

    def arguments(self) -> tuple[str, ...]:
        """Return the options that differ from the default, as on the command line."""
        return (
            *self.account_arguments(),
            *(() if self.scope_check == "enforce" else ("--scope-check", self.scope_check)),
            *(() if self.timeout is None else ("--timeout", f"{self.timeout:g}")),
            *(() if self.log_file is None else ("--log-file", str(self.log_file))),
            *(("--insecure-http",) if self.insecure_http else ()),
        )


@Parameter(name="*", group=CONNECTION_GROUP)
@frozen(kw_only=True)
class AccountsOptions(_Connection):
    """The connection to the API, for a command that can work on several accounts."""

    account: Annotated[
        tuple[str, ...],
        repeatable("ACCOUNT", "Use ACCOUNT of the configuration file; repeat for more."),
    ] = ()

    all_accounts: Annotated[bool, flag("Use all accounts of the configuration file.")] = False

    def connection(self, account: str | None) -> ConnectionOptions:
        """Return the connection to one account; to that of the environment for None."""
        return ConnectionOptions(
            account=account,
            config=self.config,
            scope_check=self.scope_check,
            timeout=self.timeout,
            insecure_http=self.insecure_http,
            verbose=self.verbose,
            log_file=self.log_file,
        )


MAX_CONCURRENCY = 20
"""The number of requests in flight of a command, if the user chooses none."""

CURRENT_USER = Owner.user()
DEFAULT_CONNECTION = ConnectionOptions()
DEFAULT_ACCOUNTS = AccountsOptions()
