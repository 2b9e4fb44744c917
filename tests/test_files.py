"""Output files: planned before the work, whole or not at all, never over an input."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from lossctl.errors import EnvironmentFault, UsageError
from lossctl.files import OutputFile, atomic_file, plan_outputs, write_text
from tests.size_limits import file_size_limit


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# --- plan_outputs ---


def test_good_outputs_are_no_error(tmp_path: Path) -> None:
    data = tmp_path / "data.npy"
    data.touch()
    plan_outputs([tmp_path / "a.json", tmp_path / "b.json"], [data, data, "-", tmp_path / "missing.npy"])
    assert names(tmp_path) == ["data.npy"]


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.json.*there is no folder '.*nowhere'"):
        plan_outputs([tmp_path / "nowhere" / "a.json"], [])


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="there is no folder"):
        plan_outputs([tmp_path / "file" / "a.json"], [])


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_folder_that_the_system_does_not_show(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be there."""
    shown = os.stat

    def hidden(path: str | int, **options: bool) -> os.stat_result:
        if str(path).startswith(str(tmp_path / "far")):
            raise OSError(number, os.strerror(number))
        return shown(path, **options)

    monkeypatch.setattr(os, "stat", hidden)
    says = {errno.EACCES: "permission denied", errno.EIO: "input/output error"}[number]
    with pytest.raises(EnvironmentFault, match=rf"^cannot write '.*a\.json': {says}"):
        plan_outputs([tmp_path / "far" / "off" / "a.json"], [])


@pytest.mark.parametrize("failing", range(1, 4))
def test_a_folder_that_the_system_does_not_show_once(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said to be missing that the system did not say is."""
    shown, asked = os.stat, 0

    def hidden(path: str | int, **options: bool) -> os.stat_result:
        nonlocal asked
        asked += 1
        if asked == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return shown(path, **options)

    monkeypatch.setattr(os, "stat", hidden)
    with suppress(EnvironmentFault):
        plan_outputs([tmp_path / "a.json"], [])
    assert asked >= failing


@pytest.mark.parametrize("name", ["folder", "folder/", "folder/.", "new.json/", ""])
def test_output_is_a_folder_or_nameless(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"is a folder|empty name"):
        plan_outputs([name], [])


@pytest.mark.parametrize("name", ["a\0b.json", "n" * 256 + ".json", "loop/a.json", "loop"])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError):
        plan_outputs([f"{tmp_path}/{name}"], [])


def test_devices_may_be_named_twice() -> None:
    plan_outputs(["/dev/null", "/dev/null", "/dev/stdout"], ["/dev/null"])


@pytest.mark.parametrize("refused", ["folder", "file"])
def test_not_writable(refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may write anywhere, so the answer of the system is put in its mouth.
    target = tmp_path / "a.json"
    target.touch()
    asked = {"folder": str(tmp_path), "file": str(target)}[refused]
    monkeypatch.setattr(os, "access", lambda path, mode: os.fspath(path) != asked)
    with pytest.raises(EnvironmentFault, match="is not writable"):
        plan_outputs([target], [])


def test_messages_are_one_line_of_visible_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan_outputs([tmp_path / "no\n\x1b[31m" / "a.json"], [])
    assert caught.value.message.isprintable()


# --- atomic_file ---


def test_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("before")
    with atomic_file(target) as handle:
        handle.write(b"after")
        handle.flush()
        assert target.read_text() == "before"
        (temporary,) = [name for name in names(tmp_path) if name != "a.json"]
        assert temporary.startswith(".lossctl-")
        assert len(temporary) < 40
    assert target.read_text() == "after"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_nothing_is_left_when_the_block_raises(error: type[BaseException], exists: bool, tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    if exists:
        target.write_text("before")

    def fail() -> None:
        with atomic_file(target) as handle:
            handle.write(b"after")
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == (["a.json"] if exists else [])
    assert not exists or target.read_text() == "before"


@pytest.mark.parametrize(
    ("umask", "mode"),
    [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)],
)
def test_mode_is_by_umask_and_of_the_file_that_was_there(umask: int, mode: int, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.touch()
    kept.chmod(0o640)
    before = os.umask(umask)
    try:
        write_text(tmp_path / "new.json", "x")
        write_text(kept, "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == mode
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


def test_the_longest_name_that_exists(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 250 + ".json")
    write_text(target, "x")
    assert target.read_text() == "x"


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "é\n\udcff\r\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode() + b"\xff\r\n"


def test_missing_folder_at_the_time_of_writing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        write_text(tmp_path / "nowhere" / "a.json", "x")


def test_full_device() -> None:
    with pytest.raises(EnvironmentFault, match="cannot write '/dev/full': disk full; free some space") as caught:
        write_text("/dev/full", "x")
    assert caught.value.exit_code == 4
    with pytest.raises(EnvironmentFault, match="disk full"), atomic_file("/dev/full") as handle:
        handle.write(b"x" * (3 << 20))


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("before")
    with file_size_limit(100_000), pytest.raises(EnvironmentFault, match=r"a\.json': file too large"):
        write_text(target, "x" * 200_000)
    assert target.read_text() == "before"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "disk full"),
        (errno.EDQUOT, "disk quota exceeded"),
        (errno.EIO, "input/output error"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only file system"),
    ],
)
def test_every_step_may_fail(
    call: str, number: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(EnvironmentFault, match=rf"cannot write '.*a\.json': {reason}"):
        write_text(tmp_path / "a.json", "x")
    assert names(tmp_path) == []


def test_a_file_that_cannot_be_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(EnvironmentFault, match="permission denied"):
        write_text(tmp_path / "a.json", "x")


def test_too_few_descriptors_for_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(EnvironmentFault, match=r"a\.json': too many open files; raise the limit .* \(ulimit -n\)$"):
        write_text(tmp_path / "a.json", "x")


def test_a_folder_that_cannot_be_synchronised_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronise = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        synchronise(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_text(tmp_path / "a.json", "x")
    assert names(tmp_path) == ["a.json"]


def test_an_output_that_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    output = OutputFile(tmp_path / "a.json")
    output.handle.write(b"x")
    output.handle.close()
    assert len(names(tmp_path)) == 1
    del output
    assert names(tmp_path) == []


def test_abort_after_commit_is_harmless(tmp_path: Path) -> None:
    output = OutputFile(tmp_path / "a.json")
    output.commit()
    output.abort()
    assert names(tmp_path) == ["a.json"]


def test_a_signal_that_becomes_an_exception_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import signal, sys\n"
        "from lossctl.files import OutputFile\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "output = OutputFile(sys.argv[1])\n"
        "print('open', flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.npy")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        assert len(names(tmp_path)) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 143
    assert names(tmp_path) == []


# --- devices, pipes, our own streams ---


def test_a_device_is_never_renamed_over() -> None:
    write_text("/dev/null", "x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_named_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join(10)
    assert got == ["through"]
    assert names(tmp_path) == ["pipe.json"]


def test_a_named_pipe_whose_reader_leaves(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    output = OutputFile(pipe)
    os.close(reader)
    output.handle.write(b"x")
    with pytest.raises(EnvironmentFault, match="its reader has gone"):
        output.commit()


WRITE_TO_STDOUT = (
    "import sys; from lossctl.files import write_text; print('first', flush=True); write_text(sys.argv[1], 'x')"
)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_our_own_stdout(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_TO_STDOUT, name]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"first\nx"
    redirected = tmp_path / "out.txt"
    with redirected.open("wb") as stdout:
        subprocess.run(command, stdout=stdout, check=True)
        inode = os.fstat(stdout.fileno()).st_ino
    assert redirected.read_bytes() == b"first\nx"
    assert redirected.stat().st_ino == inode


def test_a_closed_stdout_is_left_to_the_outermost_frame() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        with pytest.raises(BrokenPipeError):
            write_text(f"/dev/fd/{write}", "x")
    finally:
        os.close(write)


def test_a_descriptor_that_is_not_open() -> None:
    with pytest.raises(EnvironmentFault, match="bad file descriptor"):
        write_text("/dev/fd/987", "x")
