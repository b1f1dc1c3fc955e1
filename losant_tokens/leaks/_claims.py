"""The claims of a secret. They are hints, because only the server can check the signature."""

import hashlib
from datetime import datetime

from attrs import frozen

from losant_tokens._api.operations import TOKEN_OPERATIONS
from losant_tokens._credentials.scope_check import Permission, permission_for
from losant_tokens._credentials.token_claims import Credential, issuer_problem, read_credential
from losant_tokens._utils.secret import Secret
from losant_tokens.errors import ValidationError
from losant_tokens.leaks._secrets import is_cut_off

_FINGERPRINT_LENGTH = 16


@frozen(kw_only=True)
class Claims:
    """The claims of a secret about its token.

    The claims of a forged or changed secret may say anything. They are true if the API accepts
    the secret.
    """

    fingerprint: str
    """The first digits of the SHA-256 of the secret. They identify it in a ticket, and do not
    reveal it.
    """
    issuer: str | None = None
    """The host that issued the token, or `None` if no claim names one."""
    scopes: frozenset[str] | None = None
    """The scopes, or `None` if no claim lists them."""
    issued_at: datetime | None = None
    """When it was issued, to the second, or `None`."""
    expires_at: datetime | None = None
    """When it expires, to the second, or `None`."""
    oauth: bool = False
    """Whether it is an OAuth token."""
    ids: frozenset[str] = frozenset()
    """The ids in the claims. One of them may be the token's own id."""
    is_cut_off: bool = False
    """Whether the signature is too short or too long, so the secret is not complete."""

    @property
    def can_create_tokens(self) -> bool | None:
        """Whether the token can create tokens; `None` if its scopes do not say so."""
        results = {
            permission_for(operation, self.scopes)
            for operation in TOKEN_OPERATIONS
            if operation.method == "POST"
            and operation.needs_token
            and not (self.oauth and operation.denies_oauth)
        }
        if Permission.ALLOWED in results:
            return True
        return None if Permission.UNKNOWN in results else False

    def is_from(self, host: str) -> bool:
        """Return whether the secret may be sent to a host: it issued the token, or may have.

        Args:
            host: The host of a base URL.
        """
        return issuer_problem(Credential(None, issuer=self.issuer), host) is None


def read_claims(secret: Secret | str) -> Claims:
    """Return the claims of a secret about its token. Nothing is sent.

    Args:
        secret: The secret, as `find_secrets` returns it, or a string.
    """
    secret = Secret.of(secret)
    try:
        credential = read_credential(secret)
    except ValidationError:  # It has a character that no header can have.
        credential = Credential(None)
    return Claims(
        fingerprint=_fingerprint(secret),
        issuer=credential.issuer,
        scopes=credential.scopes,
        issued_at=credential.issued_at,
        expires_at=credential.expires_at,
        oauth=credential.oauth,
        ids=credential.claimed_ids,
        is_cut_off=is_cut_off(secret),
    )


def _fingerprint(secret: Secret) -> str:
    digest = hashlib.sha256(secret.reveal().encode("utf-8", "surrogatepass")).hexdigest()
    return digest[:_FINGERPRINT_LENGTH]
