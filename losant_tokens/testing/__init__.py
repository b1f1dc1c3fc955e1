"""A fake of Losant's token API, for tests without an account.

`FakeLosant` keeps tokens, checks scopes, validates bodies and responds as the API does, in
process or on a loopback port. `Fault` makes it fail on demand. Install it with the extra
`losant-tokens[testing]`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from losant_tokens.testing._fake import FakeLosant
    from losant_tokens.testing._faults import Fault
    from losant_tokens.testing._models import FakeAuditLog, FakeToken, FakeUser
    from losant_tokens.testing._request_log import RecordedRequest
    from losant_tokens.testing._sample_account import FakeAccount, FakeOwner
    from losant_tokens.testing._seed import SeedSummary
    from losant_tokens.testing._server import Serving

__all__ = [
    "FakeAccount",
    "FakeAuditLog",
    "FakeLosant",
    "FakeOwner",
    "FakeToken",
    "FakeUser",
    "Fault",
    "RecordedRequest",
    "SeedSummary",
    "Serving",
]

_HOMES = {
    "FakeAccount": "_sample_account",
    "FakeAuditLog": "_models",
    "FakeLosant": "_fake",
    "FakeOwner": "_sample_account",
    "FakeToken": "_models",
    "FakeUser": "_models",
    "Fault": "_faults",
    "RecordedRequest": "_request_log",
    "SeedSummary": "_seed",
    "Serving": "_server",
}


# Names are imported on first use, because pytest imports this package for its plugin in every run,
# even if the extra is not installed and no test uses the fake.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        for needed in ("starlette", "uvicorn"):
            importlib.import_module(needed)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"losant_tokens.testing needs {error.name}: pip install 'losant-tokens[testing]'"
        ) from error
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
