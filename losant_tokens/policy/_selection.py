"""`Selection`: the table `select` of a policy file, as a rule for tokens.

All conditions of a table must hold, as for the options of the command. `any` and `not` take tables
of conditions, and these take no tables again. That is enough for "A, and B or C, but not D", and
every selection can be read aloud. A policy that needs more can use rules in Python, which combine
freely.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from losant_tokens import jobs

Conditions = Mapping[str, Any]
"""Values by the names of their predicates."""

_MATCHES_EVERY_NAME = re.compile(r"\?*\*[*?]*")


@frozen(kw_only=True)
class Selection:
    """The tokens that an entry of a policy selects."""

    conditions: Conditions = field(factory=dict, hash=False)
    """The conditions, which must all hold: `{"older_than": timedelta(days=90)}`."""
    any: tuple[Conditions, ...] = field(default=(), hash=False)
    """Tables of conditions, one of which must hold. Empty if there are none."""
    exclude: Conditions = field(factory=dict, hash=False)
    """The table `not`: tokens that match all of its conditions are left out. Empty if there is
    none.
    """
    _rule: jobs.Rule = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        # A rule is made once, because each token of a large account is compared with it.
        object.__setattr__(self, "_rule", self._combined())

    def rule(self) -> jobs.Rule:
        """Return the selection as a rule."""
        return self._rule

    def _combined(self) -> jobs.Rule:
        rules = _rules(self.conditions)
        if self.any:
            rules.append(jobs.any_of(jobs.all_of(_rules(one)) for one in self.any))
        if self.exclude:
            rules.append(~jobs.all_of(_rules(self.exclude)))
        return jobs.all_of(rules)

    @property
    def only_excludes(self) -> bool:
        """Whether no condition says which tokens are selected, only which are not."""
        if _narrows(self.conditions):
            return False
        is_every_status = all({status: True} in self.any for status in ("active", "inactive"))
        return not self.any or is_every_status or not all(map(_narrows, self.any))


def _rules(conditions: Conditions) -> list[jobs.Rule]:
    rules: list[jobs.Rule] = []
    for name, value in conditions.items():
        predicate = jobs.PREDICATES[name]
        if predicate.excludes:
            rules += [~rule for rule in predicate.rules(value)]
        else:
            rules.append(predicate.rule(value))
    return rules


def _narrows(conditions: Conditions) -> bool:
    """Return whether a condition says which tokens are selected."""
    return any(not jobs.PREDICATES[name].excludes for name in conditions)


def matches_everything(patterns: Iterable[str]) -> bool:
    """Return whether one of some patterns matches every name."""
    return any(map(_MATCHES_EVERY_NAME.fullmatch, patterns))
