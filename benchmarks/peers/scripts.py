"""The short programs that one would write instead: each reads files, prints one loss, and is run as a process."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

ARRAYS: Mapping[str, str] = {
    "NumPy": """
import sys
import numpy as np
p, y = (np.load(path) for path in sys.argv[1:3])
print(float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()))
""",
    "PyTorch": """
import sys
import numpy, torch
p, y = (torch.from_numpy(numpy.load(path)) for path in sys.argv[1:3])
print(float(torch.nn.functional.binary_cross_entropy(p, y)))
""",
    "JAX": """
import sys
import jax, jax.numpy as np
p, y = (np.load(path) for path in sys.argv[1:3])
print(float(jax.jit(lambda p, y: -(y * np.log(p) + (1 - y) * np.log1p(-p)).mean())(p, y)))
""",
    "scikit-learn": """
import sys
import numpy, sklearn.metrics
p, y = (numpy.load(path) for path in sys.argv[1:3])
print(float(sklearn.metrics.log_loss(y, p)))
""",
}
"""Binary cross-entropy of two NPY files, by who computes it."""

READ = """
import sys
from threading import Thread

def read(path):
    buffer = bytearray(1 << 18)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass

threads = [Thread(target=read, args=(path,)) for path in sys.argv[1:3]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
"""Two files, each read by a thread of its own, and nothing done with them."""

_NUMPY = {"mse": "np.square(p - y).mean()", "bce": "-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()"}
_POLARS = {"mse": "((p - y) ** 2).mean()", "bce": "-(y * p.log() + (1 - y) * (1 - p).log()).mean()"}
_SQL = {
    "mse": "avg((pred - label) * (pred - label))",
    "bce": "-avg(label * ln(pred) + (1 - label) * ln(1 - pred))",
}


def _numpy(loss: str, load: str) -> str:
    return f"import sys\nimport numpy as np\n{load}\nprint(float({_NUMPY[loss]}))\n"


def _pandas(loss: str, read: str) -> str:
    return _numpy(loss, f"import pandas\nt = pandas.{read}\np, y = t.pred.to_numpy(), t.label.to_numpy()")


def _arrow(loss: str, read: str) -> str:
    columns = "p, y = (t[name].to_numpy() for name in ('pred', 'label'))"
    return _numpy(loss, f"from pyarrow import csv, parquet\nt = {read}\n{columns}")


def _polars(loss: str, scan: str) -> str:
    return (
        f"import sys\nimport polars as pl\np, y = pl.col('pred'), pl.col('label')\n"
        f"print(pl.{scan}(sys.argv[1]).select({_POLARS[loss]}).collect(engine='streaming').item())\n"
    )


def _duckdb(loss: str, read: str) -> str:
    query = f"select {_SQL[loss]} from {read}(?)"
    return f"import sys\nimport duckdb\nprint(duckdb.execute({query!r}, [sys.argv[1]]).fetchone()[0])\n"


TABLES: Mapping[tuple[str, str], Mapping[str, str]] = {
    **{
        ("NPY", loss): {"NumPy": _numpy(loss, "p, y = (np.load(path) for path in sys.argv[1:3])")}
        for loss in ("mse", "bce")
    },
    **{
        ("CSV", loss): {
            "polars": _polars(loss, "scan_csv"),
            "duckdb": _duckdb(loss, "read_csv"),
            "pandas": _pandas(loss, "read_csv(sys.argv[1], usecols=['pred', 'label'])"),
            "pyarrow": _arrow(
                loss, "csv.read_csv(sys.argv[1], convert_options=csv.ConvertOptions(include_columns=['pred', 'label']))"
            ),
        }
        for loss in ("mse", "bce")
    },
    **{
        ("Parquet", loss): {
            "polars": _polars(loss, "scan_parquet"),
            "duckdb": _duckdb(loss, "read_parquet"),
            "pandas": _pandas(loss, "read_parquet(sys.argv[1], columns=['pred', 'label'])"),
            "pyarrow": _arrow(loss, "parquet.read_table(sys.argv[1], columns=['pred', 'label'])"),
        }
        for loss in ("mse", "bce")
    },
}
"""One loss of the columns pred and label of a table, by format and loss, then by who computes it."""

KEYED: Mapping[str, str] = {
    "polars": f"""
import sys
import polars as pl
p, y = pl.col('pred'), pl.col('label')
a, b = (pl.scan_parquet(path) for path in sys.argv[1:3])
print(a.join(b, on='id').select({_POLARS["bce"]}).collect(engine='streaming').item())
""",
}
"""Binary cross-entropy of pred and label of two Parquet files whose rows are matched by id, by who computes it."""

_MODULES = {"NumPy": "numpy", "PyTorch": "torch", "JAX": "jax", "scikit-learn": "sklearn"}


def available(scripts: Mapping[str, str]) -> dict[str, str]:
    """Those whose libraries are installed."""
    return {name: code for name, code in scripts.items() if find_spec(_MODULES.get(name, name))}
