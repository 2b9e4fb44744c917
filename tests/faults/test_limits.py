"""What a process may use has an end: memory, descriptors, sizes of files, threads. Each is one line and exit 4."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are kept to by Linux")

ENVIRONMENT = 4
VALUE = "0.25\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits")
    values = np.full(200_000, 0.5)
    np.save(folder / "p.npy", values)
    np.save(folder / "y.npy", np.zeros(len(values)))
    (folder / "t.csv").write_text("p,y\n0.5,0\n0.5,1\n")
    (folder / "t.jsonl").write_text('{"p": 0.5, "y": 0}\n{"p": 0.5, "y": 1}\n')
    store = pytest.importorskip("zarr").open_group(str(folder / "t.zarr"), mode="w")
    for name, value in (("p", 0.5), ("y", 1.0)):
        store.create_array(name, data=np.full(2, value))
    return folder


ARRAYS = ("eval", "p.npy", "y.npy", "-l", "mse", "-b", "--no-progress", "--backend", "python")
TABLE = ("eval", "t.csv", "--pred-col", "p", "--target-col", "y", "-l", "mse", "-b")
LINES = ("eval", "t.jsonl", "--pred-col", "p", "--target-col", "y", "-l", "mse", "-b")
STORE = ("eval", "t.zarr", "--pred-col", "p", "--target-col", "y", "-l", "mse", "-b")


def within(limit: str, folder: Path, *arguments: str, line: str = '"$@"') -> subprocess.CompletedProcess[str]:
    """A command line in a shell that has set a limit first."""
    words = ["sh", "-c", f"ulimit {limit} && {line}", "sh", *command(*arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=folder)


def is_one_line(done: subprocess.CompletedProcess[str]) -> bool:
    text = done.stderr.removesuffix("\n")
    return done.stdout == "" and text.startswith("lossctl: ") and text.isprintable()


@pytest.mark.parametrize("megabytes", [48, 80, 128, 200, 350, 511])
def test_too_little_memory_to_start_with(megabytes: int, folder: Path) -> None:
    done = within(f"-v {megabytes << 10}", folder, *ARRAYS)
    assert done.returncode == ENVIRONMENT
    assert is_one_line(done)
    assert "memory" in done.stderr


@pytest.mark.parametrize("arguments", [ARRAYS, TABLE, LINES], ids=["npy", "csv", "jsonl"])
@pytest.mark.parametrize("megabytes", [512, 600, 900])
def test_little_memory_is_enough_or_said(megabytes: int, arguments: tuple[str, ...], folder: Path) -> None:
    done = within(f"-v {megabytes << 10}", folder, *arguments)
    if done.returncode == 0:
        assert (done.stdout, done.stderr) == (VALUE, "")
    else:
        assert done.returncode == ENVIRONMENT
        assert is_one_line(done)


@pytest.mark.parametrize("arguments", [ARRAYS, TABLE, LINES, STORE], ids=["npy", "csv", "jsonl", "zarr"])
@pytest.mark.parametrize("descriptors", [5, 6, 7, 8, 12])
def test_few_descriptors_are_enough_or_said(descriptors: int, arguments: tuple[str, ...], folder: Path) -> None:
    done = within(f"-n {descriptors}", folder, *arguments)
    if done.returncode == 0:
        assert (done.stdout, done.stderr) == (VALUE, "")
    else:
        assert done.returncode == ENVIRONMENT
        assert is_one_line(done)
        assert "too many open files" in done.stderr.lower()


@pytest.mark.parametrize("extension", ["npy", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("option", ["--per-sample", "--grad"])
def test_a_file_that_grows_too_large(option: str, extension: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / f"out.{extension}"
    out.write_bytes(b"old")
    done = within("-f 100", folder, *ARRAYS, option, str(out))
    assert done.returncode == ENVIRONMENT
    assert is_one_line(done)
    assert "out." in done.stderr
    assert "too large" in done.stderr
    assert os.listdir(tmp_path) == [out.name]
    assert out.read_bytes() == b"old"


def test_a_stream_that_does_not_fit_where_it_is_copied_to(folder: Path) -> None:
    arguments = [each.replace("p.npy", "-") for each in ARRAYS]
    done = within("-f 100", folder, *arguments, "--pred-format", "npy", line='cat p.npy | "$@"')
    assert done.returncode == ENVIRONMENT
    assert is_one_line(done)
    assert "cannot copy - to " in done.stderr
    assert "TMPDIR" in done.stderr


def test_a_folder_for_temporary_files_that_is_not_there(folder: Path) -> None:
    arguments = [each.replace("p.npy", "-") for each in ARRAYS]
    line = 'cat p.npy | TMPDIR=/nonexistent "$@"'
    done = within("-c 0", folder, *arguments, "--pred-format", "npy", line=line)
    assert (done.returncode, done.stdout, done.stderr) == (0, VALUE, "")


CROWDED = """
import errno, os, tempfile
def file(**options):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
tempfile.TemporaryFile = file
from lossctl.__main__ import main
main()
"""


def test_no_descriptor_for_the_copy_of_a_stream(folder: Path) -> None:
    words = [sys.executable, "-c", CROWDED, *(each.replace("p.npy", "-") for each in ARRAYS), "--pred-format", "npy"]
    words = ["sh", "-c", 'cat p.npy | "$@"', "sh", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=folder)
    assert done.returncode == ENVIRONMENT
    assert is_one_line(done)
    assert "too many open files; raise the limit of open files" in done.stderr


THREADLESS = """
import sys, threading
def start(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
from lossctl.__main__ import main
main()
"""


def test_no_further_thread(folder: Path) -> None:
    lines = "p,y\n" + "0.5,0\n" * 400_000  # more than a block, so that threads share the work
    (folder / "long.csv").write_text(lines)
    words = [sys.executable, "-c", THREADLESS, *(each.replace("t.csv", "long.csv") for each in TABLE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=folder)
    assert done.returncode == ENVIRONMENT
    assert is_one_line(done)
    assert "thread" in done.stderr


SPENT = """
import errno, mmap, os
{library}
def no_room(*size, **options):
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
def spent(self, *rest):
    mmap.mmap = no_room
    raise {raised}
{library_class}.__getitem__ = spent
from lossctl.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        ("OSError(errno.EMFILE, os.strerror(errno.EMFILE))", "too many open files; raise the limits"),
        ('RuntimeError("can\'t start new thread")', "the machine starts no further thread"),
        ('OSError("Can\'t read data (memory allocation failed)")', "out of memory"),
    ],
)
@pytest.mark.parametrize("extension", ["h5", "zarr"])
def test_a_library_that_is_given_no_more_says_nothing_of_the_file(
    extension: str, raised: str, says: str, tmp_path: Path
) -> None:
    if extension == "h5":
        library, library_class = "import h5py", "h5py.Dataset"
        with pytest.importorskip("h5py").File(tmp_path / "t.h5", "w") as file:
            file["p"] = file["y"] = np.ones(3)
    else:
        library, library_class = "import zarr", "zarr.Array"
        store = pytest.importorskip("zarr").open_group(str(tmp_path / "t.zarr"), mode="w")
        for name in "py":
            store.create_array(name, shape=(3,), chunks=(3,), dtype="float64")[:] = np.ones(3)
    code = SPENT.format(library=library, library_class=library_class, raised=raised)
    words = [sys.executable, "-c", code, *(each.replace("t.csv", f"t.{extension}") for each in TABLE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == ENVIRONMENT
    assert is_one_line(done)
    assert says in done.stderr


FEW_THREADS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
struct task { void *(*work)(void *); void *argument; };
static int alive;
static void *run(void *given) {
    struct task task = *(struct task *)given;
    free(given);
    void *result = task.work(task.argument);
    __sync_sub_and_fetch(&alive, 1);
    return result;
}
int pthread_create(pthread_t *thread, const pthread_attr_t *options, void *(*work)(void *), void *argument) {
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    if (__sync_add_and_fetch(&alive, 1) > atoi(getenv("MOST_THREADS"))) {
        __sync_sub_and_fetch(&alive, 1);
        return EAGAIN;
    }
    struct task *task = malloc(sizeof *task);
    task->work = work;
    task->argument = argument;
    return create(thread, options, run, task);
}
"""


@pytest.fixture(scope="module")
def few_threads(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What to load first so that nobody, Python or a library, has more than $MOST_THREADS, as with `ulimit -u`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("few_threads")
    (folder / "threads.c").write_text(FEW_THREADS)
    library = str(folder / "threads.so")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, str(folder / "threads.c"), "-ldl"], check=True)
    return library


@pytest.mark.parametrize("name", ["text.csv", "lines.jsonl.gz", "t.zarr"])
def test_no_thread_for_a_library(name: str, few_threads: str, tmp_path: Path) -> None:
    if name == "text.csv":
        (tmp_path / name).write_text("g,p,y\na,0.5,0\nb,0.5,1\n")
    elif name == "lines.jsonl.gz":
        (tmp_path / name).write_bytes(gzip.compress(b'{"p": 0.5, "y": 0}\n'))
    else:
        store = pytest.importorskip("zarr").open_group(str(tmp_path / name), mode="w")
        for array in "py":
            store.create_array(array, shape=(3,), chunks=(3,), dtype="float64")[:] = np.ones(3)
    words = command(*(each.replace("t.csv", name) for each in TABLE))
    # With a compiled parser at hand, text is read without Arrow.
    environment = {**os.environ, "LD_PRELOAD": few_threads, "LOSSCTL_CACHE_DIR": str(tmp_path / "no_cache")}
    environment["MOST_THREADS"] = "0"
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path, env=environment)
    assert done.returncode == ENVIRONMENT
    assert is_one_line(done)
    assert "thread" in done.stderr


@pytest.mark.parametrize("columns", [1, 100])
@pytest.mark.parametrize("most", range(4))
def test_few_threads_are_enough_for_parquet(most: int, columns: int, few_threads: str, tmp_path: Path) -> None:
    """Where one of its threads does not start, Arrow lets go of what others are still at work on, and crashes."""
    pyarrow = pytest.importorskip("pyarrow")
    names = [f"{side}{column}" for side in "py" for column in range(columns)]
    table = pyarrow.table({name: np.full(1000, 0.5 * (name[0] == "p")) for name in names})
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "t.parquet")
    words = command("eval", "t.parquet", "--pred-col", "p*", "--target-col", "y*", "-l", "mse", "-b")
    environment = {**os.environ, "LD_PRELOAD": few_threads, "MOST_THREADS": str(most)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, VALUE, "")


@pytest.mark.parametrize("most", [0, 1])
def test_few_threads_are_enough_to_compile_ahead(most: int, few_threads: str, tmp_path: Path) -> None:
    environment = {**os.environ, "LD_PRELOAD": few_threads, "MOST_THREADS": str(most)}
    environment["LOSSCTL_CACHE_DIR"] = str(tmp_path)
    words = command("warmup", "--loss", "max_error", "-q")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir())


BROKEN = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pyarrow":
            raise {raised}
sys.meta_path.insert(0, Finder())
from lossctl.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        ("ImportError('libarrow.so: failed to map segment from shared object')", "failed to map segment"),
        ("OSError('cannot load libarrow')", "cannot load libarrow"),
        ("MemoryError()", "out of memory"),
    ],
)
def test_a_library_that_does_not_load(raised: str, says: str, folder: Path) -> None:
    words = [sys.executable, "-c", BROKEN.format(raised=raised), *TABLE]
    # Where the parser of plain numbers is compiled and kept, Arrow is not asked for.
    environment = {**os.environ, "LOSSCTL_CACHE_DIR": str(folder / "no_cache")}
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=folder, env=environment)
    assert done.returncode == ENVIRONMENT
    assert is_one_line(done)
    assert says in done.stderr


FULL = """
import errno, mmap, os
class Full(mmap.mmap):
    def __new__(cls, descriptor, size, **options):
        if descriptor == -1:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return super().__new__(cls, descriptor, size, **options)
from lossctl_kernels import objects
objects.mmap.mmap = Full
objects.find = lambda wanted: b"what LLVM is not to see"
from lossctl.__main__ import main
main()
"""


def test_no_room_for_compiled_code(folder: Path, tmp_path: Path) -> None:
    """Where LLVM finds none it ends the process, and leaves what is half written."""
    out = tmp_path / "out.npy"
    out.write_bytes(b"old")
    words = [sys.executable, "-c", FULL, *(each.replace("python", "cpu") for each in ARRAYS), "--per-sample", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=folder)
    assert done.returncode == ENVIRONMENT
    assert is_one_line(done)
    assert "out of memory" in done.stderr
    assert os.listdir(tmp_path) == [out.name]
    assert out.read_bytes() == b"old"
