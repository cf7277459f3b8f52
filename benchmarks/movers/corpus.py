"""Rows of a real run -> a run of as many products and months as wanted, some of which were made to move."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scorer.schema import COLUMNS

PART_ROWS = 50_000
LARGE, SMALL = 1_500, 300  # reviews of the products that move
_DAYS = 28  # of a month: reviews are written on these


@dataclass(frozen=True)
class Shape:
    """What a made corpus looks like.

    Args:
        reviews, products, months: how many.
        quarter, half: the last months in which the large products move, and the small one.
        share: of positive reviews, on average; `share_sd`: how it differs from product to product.
        reason_share: of the moved reviews that list the reason.
    """

    reviews: int = 100_000
    products: int = 200
    months: int = 24
    quarter: int = 6
    half: int = 12
    share: float = 0.6
    share_sd: float = 0.1
    reason_share: float = 0.3


@dataclass(frozen=True)
class Planted:
    """A product that was made to move: by how much, over the last so many months, and the word that is the reason."""

    product: str
    points: float
    months: int
    reason: str


class Pool:
    """The rows of a run that are drawn from.

    Args:
        output: the output directory of the run.
    """

    def __init__(self, output: str) -> None:
        self.output = Path(output)
        manifest = json.loads((self.output / "manifest.json").read_text(encoding="utf-8"))
        parts = [part["path"] for part in manifest["parts"] if part["path"].startswith("predictions")]
        names = [name for name in (*COLUMNS, "temperature") if name in manifest.get("columns", COLUMNS)]
        self.rows = pa.concat_tables(pq.read_table(self.output / part, columns=names) for part in parts)
        self.rows = self.rows.combine_chunks()
        self.is_positive = pc.equal(self.rows["predicted_label"], "positive").to_numpy(zero_copy_only=False)
        listed = self.rows["top_contributing"].combine_chunks()
        owner = np.repeat(np.arange(len(listed)), pc.list_value_length(listed).to_numpy(zero_copy_only=False))
        tokens = listed.flatten().field("token").dictionary_encode()
        self._codes, self._tokens = tokens.indices.to_numpy(), tokens.dictionary.to_pylist()
        self._owner, self._adds = owner, listed.flatten().field("contribution").to_numpy()

    def reasons(
        self, positive: bool, rng: np.random.Generator, shares: tuple[float, float] = (0.005, 0.02)
    ) -> tuple[str, npt.NDArray[np.int64]]:
        """A word that such a share of the reviews of a label list, and that pushes that way; and these reviews."""
        chosen = self.is_positive[self._owner] == positive
        count = np.bincount(self._codes[chosen], minlength=len(self._tokens))
        adds = np.bincount(self._codes[chosen], self._adds[chosen], minlength=len(self._tokens))
        share = count / (self.is_positive == positive).sum()
        pushes = adds / np.maximum(count, 1) * (1 if positive else -1) > 0.1
        fit = np.flatnonzero((share > shares[0]) & (share < shares[1]) & pushes)
        code = int(rng.choice(fit))
        return self._tokens[code], np.unique(self._owner[chosen & (self._codes == code)])


def write_corpus(pool: Pool, shape: Shape, seed: int, planted: bool, output: Path) -> tuple[Planted, ...]:
    """Writes a run whose rows are drawn from a pool, with the kept columns `product` and `date`.

    Products have sizes as in life (Zipf, exponent 0.8, at least 60 reviews). Four products of `LARGE`
    reviews or more move by 15 to 25 points, and one of `SMALL` falls by 25.

    Returns:
        What was planted.
    """
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(1, shape.products + 1) ** 0.8
    sizes = np.maximum(weight / weight.sum() * shape.reviews, 60).astype(np.int64)
    small = int(np.argmin(abs(sizes - SMALL)))
    sizes[small] = SMALL
    shares = np.clip(rng.normal(shape.share, shape.share_sd, shape.products), 0.3, 0.9)
    season = rng.uniform(0.7, 1.3, shape.months)
    moves: dict[int, tuple[float, int]] = {}
    if planted:
        for product in rng.choice(np.flatnonzero(sizes >= LARGE), 4, replace=False).tolist():
            points = rng.uniform(0.15, 0.25) * rng.choice([-1, -1, -1, 1])
            moves[product] = (points if 0.05 < shares[product] + points < 0.95 else -points, shape.quarter)
        moves[small] = (-0.25, shape.half)
    pools = {label: np.flatnonzero(pool.is_positive == label) for label in (True, False)}
    rows, products, months, found = [], [], [], []
    for product, size in enumerate(sizes.tolist()):
        counts = rng.multinomial(size, season / season.sum())
        points, last = moves.get(product, (0.0, 0))
        share = shares[product] + points * (np.arange(shape.months) >= shape.months - last)
        positive = rng.binomial(counts, np.clip(share, 0, 1))
        month = np.repeat(np.arange(shape.months), counts)
        is_positive = np.concatenate([np.arange(n) < x for n, x in zip(counts, positive, strict=True)])
        drawn = np.where(is_positive, rng.choice(pools[True], size), rng.choice(pools[False], size))
        if last:
            label = points > 0
            reason, reviews = pool.reasons(label, rng)
            moved = (month >= shape.months - last) & (is_positive == label) & (rng.random(size) < shape.reason_share)
            drawn[moved] = rng.choice(reviews, int(moved.sum()))
            found.append(Planted(f"product {product:03d}", float(points), last, reason))
        rows.append(drawn)
        products += [f"product {product:03d}"] * size
        months.append(month)
    day = rng.integers(1, _DAYS + 1, len(products))
    dates = [f"{2024 + m // 12}-{m % 12 + 1:02d}-{d:02d}" for m, d in zip(np.concatenate(months), day, strict=True)]
    _write(pool, np.concatenate(rows), {"product": products, "date": dates}, output)
    return tuple(found)


def _write(pool: Pool, rows: npt.NDArray[np.int64], kept: Mapping[str, list[str]], output: Path) -> None:
    table = pool.rows.take(pa.array(rows))
    place = {"record_id": pa.array([f"r{i}" for i in range(len(rows))]), "offset": pa.array(np.arange(len(rows)))}
    for name, values in place.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
    at = table.schema.get_field_index("rest_contribution") + 1
    for number, (name, values) in enumerate(kept.items()):
        table = table.add_column(at + number, name, pa.array(values))
    (output / "predictions").mkdir(parents=True)
    parts = []
    for number, start in enumerate(range(0, len(table), PART_ROWS)):
        name = f"predictions/part-{number:05d}.parquet"
        pq.write_table(table.slice(start, PART_ROWS), output / name, compression="lz4")
        digest = hashlib.sha256((output / name).read_bytes()).hexdigest()
        parts.append({"path": name, "rows": min(PART_ROWS, len(table) - start), "sha256": digest})
    shutil.copy(pool.output / "plan.json", output / "plan.json")
    _edit(output / "plan.json", kept=[{"name": n, "output_name": n, "type": "string"} for n in kept])
    shutil.copy(pool.output / "manifest.json", output / "manifest.json")
    counts = {"read": len(table), "scored": len(table), "rejected": 0, "unreadable": 0}
    _edit(output / "manifest.json", parts=parts, counts=counts)
    (output / "_SUCCESS").touch()


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
