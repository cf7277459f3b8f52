"""`python -m benchmarks.adapt`: a few labels of another kind of text, and what each way makes of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from train.adapt.table import quality
from train.data import Columns, Examples, read_examples
from train.metrics import Doubles

SIZES = (50, 100, 300, 1_000, 0)  # labels; 0 is all there are
RESAMPLES = 300
FEWEST = 8  # of either label, as `train --start-from` asks for
MEASURES = {"AUC": "auc", "balanced accuracy": "balanced", "log loss": "log_loss", "ECE": "ece"}
LOWER_IS_BETTER = {"AUC": False, "balanced accuracy": False, "log loss": True, "ECE": True}


@dataclass(frozen=True)
class Domain:
    """Labelled texts of one kind, divided into those to draw labels from and those to predict.

    Args:
        name: for the table.
        pool, test: examples.
    """

    name: str
    pool: Examples
    test: Examples

    @staticmethod
    def read(option: str, held_out: int, seed: int) -> Domain:
        """From `NAME=FILE`, or `NAME=FILE:LABEL_COLUMN:POSITIVE:NEGATIVE`, the last two values or ranges."""
        name, _, rest = option.partition("=")
        path, *label = rest.split(":")
        columns = Columns("text", label[0], (label[1],), "id", (label[2],)) if label else Columns(id="id")
        examples = read_examples([path], columns)
        order = np.random.default_rng(seed).permutation(len(examples))
        test = np.isin(np.arange(len(examples)), order[: min(held_out, len(examples) // 4)])
        return Domain(name, examples.subset(~test), examples.subset(test))

    def draw(self, size: int, draw: int) -> Examples:
        """The first `size` labels of an order that depends on the draw, or more if one label is too rare in them.

        With all labels (0), a random four fifths of them, so that draws differ.
        """
        order = np.random.default_rng((draw, 1)).permutation(len(self.pool))
        count = size or len(order) * 4 // 5
        for label in (0, 1):
            places = np.flatnonzero(self.pool.labels[order] == label)
            count = max(count, int(places[FEWEST - 1]) + 1)
        return self.pool.subset(np.isin(np.arange(len(order)), order[:count]))


def measures(logits: Doubles, labels: npt.NDArray[np.int8]) -> dict[str, float]:
    """AUC, balanced accuracy, log loss in nats, and ECE by confidence in 15 bins."""
    found = quality(logits, labels)
    return {name: found[measure] for name, measure in MEASURES.items()}


def summary(draws: Mapping[str, Sequence[Doubles]], labels: npt.NDArray[np.int8], seed: int) -> dict[str, Any]:
    """For each way, the means over draws; and by how much `adapted` is better, with a 95 % interval.

    The interval is over held-out texts, drawn with replacement, the same for all ways and draws.
    """
    rng = np.random.default_rng(seed)
    samples = [np.arange(len(labels)), *(rng.integers(0, len(labels), len(labels)) for _ in range(RESAMPLES))]
    samples = [rows for rows in samples if len(set(labels[rows].tolist())) == 2]
    means = {
        way: [
            {name: float(np.mean([one[name] for one in each])) for name in LOWER_IS_BETTER}
            for each in ([measures(z[rows], labels[rows]) for z in logits] for rows in samples)
        ]
        for way, logits in draws.items()
    }
    out: dict[str, Any] = {}
    for way, values in means.items():
        better = {}
        for name, lower in LOWER_IS_BETTER.items():
            gains = [(b[name] - a[name]) * (1 if lower else -1) for a, b in zip(means["adapted"], values, strict=True)]
            low, high = np.quantile(gains[1:], [0.025, 0.975])
            better[name] = {"mean": gains[0], "low": float(low), "high": float(high)}
        out[way] = {**values[0], "adapted is better by": better}
    return out


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results, as Markdown: for each kind of text and size, the means of each way."""
    lines = ["| texts | labels | way | AUC | balanced accuracy | log loss | ECE | adapted is better in log loss by |",
             "| --- | --: | --- | --: | --: | --: | --: | --- |"]  # fmt: skip
    for result in results:
        for way, row in result["ways"].items():
            gain = row["adapted is better by"]["log loss"]
            said = "" if way == "adapted" else f"{gain['mean']:.3f} ({gain['low']:.3f} to {gain['high']:.3f})"
            cells = " | ".join(f"{row[name]:.3f}" for name in LOWER_IS_BETTER)
            size = "all" if not result["size"] else f"{result['size']:,}"
            lines.append(f"| {result['domain']} | {size} | {way} | {cells} | {said} |")
    return "\n".join(lines) + "\n"


def results_of(
    domains: Sequence[Domain], sizes: Sequence[int], draws: int, ways: Sequence[str], seed: int
) -> Iterator[dict[str, Any]]:
    """A result for each kind of text and size."""
    from benchmarks.adapt.ways import WAYS

    for domain in domains:
        for size in sizes:
            logits: dict[str, list[Doubles]] = {way: [] for way in ways}
            for draw in range(draws):
                examples = domain.draw(size, draw)
                for way in ways:
                    logits[way].append(WAYS[way](examples, domain.test.texts, seed + draw))
            yield {
                "domain": domain.name, "size": size, "draws": draws, "held_out": len(domain.test),
                "ways": summary(logits, domain.test.labels, seed),
            }  # fmt: skip


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--domain", "domains", multiple=True, required=True, metavar="NAME=FILE[:COLUMN:POSITIVE:NEGATIVE]",
              help="Labelled texts with columns id and text; may be repeated.")  # fmt: skip
@click.option("--size", "sizes", multiple=True, type=int, default=SIZES, help="Labels; 0 is four fifths of all.")
@click.option("--draws", default=5, help="How often labels are drawn.")
@click.option("--held-out", default=1_000, help="Texts to predict, at most a quarter of all.")
@click.option("--way", "ways", multiple=True, default=("shipped", "adapted", "from nothing", "NBSVM", "TF-IDF"))
@click.option("--seed", default=1)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Results as JSON, kept as they come.")
def main(
    domains: tuple[str, ...], sizes: tuple[int, ...], draws: int, held_out: int, ways: tuple[str, ...], seed: int,
    output: Path | None,
) -> None:  # fmt: skip
    """Give each way the same few labels, several times, and measure it on the same texts.

    \b
    Example:
      python -m benchmarks.adapt --domain airline=airline.parquet:label:positive:negative \\
          --domain 'apps=apps.parquet:stars:>=4:<=2' --output adapt.json
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    results = json.loads(output.read_text()) if output and output.exists() else []
    done = {(one["domain"], one["size"]) for one in results}
    read = [Domain.read(option, held_out, seed) for option in domains]
    for size in sizes:
        for domain in read:
            if (domain.name, size) not in done:
                for result in results_of([domain], [size], draws, ways, seed):
                    results.append(result)
                    click.echo(table([result]))
                    if output:
                        output.write_text(json.dumps(results, indent=1) + "\n")
    click.echo(table(sorted(results, key=lambda one: (one["domain"], one["size"] or 10**9))))


if __name__ == "__main__":
    main()
