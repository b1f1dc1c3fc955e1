"""The switches of stamina that turn retries off, or their delays, in tests of an application.

The retries here are our own, but many applications use stamina for theirs, and turn all retries off
in their tests with `stamina.set_active` or `stamina.set_testing`. Both are global. A process that
has not imported stamina cannot have set them, so stamina is not imported here.
"""

import sys

from attrs import frozen


@frozen
class Switches:
    """Whether and how to retry.

    Attributes:
        is_active: Whether failed requests are sent again.
        attempts: In stamina's test mode, the maximum number of attempts. None of them is delayed.
            `None` outside of that mode.
    """

    is_active: bool = True
    attempts: int | None = None

    @property
    def is_testing(self) -> bool:
        """Whether stamina's test mode is on."""
        return self.attempts is not None


_DEFAULT = Switches()


def switches() -> Switches:
    """Return the current state of stamina's switches."""
    stamina = sys.modules.get("stamina")
    if stamina is None:
        return _DEFAULT
    if not stamina.is_active():
        return Switches(is_active=False)
    if not stamina.is_testing():
        return _DEFAULT
    # stamina has no public function that returns the number. Its own default is one attempt.
    mode = getattr(getattr(sys.modules.get("stamina._config"), "CONFIG", None), "testing", None)
    attempts = getattr(mode, "attempts", 1)
    return Switches(attempts=attempts)
