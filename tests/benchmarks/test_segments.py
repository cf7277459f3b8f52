"""The benchmark of sentences and phrases: every side has the same reviews, and shares are of all stages."""

from __future__ import annotations

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.engine import load_engine
from batch_scorer.scoring.chunk import Scorer
from benchmarks.segments.__main__ import SIDES, Measured, measure, table
from tests.conftest import REVIEWS


def test_every_side_is_measured_and_columns_take_room(tiny: Artifact) -> None:
    found = measure([text for _, text in REVIEWS] * 3, Scorer(tiny, load_engine(tiny)), 3, 1)
    assert [*SIDES] == [*found.after] == [*found.size]
    alone, sentences, spans, both = found.size.values()
    assert alone < min(sentences, spans) and max(sentences, spans) < both


def test_share_is_of_all_stages_without_the_options() -> None:
    found = Measured(600.0, {"words alone": 100.0, "both": 135.0}, {"words alone": 300.0, "both": 500.0})
    assert (0.0, 0.05) == (found.added("words alone"), found.added("both"))
    assert "| both | 135 | 5.0% | 500 |" in table(found)
