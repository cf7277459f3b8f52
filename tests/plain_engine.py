"""The network in NumPy, for tests: a job of a small model then starts without the seconds that TensorFlow takes.

What TensorFlow's engine computes is tested in tests/models, and with real models elsewhere. Here any engine will do
that is real, gives the same bits in every process and depends on no neighbour. `tests.engines` has jobs use it,
`tests/chaos/inside` those in other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

import numpy as np
import numpy.typing as npt

from batch_scorer.config import FLOAT32
from batch_scorer.models.artifact import PROBE_TOLERANCE, Artifact
from batch_scorer.models.folded_engine import pool
from batch_scorer.models.network import fold_head
from batch_scorer.models.protocol import Engine, Scores
from batch_scorer.models.tokenizer import PAD, Ids

SMALL = 1_000  # ids in the vocabulary: no real model has so few


class PlainEngine:
    """Scores by the masked network, in float64. Shapes as in `batch_scorer.models.folded_engine`."""

    batch_size = 40

    def __init__(self, artifact: Artifact) -> None:
        self._tensors = {name: tensor.astype(np.float64) for name, tensor in artifact.tensors.items()}
        self._weight, self.bias = fold_head(artifact.tensors, artifact.architecture.batch_norm_epsilon)

    def run(self, batch: Sequence[Ids]) -> Scores:
        """Scores 1 to `batch_size` reviews; the batch is always filled up, so that neighbours change no bit."""
        t = self._tensors
        ids = np.full((max(map(len, batch)), self.batch_size), PAD, np.int32)  # [T, B]
        for column, review in enumerate(batch):
            ids[len(ids) - len(review) :, column] = review
        ahead, back = self._states(ids, "forward"), self._states(ids[::-1], "backward")  # [T, B, H]
        query = np.concatenate([ahead[-1], back[-1]], axis=-1)  # [B, 2H]
        states = np.concatenate([ahead, back[::-1]], axis=-1)  # [T, B, 2H]
        keys = states @ t["attention.w1.kernel"] + t["attention.w1.bias"]
        asked = query @ t["attention.w2.kernel"] + t["attention.w2.bias"]
        energy = np.tanh(keys + asked) @ t["attention.v.kernel"][:, 0]  # [T, B]
        count = len(batch)
        return pool(energy[:, :count], (states @ self._weight)[:, :count], ids[:, :count] != PAD, self.bias)

    def _states(self, ids: npt.NDArray[np.int32], way: str) -> npt.NDArray[np.float64]:
        """Ids [T, B] in the order in which a direction reads them -> its states [T, B, H]."""
        t = self._tensors
        table = t["embedding"] @ t[f"lstm.{way}.kernel"] + t[f"lstm.{way}.bias"]  # [V, 4H]
        recurrent = t[f"lstm.{way}.recurrent_kernel"]
        state = cell = np.zeros((ids.shape[1], len(recurrent)))
        states = []
        for row in ids:
            i, f, g, o = np.split(table[row] + state @ recurrent, 4, axis=1)
            new = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
            real = (row != PAD)[:, None]
            state = np.where(real, _sigmoid(o) * np.tanh(new), state)
            cell = np.where(real, new, cell)
            states.append(state)
        return np.stack(states)


def _sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def replace(engine: ModuleType) -> Callable[[Artifact, str], Engine]:
    """What to replace `_load` of `engine` by, the module `batch_scorer.models.engine`; large models keep their own."""
    load = engine._load

    def load_plain(artifact: Artifact, precision: str) -> Engine:
        architecture = artifact.architecture
        if architecture.vocabulary_size > SMALL or not architecture.foldable or precision != FLOAT32:
            loaded: Engine = load(artifact, precision)
            return loaded
        plain = PlainEngine(artifact)
        probe = artifact.tokenizer.ids(artifact.tokenizer.words(artifact.manifest["probe"]["text"]))
        engine.check_probe(artifact, float(plain.run([probe]).logit[0]), "the engine", PROBE_TOLERANCE)
        return plain

    return load_plain
