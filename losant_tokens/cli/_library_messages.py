"""Replace Python arguments in the messages of the library with options of the command.

The library names its arguments: "pass a larger max_age", "pass resume=True". A user of the command
needs the option instead. One table has the option for each argument. A test compares the table
with all messages of the library and with the options of all commands, so a new argument in a
message cannot be forgotten.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

ARGUMENT_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "account_check": "--account-check",
        "allow_unverified": "--allow-unverified",
        "allow_majority": "--allow-majority",
        "base_url": "LOSANT_API_URL",
        "clock_check": "--clock-check",
        "expires": "--expires",
        "insecure_http": "--insecure-http",
        "journal": "--journal",
        "max_age": "--max-age",
        "max_changes": "--max-changes",
        "max_concurrency": "--max-concurrency",
        "max_connections": "--max-concurrency",
        "page_size": "--page-size",
        "patience": "--patience",
        "per_page": "--page-size",
        "protect": "--protect",
        "protect_seen": "--protect-seen",
        "rate": "--rate",
        "resume": "--resume",
        "retry_failed": "--retry-failed",
        "scope_check": "--scope-check",
        "seen_in": "--seen-in",
        "timeout": "--timeout",
    }
)
# The members of ApiTokenPost and ApiTokenPatch.
MEMBER_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "description": "--description",
        "expiration_date": "--expires",
        "name": "NAME",
        "scope": "--scope",
        "status": "--status",
    }
)
# The rules that take a glob.
RULE_OPTIONS: Mapping[str, str] = MappingProxyType(
    {"created_by": "--created-by", "has_scope": "--has-scope", "named": "--named"}
)
_SAME_URL = "Use the same --account, or set LOSANT_API_URL to the same URL"
# Advice that reads differently for the command.
PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "Cannot determine which token this client uses": "Cannot determine which token is in use",
        "Apply it with a client for the same base URL": _SAME_URL,
        "The token that this client uses": "The token in use",
        "Use a client for the same base URL": _SAME_URL,
        "but the client uses": "but this command uses",
        "Apply it with apply.": "Apply it with losant-tokens apply.",
        "Owner.id must be": "the ID of an owner must be",
        "CommandSink.command": "--to-command",
        "Pass it to jobs.rotate": "Pass it to losant-tokens rotate --plan",
        "check it with a client of its API if you trust that": (
            "choose its API with --account or LOSANT_API_URL if you trust that"
        ),
        "Fleet.store must be": "--store or LOSANT_TOKENS_FLEET must be",
        "The protect pattern": "--protect",
        ", or allow larger ones (max_response_size of AsyncClient)": "",
        "pass it as an UnlistedScope": "pass --allow-unknown-scope as well",
        " List the runs to see their ids.": "",
        " To make the plan without it, pass protect_seen=timedelta(0).": "",
        "protect='name'": "--protect NAME",
        "proxy= or HTTPS_PROXY": "HTTPS_PROXY",
        "unmatched='warn'": "--allow-unmatched",
        "verify= or SSL_CERT_FILE": "SSL_CERT_FILE",
        "with verify=True": "without --no-verify",
    }
)

# `resume=True`, scope_check="off": an argument with its value, and perhaps quotes around both.
_WITH_VALUE = re.compile(
    rf"(?P<quote>[`'\"]?)\b(?:\w+\.)?(?P<name>{'|'.join(ARGUMENT_OPTIONS)})"
    r"(?:=(?:True|(?P<value>[\"'][a-z]+[\"'])))(?P=quote)"
)
# plan.protect must, apply.rate must: an argument with its function. The verb keeps file names
# such as plan.journal as they are.
_QUALIFIED = re.compile(
    r"\b(?:plan|apply|sweep|restore|rotate|AsyncClient)\."
    rf"(?P<name>{'|'.join(ARGUMENT_OPTIONS)})(?= must\b)"
)
# named.glob must: a glob with its rule.
_RULE = re.compile(rf"\b(?P<name>{'|'.join(RULE_OPTIONS)})\.glob(?= must\b)")
# max_age: a name with an underscore is never a word of a sentence.
_SNAKE_CASE = "|".join(name for name in ARGUMENT_OPTIONS if "_" in name)
_ALONE = re.compile(rf"(?<![-.\w'\"])(?P<name>{_SNAKE_CASE})\b")
# ApiTokenPost.scope[0]: a member of a request body.
_MEMBER = re.compile(
    rf"\bApiToken(?:Post|Patch)\.(?P<name>{'|'.join(MEMBER_OPTIONS)})\b(?:\[[0-9]+\])?"
)
# ~named('ci-*'): a rule that takes a glob, and perhaps its opposite. Only names can be excluded.
_RULE_CALL = re.compile(
    rf"(?P<opposite>~?)\b(?P<name>{'|'.join(RULE_OPTIONS)})"
    r"\((?P<glob>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\)(?= matches no token)"
)
_TABLES = (
    (_MEMBER, MEMBER_OPTIONS),
    (_RULE, RULE_OPTIONS),
    (_QUALIFIED, ARGUMENT_OPTIONS),
    (_ALONE, ARGUMENT_OPTIONS),
)


def with_options(message: str) -> str:
    """Return a message of the library with options in place of Python arguments."""
    for phrase, replacement in PHRASES.items():
        message = message.replace(phrase, replacement)
    message = _RULE_CALL.sub(_option_with_glob, message)
    message = _WITH_VALUE.sub(_option_with_value, message)
    for pattern, options in _TABLES:
        message = _replace(pattern, options, message)
    return message


def _replace(pattern: re.Pattern[str], options: Mapping[str, str], message: str) -> str:
    return pattern.sub(lambda found: options[found["name"]], message)


def _option_with_glob(found: re.Match[str]) -> str:
    option = "--except-named" if found["opposite"] else RULE_OPTIONS[found["name"]]
    return f"{option} {found['glob']}"


def _option_with_value(found: re.Match[str]) -> str:
    value = f" {found['value'][1:-1]}" if found["value"] else ""
    return ARGUMENT_OPTIONS[found["name"]] + value
