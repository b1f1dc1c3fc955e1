"""The ids of workers: stable, unique, and locked as long as the process lives."""

import os
import socket
from pathlib import Path

import pytest

from losant_tokens.errors import ValidationError
from losant_tokens.fleet import StoreError, WorkerRefused
from losant_tokens.fleet._workers.worker_id import Identity, lock_database


def test_default_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default id is the same after a restart, and different in another folder."""
    monkeypatch.setattr(socket, "gethostname", lambda: "-my host.local-")
    found = []
    for folder in ("a", "a", "b"):
        identity = Identity.acquire(tmp_path / folder)
        found.append((identity.id, identity.place, identity.host))
        identity.release()
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert found[0][0].startswith("my-host.local-")
    assert found[0][2] == "-my host.local-"


def test_host_without_a_usable_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose name has no usable character gets a default name."""
    monkeypatch.setattr(socket, "gethostname", lambda: "...")
    identity = Identity.acquire(tmp_path)
    identity.release()
    assert identity.id.startswith("worker-")


def test_second_process_with_an_id(tmp_path: Path) -> None:
    """An id that a process holds is refused with the lock file, and is free after its release."""
    first = Identity.acquire(tmp_path, "blue")
    with pytest.raises(
        WorkerRefused, match=r"name blue is running on this .*worker-blue-\w+\.lock"
    ):
        Identity.acquire(tmp_path, "blue")
    Identity.acquire(tmp_path, "green").release()
    Identity.acquire(tmp_path, "blue", store="another one").release()
    first.release()
    again = Identity.acquire(tmp_path, "blue")
    again.release()
    assert again.place == first.place


def test_copy_of_a_folder(tmp_path: Path) -> None:
    """A copy of the folder has the same id, and another place, so it proves nothing."""
    first = Identity.acquire(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/worker-id").write_bytes((tmp_path / "a/worker-id").read_bytes())
    second = Identity.acquire(tmp_path / "b")
    assert (first.id, first.place == second.place) == (second.id, False)
    first.release()
    second.release()


@pytest.mark.parametrize("content", [None, "\n"])
def test_unknown_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None) -> None:
    """Without the boot of the machine, a place proves nothing: a copy may have it, too."""
    boot_id = tmp_path / "boot_id"
    if content is not None:
        boot_id.write_text(content)
    monkeypatch.setattr("losant_tokens.fleet._workers.worker_id._BOOT_ID", boot_id)
    places = set()
    for _ in range(2):
        identity = Identity.acquire(tmp_path, "blue")
        identity.release()
        places.add(identity.place)
    assert len(places) == 2


@pytest.mark.parametrize("text", ["", "a b", "-a", "x" * 64, "../a", "a\n"])
def test_invalid_id(tmp_path: Path, text: str) -> None:
    """An id with characters that are unfit for a file name is refused, with its value."""
    with pytest.raises(ValidationError, match="The name of a worker must be up to 63 letters"):
        Identity.acquire(tmp_path, text)


def test_damaged_folder(tmp_path: Path) -> None:
    """A file that holds no id is replaced; a folder that is a file is an error."""
    (tmp_path / "worker-id").write_text("../../etc\n")
    identity = Identity.acquire(tmp_path)
    identity.release()
    assert "/" not in identity.id
    with pytest.raises(StoreError, match="worker-id of this worker cannot be used"):
        Identity.acquire(tmp_path / "worker-id")


def test_database_has_one_worker(tmp_path: Path) -> None:
    """A second worker for one SQLite file is refused, until the first one has ended."""
    lock = lock_database(tmp_path / "new" / "fleet.sqlite")
    with pytest.raises(WorkerRefused, match=r"Another worker uses .*fleet\.sqlite"):
        lock_database(tmp_path / "new" / "fleet.sqlite")
    os.close(lock)
    os.close(lock_database(tmp_path / "new" / "fleet.sqlite"))
    (tmp_path / "x.worker.lock").mkdir()
    with pytest.raises(StoreError, match=r"x.worker.lock cannot be locked: "):
        lock_database(tmp_path / "x")
