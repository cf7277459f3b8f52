"""The step of `ScoreTexts`: it holds elements back until a chunk is full or their bundle ends, and scores them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from batch_scorer.api import rows
from batch_scorer.api.model import caveats_for
from batch_scorer.api.scoring_process import ScoredChunk, ScoringProcess
from batch_scorer.api.texts import is_missing
from batch_scorer.errors import JobError, OptionError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import SHIPPED
from batch_scorer.schema import WORDS_ONLY, Segments
from batch_scorer.scoring.caveats import Caveats
from batch_scorer.scoring.read import read_texts

SCORED, REJECTED = "scored", "rejected"  # tags of its outputs
WAITING_ELEMENTS, WAITING_CHARACTERS = 4_096, 8 << 20
_STAGES = ("encode", "score", "explain")


class ScoreStep(beam.DoFn):  # type: ignore[misc]
    """Scores elements, in batches of similar length.

    Args:
        model: directory of the model; None is the shipped one.
        model_id: what the model must be.
        text: the field of the text; None where elements are pairs or strings.
        target_accuracy, unusual: as of `ScoreTexts`.
    """

    def __init__(
        self, model: str | None, model_id: str, top_k: int, text: str | None, precision: str, max_text_bytes: int,
        segments: Segments = WORDS_ONLY, target_accuracy: float | None = None, unusual: bool = False,
    ) -> None:  # fmt: skip
        self._model, self._model_id, self._top_k, self._text = model, model_id, top_k, text
        self._segments = segments
        self._precision, self._max_text_bytes = precision, max_text_bytes
        self._asked = target_accuracy, unusual
        self._shared = Shared()
        self._counters = {name: Metrics.counter("reviews", name) for name in ("read", "scored", "rejected")}
        self._timings = {stage: Metrics.distribution("chunk_ms", stage) for stage in _STAGES}

    def settings(self) -> dict[str, Any]:
        """For display."""
        listed = {"top_k": self._top_k, "sentences": self._segments.sentences, "spans": self._segments.spans}
        return {"model": self._model or "shipped", "model_id": self._model_id, **listed}

    def setup(self) -> None:
        self._process: ScoringProcess = self._shared.acquire(self._load)
        _ = self._caveats  # an option that the model does not go with is refused before any text is scored

    @cached_property
    def _caveats(self) -> Caveats:
        return caveats_for(self._process.artifact, *self._asked)

    def _load(self) -> ScoringProcess:
        place = self._model or SHIPPED
        loaded = artifact.load(place)
        if loaded.model_id != self._model_id:
            raise JobError(
                "the worker has another model than the pipeline was built with",
                where=place,
                expected=f"model {self._model_id}",
                got=f"model {loaded.model_id}",
                fix="give ScoreTexts a model that every worker can read, and do not change it during the run; "
                "check `model_id` if you gave it",
            )
        return ScoringProcess(loaded, self._precision)

    def start_bundle(self) -> None:
        self._waiting: list[WindowedValue] = []
        self._texts: list[Any] = []
        self._characters = 0

    def process(
        self,
        element: Any,
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterable[Any]:
        last = self._waiting[-1] if self._waiting else None
        # Beam passes an element on once for each of its windows, one call after the other; it is scored once.
        if last and last.value is element and last.timestamp == timestamp and window not in last.windows:
            last.windows = (*last.windows, window)
            return ()
        is_full = len(self._waiting) >= WAITING_ELEMENTS or self._characters >= WAITING_CHARACTERS
        ready = self._take() if is_full else ([], [])
        text = self._text_of(element)
        self._waiting.append(WindowedValue(element, timestamp, (window,), pane))
        self._texts.append(text)
        self._characters += len(text) if isinstance(text, str) else 0
        return self._results(*ready)

    def finish_bundle(self) -> Iterator[Any]:
        yield from self._results(*self._take())

    def _take(self) -> tuple[list[WindowedValue], list[Any]]:
        """What waits; from now on, nothing does."""
        taken = self._waiting, self._texts
        self.start_bundle()
        return taken

    def _text_of(self, element: Any) -> Any:
        """The text of an element, None where there is none."""
        if self._text is not None:
            fields = self._fields(element)
            if self._text not in fields and not isinstance(element, Mapping):  # then no element has it
                raise OptionError(
                    "the elements have no field of this name",
                    where=f"ScoreTexts(text={self._text!r})",
                    got=f"the fields {', '.join(fields)}",
                    fix="name one of these",
                )
            text = fields.get(self._text)
        elif isinstance(element, str):
            text = element
        elif isinstance(element, (tuple, list)) and len(element) == 2:
            text = element[1]
        else:
            raise OptionError(
                "an element is neither a pair nor a string",
                where="ScoreTexts",
                expected="pairs (key, text), or strings",
                got=f"a {type(element).__name__}",
                fix='make pairs of them, or name the field of the text: ScoreTexts(text="...")',
            )
        return None if is_missing(text) else text

    def _fields(self, element: Any) -> Mapping[str, Any]:
        fields = element._asdict() if hasattr(element, "_asdict") else element
        if not isinstance(fields, Mapping):
            raise OptionError(
                "an element has no fields",
                where=f"ScoreTexts(text={self._text!r})",
                expected="dicts, named tuples or rows",
                got=f"a {type(element).__name__}",
                fix="make dicts of them; for pairs (key, text) and for strings, leave `text` out",
            )
        ours = rows.names(self._process.columns_with(self._segments, self._caveats))
        if taken := sorted(ours.intersection(fields)):
            raise OptionError(
                "an element has a field with the name of an output column",
                where=f"ScoreTexts(text={self._text!r})",
                got=", ".join(taken),
                fix="rename it in an earlier step",
            )
        return fields

    def _results(self, waiting: list[WindowedValue], texts: list[Any]) -> Iterator[Any]:
        for chunk in read_texts(texts, self._max_text_bytes):
            scored = self._process.score(chunk, self._top_k, self._segments, self._caveats)
            for place, row in zip(scored.offsets.tolist(), rows.dicts(scored), strict=True):
                yield waiting[place].with_value(self._with_row(waiting[place].value, row))
            for rejection in scored.rejected:
                element = waiting[rejection.offset or 0]
                is_absent = isinstance(element.value, Mapping) and self._text not in element.value
                message = f"the field {self._text!r} is missing" if is_absent else rejection.message
                told = {"element": element.value, "code": rejection.code, "message": message}
                yield TaggedOutput(REJECTED, element.with_value(told))
            self._count(scored)

    def _with_row(self, element: Any, row: dict[str, Any]) -> Any:
        if self._text is not None:
            return {**self._fields(element), **row}
        return (element if isinstance(element, str) else element[0], row)

    def _count(self, scored: ScoredChunk) -> None:
        counts = {"scored": len(scored.offsets), "rejected": len(scored.rejected)}
        for name, count in {"read": sum(counts.values()), **counts}.items():
            self._counters[name].inc(count)
        for stage, timing in self._timings.items():
            timing.update(round(1000 * scored.seconds[stage]))
