"""The fake against thousands of requests that Schemathesis derives from the contract."""

import subprocess
from pathlib import Path

import pytest

from losant_tokens.testing import FakeLosant
from tests.contract.conftest import Stage

# Without this header, the server responds with 403, but Schemathesis expects 401.
LEFT_OUT = "missing_required_header"


@pytest.mark.parametrize(
    "examples", [pytest.param(3, id="few"), pytest.param(100, marks=pytest.mark.slow, id="many")]
)
def test_the_fake(
    fake: FakeLosant, stage: Stage, document: Path, tmp_path: Path, examples: int
) -> None:
    """Valid requests are accepted, invalid ones refused, and responses match the contract."""
    fake.seed(20)
    fake.add_user("email@example.com", "this is the password")
    command = (
        *("schemathesis", "run", str(document), "--url", stage.base_url),
        *("--header", f"Authorization: Bearer {fake.admin_token}"),
        *("--exclude-checks", LEFT_OUT, "--max-examples", str(examples), "--seed", "1"),
        *("--continue-on-failure", "--no-color", "--generation-database", "none"),
    )
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout[-10_000:]
