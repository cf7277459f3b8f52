"""`python -m benchmarks.scoring.tanh`: how the engine's tanh was found, what it is exact to, and what it saves.

Shapes: S sample points; A and B coefficients of 1, x^2, x^4...
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev, polynomial

from batch_scorer.models import artifact, folded_cells, folded_engine
from batch_scorer.models.artifact import SHIPPED

Doubles = npt.NDArray[np.float64]
SAMPLES, STEPS = 3_000, 600


def fitted(above: int, below: int, limit: float) -> tuple[Doubles, Doubles, float]:
    """The rational function x P(x^2) / Q(x^2) with the least relative error from tanh on [-limit, limit].

    A linear least-squares fit of x P - tanh(x) Q is divided by the Q of the fit before (Sanathanan and Koerner 1963),
    and each point weighs the more the larger its error was (Lawson 1961), until all peaks of the error are as high.

    Args:
        above, below: the degrees of P and Q in x^2.

    Returns:
        P: float64[above + 1] and Q: float64[below + 1], of which the first is 1; the largest relative error.
    """
    x = limit * np.sin(np.linspace(0, np.pi / 2, SAMPLES + 1)[1:])  # denser where the error is: at the end
    expected, place = np.tanh(x), 2 * (x / limit) ** 2 - 1
    p_terms, q_terms = chebyshev.chebvander(place, above) * x[:, None], chebyshev.chebvander(place, below)
    weights, q_before, best = np.ones(SAMPLES), np.ones(SAMPLES), (np.zeros(0), np.zeros(0), np.inf)
    for _ in range(STEPS):
        scale = np.sqrt(weights) / expected / np.abs(q_before)
        terms = np.hstack([p_terms, -expected[:, None] * q_terms]) * scale[:, None]
        free = np.delete(terms, above + 1, axis=1)  # Q's first coefficient is 1
        norms = np.linalg.norm(free, axis=0)
        found = np.linalg.lstsq(free / norms, -terms[:, above + 1], rcond=None)[0] / norms
        p, q = found[: above + 1], np.concatenate([[1.0], found[above + 1 :]])
        q_before = q_terms @ q
        error = np.abs(p_terms @ p / q_before / expected - 1)
        if error.max() < best[2]:
            best = p, q, float(error.max())
        weights *= np.sqrt(error / error.max() + 1e-3)
        weights /= weights.sum()
    powers = [_powers(terms, limit) for terms in best[:2]]
    return powers[0] / powers[1][0], powers[1] / powers[1][0], best[2]


def _powers(terms: Doubles, limit: float) -> Doubles:
    """Coefficients of Chebyshev polynomials of ``2 x^2 / limit^2 - 1`` as those of powers of x^2."""
    place = np.array([-1.0, 2 / limit**2])
    result = np.zeros(1)
    for coefficient in chebyshev.cheb2poly(terms)[::-1]:
        result = polynomial.polyadd(polynomial.polymul(result, place), [coefficient])
    return result


def largest_error(tanh: Callable[[Any], Any]) -> float:
    """Of a function of float32, from tanh in float64; everywhere, since beyond the samples both are all but 1."""
    x = np.linspace(-9, 9, 1_000_001).astype(np.float32)
    return float(np.abs(tanh(x).numpy().astype(np.float64) - np.tanh(x.astype(np.float64))).max())


def ratios(model: str, data: Path, reviews: int, rounds: int) -> Doubles:
    """How many times as long each batch takes with XLA's tanh as with ours, the two in turns: [rounds * batches]."""
    import pyarrow.parquet as pq

    loaded = artifact.load(model)
    texts = pq.read_table(data, columns=["text"])["text"].slice(0, reviews).to_pylist()
    ids = sorted((loaded.tokenizer.ids(loaded.tokenizer.words(text)) for text in texts), key=len)
    ours, usual = folded_engine.FoldedEngine(loaded), _usual(loaded)
    size, sides = ours.batch_size, (ours, usual)
    batches = [ids[at : at + size] for at in range(0, len(ids) - size + 1, size)]
    for engine in sides:
        engine.run(batches[0])
    found = []
    for at, batch in enumerate(batches * rounds):
        seconds = {}
        for engine in sides if at % 2 else sides[::-1]:
            start = time.perf_counter()
            engine.run(batch)
            seconds[engine] = time.perf_counter() - start
        found.append(seconds[usual] / seconds[ours])
    return np.array(found)


def _usual(loaded: artifact.Artifact) -> folded_engine.FoldedEngine:
    def tanh(tf: Any, x: Any) -> Any:
        return tf.tanh(x)

    with mock.patch.object(folded_cells, "tanh", tanh), mock.patch.object(folded_engine, "tanh", tanh):
        engine = folded_engine.FoldedEngine(loaded)
        engine.run([np.array([1, 2], np.int32)])
    return engine


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", type=click.Path(path_type=Path, exists=True), metavar="FILE",
              help="Parquet file with a column text; without it, no time is measured.")  # fmt: skip
@click.option("--model", metavar="DIR", default=SHIPPED, help="Model artefact.")
@click.option("--reviews", type=click.IntRange(100), default=1_000, help="How many.")
@click.option("--rounds", type=click.IntRange(1), default=5, help="How often each batch is scored on each side.")
def main(data: Path | None, model: str, reviews: int, rounds: int) -> None:
    """Fit tanh again, and compare with XLA's: the largest error, and the time of the engine."""
    import tensorflow as tf

    p, q, error = fitted(len(folded_cells.P) - 1, len(folded_cells.Q) - 1, folded_cells.LIMIT)
    click.echo(f"P = {p.astype(np.float32).tolist()}\nQ = {q.astype(np.float32).tolist()}")
    click.echo(f"relative error {error:.1e}, in exact arithmetic")
    for name, tanh in (("ours", lambda x: folded_cells.tanh(tf, x)), ("XLA's", tf.tanh)):
        compiled = tf.function(tanh, jit_compile=True, autograph=False)
        click.echo(f"error in float32 {largest_error(compiled):.1e}, {name}")
    if data:
        found = ratios(model, data, reviews, rounds)
        low, middle, high = np.quantile(found, (0.1, 0.5, 0.9))
        click.echo(f"engine {middle:.2f} times as fast ({low:.2f} to {high:.2f} in eight of ten batches)")


if __name__ == "__main__":
    main()
