"""`Account`: a name for a base URL, owners, and the place of a token."""

import re
from collections.abc import Iterable

from attrs import field, frozen

from losant_tokens._api.owner import Owner
from losant_tokens._http.base_url import API_URL, check_base_url
from losant_tokens._utils import validators
from losant_tokens._utils.secret import Secret
from losant_tokens.accounts._token_sources import TokenSource
from losant_tokens.errors import TokenUnavailable, ValidationError

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_AUDIT_LOG = re.compile(r"(org|instance):([A-Fa-f0-9]{24})")
_DISCOVERY = re.compile(r"instances|applications(?::[A-Fa-f0-9]{24})?")


def check_name(name: object) -> str:
    """Return the name of an account: up to 63 letters, digits, "-" and "_".

    Raises:
        ValidationError: It is not such a name, for example because it is a path.
    """
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        raise ValidationError(
            f'The name of an account must be up to 63 letters, digits, "-" and "_", but it is '
            f"{validators.describe(name)}"
        )
    return name


def check_audit_log(text: object) -> str:
    """Return the name of an audit log: `org:ID` or `instance:ID`.

    Raises:
        ValidationError: It has another form.
    """
    if not isinstance(text, str) or not _AUDIT_LOG.fullmatch(text):
        raise ValidationError(
            f"An audit log must be org:ID or instance:ID, but it is {validators.describe(text)}"
        )
    return text


def check_discovery(text: object) -> str:
    """Return a list of owners to discover: `applications`, `applications:ORG_ID` or `instances`.

    Raises:
        ValidationError: It has another form.
    """
    if not isinstance(text, str) or not _DISCOVERY.fullmatch(text):
        raise ValidationError(
            f"The owners to discover must be applications, applications:ORG_ID or instances, but "
            f"they are {validators.describe(text)}"
        )
    return text


def _audit_logs(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(check_audit_log, values))


def _lists(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(check_discovery, values))


def _owners(values: Iterable[Owner]) -> tuple[Owner, ...]:
    return tuple(values)


@frozen(kw_only=True)
class Account:
    """An account in the configuration file, without its token."""

    name: str = field(converter=check_name)
    """Its name: letters, digits, "-" and "_"."""
    token: TokenSource
    """Where its token comes from."""
    base_url: str = field(default=API_URL, converter=check_base_url)
    """The address of the API. The token is sent nowhere else."""
    owners: tuple[Owner, ...] = field(default=(Owner.user(),), converter=_owners)
    """The owners of tokens that commands use by default."""
    discover: tuple[str, ...] = field(default=(), converter=_lists)
    """The lists that name further owners: `applications`, `applications:ORG_ID` and `instances`.
    `discover_owners` reads them.
    """
    audit_logs: tuple[str, ...] = field(default=(), converter=_audit_logs)
    """The audit logs that show the use of tokens: `org:ID` and `instance:ID`."""

    async def read_token(self) -> Secret:
        """Return the token, from the place that the configuration file names.

        Reading may run a command, and the system may ask the user for a password. So read it once.

        Raises:
            TokenUnavailable: It cannot be read.
        """
        try:
            return await self.token.read()
        except TokenUnavailable as error:
            problem = str(error)
        raise TokenUnavailable(f"No token for the account {self.name}. {problem}")
