"""The folder of compiled code: files that are whole, found by what they are made of, in folders that are trusted."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lossctl_kernels import cache
from tests.cache_folders import use_cache_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
not_root = pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() == 0, reason="root may write anywhere")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The place of a cache folder that does not exist yet."""
    use_cache_folder(monkeypatch, tmp_path / "cache", "of some sources")  # whoever edits them meanwhile
    monkeypatch.setattr(cache, "_are_as_loaded", lambda sources: True)
    return tmp_path / "cache"


def forget_folders() -> None:
    """As at the start of a process."""
    cache.cache_folder.cache_clear()


PAYLOAD = bytes(range(256)) * 4


def compiled(key: str = "one") -> str:
    """Whether the payload was found, or is kept now; and what is there is the payload."""
    found = cache.kept(".object", key)
    assert found in (None, PAYLOAD)
    if found is None:
        cache.keep(".object", key, PAYLOAD)
    return "miss" if found is None else "hit"


MISSED, HIT = "miss", "hit"


def damage_by(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


DAMAGE = {
    "empty": damage_by(lambda content: b""),
    "a digest alone": damage_by(lambda content: content[:32]),
    "cut short": damage_by(lambda content: content[: len(content) // 2]),
    "one byte less": damage_by(lambda content: content[:-1]),
    "a flipped bit": damage_by(lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:]),
    "noise": damage_by(lambda content: b"\x80\x04noise." * 100),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_compiled_again(folder: Path, damage: str) -> None:
    assert compiled() == MISSED
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    DAMAGE[damage](file)
    assert file.read_bytes() != whole
    assert not cache.is_kept(".object", "one")
    assert compiled() == MISSED
    assert list(folder.iterdir()) == [file]
    assert compiled() == HIT


def test_whole_code_under_the_name_of_other_code_is_not_run(folder: Path) -> None:
    compiled("one")
    (one,) = folder.iterdir()
    compiled("other")
    (other,) = set(folder.iterdir()) - {one}
    shutil.copyfile(one, other)
    assert not cache.is_kept(".object", "other")
    assert compiled("other") == MISSED
    assert compiled("one") == HIT


@pytest.mark.parametrize("step", ["fchmod", "replace"])
def test_a_signal_leaves_no_half_written_file(step: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            compiled()
    assert list(folder.iterdir()) == []
    assert compiled() == MISSED
    assert compiled() == HIT


def test_a_folder_in_place_of_a_file_is_no_error(folder: Path) -> None:
    compiled()
    (file,) = folder.iterdir()
    file.unlink()
    file.mkdir()
    assert compiled() == MISSED
    assert not cache.is_kept(".object", "one")
    assert list(folder.iterdir()) == [file]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(folder: Path) -> None:
    compiled()
    (file,) = folder.iterdir()
    file.unlink()
    os.mkfifo(file)
    assert compiled() == MISSED
    assert compiled() == HIT


def test_a_file_without_end_is_not_read(folder: Path) -> None:
    compiled()
    (file,) = folder.iterdir()
    with file.open("r+b") as handle:
        handle.truncate(1 << 40)
    assert compiled() == MISSED
    assert compiled() == HIT


def test_what_killed_processes_have_left_is_removed_in_the_end(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for name, age in ((".write-old", 7200), (".probe-old", 7200), (".write-new", 60), ("other-old", 7200)):
        (folder / name).write_bytes(b"half")
        then = time.time() - age
        os.utime(folder / name, (then, then))
    assert compiled() == MISSED
    assert {path.name for path in folder.iterdir() if path.suffix == ""} == {".write-new", "other-old"}


def test_kernels_are_found_by_key_and_sources(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not cache.is_kept(".object", "one")
    assert compiled("one") == MISSED
    assert compiled("other") == MISSED
    assert compiled("one") == HIT
    assert cache.is_kept(".object", "one")
    assert cache.kept(".kernel", "one") is None
    monkeypatch.setattr(cache, "source_digest", lambda: "of other sources, or another Numba")
    assert compiled("one") == MISSED
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720, 0o702])
def test_a_folder_that_others_may_write_is_not_used(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    assert cache.cache_folder() is None
    assert compiled() == compiled() == MISSED
    assert not list(folder.iterdir())


@pytest.mark.parametrize(("mode", "of_files"), [(0o755, 0o644), (0o750, 0o640), (0o700, 0o600)])
def test_whoever_may_read_the_folder_may_read_its_files(folder: Path, mode: int, of_files: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    assert cache.cache_folder() == str(folder)
    assert compiled() == MISSED
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == of_files


def test_the_folder_of_another_user_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: os.stat(folder.parent).st_uid + 1)
    assert cache.cache_folder() is None


def test_a_folder_that_cannot_be_added_to_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image whose files are read-only."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    assert compiled() == MISSED
    forget_folders()
    monkeypatch.setattr(cache, "_created", refuse)
    assert cache.cache_folder() is None
    assert cache.is_kept(".object", "one")
    assert compiled() == HIT
    assert compiled("other") == compiled("other") == MISSED


@pytest.mark.parametrize(
    ("owner", "mode", "expected"), [(0, 0o755, HIT), (0, 0o775, MISSED), (0, 0o757, MISSED), (1, 0o755, MISSED)]
)
def test_what_root_has_filled_is_read_and_what_others_have_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int, expected: str
) -> None:
    assert compiled() == MISSED
    folder.chmod(mode)
    forget_folders()
    lstat = os.lstat

    def of_another(path: Path) -> os.stat_result:
        facts = list(lstat(path))
        facts[4] = owner
        return os.stat_result(facts)

    monkeypatch.setattr(os, "lstat", of_another)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert cache.cache_folder() is None
    assert compiled() == expected


def test_a_link_to_a_folder_is_not_used(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert compiled() == MISSED
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_file_in_place_of_the_folder_is_no_error(folder: Path) -> None:
    folder.write_text("not a folder")
    assert compiled() == MISSED
    assert folder.read_text() == "not a folder"


@not_root
def test_a_folder_that_cannot_be_written_is_no_error(folder: Path) -> None:
    folder.mkdir(mode=0o500)
    assert compiled() == MISSED


def test_a_folder_that_goes_away_is_no_error(folder: Path) -> None:
    assert compiled() == MISSED
    shutil.rmtree(folder)
    assert compiled() == MISSED


@pytest.mark.parametrize("relative", ["relative", ""])
@pytest.mark.usefixtures("folder")
def test_a_relative_cache_home_is_ignored(relative: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LOSSCTL_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert cache.cache_folder() == str(tmp_path / ".cache" / "lossctl")


def test_a_full_disk_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        cache.write_whole(folder.parent / "file.kernel", b"content")
    assert compiled() == MISSED
    assert list(folder.parent.iterdir()) == [folder]
    assert not list(folder.iterdir())
