"""`python -m benchmarks.check`: nights of real reviews, some of them in trouble, and what `check` says of each.

All are scored by the shipped model, with its default limits. Quiet nights are random reviews of one kind, of different
sizes; a night in trouble is one of these after something has happened to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.check.check import check
from batch_scorer.check.result import Question
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.runners.job import run_job

PRODUCTS = tuple(f"product {number:02d}" for number in range(12))
_SHARES = np.array([2.0**-i for i in range(6)] + [0.03] * 6)
KEPT = ("product", "label")
Rng = np.random.Generator
Night = dict[str, list[Any]]  # id, text, product, label


@dataclass(frozen=True)
class Pool:
    """Reviews to draw nights from: N texts with their labels, and texts of other kinds."""

    texts: list[str]
    labels: list[int]
    others: dict[str, list[str]]

    def night(self, rng: Rng, size: int) -> Night:
        rows = rng.choice(len(self.texts), size, replace=False)
        products = rng.choice(PRODUCTS, size, p=_SHARES / _SHARES.sum())
        return {
            "id": [f"{row}" for row in rows],
            "text": [self.texts[row] for row in rows],
            "product": products.tolist(),
            "label": [self.labels[row] for row in rows],
        }


def _some(rng: Rng, night: Night, share: float) -> list[int]:
    return sorted(rng.choice(len(night["id"]), int(share * len(night["id"])), replace=False).tolist())


def _texts(change: Callable[[str], str], share: float) -> Callable[[Rng, Night, Pool], Night]:
    def trouble(rng: Rng, night: Night, pool: Pool) -> Night:
        chosen = {*_some(rng, night, share)}
        return {**night, "text": [change(text) if i in chosen else text for i, text in enumerate(night["text"])]}

    return trouble


def _of_another_kind(name: str, share: float) -> Callable[[Rng, Night, Pool], Night]:
    def trouble(rng: Rng, night: Night, pool: Pool) -> Night:
        texts, others = [*night["text"]], pool.others[name]
        for i in _some(rng, night, share):
            texts[i] = others[int(rng.integers(len(others)))]
        return {**night, "text": texts}

    return trouble


def _missing_products(rng: Rng, night: Night, pool: Pool) -> Night:
    return {**night, "product": [None if rng.random() < 0.5 else product for product in night["product"]]}


def _shifted_mix(rng: Rng, night: Night, pool: Pool) -> Night:
    return {**night, "product": rng.choice(PRODUCTS, len(night["id"])).tolist()}


def _flipped_labels(rng: Rng, night: Night, pool: Pool) -> Night:
    flipped = {*_some(rng, night, 0.2)}
    return {**night, "label": [1 - label if i in flipped else label for i, label in enumerate(night["label"])]}


def _one_product_falls(rng: Rng, night: Night, pool: Pool) -> Night:
    negative = [i for i, label in enumerate(pool.labels) if not label]
    texts, labels = [*night["text"]], [*night["label"]]
    for i, product in enumerate(night["product"]):
        if product == PRODUCTS[1] and rng.random() < 0.6:
            row = negative[int(rng.integers(len(negative)))]
            texts[i], labels[i] = pool.texts[row], 0
    return {**night, "text": texts, "label": labels}


def _only_negative(rng: Rng, night: Night, pool: Pool) -> Night:
    keep = [i for i, label in enumerate(night["label"]) if not label or rng.random() < 0.5]
    return {name: [values[i] for i in keep] for name, values in night.items()}


def _sent_again(rng: Rng, night: Night, pool: Pool) -> Night:
    rows = _some(rng, night, 0.3)
    return {name: [*values, *(values[i] for i in rows)] for name, values in night.items()}


def _cut_off(rng: Rng, night: Night, pool: Pool) -> Night:
    return {name: values[: len(values) // 20] for name, values in night.items()}


def _blank(rng: Rng, night: Night, pool: Pool) -> Night:
    return _texts(lambda _: "", 0.3)(rng, night, pool)


# Trouble -> what makes it of a quiet night.
TROUBLES: dict[str, Callable[[Rng, Night, Pool], Night]] = {
    "a third in another language": _of_another_kind("nsmc", 0.33),
    "texts cut off at 100 characters": _texts(lambda text: text[:100], 1.0),
    "a third tweets of another subject": _of_another_kind("airline", 0.33),
    "UTF-8 read as Latin-1, twice": _texts(lambda text: "é".join(text.split("e")).encode().decode("latin-1"), 0.5),
    "four words pasted before each text": _texts(lambda text: f"ticket closed status resolved {text}", 0.8),
    "half of the products missing": _missing_products,
    "all products equally frequent": _shifted_mix,
    "a fifth of the labels flipped": _flipped_labels,
    "one product falls": _one_product_falls,
    "half of the positive ones lost": _only_negative,
    "three tenths sent twice": _sent_again,
    "cut off after a twentieth": _cut_off,
    "three tenths blank": _blank,
}


def score(night: Night, folder: Path, name: str) -> str:
    """Scores a night as `batch-scorer score` does, and returns its output."""
    folder.mkdir(exist_ok=True)
    path, output = folder / f"{name}.parquet", folder / "nights" / name
    pq.write_table(pa.table(night), path)
    kept = tuple(Kept(column, f"true_{column}" if column == "label" else column) for column in KEPT)
    run_job(ScoreConfig.of([str(path)], str(output), id_column="id", kept=kept, workers=1, allow_empty=True))
    return str(output)


@click.command()
@click.option("--data", required=True, help="Parquet with columns text and label.")
@click.option("--other", multiple=True, metavar="NAME=FILE", help="Parquet with a column text: nsmc and airline.")
@click.option("--nights", default=20, help="Quiet nights to check.")
@click.option("--before", default=5, help="Nights before them, to check against.")
@click.option("--reviews", default=1_000, help="In a night on average.")
@click.option("--seed", default=1)
@click.option("--output", help="Results as JSON.")
def main(
    data: str, other: tuple[str, ...], nights: int, before: int, reviews: int, seed: int, output: str | None
) -> None:
    """Score quiet nights and nights in trouble, and check each against the nights before it.

    Example:
      python -m benchmarks.check --data imdb_train.parquet --other nsmc=nsmc.parquet --other airline=airline.parquet
    """
    table, rng = pq.read_table(data, columns=["text", "label"]), np.random.default_rng(seed)
    files = dict(option.split("=", 1) for option in other)
    others = {name: pq.read_table(path, columns=["text"])["text"].to_pylist() for name, path in files.items()}
    pool = Pool(table["text"].to_pylist(), table["label"].to_pylist(), others)
    found: list[dict[str, Any]] = []

    def measure(name: str, place: str, references: tuple[str, ...]) -> None:
        checked = check(Question(place, references, group_by=("product",), label_column="true_label"))
        broken = [f"{one.name} {one.value:.3g}" for one in checked.broken]
        found.append({"night": name, "broken": broken, "values": {one.name: one.value for one in checked.measures}})
        click.echo(f"{name:36} {', '.join(broken) or 'within all limits'}")

    with TemporaryDirectory() as folder:
        for number in range(before + nights):
            size = int(reviews * rng.uniform(0.5, 1.5))
            place = score(pool.night(rng, size), Path(folder), f"{number:03d}")
            if number >= before:
                measure(f"quiet {number - before + 1}", place, (str(Path(folder, "nights")),))
        quiet = tuple(str(Path(folder, "nights", f"{number:03d}")) for number in range(before + nights))
        for number, (name, trouble) in enumerate(TROUBLES.items()):
            night = trouble(rng, pool.night(rng, reviews), pool)
            measure(name, score(night, Path(folder, "troubles"), f"{number:03d}"), quiet)
    tripped = sum(bool(one["broken"]) for one in found[nights:])
    alarms = sum(bool(one["broken"]) for one in found[:nights])
    click.echo(f"{tripped} of {len(TROUBLES)} troubles found; {alarms} of {nights} quiet nights broke a limit")
    if output:
        Path(output).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
