"""The parts that an epoch of fine-tuning is drawn from, and its batches: each batch is of one part.

Shapes: N texts of a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.data import Ids, bucketed_batches

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """N texts of one kind.

    Args:
        ids: int32[n] of each text.
        targets: float32[N], the probability of positive to learn: 0 or 1 for a label, between them for a soft one.
        weights: float32[N], each text's weight in the loss.
        batch_size: texts per step.
        adversarial: whether a second pass learns from the worst small change of the embeddings.
    """

    name: str
    ids: Sequence[Ids]
    targets: Float32
    weights: Float32
    batch_size: int
    adversarial: bool

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return -(-len(self) // self.batch_size)

    def sample(self, count: int, rng: np.random.Generator) -> Part:
        """`count` of the texts, drawn without replacement, or all if there are no more."""
        if count >= len(self):
            return self
        return self._of(np.sort(rng.permutation(len(self))[:count]), self.adversarial)

    def divided(self, share: float, rng: np.random.Generator) -> tuple[Part, Part]:
        """Two parts: a share of the texts, drawn at random, to learn adversarially, and the rest."""
        order, count = rng.permutation(len(self)), round(share * len(self))
        return self._of(np.sort(order[:count]), True), self._of(np.sort(order[count:]), False)

    def _of(self, rows: npt.NDArray[np.int64], adversarial: bool) -> Part:
        ids = [self.ids[i] for i in rows]
        return Part(self.name, ids, self.targets[rows], self.weights[rows], self.batch_size, adversarial)


Parts = Callable[[int], Sequence[Part]]  # the parts of an epoch, by its number from 1; as many steps in each epoch


def batches(parts: Sequence[Part], rng: np.random.Generator) -> Iterator[tuple[Part, npt.NDArray[np.int64]]]:
    """Yields each batch of an epoch as its part and the indices of its texts there.

    Texts of similar length share a batch (`train.data.bucketed_batches`); the batches of all parts are shuffled
    together.
    """
    listed = []
    for part in parts:
        lengths = np.array([len(ids) for ids in part.ids])
        listed += [(part, batch) for batch in bucketed_batches(lengths, part.batch_size, rng)]
    order = rng.permutation(len(listed)) if len(parts) > 1 else np.arange(len(listed))
    yield from (listed[i] for i in order)
