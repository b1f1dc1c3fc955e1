"""The arguments of each command, assembled once instead of for each run of the command.

cyclopts assembles the arguments of a command from its type hints when it parses a command line.
That takes more than half of the time of a test that runs the command in its process, and the result
is the same for each run. The tests in `tests/e2e` start the command without this cache.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cyclopts.argument import ArgumentCollection


def _unused_copy(arguments: ArgumentCollection) -> ArgumentCollection:
    """Return copies of arguments that have no values yet."""
    copies = arguments.copy(reset_tokens=True)
    copy_of = {id(one): copied for one, copied in zip(arguments, copies, strict=True)}
    for one in copies:
        children = one.children.copy()
        children[:] = [copy_of[id(child)] for child in children]
        one.children = children
    return copies


@pytest.fixture(autouse=True, scope="session")
def argument_cache() -> Iterator[None]:
    """Assemble the arguments of each command once."""
    assemble = ArgumentCollection._from_callable
    assembled: dict[Callable[..., Any], list[tuple[Any, ArgumentCollection]]] = {}

    def cached(
        function: Callable[..., Any], *defaults: Any, reserved: Any = None, **options: Any
    ) -> ArgumentCollection:
        options["reserved"] = None if reserved is None else tuple(reserved)
        given = (defaults, options)
        known = assembled.setdefault(function, [])
        arguments = next((one for other, one in known if other == given), None)
        if arguments is None:
            arguments = assemble(function, *defaults, **options)
            known.append((given, arguments))
        return _unused_copy(arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArgumentCollection, "_from_callable", cached)
        yield
