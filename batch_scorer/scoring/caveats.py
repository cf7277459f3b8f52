"""Caveats: what a row says, where it was asked for, of how far its score can be trusted; and how many rows say so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.certainty import Certainty, certainty_for
from batch_scorer.models.unusual import SEPARATOR, Usual, usual_for
from batch_scorer.runs.caveats import NEGATIVE, POSITIVE, UNDECIDED, UNUSUAL
from batch_scorer.scoring.encode import Encoded


@dataclass(frozen=True)
class Caveats:
    """What to say of each review beside its score.

    Args:
        certainty: when a review counts as decided; None: that is not asked.
        usual: which texts are like those of training; None: that is not asked.

    Example:
        >>> Caveats(Certainty(0.97, 0.75, 0.972, 0.8, 2_000)).names
        ('decided',)
    """

    certainty: Certainty | None = None
    usual: Usual | None = None

    @staticmethod
    def of(artifact: Artifact, target_accuracy: float | None, unusual: bool) -> Caveats:
        """Those that were asked for, by what the model knows of its training.

        Raises:
            OptionError: the model cannot say what was asked.
        """
        certainty = None if target_accuracy is None else certainty_for(artifact, target_accuracy)
        return Caveats(certainty, usual_for(artifact) if unusual else None)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of `schema.OPTIONAL_COLUMNS` that rows have for it."""
        asked = {"decided": self.certainty, "unusual": self.usual}
        return tuple(name for name, by in asked.items() if by is not None)

    def columns(self, encoded: Encoded, probability: npt.NDArray[np.float32]) -> dict[str, pa.Array]:
        """The columns of N reviews: name -> N values.

        Args:
            probability: float32[N], as in the rows.
        """
        columns: dict[str, Any] = {}
        if self.certainty is not None:
            columns["decided"] = pa.array(self.certainty.decides(probability))
        if self.usual is not None:
            of = encoded
            reasons = self.usual.reasons(of.n_tokens, of.n_ids, of.oov_ids, of.scripts)
            columns["unusual"] = pa.array(reasons, pa.string())
        return columns

    def count(self, rows: pa.Table) -> Counter[str]:
        """How many of some rows of `predictions` say what; what none says may be missing."""
        counts = Counter[str]()
        if self.certainty is not None:
            decided, positive = rows["decided"], pc.equal(rows["predicted_label"], "positive")
            counts[POSITIVE] = _true(pc.and_(decided, positive))
            counts[NEGATIVE] = _true(pc.and_not(decided, positive))
            counts[UNDECIDED] = len(rows) - _true(decided)
        if self.usual is not None:
            for reasons, count in Counter(rows["unusual"].to_pylist()).items():
                counts.update(dict.fromkeys((UNUSUAL, *reasons.split(SEPARATOR)), count) if reasons else {})
        return counts


NO_CAVEATS = Caveats()


def _true(values: Any) -> int:
    return int(pc.sum(values).as_py() or 0)
