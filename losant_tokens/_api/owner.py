"""`Owner`: the account that tokens belong to, as a value."""

from typing import Literal, Self

from attrs import field, frozen

from losant_tokens._utils import validators
from losant_tokens.errors import ValidationError

Kind = Literal["user", "oauth", "application", "instance"]
_WITH_ID = ("application", "instance")


@frozen
class Owner:
    """The owner of tokens: the user, the user for OAuth tokens, an application or an instance.

    Create one with `Owner.user()`, `Owner.user_oauth()`, `Owner.application(id)` or
    `Owner.instance(id)`, or from a string with `Owner.parse()`. The string forms are `user`,
    `oauth`, `application:575ec8687ae143cd83dc4a97` and `instance:575ec8687ae143cd83dc4a97`.
    """

    kind: Kind = field(validator=validators.one_of(("user", "oauth", *_WITH_ID)))
    """`user`, `oauth`, `application` or `instance`."""
    id: str | None = None
    """The id of the application or instance, 24 hexadecimal digits; `None` for the others."""

    def __attrs_post_init__(self) -> None:
        if self.kind in _WITH_ID:
            if not isinstance(self.id, str) or not validators.ID_PATTERN.fullmatch(self.id):
                raise ValidationError(
                    f"Owner.id must be 24 hexadecimal digits, but it is "
                    f"{validators.describe(self.id)}"
                )
        elif self.id is not None:
            raise ValidationError(
                f"Owner {self.kind!r} takes no id, but the id is {validators.describe(self.id)}"
            )

    @classmethod
    def user(cls) -> Self:
        """Return the user to whom the access token belongs, as the owner of API tokens."""
        return cls("user")

    @classmethod
    def user_oauth(cls) -> Self:
        """Return the user to whom the access token belongs, as the owner of OAuth tokens."""
        return cls("oauth")

    @classmethod
    def application(cls, application_id: str) -> Self:
        """Return an application as an owner.

        Args:
            application_id: The id of the application, 24 hexadecimal digits.

        Raises:
            ValidationError: The id is malformed.
        """
        return cls("application", application_id)

    @classmethod
    def instance(cls, instance_id: str) -> Self:
        """Return an instance as an owner.

        Args:
            instance_id: The id of the instance, 24 hexadecimal digits.

        Raises:
            ValidationError: The id is malformed.
        """
        return cls("instance", instance_id)

    @classmethod
    def parse(cls, value: object) -> Self:
        """Return the owner for a string.

        Args:
            value: `user`, `oauth`, `application:ID` or `instance:ID`.

        Raises:
            ValidationError: The string has another form.
        """
        kind, colon, id_ = value.partition(":") if isinstance(value, str) else ("", "", "")
        if kind not in {"user", "oauth", *_WITH_ID} or bool(colon) != (kind in _WITH_ID):
            raise ValidationError(
                f"The owner must be user, oauth, application:ID or instance:ID, "
                f"but it is {validators.describe(value)}"
            )
        return cls(kind, id_ or None)  # type: ignore[arg-type]  # it is one of the four

    def __str__(self) -> str:
        return self.kind if self.id is None else f"{self.kind}:{self.id}"
