"""The option for each Python argument that the messages of the library name."""

import re
from collections.abc import Mapping
from types import MappingProxyType

# A test compares this table with the messages of the library and with the options that exist.
ARGUMENT_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "account_check": "--account-check",
        "allow_majority": "--allow-majority",
        "clock_check": "--clock-check",
        "insecure_http": "--insecure-http",
        "journal": "--journal",
        "max_age": "--max-age",
        "max_changes": "--max-changes",
        "page_size": "--page-size",
        "patience": "--patience",
        "per_page": "--page-size",
        "protect": "--protect",
        "rate": "--rate",
        "resume": "--resume",
        "retry_failed": "--retry-failed",
        "scope_check": "--scope-check",
    }
)
# Advice that another option replaces as a whole.
_PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "pass it as an UnlistedScope": "pass it with --unlisted-scope",
        "unmatched='warn'": "--allow-unmatched",
    }
)
# `resume=True`, scope_check="off": an argument with its value.
_WITH_VALUE = re.compile(
    rf"(?P<quote>[`'\"]?)\b(?:\w+\.)?(?P<name>{'|'.join(ARGUMENT_OPTIONS)})"
    r"(?:=(?:True|(?P<value>[\"'][a-z]+[\"'])))(?P=quote)"
)
# max_age, plan.max_changes: a name with an underscore is never a word of a sentence.
_SNAKE_CASE = "|".join(name for name in ARGUMENT_OPTIONS if "_" in name)
_ALONE = re.compile(rf"(?<![-.\w'\"])(?:[A-Za-z]+\.)?(?P<name>{_SNAKE_CASE})\b")


def with_options(message: str) -> str:
    """Return a message of the library with options in place of Python arguments."""

    def option(found: re.Match[str]) -> str:
        value = f" {found['value'][1:-1]}" if found["value"] else ""
        return ARGUMENT_OPTIONS[found["name"]] + value

    for phrase, replacement in _PHRASES.items():
        message = message.replace(phrase, replacement)
    message = _WITH_VALUE.sub(option, message)
    return _ALONE.sub(lambda found: ARGUMENT_OPTIONS[found["name"]], message)
