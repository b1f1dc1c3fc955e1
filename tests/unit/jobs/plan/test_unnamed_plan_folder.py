"""The temporary folder of a plan without a path is removed when nothing needs it."""

import stat
import tempfile
from pathlib import Path

import pytest

from losant_tokens.jobs import JobError
from losant_tokens.jobs._plan.unnamed_plan_folder import TemporaryFolder
from losant_tokens.jobs._plan.writer import PlanWriter
from tests.support.plans import HEADER, plan_folders


def test_folder_of_a_plan(temporary_folder: Path) -> None:
    """The folder of a plan without a path is private, and is removed with the plan."""
    with PlanWriter(None) as writer:
        plan = writer.finish(HEADER)
    del writer
    assert stat.S_IMODE(plan.path.parent.stat().st_mode) == 0o700
    assert plan.path.parent.parent == temporary_folder
    copy = plan.detached()
    del plan

    assert plan_folders(temporary_folder) == 0
    assert not copy.path.exists()


def test_folder_of_a_plan_that_failed(temporary_folder: Path) -> None:
    """A plan that fails leaves no folder."""
    with PlanWriter(None) as writer:
        assert plan_folders(temporary_folder) == 1
    del writer

    assert plan_folders(temporary_folder) == 0


@pytest.mark.parametrize(("is_complete", "left"), [(True, 0), (False, 1)])
def test_folder_of_a_job(temporary_folder: Path, is_complete: bool, left: int) -> None:
    """The folder is kept only while its job can be resumed."""
    own = TemporaryFolder.create()
    own.keep()
    (own.path / "plan.jsonl.journal").write_text("")
    if is_complete:
        own.release()
    del own
    TemporaryFolder.create()

    assert plan_folders(temporary_folder) == left


def test_no_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the folder cannot be created, a `JobError` gives the reason."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    with pytest.raises(JobError, match="cannot be written: No such file"):
        TemporaryFolder.create()
