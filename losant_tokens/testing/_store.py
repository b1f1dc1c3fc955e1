"""The state of the fake: its tokens by owner, its users, and the bearer tokens that work."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import jwt
from attrs import define, evolve, field

from losant_tokens.testing._owners import check_owner, is_id
from losant_tokens.testing._problems import Problem
from losant_tokens.testing._values import FakeToken, FakeUser, Grant, to_scope

# Signs nothing that matters: a client cannot check the signature of a real token either.
_KEY = "the fake signs its tokens with a key that everybody may know"
_AUDIENCE = "https://api.losant.com"


def mint(id_: str, scope: tuple[str, ...], expires: datetime | None, *, oauth: bool) -> str:
    """Make the text of a bearer token: a JWT with the claims that Losant's are seen to have."""
    claims: dict[str, Any] = {"iss": "api.losant.com", "jti": id_, "scope": list(scope)}
    if expires is not None:
        claims["exp"] = int(expires.timestamp())
    if oauth:
        claims["aud"] = _AUDIENCE
    return jwt.encode(claims, _KEY, algorithm="HS256")


@define(eq=False)
class Store:
    """What the fake remembers. Every method takes the lock, so that any thread may call it."""

    now: Callable[[], datetime]
    lock: threading.RLock
    user_id: str = field(init=False)
    _serial: Iterator[int] = field(factory=lambda: itertools.count(1), init=False)
    _tokens: dict[str, dict[str, FakeToken]] = field(factory=dict, init=False)
    # Secrets of listed tokens lead to the token, and not to a copy of its rights: it may be patched
    # or deleted.
    _secrets: dict[str, tuple[str, str]] = field(factory=dict, init=False)
    _minted: dict[str, Grant] = field(factory=dict, init=False)
    _users: dict[str, FakeUser] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.user_id = self.new_id()

    def new_id(self) -> str:
        """Give an id that no other token has: seconds since the epoch, then a serial number."""
        seconds = int(self.now().timestamp()) & 0xFFFFFFFF
        return f"{seconds:08x}{next(self._serial):016x}"

    def add(self, owner: str, *, id_: str | None = None, **members: Any) -> FakeToken:
        """Put a token into the collection of its owner, with a secret of its own."""
        owner = check_owner(owner)
        with self.lock:
            id_ = self.new_id() if id_ is None else id_.lower()
            if not is_id(id_) or self.has(id_):
                raise ValueError(f"an id is 24 hex digits that no other token has, not {id_!r}")
            now = self.now()
            scope = to_scope(members.pop("scope"))
            secret = mint(id_, scope, members.get("expiration_date"), oauth=owner == "oauth")
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
        """Tell whether a token, whosesoever, has this id."""
        with self.lock:
            return any(id_ in tokens for tokens in self._tokens.values())

    def get(self, owner: str, id_: str) -> FakeToken:
        """Find a token.

        Raises:
            Problem: A 404 where there is none.
        """
        with self.lock:
            try:
                return self._tokens[owner.lower()][id_.lower()]
            except KeyError:
                raise _not_found(owner) from None

    def replace(self, token: FakeToken, **changes: Any) -> FakeToken:
        """Change members of a token that is there."""
        with self.lock:
            changed = evolve(token, last_updated=self.now(), **changes)
            self._tokens[token.owner][token.id] = changed
            return changed

    def remove(self, token: FakeToken) -> None:
        """Take a token out, whereupon its secret opens nothing."""
        with self.lock:
            del self._tokens[token.owner][token.id]
            del self._secrets[token.secret]

    def of(self, owner: str) -> tuple[FakeToken, ...]:
        """Give the tokens of an owner as they are now, in the order in which they came."""
        with self.lock:
            return tuple(self._tokens.get(check_owner(owner), {}).values())

    def mint_access(
        self,
        scopes: Iterable[str],
        *,
        oauth: bool = False,
        expires: datetime | None = None,
        reach: str | None = None,
        user_id: str | None = None,
    ) -> str:
        """Make a bearer token that works and is in no list."""
        with self.lock:
            scope = to_scope(scopes)
            grant = Grant(
                scopes=frozenset(scope),
                oauth=oauth,
                reach=reach,
                expires=expires,
                creator=(user_id or self.user_id, "user", None),
            )
            secret = mint(self.new_id(), scope, grant.expires, oauth=oauth)
            self._minted[secret] = grant
            return secret

    def grant(self, secret: str) -> Grant:
        """Find out what the bearer of a secret may do.

        Raises:
            Problem: A 401 for a secret that is unknown, expired or inactive.
        """
        with self.lock:
            grant = self._minted.get(secret) or self._grant_of_token(secret)
            if not grant.active or (grant.expires is not None and grant.expires <= self.now()):
                raise Problem.unauthorized()
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
        """Let a user log in from now on."""
        with self.lock:
            user = FakeUser(
                id=self.new_id(), email=email, password=password, two_factor_code=two_factor_code
            )
            self._users[email.lower()] = user
            return user

    def log_in(self, email: str, password: str, two_factor_code: str | None) -> FakeUser:
        """Find the user to whom these credentials belong.

        Raises:
            Problem: A 401 where they belong to nobody.
        """
        with self.lock:
            user = self._users.get(email.lower())
            if user is None or user.password != password:
                raise Problem.unauthorized("Invalid email or password")
            if user.two_factor_code not in {None, two_factor_code}:
                raise Problem.unauthorized("Two factor code is missing or wrong")
            return user


def _not_found(owner: str) -> Problem:
    what = "OAuth Token" if owner == "oauth" else "API Token"
    return Problem.not_found(f"{what} was not found")
