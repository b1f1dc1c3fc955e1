"""Options of the command in place of Python arguments."""

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import losant_tokens
from losant_tokens import jobs
from losant_tokens.cli._library_messages import (
    ARGUMENT_OPTIONS,
    MEMBER_OPTIONS,
    PHRASES,
    RULE_OPTIONS,
    with_options,
)
from tests.support.command import all_options

PACKAGE = Path(losant_tokens.__file__).parent
# The functions that the command calls, and whose messages it prints.
FUNCTIONS = (
    *(jobs.plan, jobs.apply, jobs.sweep, jobs.restore, jobs.check_account),
    *(losant_tokens.AsyncClient, losant_tokens.httpx_transport, losant_tokens.OwnerTokens.iter),
)
ARGUMENTS = {name for function in FUNCTIONS for name in inspect.signature(function).parameters}
OPTIONAL_NAMES = {"filter_field", "per_page", "sort_direction", "sort_field"}  # in **parameters
# Arguments that the command sets itself, so that no user of the command sees these messages.
UNREACHABLE = {
    *("filter_field", "max_response_size", "may_change", "on_progress", "rate_limit"),
    *("trust_env", "verify"),
}
# A key of a policy file may have the name of an argument.
KEY = re.compile(r"'\w+' in the policy file")
NAME = re.compile(r"(?<![-\w])(?P<name>[a-z]+(?:_[a-z]+)+|[a-z]+(?==[A-Z'\"]))")


@functools.cache
def library_messages() -> tuple[str, ...]:
    """Return each string of the library that may be a message, with X in place of values."""
    return tuple(
        message
        for path in PACKAGE.rglob("*.py")
        if not {"cli", "testing"} & set(path.relative_to(PACKAGE).parts)
        for message in messages_in(ast.parse(path.read_text(encoding="utf-8")))
    )


def messages_in(tree: ast.Module) -> Iterator[str]:
    nodes = list(ast.walk(tree))
    joined = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    ignored = {id(value) for node in joined for value in node.values}
    ignored |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings
    for node in joined:
        yield "".join(
            str(value.value) if isinstance(value, ast.Constant) else "X" for value in node.values
        )
    for constant in nodes:
        if isinstance(constant, ast.Constant) and id(constant) not in ignored:
            text = constant.value
            if isinstance(text, str) and " " in text and "<" not in text:
                yield text


def arguments_in(message: str) -> set[str]:
    """Return the arguments of the library that a message names."""
    text = KEY.sub("", message)
    return {found["name"] for found in NAME.finditer(text)} & (ARGUMENTS | OPTIONAL_NAMES)


@pytest.mark.slow
def test_every_argument_in_a_message_has_an_option() -> None:
    """No message of the library names a Python argument once its options are filled in."""
    left = {
        (name, message)
        for message in library_messages()
        for name in arguments_in(with_options(message)) - UNREACHABLE
    }

    assert left == set()


def test_the_library_names_arguments() -> None:
    """The test above sees the messages: some arguments are known to be in them."""
    found = {name for message in library_messages() for name in arguments_in(message)}

    assert {"max_age", "resume", "scope_check", "allow_majority", "per_page"} <= found


def test_every_option_in_the_table_exists() -> None:
    """Each option that replaces an argument is an option of a command."""
    tables = (ARGUMENT_OPTIONS, MEMBER_OPTIONS, RULE_OPTIONS, PHRASES)
    named = {option for table in tables for option in re.findall("--[a-z-]+", str(table))}

    assert named <= all_options()


def test_every_member_of_a_request_has_an_option() -> None:
    """Each member of the bodies that the command sends has an option or an argument."""
    bodies = (losant_tokens.ApiTokenPost, losant_tokens.ApiTokenPatch)

    members = {name for body in bodies for name in inspect.signature(body).parameters}
    not_sent = {"default_role", "org_roles"}
    assert members - not_sent == set(MEMBER_OPTIONS)


def test_every_phrase_is_in_use() -> None:
    """Each phrase that is replaced occurs in a message of the library."""
    messages = "\n".join(library_messages())

    assert [phrase for phrase in PHRASES if phrase not in messages] == []


def test_the_library_names_no_options() -> None:
    """No message of the library names an option of the command."""
    named = {
        option
        for message in library_messages()
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", message)
    }

    assert named & all_options() == set()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Allow it with allow_majority=True.", "Allow it with --allow-majority."),
        ("Older than max_age allows.", "Older than --max-age allows."),
        ("To continue it, pass `resume=True`.", "To continue it, pass --resume."),
        ("Use scope_check='off'.", "Use --scope-check off."),
        ("plan.max_changes must be", "--max-changes must be"),
        ("the token 'max_age' is kept, at this rate", "the token 'max_age' is kept, at this rate"),
        ("(--max-age)", "(--max-age)"),
        ("plan.journal cannot be read", "plan.journal cannot be read"),
        ("Request smaller pages (per_page).", "Request smaller pages (--page-size)."),
        ("or pass unmatched='warn'.", "or pass --allow-unmatched."),
        ("plan.protect must not be blank", "--protect must not be blank"),
        ("named.glob must not be blank", "--named must not be blank"),
        ("ApiTokenPost.scope[0] must be", "--scope must be"),
        ("ApiTokenPatch.name must be", "NAME must be"),
    ],
)
def test_arguments_are_replaced(message: str, expected: str) -> None:
    """An argument is replaced with its option, and names of tokens are kept."""
    assert with_options(message) == expected
