"""`LogSource`: the organization or instance that an audit log belongs to, as a value."""

from collections.abc import Iterable
from typing import Literal, Self

from attrs import field, frozen

from losant_tokens._utils import validators
from losant_tokens.errors import ValidationError

_KINDS = ("org", "instance")


@frozen
class LogSource:
    """The audit log of an organization or an instance.

    The string forms are `org:575ec8687ae143cd83dc4a97` and `instance:575ec8687ae143cd83dc4a97`.
    """

    kind: Literal["org", "instance"] = field(validator=validators.one_of(_KINDS))
    """`org` or `instance`."""
    id: str = field(validator=validators.string(pattern=validators.ID_PATTERN.pattern))
    """The id of the organization or instance, 24 hexadecimal digits."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Return the audit log for a string.

        Args:
            value: `org:ID` or `instance:ID`.

        Raises:
            ValidationError: The string has another form.
        """
        kind, _, id_ = value.partition(":") if isinstance(value, str) else ("", "", "")
        if kind not in _KINDS or not validators.ID_PATTERN.fullmatch(id_):
            raise ValidationError(
                f"An audit log must be org:ID or instance:ID, with 24 hexadecimal digits for ID, "
                f"but it is {validators.describe(value)}"
            )
        return cls(kind, id_)  # type: ignore[arg-type]  # it is one of the two

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


def distinct_sources(
    function: str, name: str, sources: LogSource | str | Iterable[LogSource | str]
) -> tuple[LogSource, ...]:
    """Return audit logs without duplicates. The case of their ids does not matter.

    Args:
        function: The public function that takes the argument, for messages.
        name: The name of the argument, for messages.
        sources: One or several audit logs.

    Raises:
        ValidationError: One of them is neither a `LogSource` nor its string form.
    """
    found: dict[str, LogSource] = {}
    given = (sources,) if isinstance(sources, LogSource | str) else sources
    if not validators.is_list_like(given):
        raise ValidationError(
            f"{function}.{name} must be a list of audit logs, "
            f"but it is {validators.describe(given)}"
        )
    for one in given:
        source = one if isinstance(one, LogSource) else LogSource.parse(one)
        found.setdefault(str(source).lower(), source)
    return tuple(found.values())
