"""The rules of an audit: what each finding means, how severe it is, and what to do about it."""

from collections.abc import Iterable

from attrs import frozen

from losant_tokens.errors import ValidationError
from losant_tokens.policy import Policy, Severity

POLICY_PREFIX = "policy/"
"""The start of the id of a rule that a policy defines."""

MANY = 3
"""The number of tokens of one owner from which one name counts as a finding."""


@frozen(kw_only=True)
class AuditRule:
    """A rule of an audit."""

    id: str
    """The id, which never changes: `never-expires`. The rules of a policy have ids such as
    `policy/no-admins`.
    """
    severity: Severity
    """How severe a finding is."""
    title: str
    """The finding as a phrase about the token; for a rule of a policy, its message."""
    help: str
    """The remedy, as a sentence."""

    @property
    def summary(self) -> str:
        """The rule as a sentence, from the policy or about a token."""
        if self.id.startswith(POLICY_PREFIX):
            return self.title
        return f"A token {self.title}."


RULES: tuple[AuditRule, ...] = (
    AuditRule(
        id="can-create-tokens",
        severity=Severity.HIGH,
        title="can create tokens, even with more scopes than its own",
        help="Replace it with a token that has only the scopes that its program needs.",
    ),
    AuditRule(
        id="expires-soon-in-use",
        severity=Severity.HIGH,
        title="expires within 30 days, and was seen in use",
        help="Rotate it before it expires, because a program that uses it will fail.",
    ),
    AuditRule(
        id="all-scopes",
        severity=Severity.MEDIUM,
        title="has a group of scopes for everything of a kind, such as all.User",
        help="Replace it with a token that has only the scopes that its program needs.",
    ),
    AuditRule(
        id="never-expires",
        severity=Severity.MEDIUM,
        title="never expires",
        help="Rotate it to a token that expires. The date of an existing token cannot be changed.",
    ),
    AuditRule(
        id="quarantine-overdue",
        severity=Severity.MEDIUM,
        title="is in quarantine, and its grace period has ended",
        help="Sweep the quarantine, or restore the token if somebody missed it.",
    ),
    AuditRule(
        id="unknown-scope",
        severity=Severity.MEDIUM,
        title="has a scope that Losant does not publish",
        help="Find out what the scope allows, or replace the token.",
    ),
    AuditRule(
        id="expires-soon",
        severity=Severity.LOW,
        title="expires within 30 days",
        help="Rotate it if a program still needs it.",
    ),
    AuditRule(
        id="not-seen",
        severity=Severity.LOW,
        title="was not updated for 180 days, and not seen in use",
        help="Quarantine it, and delete it later if nobody missed it.",
    ),
    AuditRule(
        id="older-than-a-year",
        severity=Severity.LOW,
        title="was created more than a year ago",
        help="Rotate it, so that an old copy of its secret becomes useless.",
    ),
    AuditRule(
        id="expired",
        severity=Severity.LOW,
        title="has expired, and still exists",
        help="Delete it.",
    ),
    AuditRule(
        id="inactive",
        severity=Severity.LOW,
        title="is inactive, and in no quarantine",
        help="Delete it if nobody needs it.",
    ),
    AuditRule(
        id="deprecated-scope",
        severity=Severity.LOW,
        title="has a deprecated scope",
        help="Replace it with a token that has published scopes.",
    ),
    AuditRule(
        id="creator-unknown",
        severity=Severity.LOW,
        title="has no known creator",
        help="Find its owner, and note it in the description of the token.",
    ),
    AuditRule(
        id="same-name",
        severity=Severity.INFO,
        title=f"shares its name with others: {MANY} or more tokens of one owner",
        help="Give each token a name that says who uses it.",
    ),
)
"""The rules of every audit, the most severe first."""


def rules_of(policy: Policy | None) -> tuple[AuditRule, ...]:
    """Return the rules of a policy as rules of an audit; none without a policy."""
    return tuple(
        AuditRule(
            id=f"{POLICY_PREFIX}{rule.name}",
            severity=rule.severity,
            title=rule.message,
            help="Follow the policy.",
        )
        for rule in (() if policy is None else policy.rules)
    )


def enabled_rules(
    policy: Policy | None, only: Iterable[str], ignore: Iterable[str]
) -> tuple[AuditRule, ...]:
    """Return the rules of an audit.

    Args:
        policy: The policy, if there is one.
        only: The ids of the only rules; none for all rules.
        ignore: The ids of rules to leave out.

    Raises:
        ValidationError: There is no rule with an id.
    """
    known = (*RULES, *rules_of(policy))
    ids = {rule.id for rule in known}
    chosen, left_out = _ids("only", only), _ids("ignore", ignore)
    for argument, names in (("only", chosen), ("ignore", left_out)):
        for name in names:
            if name not in ids:
                raise ValidationError(
                    f"run.{argument} has the unknown rule {name!r}. The rules are "
                    f"{', '.join(rule.id for rule in known)}."
                )
    return tuple(
        rule for rule in known if (not chosen or rule.id in chosen) and rule.id not in left_out
    )


def _ids(argument: str, names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise ValidationError(f"run.{argument} must be a list of rules, but it is a string")
    return frozenset(names)
