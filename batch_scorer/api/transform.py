"""`ScoreTexts`, a Beam transform for anybody's pipeline: texts in; rows out, and apart what could not be scored."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.typehints import typehints

from batch_scorer import storage
from batch_scorer.api.model import check_listed
from batch_scorer.api.score_step import REJECTED, SCORED, ScoreStep
from batch_scorer.config import FLOAT32, InputConfig, ScoringConfig
from batch_scorer.models import artifact_files
from batch_scorer.models.artifact import SHIPPED
from batch_scorer.schema import Segments


class ScoredTexts(NamedTuple):
    """What `ScoreTexts` returns.

    Args:
        scored: an element for each text that was scored, with its row.
        rejected: dicts of `element`, `code` (one of `schema.ERROR_CODES`) and `message`, one for each other text.
    """

    scored: PCollection
    rejected: PCollection


class ScoreTexts(beam.PTransform):  # type: ignore[misc]
    """Scores texts in a pipeline: the same numbers, to the last bit, as `score_job` and `Model.score`.

    | elements | `text` | scored elements |
    |---|---|---|
    | pairs (key, text) | None | pairs (key, row) |
    | strings | None | pairs (string, row) |
    | dicts, named tuples or `beam.Row` | name of the field | dicts: their fields, and the row's |

    A row is a dict of the columns of `predictions` but `record_id`, `source`, `offset` and `run_id`. Each element keeps
    its window and its timestamp. The texts pass through Beam, which `batch-scorer score` avoids; docs/python.md says
    what that costs.

    Each worker process loads the model once, in a child process of its own, so nothing else in it changes. Without
    `model_id`, the place that builds the pipeline has to be able to read the model, to know which one it is.

    Counters, in the namespace `reviews`: `read`, `scored`, `rejected`; distributions of milliseconds a chunk, in
    `chunk_ms`: `encode`, `score`, `explain`.

    Args:
        model: its directory, where every worker can read it; None is the shipped one, as installed on the workers.
        top_k: words in each list; 0 for none.
        text: the field of the text, where elements are dicts.
        model_id: what the model must be; None takes that of the model as it is found here and now.
        precision: of the network's products: `float32` or `bfloat16`.
        max_text_bytes: larger texts are rejected, measured in UTF-8.
        sentences, spans: as in `Model.score`: whether to list sentences, and how many phrases.
        target_accuracy: adds `decided` to the rows, as `--target-accuracy` does.
        unusual: adds `unusual` to them, as `--unusual` does.

    Raises:
        ArtifactError: there is no model.
        OptionError: `top_k` or `spans` is negative; in the pipeline, the model cannot reach `target_accuracy`, or an
            element is of none of these kinds, or has a field that is called like one of our columns.
        JobError: in the pipeline, a worker has another model than the one expected.

    Example:
        >>> import apache_beam as beam
        >>> from batch_scorer import ScoreTexts
        >>> with beam.Pipeline(runner="FnApiRunner") as pipeline:
        ...     texts = pipeline | beam.Create([("a", "A lovely film."), ("b", None)])
        ...     scored, rejected = texts | ScoreTexts(top_k=3)
        ...     _ = scored | beam.MapTuple(lambda key, row: print(key, row["predicted_label"]))
        ...     _ = rejected | beam.Map(lambda bad: print(bad["element"], bad["code"]))
        a positive
        ('b', None) missing_text
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        top_k: int = ScoringConfig.top_k,
        text: str | None = None,
        *,
        model_id: str | None = None,
        precision: str = FLOAT32,
        max_text_bytes: int = InputConfig.max_text_bytes,
        sentences: bool = ScoringConfig.sentences,
        spans: int = ScoringConfig.spans,
        target_accuracy: float | None = None,
        unusual: bool = False,
    ) -> None:
        super().__init__()
        check_listed(top_k=top_k, spans=spans)
        place = None if model is None else os.fspath(model)
        if place is not None and not storage.is_remote(place):
            place = os.path.abspath(place)  # a worker may have another current directory
        if model_id is None:
            model_id = artifact_files.model_id(place or SHIPPED)[:12]
        asked = Segments(sentences, spans), target_accuracy, unusual
        self._step = ScoreStep(place, model_id, top_k, text, precision, max_text_bytes, *asked)
        self._text = text

    def expand(self, pcoll: PCollection) -> ScoredTexts:
        score = beam.ParDo(self._step).with_output_types(self._scored_type(pcoll))
        outputs = pcoll | "Score" >> score.with_outputs(REJECTED, main=SCORED)
        outputs[REJECTED].element_type = typehints.Dict[str, typehints.Any]
        return ScoredTexts(outputs[SCORED], outputs[REJECTED])

    def _scored_type(self, texts: PCollection) -> Any:
        row, given = typehints.Dict[str, typehints.Any], texts.element_type
        if self._text is not None:
            return row
        if given is str:
            return typehints.Tuple[str, row]
        try:
            key = typehints.coerce_to_kv_type(given).tuple_types[0]
        except ValueError:  # elements of any kind, as far as is known here
            key = typehints.Any
        return typehints.Tuple[key, row]

    def display_data(self) -> dict[str, Any]:
        return self._step.settings()
