"""Errors with the messages of Losant's server framework (bravado-core, `lib/errors.js`)."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from attrs import field, frozen


@frozen
class Problem(Exception):  # noqa: N818  -- a response of the API, not an error of the fake
    """An error response with the body `{"type": ..., "message": ...}`."""

    status: int
    type: str
    message: str
    headers: Mapping[str, str] = field(factory=dict)

    @classmethod
    def validation(cls, message: str) -> Self:
        """Return the error for a malformed request, for example `apiToken.name is required`."""
        return cls(400, "Validation", message)

    @classmethod
    def unauthorized(cls, message: str = "Invalid access token") -> Self:
        """Return the error for a token or credentials that do not work."""
        return cls(401, "Unauthorized", message)

    @classmethod
    def forbidden(cls) -> Self:
        """Return the error for a missing token, or a token that does not allow the operation."""
        return cls(403, "Forbidden", "Access is forbidden")

    @classmethod
    def not_found(cls, message: str) -> Self:
        """Return the error for a resource that does not exist."""
        return cls(404, "NotFound", message)

    @classmethod
    def not_allowed(cls, method: str, allowed: Iterable[str]) -> Self:
        """Return the error for a path or method without an operation, with the path's methods."""
        message = f"{method} is not allowed"
        return cls(405, "MethodNotAllowed", message, {"Allow": ", ".join(allowed)})

    def body(self) -> dict[str, Any]:
        """Return the body of the response."""
        return {"type": self.type, "message": self.message}


@frozen
class NotJson(Problem):
    """The error for a body that is not JSON. It has a `code`, because the parser reports it."""

    def body(self) -> dict[str, Any]:
        """Return the body of the response, which has no `type`."""
        return {"code": self.type, "message": self.message}

    @classmethod
    def because(cls, reason: str) -> Self:
        """Return the error with a reason, which must not quote the body."""
        return cls(400, "InvalidContent", f"Invalid JSON: {reason}")
