"""`python -m benchmarks.segments`: what `--sentences` and `--spans` add to the stages of a job.

Reviews are encoded and scored once. What follows, to the Parquet file, is done with and without the options in turns,
and timed in seconds of the processor, which say more than a clock where others use the machine too.
"""

from __future__ import annotations

import dataclasses
import io
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.models import artifact
from batch_scorer.models.artifact import SHIPPED
from batch_scorer.models.engine import load_engine
from batch_scorer.schema import WORDS_ONLY, Segments
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.encode import encode
from batch_scorer.scoring.explain import explain
from batch_scorer.scoring.read import read_texts
from batch_scorer.scoring.score import Scored, score

SIDES = {
    "words alone": WORDS_ONLY,
    "--sentences": Segments(sentences=True),
    "--spans 10": Segments(spans=10),
    "both": Segments(sentences=True, spans=10),
}


@dataclass(frozen=True)
class Measured:
    """Microseconds of the processor a review, and bytes of Parquet a review.

    Args:
        before: of encoding and scoring, which all sides share.
        after: of explaining and writing, by side: the medians of the rounds.
        size: bytes a review, by side.
    """

    before: float
    after: dict[str, float]
    size: dict[str, float]

    def added(self, side: str) -> float:
        """The share of the stages without options that a side adds."""
        alone = self.after["words alone"]
        return (self.after[side] - alone) / (self.before + alone)


def measure(texts: Sequence[str], scorer: Scorer, top_k: int, rounds: int) -> Measured:
    """Measures all sides in turns, after one round that does not count."""
    start, done = time.process_time(), list[Scored]()
    for chunk in read_texts(texts):
        for encoded in encode(chunk, scorer.artifact.tokenizer):
            scored = score(encoded, scorer.engine)
            done.append(dataclasses.replace(scored, batches=list(scored.batches)))
    before, each = time.process_time() - start, 1e6 / len(texts)
    seconds: dict[str, list[float]] = {name: [] for name in SIDES}
    size = {}
    for _ in range(rounds + 1):
        for name, asked in SIDES.items():
            start, sink = time.process_time(), io.BytesIO()
            pieces = (explain(scored, top_k, asked).columns(scorer.artifact) for scored in done)
            pq.write_table(pa.concat_tables([pa.table(columns) for columns in pieces]), sink, compression="zstd")
            seconds[name].append(time.process_time() - start)
            size[name] = len(sink.getvalue()) / len(texts)
    after = {name: each * statistics.median(values[1:]) for name, values in seconds.items()}
    return Measured(each * before, after, size)


def table(found: Measured) -> str:
    """The figures as Markdown."""
    rows = [
        f"| {name} | {found.after[name]:.0f} | {found.added(name):.1%} | {found.size[name]:.0f} |"
        for name in found.after
    ]
    head = (
        "| listed | explain and write, us a review | added to all stages | bytes a review |\n| --- | --: | --: | --: |"
    )
    return "\n".join([f"Encoding and scoring: {found.before:.0f} us a review.", "", head, *rows])


@click.command()
@click.option("--data", required=True, metavar="FILE", help="Reviews, as Parquet.")
@click.option("--text-column", default="text", metavar="NAME", help="Column that holds the review.")
@click.option("--model", default=SHIPPED, metavar="DIR", help="A model artefact.")
@click.option("--reviews", default=4_096, metavar="N", help="The first so many.")
@click.option("--rounds", default=5, metavar="N", help="Rounds that count.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the figures here, as JSON.")
def main(data: str, text_column: str, model: str, reviews: int, rounds: int, output: Path | None) -> None:
    """Measure what sentences and phrases cost."""
    texts = pq.read_table(data, columns=[text_column])[text_column].slice(0, reviews).to_pylist()
    loaded = artifact.load(model)
    scorer = Scorer(loaded, load_engine(loaded))
    measure(texts[:256], scorer, 10, 1)  # compiles
    found = measure(texts, scorer, 10, rounds)
    click.echo(table(found))
    if output:
        output.write_text(json.dumps(dataclasses.asdict(found), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
