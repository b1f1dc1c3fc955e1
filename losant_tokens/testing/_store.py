"""The state of the fake: its tokens by owner, its users and the valid bearer tokens."""

import itertools
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from attrs import define, evolve, field

from losant_tokens.testing._api_errors import Problem
from losant_tokens.testing._audit_logs import AuditLogs, check_source
from losant_tokens.testing._models import FakeAuditLog, FakeToken, FakeUser, Grant, to_scope
from losant_tokens.testing._owner_strings import check_owner, is_id

# The key can be public, because clients cannot check the signature of a real token either.
_KEY = "the fake signs its tokens with a key that everybody may know"
_AUDIENCE = "https://api.losant.com"
_SERIAL_BITS = 24


def later(now: datetime, span: timedelta) -> datetime:
    """Return the time after a span, or the latest possible time."""
    try:
        return now + span
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


@define(eq=False)
class Store:
    """The state of the fake. Every method holds the lock, so any thread can call it."""

    now: Callable[[], datetime]
    lock: threading.RLock
    issuer: str | None
    """The `iss` claim of all tokens; None: the host of the request for the token, if any."""
    has_id_claim: bool = True
    """Whether the `jti` claim of a token is its id, or else a random word."""
    user_id: str = field(init=False)
    _names: dict[str, str] = field(factory=dict, init=False)
    audit_logs: AuditLogs = field(factory=AuditLogs, init=False)
    _serial: Iterator[int] = field(factory=lambda: itertools.count(1), init=False)
    _random: str = field(factory=lambda: secrets.token_hex(5), init=False)
    _tokens: dict[str, dict[str, FakeToken]] = field(factory=dict, init=False)
    # Secrets of listed tokens refer to the token and not to a copy of its rights, because the token
    # can be patched or deleted.
    _secrets: dict[str, tuple[str, str]] = field(factory=dict, init=False)
    _minted: dict[str, Grant] = field(factory=dict, init=False)
    _users: dict[str, FakeUser] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.user_id = self.new_id()

    def new_id(self, created: datetime | None = None) -> str:
        """Return a new id, which increases with time and is unique among all fakes.

        Like an id of MongoDB, it has the seconds since the epoch, a random part and a counter.

        Args:
            created: The time when the token was created. Default: now.
        """
        seconds = int((created or self.now()).timestamp()) & 0xFFFFFFFF
        serial = next(self._serial) % (1 << _SERIAL_BITS)
        return f"{seconds:08x}{self._random}{serial:06x}"

    def mint(
        self,
        id_: str,
        scope: tuple[str, ...],
        expires: datetime | None,
        *,
        oauth: bool,
        host: str | None,
        issued: datetime | None = None,
    ) -> str:
        """Return a new bearer token: a JWT with the claims that Losant's tokens have.

        Args:
            id_: The `jti` claim, for tests; real tokens may not have it.
            scope: The `scope` claim.
            expires: The `exp` claim; None: no such claim.
            oauth: Whether to add an audience, as OAuth tokens have.
            host: The host of the request for it, for the `iss` claim; None: there was no request.
            issued: The `iat` claim. Default: now.
        """
        claims: dict[str, Any] = {
            "iss": self.issuer or host,
            "iat": int((issued or self.now()).timestamp()),
            "jti": id_ if self.has_id_claim else secrets.token_urlsafe(16),
            "scope": list(scope),
            "exp": expires and int(expires.timestamp()),
            "aud": _AUDIENCE if oauth else None,
        }
        known = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(known, _KEY, algorithm="HS256")

    def add(
        self, owner: str, *, id_: str | None = None, host: str | None = None, **members: Any
    ) -> FakeToken:
        """Add a token with a new secret to the tokens of its owner."""
        owner = check_owner(owner)
        with self.lock:
            id_ = self.new_id() if id_ is None else id_.lower()
            if not is_id(id_) or self.has(id_):
                raise ValueError(f"id must be 24 hex digits that no other token has, not {id_!r}")
            now = self.now()
            scope = to_scope(members.pop("scope"))
            expires = members.get("expiration_date")
            issued = members.get("creation_date") or now
            secret = self.mint(
                id_, scope, expires, oauth=owner == "oauth", host=host, issued=issued
            )
            token = FakeToken(
                **{
                    "id": id_,
                    "secret": secret,
                    "scope": scope,
                    "owner": owner,
                    "owner_id": owner.partition(":")[2] or self.user_id,
                    "creator_id": self.user_id,
                    "creation_date": now,
                    "last_updated": members.get("creation_date") or now,
                    **members,
                }
            )
            self._tokens.setdefault(owner, {})[id_] = token
            self._secrets[secret] = (owner, id_)
            return token

    def has(self, id_: str) -> bool:
        """Return whether a token of any owner has this id."""
        with self.lock:
            return any(id_ in tokens for tokens in self._tokens.values())

    def get(self, owner: str, id_: str) -> FakeToken:
        """Return a token.

        Raises:
            Problem: A 404 if there is no such token.
        """
        with self.lock:
            try:
                return self._tokens[owner.lower()][id_.lower()]
            except KeyError:
                raise _not_found(owner) from None

    def replace(self, token: FakeToken, **changes: Any) -> FakeToken:
        """Change members of a stored token, and return the changed token."""
        with self.lock:
            changed = evolve(token, last_updated=self.now(), **changes)
            self._tokens[token.owner][token.id] = changed
            return changed

    def remove(self, token: FakeToken) -> None:
        """Remove a token and revoke its secret."""
        with self.lock:
            del self._tokens[token.owner][token.id]
            del self._secrets[token.secret]

    def of(self, owner: str) -> tuple[FakeToken, ...]:
        """Return the tokens of an owner as they are now, in the order in which they were added."""
        with self.lock:
            return tuple(self._tokens.get(check_owner(owner), {}).values())

    def name_owner(self, owner: str, name: str) -> None:
        """Add an application or an instance, or change its name."""
        with self.lock:
            self._names[check_owner(owner)] = name

    def owner_names(self, kind: str) -> dict[str, str]:
        """Return the display names of the applications or instances by their ids.

        Owners of tokens have a name even if none was given.
        """
        with self.lock:
            names = {owner: owner for owner in self._tokens} | self._names
            found = {owner: name for owner, name in names.items() if owner.startswith(f"{kind}:")}
            return {owner.partition(":")[2]: name for owner, name in found.items()}

    def log(self, source: str, **members: Any) -> FakeAuditLog:
        """Add an entry to an audit log, and return it."""
        with self.lock:
            created = members.pop("creation_date", None) or self.now()
            entry = FakeAuditLog(
                id=self.new_id(created),
                source=check_source(source),
                creation_date=created,
                **members,
            )
            self.audit_logs.add(entry)
            return entry

    def mint_access(
        self,
        scopes: Iterable[str],
        *,
        oauth: bool = False,
        expires: datetime | None = None,
        reach: str | None = None,
        user_id: str | None = None,
        host: str | None = None,
    ) -> str:
        """Return a new bearer token. It is valid, but no list of tokens contains it."""
        with self.lock:
            scope = to_scope(scopes)
            grant = Grant(
                scopes=frozenset(scope),
                oauth=oauth,
                reach=reach,
                expires=expires,
                creator=(user_id or self.user_id, "user", None),
            )
            secret = self.mint(self.new_id(), scope, grant.expires, oauth=oauth, host=host)
            self._minted[secret] = grant
            return secret

    def grant(self, secret: str) -> Grant:
        """Return the grant of the bearer of a secret.

        Raises:
            Problem: A 401 for a secret that is unknown, expired or inactive.
        """
        with self.lock:
            grant = self._minted.get(secret) or self._grant_of_token(secret)
            if not grant.active:
                raise Problem.unauthorized()
            if grant.expires is not None and grant.expires <= self.now():
                raise Problem.unauthorized("Access token has expired")
            return grant

    def _grant_of_token(self, secret: str) -> Grant:
        if secret not in self._secrets:
            raise Problem.unauthorized()
        owner, id_ = self._secrets[secret]
        token = self._tokens[owner][id_]
        return Grant(
            scopes=frozenset(token.scope),
            oauth=owner == "oauth",
            reach=owner if ":" in owner else None,
            expires=token.expiration_date,
            active=token.status == "active",
            creator=(token.id, "apiToken", token.name),
        )

    def add_user(self, email: str, password: str, two_factor_code: str | None) -> FakeUser:
        """Add a user who can log in."""
        with self.lock:
            user = FakeUser(
                id=self.new_id(), email=email, password=password, two_factor_code=two_factor_code
            )
            self._users[email.lower()] = user
            return user

    def log_in(self, email: str, password: str, two_factor_code: str | None) -> FakeUser:
        """Return the user with these credentials.

        Raises:
            Problem: A 401 if no user has these credentials.
        """
        with self.lock:
            user = self._users.get(email.lower())
            if user is None or user.password != password:
                raise Problem.unauthorized("Invalid email or password")
            if user.two_factor_code not in {None, two_factor_code}:
                raise Problem.unauthorized("Two factor code is missing or wrong")
            return user


def _not_found(owner: str) -> Problem:
    kind = "OAuth Token" if owner == "oauth" else "API Token"
    return Problem.not_found(f"{kind} was not found")
