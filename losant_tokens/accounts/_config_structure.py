"""The structure of a configuration file: its tables, the checks of their values, and mistakes.

cattrs structures the file. All mistakes are collected, each with its place, such as
`accounts.prod.token.file`. No message repeats a value that may be a secret.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NewType

import attrs
from attrs import field, frozen

from losant_tokens._api.owner import Owner
from losant_tokens._http.base_url import API_URL, check_base_url
from losant_tokens.accounts._account import (
    NAME_PATTERN,
    Account,
    check_audit_log,
    check_discovery,
    check_name,
)
from losant_tokens.accounts._secret_detection import looks_secret
from losant_tokens.accounts._token_sources import (
    CommandToken,
    EnvironmentToken,
    FileToken,
    KeyringToken,
    TokenSource,
)
from losant_tokens.errors import ValidationError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_DISCOVER_ALL = ("user", "applications", "instances")

_Name = NewType("_Name", str)
_Url = NewType("_Url", str)
_OwnerText = NewType("_OwnerText", str)
_AuditLog = NewType("_AuditLog", str)
_Variable = NewType("_Variable", str)
_Text = NewType("_Text", str)
_TokenPath = NewType("_TokenPath", str)


@frozen
class _Owners:
    listed: tuple[_OwnerText, ...]


@frozen
class _Keyring:
    service: _Text
    username: _Text


@frozen
class _Token:
    env: _Variable | None = None
    file: _TokenPath | None = None
    command: tuple[_Text, ...] | None = None
    keyring: _Keyring | None = None


@frozen
class _Entry:
    token: _Token
    url: _Url = _Url(API_URL)
    owners: _Owners = _Owners((_OwnerText("user"),))
    audit_logs: tuple[_AuditLog, ...] = ()


@frozen
class _File:
    accounts: dict[str, _Entry] = field(factory=dict)
    default_account: _Name | None = None


class _MistakeError(ValueError):
    """A mistake in the value at one place."""


@frozen
class Contents:
    """The contents of a configuration file.

    Attributes:
        accounts: The accounts by their names, in the order of the file.
        default_account: The name of the account to use if none is named, or `None`.
        mistakes: The mistakes, each with its place. If there is one, there are no accounts.
    """

    accounts: Mapping[str, Account] = field(factory=dict)
    default_account: str | None = None
    mistakes: tuple[str, ...] = ()


def structure(data: Mapping[str, Any]) -> Contents:
    """Return the contents of a file that was parsed, or its mistakes.

    Raises:
        RecursionError: The file is nested too deeply.
    """
    from cattrs import BaseValidationError, Converter  # noqa: PLC0415 -- takes 60 ms

    # A secret may be at any place, also at one that is a mistake for another reason.
    problems = [*_secrets(data), *_wrong_names(data.get("accounts"))]
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    _register(converter)
    try:
        file = converter.structure(data, _File)
    except (BaseValidationError, _MistakeError) as error:
        known = {problem.partition(":")[0] for problem in problems}
        found = [f"{place}: {problem}" for place, problem in _mistakes(error, "")]
        others = [one for one in found if one.partition(":")[0] not in known]
        return Contents(mistakes=(*problems, *others))
    if problems:
        return Contents(mistakes=tuple(problems))
    accounts = {name: _account(name, entry) for name, entry in file.accounts.items()}
    default = file.default_account
    if default is not None and default not in accounts:
        hint = did_you_mean(default, accounts)
        return Contents(mistakes=(f"default_account: there is no account {default!r}.{hint}",))
    return Contents(accounts, default)


def _account(name: str, entry: _Entry) -> Account:
    listed = entry.owners.listed
    lists = tuple(str(one) for one in listed if _is_list(one))
    return Account(
        name=name,
        token=_source(entry.token),
        base_url=entry.url,
        owners=tuple([Owner.parse(one) for one in listed if not _is_list(one)]),
        discover=lists,
        audit_logs=entry.audit_logs,
    )


def _source(token: _Token) -> TokenSource:
    if token.env is not None:
        return EnvironmentToken(token.env)
    if token.file is not None:
        return FileToken(token.file)
    if token.command is not None:
        return CommandToken(token.command)
    assert token.keyring is not None  # noqa: S101 -- `_check_token` checks that there is one
    return KeyringToken(token.keyring.service, token.keyring.username)


def _register(converter: Any) -> None:
    """Register the checks of strings, lists and tables."""

    def checked(check: Callable[[object], object]) -> Callable[[object, Any], object]:
        def structure(value: object, _: Any) -> object:
            try:
                return check(value)
            except ValidationError as error:
                problem = str(error)
            raise _MistakeError(problem)

        return structure

    for name, check in (
        (_Name, check_name),
        (_Url, check_base_url),
        (_OwnerText, _check_owner),
        (_AuditLog, check_audit_log),
        (_Variable, _check_variable),
        (_Text, _check_text),
        (_TokenPath, _check_path),
    ):
        converter.register_structure_hook(name, checked(check))

    # cattrs looks inner hooks up when it makes an outer one, so they go from inside to outside.
    for kind in (tuple[_OwnerText, ...], tuple[_AuditLog, ...], tuple[_Text, ...]):
        _require_type(converter, kind, list, "a list")
    _require_type(converter, _Keyring, dict, "a table")
    structure_token = converter.get_structure_hook(_Token)

    def read_token(value: object, kind: Any) -> Any:
        _check_token(value)
        return structure_token(value, kind)

    def read_owners(value: object, _: Any) -> _Owners:
        listed = list(_DISCOVER_ALL) if value == "discover" else value
        return _Owners(converter.structure(listed, tuple[_OwnerText, ...]))

    converter.register_structure_hook(_Token, read_token)
    converter.register_structure_hook(_Owners, read_owners)
    for table in (_Entry, dict[str, _Entry], _File):
        _require_type(converter, table, dict, "a table")


def _require_type(converter: Any, kind: Any, type_: type, example: str) -> None:
    """Make a converter refuse anything but a table or a list, because cattrs would iterate."""
    structure = converter.get_structure_hook(kind)

    def read(value: object, _: Any) -> Any:
        if not isinstance(value, type_):
            raise _MistakeError(f"must be {example}, but it is {_kind(value)}")
        return structure(value, kind)

    converter.register_structure_hook_func(lambda candidate: candidate == kind, read)


# --- Mistakes ----------------------------------------------------------------------------


def _check_token(value: object) -> None:
    """Check that a value is a table with one source of a token."""
    sources = [one.name for one in attrs.fields(_Token)]
    example = "write one of { env = ... }, { file = ... }, { command = ... } and { keyring = ... }"
    if not isinstance(value, dict):
        raise _MistakeError(
            f"must say where the token comes from, and never be the token itself: {example}"
        )
    given = [name for name in value if name in sources]
    if len(given) != 1 and set(value) <= set(sources):
        raise _MistakeError(f"must have one source, but it has {len(given)}: {example}")
    if value.get("command") == []:
        raise _MistakeError("must have a command with at least one word")


def _check_owner(value: object) -> str:
    if isinstance(value, str) and _is_list(value):
        return check_discovery(value)
    return str(Owner.parse(value))


def _is_list(text: str) -> bool:
    """Return whether the string for an owner is that of a list of owners to discover."""
    return text.startswith(("applications", "instances"))


def _check_variable(value: object) -> str:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ValidationError(
            "must be the name of an environment variable: letters, digits and underscores"
        )
    return value


def _check_text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValidationError("must be a string that is not empty")
    return value


def _check_path(value: object) -> str:
    text = _check_text(value)
    if not text.startswith(("/", "~")):
        # Otherwise, the folder in which the command runs would decide which token is sent.
        raise ValidationError("must be an absolute path, or begin with ~")
    return text


def _kind(value: object) -> str:
    kinds = {str: "a string", bool: "a boolean", int: "an integer", list: "a list", dict: "a table"}
    return kinds.get(type(value), type(value).__name__)


def _secrets(value: object, place: str = "") -> Iterator[str]:
    """Return a mistake for each string that looks like a secret, as a value or as a key."""
    if isinstance(value, dict):
        for key, member in value.items():
            if looks_secret(key):
                yield f"{place or 'the file'}: a name in it looks like a secret"
            else:
                yield from _secrets(member, _joined(place, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _secrets(member, f"{place}[{index}]")
    elif isinstance(value, str) and looks_secret(value):
        yield (
            f"{place}: looks like a secret, which does not belong into this file. Replace the "
            f"secret if others may have read it"
        )


def _wrong_names(accounts: object) -> Iterator[str]:
    for name in accounts if isinstance(accounts, dict) else ():
        if not NAME_PATTERN.fullmatch(name) and not looks_secret(name):
            yield (
                f"{_joined('accounts', name)}: the name of an account has up to 63 letters, "
                f'digits, "-" and "_"'
            )


def _joined(place: str, name: str) -> str:
    if looks_secret(name):
        name = "****"
    shown = name if _PLAIN_KEY.fullmatch(name) else json.dumps(name)
    return f"{place}.{shown}" if place else shown


def _mistakes(error: BaseException, place: str) -> Iterator[tuple[str, str]]:
    """Return the mistakes in an error of cattrs, each with its place."""
    import cattrs  # noqa: PLC0415 -- takes 60 ms

    if isinstance(error, cattrs.ClassValidationError):
        members, others = error.group_exceptions()
        for inner, member in members:
            yield from _mistakes(inner, _joined(place, member.name))
        for inner in others:
            yield from _mistakes(inner, place)
    elif isinstance(error, cattrs.IterableValidationError):
        for inner, item in error.group_exceptions()[0]:
            index = item.index
            is_position = isinstance(index, int)
            inner_place = f"{place}[{index}]" if is_position else _joined(place, str(index))
            yield from _mistakes(inner, inner_place)
    elif isinstance(error, cattrs.ForbiddenExtraKeysError):
        yield from _unknown_settings(error, place)
    elif isinstance(error, KeyError):
        yield place, "is missing"
    else:
        yield place, str(error)


def _unknown_settings(error: Any, place: str) -> Iterator[tuple[str, str]]:
    names = [one.name for one in attrs.fields(error.cl)]
    for name in sorted(error.extra_fields):
        if not looks_secret(name):
            hint = did_you_mean(name, names) or f" The settings are {', '.join(names)}."
            yield _joined(place, name), f"there is no such setting.{hint}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the nearest of the known names; empty if none is near."""
    close = get_close_matches(name, list(known), 1)
    return f" Did you mean {close[0]}?" if close else ""
