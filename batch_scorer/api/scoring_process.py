"""Chunks of texts -> their rows, computed in a child process by the stages of the job, with the job's settings.

`ScoringProcess` is the caller's end, `main` the child's.
"""

from __future__ import annotations

import threading
import traceback
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.api.process import Child, caller
from batch_scorer.config import FLOAT32
from batch_scorer.errors import EngineError, ScorerError
from batch_scorer.models.artifact import Artifact
from batch_scorer.schema import WORDS_ONLY, Rejection, Segments
from batch_scorer.scoring.caveats import NO_CAVEATS, Caveats
from batch_scorer.scoring.read import Chunk


@dataclass(frozen=True)
class ScoredChunk:
    """What became of a chunk of texts.

    Args:
        rows: the columns of `predictions` that follow from text and model, of the N reviews that were scored.
        offsets: int64[N], the place of each among the texts, ascending.
        rejected: one for each other text; its offset is its place.
        seconds: what each stage took.
    """

    rows: pa.Table
    offsets: npt.NDArray[np.int64]
    rejected: list[Rejection]
    seconds: Mapping[str, float]


class ScoringProcess:
    """A child process that has loaded a model; it starts with the first chunk. Threads may share it.

    Args:
        artifact: the model.
        precision: of the network's products, one of `config.PRECISIONS`.
    """

    def __init__(self, artifact: Artifact, precision: str = FLOAT32) -> None:
        self.artifact, self._precision = artifact, precision
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._stop: weakref.finalize[..., ScoringProcess] | None = None

    def columns_with(self, segments: Segments, caveats: Caveats) -> tuple[str, ...]:
        """Those of `schema.OPTIONAL_COLUMNS` that rows have: the model's, and those that were asked for."""
        return (*self.artifact.optional_columns, *segments.columns, *caveats.names)

    def score(
        self, chunk: Chunk, top_k: int, segments: Segments = WORDS_ONLY, caveats: Caveats = NO_CAVEATS
    ) -> ScoredChunk:
        """Scores a chunk.

        Args:
            top_k, segments: what to list, as in `scoring.chunk.score_chunk`.
            caveats: what to say of each review beside its score.

        Raises:
            EngineError: the model fails on every review, there is too little memory, or the process ended.
        """
        with self._lock:
            if self._child is None or not self._child.is_ours:
                self._child = Child(__name__)
                self._stop = weakref.finalize(self, self._child.stop, 0)
                try:
                    self._ask(self._child, (self.artifact, self._precision))
                except ScorerError:
                    self._close()
                    raise
            scored: ScoredChunk = self._ask(self._child, (chunk, top_k, segments, caveats))
            return scored

    def close(self) -> None:
        """Ends the process; the next chunk starts another one."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._stop:
            self._stop()
        self._child = None

    def _ask(self, child: Child, question: object) -> Any:
        try:
            child.send(question)
            answer = child.receive()
        except BaseException as error:  # the child is gone, or its answer would come when nobody waits for it
            got = child.how_it_ended() if isinstance(error, (EOFError, OSError)) else None
            self._close()
            if got is None:
                raise
            fix = "if memory ran out, free some; the next call starts another process"
            raise EngineError("the process that scores has ended", got=got, fix=fix) from error
        if isinstance(answer, ScorerError):
            raise answer
        return answer


def main() -> None:
    """Answers one question after the other: the first is a model to load, the others are chunks."""
    connection = caller()
    try:
        from batch_scorer.silence import quieten

        quieten()
        from batch_scorer.models.engine import load_engine
        from batch_scorer.scoring.chunk import Clock, Scorer, score_chunk

        artifact, precision = connection.recv()
        scorer = Scorer(artifact, load_engine(artifact, precision))
        connection.send(None)
        while True:
            chunk, top_k, segments, caveats = connection.recv()
            clock = Clock()
            try:
                pieces = list(score_chunk(chunk, scorer, top_k, clock, segments))
            except ScorerError as error:
                connection.send(error)
                continue
            rows = pa.concat_tables([pa.table(piece.columns(artifact, caveats)) for piece in pieces])
            offsets = np.concatenate([piece.encoded.reviews["offset"].to_numpy() for piece in pieces])
            rejected = [rejection for piece in pieces for rejection in piece.rejected]
            connection.send(ScoredChunk(rows, offsets, rejected, clock.seconds))
    except EOFError:  # the caller is done with it
        return
    except ScorerError as error:
        connection.send(error)
    except Exception as error:
        got = "".join(traceback.format_exception_only(error)).strip()
        connection.send(EngineError("the model cannot be run", got=got, fix="see whether TensorFlow can be imported"))
