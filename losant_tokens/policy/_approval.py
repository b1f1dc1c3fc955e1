"""`Approval`: who decides whether a plan of a clean-up is applied."""

from attrs import field, frozen

from losant_tokens._utils.secret import Secret


@frozen(kw_only=True)
class Approval:
    """The rule that decides whether a plan is applied. By default, a person decides.

    A fleet reads it. The command `apply` does not, because its user decides.
    """

    auto_below: int | None = None
    """Approve a plan with fewer changes than this; `None` to approve none."""
    webhook: Secret | None = field(default=None, repr=False)
    """The URL of a webhook that decides; `None` if there is none. It is a secret, so it is not
    shown.
    """
    webhook_env: str | None = None
    """The environment variable that holds the URL instead; `None` if there is none."""
    secret_env: str | None = None
    """The environment variable that holds the secret with which requests to the webhook are signed;
    `None` to sign none.
    """

    @property
    def asks_webhook(self) -> bool:
        """Whether a webhook decides about the plans that no other rule approves."""
        return self.webhook is not None or self.webhook_env is not None

    @property
    def is_manual(self) -> bool:
        """Whether a person decides about each plan."""
        return self.auto_below is None and not self.asks_webhook

    def __str__(self) -> str:
        parts = []
        if self.auto_below is not None:
            parts.append(f"auto below {self.auto_below:,}")
        if self.asks_webhook:
            parts.append("webhook")
        return ", ".join(parts) or "manual"


MANUAL = Approval()
"""A person decides about each plan."""
