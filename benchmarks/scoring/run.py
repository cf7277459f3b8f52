"""The complete measurement: loads crews, chooses batches, checks logits, and times rounds.

In: an artefact and encoded reviews. Out: all results, as in `scoring.json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from batch_scorer.errors import OptionError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring import limit
from benchmarks.scoring.contenders import CONTENDERS, INSTALL, Contender, named, prepare
from benchmarks.scoring.cost import Labelled, costs
from benchmarks.scoring.crew import Crew, LeftOutError, Turn
from benchmarks.scoring.machine import machine, versions
from benchmarks.scoring.measure import (
    Record,
    Side,
    Spread,
    check_logits,
    choose,
    expected_logits,
    results,
    shares,
    time_rounds,
)

PRODUCTS: Mapping[str, Callable[[Architecture, int], Turn]] = {
    "products in NumPy": limit.numpy_products,
    "products in TensorFlow": limit.tensorflow_products,
}


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Args:
        model: directory of the artefact, which every process loads.
        names: of the contenders.
        processes: single-threaded processes per contender.
        processor_time: whether turns are timed by the processor time of their processes, for a machine with other work.
        total_rows: rows of the products whose rate is the limit, per process and turn.
    """

    model: str
    names: Sequence[str]
    rounds: int
    processes: int
    processor_time: bool = False
    total_rows: int = limit.TOTAL_ROWS


def run(
    artifact: Artifact,
    ids: Sequence[Ids],
    settings: Settings,
    report: Callable[[str], None],
    labelled: Labelled | None = None,
) -> dict[str, Any]:
    """Measures all contenders.

    Args:
        artifact: the one in `settings.model`.
        ids: int32[n] each, in any order.
        report: called with a line of text at each step.
        labelled: reviews on which to measure what each contender's precision costs, after the rounds.

    Raises:
        OptionError: no contender can run, or there are fewer reviews than processes.
        EngineError: a contender failed, or does not give the network's logits.
    """
    lengths = np.array([len(x) for x in ids])
    processes = settings.processes
    if len(ids) < processes:
        raise OptionError(
            "there are fewer reviews than processes",
            got=f"{len(ids)} reviews, {processes} processes",
            fix="give more --reviews or fewer --processes",
        )
    parts = shares(lengths, processes)
    with ExitStack() as until_done:
        contenders, left_out = [], []
        part_ids = [[ids[i] for i in part] for part in parts]
        for contender, crew in _crews(settings, part_ids, report):
            if isinstance(crew, str):
                left_out.append({"name": contender.name, "why": crew})
            else:
                until_done.callback(crew.close)
                contenders.append(Side(contender.name, crew, len(ids), contender.batchings))
        if not contenders:
            reasons = "; ".join(f"{skipped['name']}: {skipped['why']}" for skipped in left_out)
            raise OptionError("no contender can run", got=reasons, fix="install what is missing")
        products = []
        work = processes * limit.product_operations(artifact.architecture, settings.total_rows)
        for name, make in PRODUCTS.items():
            report(f"loading {name}")
            make_turn = partial(make, artifact.architecture, settings.total_rows)
            crew = Crew(name, [make_turn] * processes, settings.processor_time)
            until_done.callback(crew.close)
            products.append(Side(name, crew, work, limit.ROWS))

        records = {}
        for side in (*contenders, *products):
            report(f"trying batches: {side.name}")
            records[side.name] = choose(side)
        expected = expected_logits(artifact, ids)
        off = {}
        for side in contenders:
            _, logits = side.crew.turn(records[side.name].batching)
            off[side.name] = check_logits(named(side.name), logits, parts, expected)
        time_rounds(
            [*contenders, *products], records, settings.rounds,
            lambda number: report(f"round {number} of {settings.rounds}" if number else "warm-up round"),
        )  # fmt: skip
    bound = _limit(artifact.architecture, float(lengths.mean()), {side.name: records[side.name] for side in products})
    timed = {side.name: records[side.name] for side in contenders}
    lines = results(timed, off, processes, bound["reviews_per_second"])
    found: dict[str, Any] = {
        "model_id": artifact.model_id,
        "reviews": len(ids),
        "mean_length": float(lengths.mean()),
        "rounds": settings.rounds,
        "processes": processes,
        "processor_time": settings.processor_time,
        "checked": len(expected),
        "machine": machine(),
        "versions": versions(),
        "limit": bound,
        "contenders": [dataclasses.asdict(line) for line in lines],
        "left_out": left_out,
    }
    if labelled is not None:
        batchings = {name: record.batching for name, record in timed.items()}
        by_name = costs(artifact, settings.model, batchings, labelled, processes, report)
        found["labelled"] = {"data": labelled.data, "reviews": len(labelled.ids)}
        for line in found["contenders"]:
            line["cost"] = dataclasses.asdict(by_name[line["name"]])
    return found


def _crews(
    settings: Settings, parts: Sequence[Sequence[Ids]], report: Callable[[str], None]
) -> Iterator[tuple[Contender, Crew | str]]:
    """Yields each requested contender with its crew, or with the reason why it has none."""
    for contender in CONTENDERS:
        if contender.name not in settings.names:
            continue
        report(f"loading {contender.name}")
        if missing := contender.missing():
            verb = "is" if len(missing) == 1 else "are"
            yield contender, f"{' and '.join(missing)} {verb} not installed; {INSTALL}"
            continue
        try:
            prepares = [partial(prepare, contender.name, settings.model, part) for part in parts]
            crew = Crew(contender.name, prepares, settings.processor_time)
        except LeftOutError as error:
            yield contender, str(error)
        else:
            yield contender, crew


def _limit(architecture: Architecture, mean_length: float, products: Mapping[str, Record]) -> dict[str, Any]:
    """The limit of float32, according to the library that multiplies fastest."""
    rates = {name: Spread.of(record.rates) for name, record in products.items()}
    best = max(rates, key=lambda name: rates[name].median)
    needed = limit.operations(architecture, mean_length)
    return {
        "operations": needed,
        "operations_per_second": rates[best].median,
        "by": f"{best}, batch {products[best].batching}",
        "reviews_per_second": rates[best].median / needed,
        "products": {
            name: {
                "batch_size": record.batching.size,
                "tried": {str(batching): rate for batching, rate in record.tried.items()},
                "rates": record.rates,
                "rate": dataclasses.asdict(rates[name]),
            }
            for name, record in products.items()
        },
    }
