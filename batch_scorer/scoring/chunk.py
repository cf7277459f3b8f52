"""One chunk from texts to explained scores: encode, score, explain. The job and the Python API both go through here."""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.protocol import Engine
from batch_scorer.runs.record_index import RecordIndex
from batch_scorer.schema import WORDS_ONLY, Segments
from batch_scorer.scoring.caveats import NO_CAVEATS, Caveats
from batch_scorer.scoring.encode import encode
from batch_scorer.scoring.explain import Explained, explain
from batch_scorer.scoring.read import Chunk
from batch_scorer.scoring.score import score
from batch_scorer.storage import Beat

_T = TypeVar("_T")


@dataclass(frozen=True)
class Scorer:
    """A model, ready to score; what to say of each review beside its score; and the records to pass over, if any."""

    artifact: Artifact
    engine: Engine
    caveats: Caveats = NO_CAVEATS
    earlier: RecordIndex | None = None


@dataclass
class Clock:
    """Seconds spent in each stage; each time a stage is left is a beat.

    A stage that another one draws on stops the other's time: a second belongs to one stage only.
    """

    beat: Beat | None = None
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _inner: float = 0.0  # seconds that stages took within the current one

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start, outer, self._inner = time.perf_counter(), self._inner, 0.0
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[stage] += spent - self._inner
            self._inner = outer + spent
            if self.beat:
                self.beat()

    def each(self, stage: str, items: Iterable[_T]) -> Iterator[_T]:
        """`items`, which are made as they are asked for; making them counts as `stage`."""
        items, end = iter(items), object()
        while True:
            with self(stage):
                item = next(items, end)
            if item is end:
                return
            yield item  # type: ignore[misc]


def score_chunk(
    chunk: Chunk, scorer: Scorer, top_k: int, clock: Clock | None = None, segments: Segments = WORDS_ONLY
) -> Iterator[Explained]:
    """Encodes, scores and explains one chunk: as a whole, or in pieces, in order, where it has many long reviews.

    Example:
        chunk = next(read_texts(["A lovely film.", "Dull."]))
        for explained in score_chunk(chunk, scorer, top_k=10):
            table = pa.table(explained.columns(scorer.artifact))

    Args:
        chunk: as `read.read` or `read.read_texts` gives it.
        top_k: words in each list at most.
        clock: measures how long each stage takes.
        segments: whether to list sentences and phrases too.

    Raises:
        EngineError: the engine fails on every review of a batch, or there is too little memory.
    """
    clock = clock or Clock()
    for encoded in clock.each("encode", encode(chunk, scorer.artifact.tokenizer)):
        scored = score(encoded, scorer.engine)
        with clock("explain"):
            scored = dataclasses.replace(scored, batches=clock.each("score", scored.batches))
            explained = explain(scored, top_k, segments)
        yield explained
