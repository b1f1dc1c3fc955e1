"""What is measured, each a program of its own: `program URL COUNT CONCURRENCY [MORE...]`.

orjson is no dependency of the client, so all are measured without it, wherever they run, but for
the contender that says so.
"""

import os
import sys

if not os.environ.get("WITH_ORJSON"):
    sys.modules["orjson"] = None  # type: ignore[assignment]  # to import it fails
