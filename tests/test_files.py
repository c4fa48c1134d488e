"""Nothing on disk is ever half written."""

import errno
import os
from pathlib import Path

import pytest

from generators import files
from generators.store import publish, read_sealed

RECORD = {"section": "one", "files": {}}


def full_disk(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    files.write(path, b"old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left") as raised:
        files.write(path, b"new")
    assert raised.value.filename == str(path), "the kernel names no file"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_not_published(tmp_path: Path) -> None:
    (tmp_path / ".writing-1-a.png").write_bytes(b"half of it")
    publish(tmp_path, RECORD, {"a.png": b"a"})
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "record.json"}


def test_a_record_is_whole_with_its_files(tmp_path: Path) -> None:
    publish(tmp_path, RECORD, {"a.png": b"a", "b.png": b"b"})
    found = read_sealed(tmp_path)
    assert found.record is not None
    assert not found.damage


@pytest.mark.parametrize("name", ["a.png", "record.json"])
@pytest.mark.parametrize("content", [b"", b"{", None], ids=["empty", "truncated", "missing"])
def test_damage_is_found_and_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    publish(tmp_path, RECORD, {"a.png": b"a", "b.png": b"b"})
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    found = read_sealed(tmp_path)
    if (name, content) == ("record.json", None):
        assert found.record is None
    else:
        assert name in found.damage


def test_an_edited_record_is_found_out(tmp_path: Path) -> None:
    publish(tmp_path, RECORD, {"a.png": b"a"})
    path = tmp_path / "record.json"
    path.write_text(path.read_text().replace("one", "two"))
    assert "not as it was written" in read_sealed(tmp_path).damage


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_killed_between_two_writes_a_folder_is_old_or_known_to_be_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    publish(tmp_path, RECORD, {"a.png": b"old a", "b.png": b"old b"})
    left = writes

    def killed(path: Path, content: bytes) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        files.write(path, content)

    monkeypatch.setattr("generators.store.write", killed)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, RECORD, {"a.png": b"new a", "b.png": b"new b"})
    found = read_sealed(tmp_path)
    assert bool(found.damage) == (writes > 0)


def test_files_that_are_no_longer_listed_go_last(tmp_path: Path) -> None:
    publish(tmp_path, RECORD, {"a.png": b"a", "b.png": b"b"})
    publish(tmp_path, RECORD, {"a.png": b"a"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "record.json"]
