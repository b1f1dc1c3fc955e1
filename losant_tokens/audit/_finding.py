"""`Finding`, and the facts about its token."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

from attrs import field, frozen

from losant_tokens import Owner
from losant_tokens.policy import Severity

Evidence = Mapping[str, str | int]


@frozen(kw_only=True)
class AuditedToken:
    """The facts about a token in an audit. It never has the secret."""

    account: str
    """The name of the account."""
    owner: Owner
    """The owner."""
    id: str
    """The id."""
    name: str
    """The name."""
    status: str | None = None
    """The status: `active`, `inactive`, or another one; `None` if it is unknown."""
    scope: tuple[str, ...] = ()
    """The scopes."""
    creation_date: datetime | None = None
    """The time of creation; `None` if it is unknown."""
    last_updated: datetime | None = None
    """The time of the last change; `None` if it is unknown."""
    expiration_date: datetime | None = None
    """The time of expiration; `None` if it never expires, or if it is unknown."""
    creator_id: str | None = None
    """The id of the user or token that created the token; `None` if it is unknown."""
    creator_name: str | None = None
    """The name of the creator; `None` if it is unknown."""
    description: str | None = None
    """The description; `None` if there is none."""
    last_seen: datetime | None = None
    """When an audit log last showed the token changing something; `None` if none did."""
    changed_by: str | None = None
    """The person that last changed the token in an audit log; `None` if no log shows a change."""


@frozen(kw_only=True)
class Finding:
    """One finding about one token."""

    rule: str
    """The id of the rule: `never-expires`, or `policy/NAME` for a rule of a policy."""
    severity: Severity
    """How severe it is."""
    message: str
    """The finding as a sentence. It may contain scopes, which the API sent."""
    token: AuditedToken
    """The facts about the token."""
    evidence: Evidence = field(factory=dict, hash=False)
    """The values that the finding follows from."""

    @property
    def owner(self) -> Owner:
        """The owner of the token."""
        return self.token.owner

    @property
    def account(self) -> str:
        """The name of the account."""
        return self.token.account

    @property
    def fingerprint(self) -> str:
        """A value that the same finding has in each audit, and no other finding has.

        It depends on the rule and the id of the token alone, so it survives a new name of the token
        or the account.
        """
        return fingerprint_of(self.rule, self.token.id)


@frozen
class TokenFindings:
    """A token with its findings, the most severe first."""

    token: AuditedToken
    """The facts about the token."""
    findings: tuple[Finding, ...]
    """The findings; empty if there are none."""

    @property
    def severity(self) -> Severity | None:
        """The severity of the worst finding; `None` without findings."""
        return max((one.severity for one in self.findings), default=None)


def fingerprint_of(rule: str, token_id: str) -> str:
    """Return the fingerprint of a finding."""
    value = f"{rule}\0{token_id.lower()}".encode("utf-8", "surrogatepass")
    return sha256(value).hexdigest()[:32]
