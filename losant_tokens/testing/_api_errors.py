"""Refusals, in the words of Losant's server framework (bravado-core, `lib/errors.js`)."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from attrs import field, frozen


@frozen
class Problem(Exception):  # noqa: N818  -- it is an answer of the API, not an error of the fake
    """A refusal, answered as `{"type": ..., "message": ...}`."""

    status: int
    type: str
    message: str
    headers: Mapping[str, str] = field(factory=dict)

    @classmethod
    def validation(cls, message: str) -> Self:
        """Refuse a malformed request: `apiToken.name is required`."""
        return cls(400, "Validation", message)

    @classmethod
    def unauthorized(cls, message: str = "Invalid access token") -> Self:
        """Refuse a caller whose token or credentials do not work."""
        return cls(401, "Unauthorized", message)

    @classmethod
    def forbidden(cls) -> Self:
        """Refuse a caller without a token, or with one that does not allow the operation."""
        return cls(403, "Forbidden", "Access is forbidden")

    @classmethod
    def not_found(cls, message: str) -> Self:
        """Refuse a request for something that does not exist."""
        return cls(404, "NotFound", message)

    @classmethod
    def not_allowed(cls, method: str, allowed: Iterable[str]) -> Self:
        """Refuse a path or a method that no operation has, and name the path's methods."""
        message = f"{method} is not allowed"
        return cls(405, "MethodNotAllowed", message, {"Allow": ", ".join(allowed)})

    def body(self) -> dict[str, Any]:
        """Return the body of the response."""
        return {"type": self.type, "message": self.message}


@frozen
class NotJson(Problem):
    """A body that is not JSON: refused by the parser, which answers with a `code`."""

    def body(self) -> dict[str, Any]:
        """Return the body of the response, which has no `type`."""
        return {"code": self.type, "message": self.message}

    @classmethod
    def because(cls, reason: str) -> Self:
        """Refuse the body for a reason that does not quote it."""
        return cls(400, "InvalidContent", f"Invalid JSON: {reason}")
