"""The options that say how the command connects to the API."""

from typing import Annotated, Any, Literal

from attrs import frozen
from cyclopts import Group, Parameter

CONNECTION = Group("How to connect", sort_key=4)


@Parameter(name="*", group=CONNECTION)
@frozen(kw_only=True)
class Connection:
    """How to connect to the API."""

    scope_check: Annotated[
        Literal["enforce", "warn", "off"],
        Parameter(help="Check the token's scopes and expiry before a request is sent."),
    ] = "enforce"

    insecure_http: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Allow http:// to another host, where all can read the token: for a fake alone.",
        ),
    ] = False

    def settings(self) -> dict[str, Any]:
        """Return the arguments of `AsyncClient`."""
        # None leaves it to LOSANT_INSECURE_HTTP.
        return {"scope_check": self.scope_check, "insecure_http": self.insecure_http or None}

    def options(self) -> tuple[str, ...]:
        """Return the options that are not the default, as on the command line."""
        return (
            *(() if self.scope_check == "enforce" else ("--scope-check", self.scope_check)),
            *(("--insecure-http",) if self.insecure_http else ()),
        )


USUAL = Connection()
