"""The parts of TensorFlow that the engine uses: enough for it, the same bits, and nobody else misses anything."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from batch_scorer.models import lean_tensorflow

CODE = """
import json, sys
from batch_scorer.models.artifact import SHIPPED, load
from batch_scorer.models.engine import load_engine

model = load(SHIPPED)
probe = model.tokenizer.ids(model.tokenizer.words(model.manifest["probe"]["text"]))
lean = float(load_engine(model).run([probe]).logit[0])
few = sorted(name for name in sys.modules if name.startswith(("tensorflow.lite", "tensorflow._api", "keras", "pandas")))
FIRST
import tensorflow as tf
from tensorflow import keras
layer = keras.layers.Dense(1, kernel_initializer="ones")
print(json.dumps([lean, few, float(layer(tf.ones([1, 3]))[0, 0]), float(load_engine(model).run([probe]).logit[0])]))
"""


# What is asked of TensorFlow first, when the engine has its parts.
FIRST = {
    "below it": "from tensorflow.keras.layers import Dense",
    "from threads": """
import concurrent.futures, operator
import tensorflow as early
early.mark = 1
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert all(pool.map(operator.attrgetter("strings", "data", "keras", "Variable"), [early] * 4))
import tensorflow
assert tensorflow is early and early.mark == 1 and early.__internal__ and early.__version__
""",
}


@pytest.mark.skipif(not lean_tensorflow._is_tried(), reason="not a version of TensorFlow that was tried")
@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_engine_of_parts_gives_the_same_bits_and_tensorflow_is_complete_afterwards(first: str) -> None:
    code = CODE.replace("FIRST", first)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    lean, few, three, complete = json.loads(ran.stdout.splitlines()[-1])
    assert (lean, few, three) == (complete, [], 3.0)


def test_version_that_was_not_tried_is_imported_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean_tensorflow, "TRIED", ("2.0",))
    assert lean_tensorflow._parts.__wrapped__() is None
