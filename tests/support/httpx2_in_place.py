"""Run the tests with httpx2 instead of httpx: `pytest -p tests.support.httpx2_in_place`.

An application may do this with `httpx2.alias_httpx()`, so that libraries that import httpx use
httpx2. It must happen before anything imports httpx, so this is a plugin and not a fixture.
"""

import httpx2

httpx2.alias_httpx()
