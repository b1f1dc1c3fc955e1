"""The contenders. Each is a program: `program URL COUNT CONCURRENCY [MORE...]`.

orjson is an optional dependency of the client. So all contenders run without it, even if it is
installed, except for the one whose name mentions it.
"""

import os
import sys

if not os.environ.get("WITH_ORJSON"):
    sys.modules["orjson"] = None  # type: ignore[assignment]  # its import fails
