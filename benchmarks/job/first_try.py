"""The first pipeline that a Beam user would write: read Parquet, tokenize, pad, RunInference with Keras, write Parquet.

`python -m benchmarks.job.first_try reviews.parquet OUT --model DIR` runs it alone. It is neither tuned nor slowed down:
one Python process, Beam's own batch sizes, every review padded to the model's maximum length. It explains nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.io.parquetio import ReadFromParquet, WriteToParquet
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, PredictionResult, RunInference

from batch_scorer.models import artifact
from batch_scorer.models.keras_model import from_tensors
from batch_scorer.models.network import probability
from batch_scorer.models.tokenizer import words

Ids = npt.NDArray[np.int32]
SCHEMA = pa.schema([("id", pa.string()), ("logit", pa.float32()), ("probability", pa.float32())])


class Encode(beam.DoFn):  # type: ignore[misc]
    """A row {id, text} -> its id and its tokens as ids, int32[T], padded on the left to the model's `max_length`."""

    def __init__(self, model: str) -> None:
        self._model = model

    def setup(self) -> None:
        loaded = artifact.load(self._model)
        self._tokenizer, self._length = loaded.tokenizer, loaded.architecture.max_length

    def process(self, row: dict[str, Any]) -> Iterator[tuple[str, Ids]]:
        ids = self._tokenizer.ids(words(row["text"]))
        yield row["id"], np.pad(ids, (self._length - len(ids), 0))


class KerasHandler(ModelHandler[Ids, PredictionResult, keras.Model]):  # type: ignore[misc]
    """Scores batches with the Keras network of an artefact.

    Beam's own `TFModelHandlerNumpy` needs `tensorflow_hub` and calls the network eagerly, outside of a graph, which
    takes several times as long as `predict_on_batch`.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model

    def load_model(self) -> keras.Model:
        loaded = artifact.load(self._model)
        return from_tensors(loaded.architecture, loaded.tensors)

    def run_inference(
        self, batch: Sequence[Ids], model: keras.Model, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        logits, _ = model.predict_on_batch(np.stack(batch))  # [B] and the attention [B, T]
        return [PredictionResult(ids, float(logit)) for ids, logit in zip(batch, logits, strict=True)]


def to_row(scored: tuple[str, PredictionResult], temperature: float) -> dict[str, Any]:
    """A row of the output."""
    review_id, result = scored
    return {
        "id": review_id,
        "logit": result.inference,
        "probability": float(probability(np.array(result.inference), temperature)),
    }


def run(reviews: str, output: str, model: str) -> None:
    """Scores the Parquet file `reviews`, with columns `id` and `text`, into files whose names begin with `output`."""
    # This is the direct runner. Under the name `DirectRunner` Beam would first look for Prism on the network.
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        (
            pipeline
            | "Read" >> ReadFromParquet(reviews, columns=["id", "text"])
            | "Tokenize and pad" >> beam.ParDo(Encode(model))
            | "Score" >> RunInference(KeyedModelHandler(KerasHandler(model)))
            | "To rows" >> beam.Map(to_row, temperature=artifact.load(model).temperature)
            | "Write" >> WriteToParquet(output, SCHEMA, file_name_suffix=".parquet")
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; `arguments` are those of the process unless given."""
    parser = argparse.ArgumentParser(description="Scores reviews from Parquet (columns id and text) to Parquet.")
    parser.add_argument("reviews", help="a Parquet file or a glob")
    parser.add_argument("output", help="prefix of the names of the output files")
    parser.add_argument("--model", default=artifact.SHIPPED, help="a model artefact")
    given = parser.parse_args(arguments)
    run(given.reviews, given.output, given.model)


if __name__ == "__main__":
    main()
