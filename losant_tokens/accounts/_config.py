"""Reading of the configuration file: its path, its contents, and the accounts in it.

No message repeats a value that may be a secret.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from losant_tokens._utils.private_files import (
    UnfitFileError,
    expanded,
    is_own,
    open_regular,
    reason,
)
from losant_tokens.accounts._account import Account, check_name
from losant_tokens.accounts._config_structure import did_you_mean, structure
from losant_tokens.accounts._errors import ConfigError

_MAX_SIZE = 1 << 20  # bytes
_WRITABLE_BY_OTHERS = 0o022
_POSITION = re.compile(r"\(at (.*)\)")


def config_path() -> Path:
    """Return the path of the configuration file, whether it exists or not.

    It is the value of `LOSANT_TOKENS_CONFIG`, or `losant-tokens/config.toml` in the folder
    `XDG_CONFIG_HOME`, which is `~/.config` by default.

    Raises:
        ConfigError: The home folder is needed and unknown.
    """
    if path := os.environ.get("LOSANT_TOKENS_CONFIG"):
        return _expanded(path)
    # The XDG Base Directory Specification declares relative paths invalid.
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if not folder.is_absolute():
        folder = _expanded("~/.config")
    return folder / "losant-tokens" / "config.toml"


def _expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with the home folder in place of `~`.

    Raises:
        ConfigError: The home folder is unknown, or the path has a NUL character.
    """
    try:
        return expanded(path)
    except UnfitFileError as error:
        problem = reason(error)
    raise ConfigError(
        f"The configuration file {os.fspath(path)!r} cannot be read: {problem}. Name the file with "
        f"LOSANT_TOKENS_CONFIG.",
        path=Path(path),
    )


@frozen(eq=False)
class Config(Mapping[str, Account]):
    """The accounts of a configuration file by their names, in the order of the file."""

    path: Path
    """The file."""
    _accounts: Mapping[str, Account] = field(factory=dict)
    default_account: str | None = None
    """The name of the account that the command uses if none is named, or `None`."""

    def __getitem__(self, name: str) -> Account:
        return self._accounts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._accounts)

    def __len__(self) -> int:
        return len(self._accounts)


def load(path: str | os.PathLike[str] | None = None) -> Config:
    """Read the accounts in a configuration file, without their tokens.

    Args:
        path: The file. Default: `config_path()`.

    Raises:
        ConfigError: The file cannot be read, can be changed by other users, contains a secret, or
            has mistakes. `mistakes` lists all of them.
    """
    found = _load(config_path() if path is None else _expanded(path))
    if isinstance(found, ConfigError):
        raise found
    return found


def _load(path: Path) -> Config | ConfigError:
    """Return the contents of a file, or its error.

    Never raise, because the locals hold the text of the file. If a secret is in it by mistake, a
    traceback could show it.
    """
    text, problem = _read(path)
    if problem:
        return ConfigError(f"The configuration file {path} {problem}.", path=path)
    data, place = _parsed(text)
    if data is None:
        return ConfigError(f"The configuration file {path} is not valid TOML{place}.", path=path)
    try:
        contents = structure(data)
    except RecursionError:  # A key such as a.b.c makes a level with every dot.
        return ConfigError(f"The configuration file {path} is nested too deeply.", path=path)
    mistakes = contents.mistakes
    if not mistakes:
        return Config(path, contents.accounts, contents.default_account)
    several = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    message = f"The configuration file {path} has {several}: {'; '.join(mistakes)}"
    return ConfigError(message, path=path, mistakes=mistakes)


def find(name: str, path: str | os.PathLike[str] | None = None) -> Account:
    """Return an account in a configuration file.

    Args:
        name: The name of the account.
        path: The file. Default: `config_path()`.

    Raises:
        ConfigError: The file cannot be used, or does not have the account.
        ValidationError: The name cannot be the name of an account.
    """
    check_name(name)
    config = load(path)
    if name in config:
        return config[name]
    known = ", ".join(config) or "no account"
    raise ConfigError(
        f"There is no account {name!r} in {config.path}.{did_you_mean(name, config)} It "
        f"has {known}.",
        path=config.path,
    )


def _read(path: Path) -> tuple[str, str]:
    """Return the text of a file, and a problem as a phrase or `""`."""
    try:
        descriptor = open_regular(path)
    except OSError as error:
        return "", f"cannot be read: {reason(error)}"
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not is_own(found) and found.st_uid != 0:
            return "", "belongs to another user, who could make it run any command"
        if found.st_mode & _WRITABLE_BY_OTHERS:
            return "", (
                "can be changed by other users, who could make it run any command. Run chmod go-w "
                "on it"
            )
        data = file.read(_MAX_SIZE + 1)
    if len(data) > _MAX_SIZE:
        return "", f"has more than {_MAX_SIZE:,} bytes"
    try:
        # Editors on Windows start a file with a byte order mark, which TOML does not allow.
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return "", "is not UTF-8"


def _parsed(text: str) -> tuple[dict[str, Any] | None, str]:
    """Return the contents of a file, or None and the place of the mistake.

    The message of the parser is not shown, because it may repeat a part of the file.
    """
    try:
        return tomllib.loads(text), ""
    except tomllib.TOMLDecodeError as error:
        position = _POSITION.search(str(error))
    except RecursionError:
        return None, ": it is nested too deeply"
    return None, f" ({position[0].strip('()')})" if position else ""
