"""What is proposed in place of what cannot be compiled."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lossctl.errors import UsageError
from lossctl.own.losses import find_own

BODIES = {
    "return 1.0 if prediction > target else 2.0": "write where(prediction > target, 1.0, 2.0)",
    "if prediction > target:\n        return 1.0\n    return 2.0": "write return where(prediction > target, 1.0, 2.0)",
    "if prediction > target:\n        return 1.0\n    else:\n        return 2.0": "write return where(",
    "if prediction > target:\n        target = 1.0\n    return target": "write where(condition, if_true, if_false)",
    "while prediction > target:\n        target = target + 1.0\n    return target": "write where(condition",
    "assert target > 0.0\n    return target": "write where(condition",
    "return max(prediction, target)": "write maximum(prediction, target)",
    "return min(prediction, target, 1.0)": "write minimum(minimum(prediction, target), 1.0)",
    "return np.where(0.0 < prediction < 1.0, 1.0, 2.0)": "write (0.0 < prediction) & (prediction < 1.0), in a where()",
    "return np.where(prediction > 0.0 and target > 0.0, 1.0, 2.0)": "write (prediction > 0.0) & (target > 0.0)",
    "return np.where(prediction > 0.0 or target > 0.0, 1.0, 2.0)": "write (prediction > 0.0) | (target > 0.0)",
    "return np.where(not prediction, 1.0, 2.0)": "write the sides of a where() the other way round",
    "return sorted([prediction, target])[0]": "write where(condition",
    "return math.log(prediction)": "write log(prediction), from lossctl.definitions",
    "return math.fabs(prediction + 1.0)": "write absolute(prediction + 1.0)",
    "return math.pow(prediction, 2.0)": "write power(prediction, 2.0)",
    "return math.sin(prediction)": "math.sin() cannot be compiled in a loss; lossctl.definitions has absolute, exp",
    "return np.sin(prediction)": "np.sin() cannot be compiled",
    "return np.clip(prediction, 0.0, 1.0)": "write minimum(maximum(prediction, 0.0), 1.0)",
    "return np.fmax(prediction, target)": "write maximum(prediction, target)",
    "return np.mean(prediction)": "np.mean() cannot be compiled",
    "return np.sum([prediction, target])": "cannot be compiled",
    "return float(prediction)": "leave it out: every argument is a float",
    "return [1.0, 2.0][prediction]": "needs a number that is not known yet",
    "return prediction ** 2.5": "write power(x, y), for x >= 0",
    "return prediction ** target": "write power(x, y), for x >= 0",
    "return prediction % 2": "unsupported operand",
    "return prediction.clip(0, 1)": "has no attribute 'clip'",
    "return unknown(prediction)": "NameError: name 'unknown' is not defined",
    "return None": "f: it returns NoneType, and a loss is a number",
    "return helper(prediction)": "file.py, line 4: 'not x > 0.0' decides on a number",
}


@pytest.mark.parametrize("body", list(BODIES))
def test_what_to_write_instead(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    helper = "def helper(x):\n    return 1.0 if not (x > 0.0) else 2.0\n"
    Path("file.py").write_text(f"import math\nimport numpy as np\n{helper}def f(prediction, target):\n    {body}\n")
    with pytest.raises(UsageError) as caught:
        find_own("file.py:f")
    message = str(caught.value)
    assert BODIES[body] in message
    assert message.startswith("file.py")
    assert message.isprintable()


WORKS = {
    "return np.exp(prediction) - np.log1p(abs(target))": math.exp(2.0) - math.log1p(3.0),
    "return np.where(prediction > target, prediction ** 2, np.sqrt(target))": math.sqrt(3.0),
    "return (prediction > 1.0) * (prediction - target) ** 3 + np.square(target)": 8.0,
    "return np.maximum(prediction, target) - np.minimum(prediction, target)": 1.0,
    "total = 0.0\n    for power in range(3):\n        total += prediction ** power\n    return total": 7.0,
    "return abs(prediction - target) + math.log(2.0) * np.pi": 1.0 + math.log(2.0) * np.pi,
}


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize("body", list(WORKS))
def test_what_works_as_it_is(body: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lossctl

    monkeypatch.chdir(tmp_path)
    Path("file.py").write_text(f"import math\nimport numpy as np\ndef f(prediction, target):\n    {body}\n")
    found = lossctl.evaluate([2.0], [3.0], "file.py:f", backend=backend).value
    assert found == pytest.approx(WORKS[body], rel=1e-14)
