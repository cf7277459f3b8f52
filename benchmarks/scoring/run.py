"""The whole of a measurement: crews are loaded, batch sizes chosen, logits checked, rounds timed.

In: an artefact and encoded reviews. Out: everything that was found, as `scoring.json` holds it.
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
from batch_scorer.models.artifact import Artifact, load
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring import limit
from benchmarks.scoring.contenders import CONTENDERS, INSTALL, Contender, named
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
        model: directory of the artefact, which every process loads for itself.
        names: of the contenders.
        processes: of one thread each, a contender.
        total_rows: of the products whose rate is the limit, in each process and turn.
    """

    model: str
    names: Sequence[str]
    rounds: int
    processes: int
    total_rows: int = limit.TOTAL_ROWS


def run(artifact: Artifact, ids: Sequence[Ids], settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """Measures all contenders.

    Args:
        artifact: that of `settings.model`.
        ids: int32[n] each, in any order.
        say: is told what goes on.

    Raises:
        OptionError: no contender can be run, or there are fewer reviews than processes.
        EngineError: a contender failed, or scores otherwise than the network.
    """
    lengths = np.array([len(x) for x in ids])
    processes = settings.processes
    if len(ids) < processes:
        raise OptionError("there are fewer reviews than processes", got=f"{len(ids)} reviews, {processes} processes")
    parts = shares(lengths, processes)
    with ExitStack() as until_done:
        contenders, left_out = [], []
        mine = [[ids[i] for i in part] for part in parts]
        for contender, crew in _crews(settings, mine, say):
            if isinstance(crew, str):
                left_out.append({"name": contender.name, "why": crew})
            else:
                until_done.callback(crew.close)
                contenders.append(Side(contender.name, crew, len(ids), contender.batch_sizes))
        if not contenders:
            raise OptionError("no contender can be run", got="; ".join(f"{o['name']}: {o['why']}" for o in left_out))
        products = []
        work = processes * limit.product_operations(artifact.architecture, settings.total_rows)
        for name, make in PRODUCTS.items():
            say(f"loading {name}")
            crew = Crew(name, [partial(make, artifact.architecture, settings.total_rows)] * processes)
            until_done.callback(crew.close)
            products.append(Side(name, crew, work, limit.ROWS))

        records = {}
        for side in (*contenders, *products):
            say(f"trying batch sizes: {side.name}")
            records[side.name] = choose(side)
        expected = expected_logits(artifact, ids)
        off = {}
        for side in contenders:
            _, found = side.crew.turn(records[side.name].batch_size)
            off[side.name] = check_logits(named(side.name), found, parts, expected)
        time_rounds(
            [*contenders, *products], records, settings.rounds,
            lambda number: say(f"round {number} of {settings.rounds}" if number else "a round to warm up"),
        )  # fmt: skip
    bound = _limit(artifact.architecture, float(lengths.mean()), {side.name: records[side.name] for side in products})
    timed = {side.name: records[side.name] for side in contenders}
    lines = results(timed, off, processes, bound["reviews_per_second"])
    return {
        "model_id": artifact.model_id,
        "reviews": len(ids),
        "mean_length": float(lengths.mean()),
        "rounds": settings.rounds,
        "processes": processes,
        "checked": len(expected),
        "machine": machine(),
        "versions": versions(),
        "limit": bound,
        "contenders": [dataclasses.asdict(line) for line in lines],
        "left_out": left_out,
    }


def prepare(name: str, model: str, ids: Sequence[Ids]) -> Turn:
    """In a worker process: loads a contender; a turn scores `ids` and returns their logits."""
    scorer = named(name).load(load(model))
    return lambda batch_size: scorer(ids, batch_size).logit


def _crews(
    settings: Settings, parts: Sequence[Sequence[Ids]], say: Callable[[str], None]
) -> Iterator[tuple[Contender, Crew | str]]:
    """Each contender asked for, with its crew or the reason why it has none."""
    for contender in CONTENDERS:
        if contender.name not in settings.names:
            continue
        say(f"loading {contender.name}")
        if missing := contender.missing():
            yield contender, f"{' and '.join(missing)} not installed ({INSTALL})"
            continue
        try:
            crew = Crew(contender.name, [partial(prepare, contender.name, settings.model, part) for part in parts])
        except LeftOutError as error:
            yield contender, str(error)
        else:
            yield contender, crew


def _limit(architecture: Architecture, mean_length: float, products: Mapping[str, Record]) -> dict[str, Any]:
    """The limit of float32, by whichever library multiplies faster."""
    rates = {name: Spread.of(record.rates) for name, record in products.items()}
    best = max(rates, key=lambda name: rates[name].median)
    needed = limit.operations(architecture, mean_length)
    return {
        "operations": needed,
        "operations_per_second": rates[best].median,
        "by": f"{best}, batch {products[best].batch_size}",
        "reviews_per_second": rates[best].median / needed,
        "products": {
            name: {**dataclasses.asdict(record), "rate": dataclasses.asdict(rates[name])}
            for name, record in products.items()
        },
    }
