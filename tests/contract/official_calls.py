"""The calls of the official client, as data for the tests of this folder."""

from typing import Any

import attrs

from losant_tokens.testing import FakeLosant
from tests.integration.test_official_client import ID, OWNER

FAMILIES = {
    "userApi": "user",
    "userOauth": "oauth",
    "applicationApi": f"application:{OWNER}",
    "instanceApi": f"instance:{OWNER}",
}


def owner_of(name: str) -> str:
    """Return the owner of the tokens of an operation: the user for `userApiToken.get`."""
    return FAMILIES[name.partition("Token")[0]]


def add_token_for(fake: FakeLosant, name: str) -> None:
    """Add the token that an operation reads or changes, if there is one."""
    if "Token." in name:
        details = {"client_id": "c" * 24} if name.startswith("userOauth") else None
        fake.add_token(owner=owner_of(name), id=ID, oauth=details)


def state(fake: FakeLosant, name: str) -> list[dict[str, Any]]:
    """Return the tokens of an operation's owner, without members that differ in each run."""
    members = {"id", "secret", "creation_date", "last_updated", "creator_id", "owner_id"}
    return [
        {key: value for key, value in attrs.asdict(token).items() if key not in members}
        for token in fake.tokens(owner_of(name))
    ]


@attrs.define
class Recorder:
    """A stand-in for the official Python client that records calls and sends nothing."""

    calls: list[tuple[str, str, dict[str, Any]]] = attrs.field(factory=list)
    _resource: str = ""

    def __getattr__(self, name: str) -> Any:
        words = name.split("_")
        camel = words[0] + "".join(map(str.capitalize, words[1:]))
        if self._resource:

            def note(**params: Any) -> None:
                self.calls.append((self._resource, camel, params))

            return note
        return Recorder(self.calls, camel)
