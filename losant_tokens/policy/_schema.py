"""The JSON Schema of policy files, for editors.

It is made from the same table of conditions and the same classes as the reader. It has no rules
that compare several members, such as contradictions: `load` checks those.
"""

from typing import Any, get_args

from losant_tokens import jobs
from losant_tokens._utils.durations import DURATION_PATTERN
from losant_tokens.policy._approval_table import MANUAL_WORD, MIN_AUTO_BELOW, VARIABLE_PATTERN
from losant_tokens.policy._schedule import CRON_PATTERN, WORDS
from losant_tokens.policy._severity import Severity
from losant_tokens.policy._table_checks import MAX_MESSAGE_LENGTH, NAME_PATTERN
from losant_tokens.policy._types import Action, Status, StepAction

Schema = dict[str, Any]


def schema() -> Schema:
    """Return the JSON Schema of policy files, as plain values."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Policy file of losant-tokens",
        "description": "Rules and clean-ups for Losant API tokens.",
        **_table(
            {
                "rules": _list(_rule(), "Rules: which tokens are a problem."),
                "cleanups": _list(_cleanup(), "Clean-ups: which tokens to change."),
                "tests": _list(_test(), "Tests: tokens, and what must match them."),
            },
        ),
        "anyOf": [{"required": ["rules"]}, {"required": ["cleanups"]}],
        "definitions": {"conditions": _conditions(), "select": _select()},
    }


def _rule() -> Schema:
    return _table(
        {
            "name": _name("The name of the rule."),
            "select": _SELECT,
            "severity": _choice([one.value for one in Severity], "How serious it is."),
            "message": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_MESSAGE_LENGTH,
                "description": "What is wrong with these tokens, for people.",
            },
        },
        required=("name", "select", "severity", "message"),
    )


def _cleanup() -> Schema:
    return {
        **_table(
            {
                "name": _name("The name of the clean-up, which a plan selects."),
                "select": _SELECT,
                "action": _choice(get_args(Action), "What to do with the tokens."),
                "steps": {**_list(_step(), "A ladder instead of one action."), "minItems": 2},
                "protect": _strings("Ids and name patterns of tokens that are never touched."),
                "protect_seen": _duration("Never touch tokens that an audit log shows since then."),
                "max_changes": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "The maximum number of tokens of one plan.",
                },
                "grace": _duration("How long deactivated tokens wait before sweep deletes them."),
                "allow_majority": _flag("Allow more than half of an owner's tokens."),
                "allow_unmatched": _flag("Allow a pattern that protects or excludes no token."),
                "allow_seen": _flag("Allow a plan to change tokens that an audit log shows."),
                "schedule": _schedule(),
                "time_zone": _text("The time zone of the schedule. Default: UTC."),
                "approval": _approval(),
                "approve_within": _duration("How long a plan may wait. Default: 7d."),
                "accounts": {
                    **_strings("The accounts of a fleet that it applies to. Default: all."),
                    "minItems": 1,
                },
            },
            required=("name", "select", "max_changes"),
        ),
        "oneOf": [{"required": ["action"]}, {"required": ["steps"]}],
    }


def _schedule() -> Schema:
    return {
        "anyOf": [{"enum": list(WORDS)}, {"type": "string", "pattern": CRON_PATTERN}],
        "description": "When to run the clean-up: a word, or a cron expression of 5 fields.",
    }


def _approval() -> Schema:
    table = _table(
        {
            "auto_below": {
                "type": "integer",
                "minimum": MIN_AUTO_BELOW,
                "description": "Approve a plan with fewer changes than this.",
            },
            "webhook": _text("The URL of a webhook that decides."),
            "webhook_env": _variable("The environment variable that holds the URL instead."),
            "secret_env": _variable("The environment variable that holds the signing secret."),
        }
    )
    return {
        "anyOf": [{"const": MANUAL_WORD}, {**table, "minProperties": 1}],
        "description": "Who decides whether a plan of a fleet is applied.",
    }


def _step() -> Schema:
    return _table(
        {
            "action": _choice(get_args(StepAction), "What the step does."),
            "after": _duration("How long after the step before."),
            "webhook": _text("The URL of a webhook that gets the warnings of a fleet."),
            "webhook_env": _variable("The environment variable that holds the URL instead."),
            "secret_env": _variable("The environment variable that holds the signing secret."),
        },
        required=("action",),
    )


def _test() -> Schema:
    token = _table(
        {
            "name": _text("The name."),
            "status": _choice(get_args(Status), "The status."),
            "scope": _strings("The scopes."),
            "creator": _text("The name of the creator."),
            "created": _duration("How long ago it was created."),
            "updated": _duration("How long ago it was last updated."),
            "expires": _duration("In how long it expires."),
            "expired": _duration("How long ago it expired."),
        },
        required=("name",),
    )
    expect = _strings("The names of the rules and clean-ups that must match it.")
    return _table(
        {"name": _text("The name of the test."), "token": token, "expect": expect},
        required=("name", "token", "expect"),
    )


def _select() -> Schema:
    conditions = {"$ref": "#/definitions/conditions"}
    members = {
        **_predicates(),
        "any": {
            **_list(conditions, "Tables of conditions, one of which must hold."),
            "minItems": 2,
        },
        "not": {"allOf": [conditions], "description": "Leave out tokens that match all of these."},
    }
    return {**_table(members), "minProperties": 1}


def _conditions() -> Schema:
    return {**_table(_predicates()), "minProperties": 1}


def _predicates() -> Schema:
    """Return the schema of each condition."""
    return {name: _predicate(predicate) for name, predicate in jobs.PREDICATES.items()}


def _predicate(predicate: jobs.Predicate) -> Schema:
    if predicate.kind == "flag":
        return {"const": True, "description": predicate.summary}
    if predicate.kind == "duration":
        return _duration(predicate.summary)
    return {**_strings(predicate.summary), "minItems": 1}


# --- Parts -----------------------------------------------------------------------------------

_SELECT = {"$ref": "#/definitions/select"}


def _table(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    table: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return {**table, "required": list(required)} if required else table


def _list(items: Schema, description: str) -> Schema:
    return {"type": "array", "items": items, "description": description}


def _strings(description: str) -> Schema:
    return _list({"type": "string", "minLength": 1}, description)


def _text(description: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": description}


def _name(description: str) -> Schema:
    return {"type": "string", "pattern": NAME_PATTERN, "description": description}


def _choice(words: Any, description: str) -> Schema:
    return {"enum": list(words), "description": description}


def _variable(description: str) -> Schema:
    return {"type": "string", "pattern": f"^{VARIABLE_PATTERN}$", "description": description}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _duration(description: str) -> Schema:
    # A duration of zero is a mistake: a rule about "longer ago than 0d" selects every token.
    pattern = f"^0*[1-9]{DURATION_PATTERN.replace('+', '*')}$"
    return {"type": "string", "pattern": pattern, "description": description}
