"""A user's pipeline around `ScoreTexts`: lines of JSON in, lines of JSON out."""

from __future__ import annotations

import json
import sys

import apache_beam as beam

from batch_scorer import ScoreTexts


def main(source: str, output: str, options: list[str]) -> None:
    """Scores the field `text` of the objects in the files `source`."""
    with beam.Pipeline(argv=options) as pipeline:
        reviews = pipeline | "Read" >> beam.io.ReadFromText(source) | "Parse" >> beam.Map(json.loads)
        scored, _ = reviews | "Spread" >> beam.Reshuffle() | ScoreTexts(text="text")
        scored | "As JSON" >> beam.Map(json.dumps) | "Write" >> beam.io.WriteToText(output, ".jsonl")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
