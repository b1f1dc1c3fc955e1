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

    def settings(self) -> dict[str, Any]:
        """Return the arguments of `AsyncClient`."""
        return {"scope_check": self.scope_check}

    def options(self) -> tuple[str, ...]:
        """Return the options that are not the default, as on the command line."""
        return () if self.scope_check == "enforce" else ("--scope-check", self.scope_check)


USUAL = Connection()
