"""Refusals, as the API words them."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from attrs import field, frozen


@frozen
class Problem(Exception):  # noqa: N818  -- it is an answer of the API, not an error of the fake
    """What stops an operation, to be answered as `{"type": ..., "message": ...}`."""

    status: int
    type: str
    message: str
    extra: Mapping[str, Any] = field(factory=dict)
    """Members of the answer besides the two."""

    @classmethod
    def validation(cls, errors: Sequence[Mapping[str, str]]) -> Self:
        """Refuse a malformed request, saying what is wrong and where."""
        message = "; ".join(f"{error['path']} {error['message']}" for error in errors)
        return cls(400, "Validation", message, {"validationErrors": list(errors)})

    @classmethod
    def unauthorized(cls, message: str = "Unauthorized") -> Self:
        """Refuse a caller who is nobody."""
        return cls(401, "Unauthorized", message)

    @classmethod
    def forbidden(cls, message: str) -> Self:
        """Refuse a caller who may not do this."""
        return cls(403, "Forbidden", message)

    @classmethod
    def not_found(cls, message: str) -> Self:
        """Refuse what is not there."""
        return cls(404, "NotFound", message)

    def body(self) -> dict[str, Any]:
        """Give the body of the answer."""
        return {"type": self.type, "message": self.message, **self.extra}
