"""`FileSink`: a private file."""

import os
import stat
from pathlib import Path

import pytest

from losant_tokens.errors import ValidationError
from losant_tokens.sinks import FileSink, SinkError, TokenSecret
from tests.support.traceback_secrets import frames_that_hold

ID = "575ec7417ae143cd83dc4a95"
OLD = "575ec7417ae143cd83dc4a96"
DELIVERY = TokenSecret(secret="hunter2", token_id=ID, replaces=OLD)


def files(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("is_new", [True, False])
async def test_private_and_complete(tmp_path: Path, is_new: bool) -> None:
    """The file holds the secret alone, only its owner can read it, and nothing else is left."""
    path = tmp_path / "token"
    if not is_new:
        path.write_text("an older and longer secret")
        path.chmod(0o644)

    await FileSink(path).deliver(DELIVERY)

    assert path.read_text() == "hunter2"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files(tmp_path) == ["token"]


async def test_file_for_each_token(tmp_path: Path) -> None:
    """Placeholders in the path give each token a file of its own."""
    sink = FileSink(tmp_path / "{replaces}-{id}")
    await sink.deliver(DELIVERY)

    assert (tmp_path / f"{OLD}-{ID}").read_text() == "hunter2"
    assert (sink.is_per_token, FileSink("token").is_per_token) == (True, False)
    with pytest.raises(SinkError, match="replaces no other"):
        sink.path_for(TokenSecret(secret="s", token_id=ID))


def test_path_is_checked() -> None:
    """A value that cannot be a path is refused at once, before a token is created for it."""
    with pytest.raises(ValidationError, match=r"FileSink\.path must be a path, but it is int"):
        FileSink(1)
    with pytest.raises(ValidationError, match=r"FileSink\.path must not contain a NUL"):
        FileSink("a\0b")


async def refused(path: Path) -> str:
    """Return why a path is refused by the check and by the delivery."""
    with pytest.raises(SinkError) as checked:
        FileSink(path).check()
    with pytest.raises(SinkError) as delivered:
        await FileSink(path).deliver(DELIVERY)
    assert str(checked.value) == str(delivered.value)
    assert delivered.value.ambiguous is False
    assert not frames_that_hold(delivered.value, "hunter2")
    return str(delivered.value)


async def test_symbolic_link_is_refused(tmp_path: Path) -> None:
    """A symbolic link is not followed, and its target is not changed."""
    (tmp_path / "target").write_text("untouched")
    (tmp_path / "token").symlink_to("target")

    assert "it is a symbolic link" in await refused(tmp_path / "token")
    assert (tmp_path / "target").read_text() == "untouched"


async def test_unsafe_folder_is_refused(tmp_path: Path) -> None:
    """A folder that others may write to is refused, unless it is sticky; so is a missing one."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o770)

    assert f"Run: chmod go-w '{folder}'" in await refused(folder / "token")
    assert "No such file or directory" in await refused(tmp_path / "missing" / "token")
    folder.chmod(0o1777)
    FileSink(folder / "token").check()


async def test_foreign_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another user is refused, because that user could replace the file."""
    if os.geteuid() == 0:
        folder = tmp_path / "foreign"
        folder.mkdir()
        os.chown(folder, 4711, 4711)
    else:
        folder = tmp_path
        user = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: user)

    assert "its folder belongs to another user" in await refused(folder / "token")


async def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the secret cannot be written, the old file stays, and no traceback holds the secret."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    path = tmp_path / "token"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(SinkError, match="No space left on device") as caught:
            await FileSink(path).deliver(DELIVERY)

    assert path.read_text() == "old"
    assert files(tmp_path) == ["token"]
    assert not frames_that_hold(caught.value, "hunter2")
