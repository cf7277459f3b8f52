"""The scoring benchmark: every contender gives the network's answers; turns, ratios and limit; the whole of it once."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from batch_scorer.config import FLOAT32
from batch_scorer.errors import ArtifactError, EngineError, InputError, OptionError
from batch_scorer.models import folded_cells
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.batch_sizes import BATCH_SIZES
from batch_scorer.models.network import Architecture, forward
from batch_scorer.models.tokenizer import START, Ids
from benchmarks.scoring import run as scoring
from benchmarks.scoring import show
from benchmarks.scoring.__main__ import benchmark
from benchmarks.scoring.answers import Batching, in_batches, pad_at_end
from benchmarks.scoring.contenders import CONTENDERS, NAMES, Contender, named
from benchmarks.scoring.cost import Cost, cost
from benchmarks.scoring.crew import Crew, LeftOutError
from benchmarks.scoring.limit import numpy_products, operations, product_operations, tensorflow_products
from benchmarks.scoring.machine import machine
from benchmarks.scoring.measure import Record, Side, check_logits, choose, results, shares, time_rounds
from benchmarks.scoring.onnx_side import UnsupportedError
from benchmarks.scoring.run import Settings, run
from benchmarks.scoring.tanh import fitted
from tests.conftest import TINY, save_tiny
from train.data import Columns

pytestmark = pytest.mark.slow

LENGTHS = (2, 20, 1, 7, 20, 13, 3)


def reviews(lengths: Sequence[int] = LENGTHS) -> list[Ids]:
    """Random reviews of so many ids each, the start mark included."""
    rng = np.random.default_rng(4)
    return [np.array([START, *rng.integers(2, TINY.vocabulary_size, n - 1)], np.int32) for n in lengths]


@pytest.fixture
def reviews_lines(tmp_path: Path) -> Path:
    """A labelled file of 24 reviews of 2 to 13 words, and one without words."""
    path = tmp_path / "reviews.jsonl"
    texts = ["good " + "film " * (1 + i // 2) for i in range(24)]
    path.write_text(
        "".join(json.dumps({"text": text, "label": i % 2}) + "\n" for i, text in enumerate([*texts, "..."]))
    )
    return path


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_contender_gives_the_networks_logits_and_attention_in_batches_of_every_kind(
    contender: Contender, tiny: Artifact
) -> None:
    for module in contender.requires:
        pytest.importorskip(module)
    ids = reviews()
    try:
        score = contender.load(tiny)
        answers = [
            score(ids, batching) for batching in (*map(Batching, (1, 3, 32)), Batching(1, True), Batching(8, True))
        ]
    except UnsupportedError as error:
        pytest.skip(str(error))
    tolerances = {"bfloat16": (0.1, 0.05), "int8": (0.2, 0.05)}  # of logits and weights
    logit_off, weight_off = tolerances.get(contender.name.split()[-1], (1e-3, 1e-4))
    for i, one in enumerate(ids):
        expected = forward(tiny.tensors, tiny.architecture, one)
        for found in answers:
            assert expected.logit == pytest.approx(found.logit[i], abs=logit_off)
            np.testing.assert_allclose(found.attention[i], expected.attention, atol=weight_off)


def test_pad_at_end_flips_each_review_within_its_own_length() -> None:
    padded = pad_at_end([np.array([1, 5, 6], np.int32), np.array([1, 7], np.int32)])
    assert [[1, 1], [5, 7], [6, 0]] == padded.ids.tolist()
    assert [[6, 7], [5, 1], [1, 0]] == padded.ids.ravel()[padded.flip].reshape(3, 2).tolist()
    assert [6, 7] == padded.ids.ravel()[padded.last].tolist()


def test_sorted_batches_answer_in_the_order_given() -> None:
    seen = []

    def score(batch: Sequence[Ids]) -> tuple[Any, Any]:
        seen.append([len(ids) for ids in batch])
        return np.array([len(ids) for ids in batch]), [np.full(len(ids), 1 / len(ids)) for ids in batch]

    for batching, lengths in {
        Batching(3): [[1, 2, 3], [7, 13, 20], [20]],
        Batching(3, equal=True): [[1], [2], [3], [7], [13], [20, 20]],
        Batching(1, equal=True): [[1], [2], [3], [7], [13], [20], [20]],
    }.items():
        seen.clear()
        found = in_batches(score, reviews(), batching)
        assert lengths == seen
        assert list(LENGTHS) == found.logit.tolist()
        assert list(LENGTHS) == [len(weights) for weights in found.attention]


def test_shares_hold_each_review_once_and_lengths_evenly() -> None:
    lengths = np.array([9, 1, 5, 5, 1, 9, 2])
    parts = shares(lengths, 2)
    assert list(range(7)) == sorted(np.concatenate(parts).tolist())
    assert [[1, 3, 5, 6], [0, 2, 4]] == [part.tolist() for part in parts]
    assert [[1, 5, 9, 2], [9, 5, 1]] == [lengths[part].tolist() for part in parts]


def test_operations_of_the_shipped_sizes_are_328_448_a_position_and_the_query() -> None:
    assert 220 * 328_448 + 65_536 == operations(Architecture(), 220)


@pytest.mark.parametrize("make", [numpy_products, tensorflow_products])
def test_products_run_at_every_batch_size(make: Any) -> None:
    turn = make(TINY, 8)
    for rows in (2, 4, 8):
        turn(Batching(rows))
    assert 8 * 2 * (5 * 20 + 20 * 5) == product_operations(TINY, 8)


class Clockwork:
    """A crew whose turns take the seconds given, in order."""

    def __init__(self, name: str, seconds: Sequence[float], turns: list[tuple[str, str]]) -> None:
        self.name, self.seconds, self.turns = name, iter(seconds), turns

    def turn(self, batching: Batching) -> tuple[float, list[Any]]:
        self.turns.append((self.name, str(batching)))
        return next(self.seconds), []


def test_fit_of_tanh_gives_the_coefficients_of_the_engine() -> None:
    p, q, error = fitted(len(folded_cells.P) - 1, len(folded_cells.Q) - 1, folded_cells.LIMIT)
    assert folded_cells.P == pytest.approx(p, rel=1e-4) and folded_cells.Q == pytest.approx(q, rel=1e-4)
    x = np.linspace(0.01, folded_cells.LIMIT, 1_000)
    ratio = x * np.polynomial.Polynomial(p)(x * x) / np.polynomial.Polynomial(q)(x * x) / np.tanh(x)
    assert 1e-8 > error and np.abs(ratio - 1).max() == pytest.approx(error, rel=0.1)


def test_choose_takes_the_fastest_batches_and_lets_the_first_turn_warm_up() -> None:
    turns: list[tuple[str, str]] = []
    full, equal = Batching(16), Batching(16, equal=True)
    record = choose(Side("a", Clockwork("a", [9, 8, 4, 1, 5, 10], turns), 20, (full, equal)))
    assert [("a", "16")] * 3 + [("a", "16 of equal length")] * 3 == turns
    assert (full, {full: 5, equal: 4}) == (record.batching, record.tried)


def test_choose_of_a_single_batch_size_takes_no_turn() -> None:
    turns: list[tuple[str, str]] = []
    assert Record(Batching(32), {}) == choose(Side("a", Clockwork("a", [], turns), 20, (Batching(32),)))
    assert [] == turns


def test_rounds_begin_with_another_side_each_time_and_the_first_is_not_counted() -> None:
    turns: list[tuple[str, str]] = []
    sides = [Side("a", Clockwork("a", [9, 2, 4], turns), 8, ()), Side("b", Clockwork("b", [9, 1, 2], turns), 8, ())]
    records = {"a": Record(Batching(16), {}), "b": Record(Batching(32), {})}
    time_rounds(sides, records, 2)
    assert [("a", "16"), ("b", "32"), ("b", "32"), ("a", "16"), ("a", "16"), ("b", "32")] == turns
    assert ([4, 2], [8, 4]) == (records["a"].rates, records["b"].rates)


def test_results_are_medians_and_ratios_are_taken_within_a_round() -> None:
    equal = Batching(16, equal=True)
    records = {"first": Record(Batching(32), {}, [10, 20, 40]), "other": Record(equal, {equal: 9}, [40, 30, 400])}
    first, other = results(records, {"first": 0, "other": 1e-6}, processes=2, limit_rate=80)
    assert (20, 10, 40) == (first.rate.median, first.rate.low, first.rate.high)
    assert (1, 1, 1) == (first.ratio.median, first.ratio.low, first.ratio.high)
    assert (4, 1.5, 10) == (other.ratio.median, other.ratio.low, other.ratio.high)
    assert (0.5, 20 * 3600) == (other.share_of_limit, other.reviews_per_vcpu_hour)
    assert (32, False, {}) == (first.batch_size, first.equal_length, first.tried)
    assert (16, True, {"16 of equal length": 9}) == (other.batch_size, other.equal_length, other.tried)


def test_check_of_logits_takes_them_from_the_processes_that_scored_them_and_refuses_another_network() -> None:
    contender = named("keras sorted")
    parts, found = [np.array([0, 2]), np.array([1])], [np.array([0.5, 2.0]), np.array([1.0])]
    assert 1e-4 == pytest.approx(check_logits(contender, found, parts, {1: 1.0001, 2: 2.0}))
    with pytest.raises(EngineError, match="does not give the network's logits"):
        check_logits(contender, found, parts, {1: 1.01})
    with pytest.raises(EngineError, match="does not give the network's logits"):
        check_logits(contender, [np.array([np.nan, 2.0]), found[1]], parts, {0: 0.5})


def test_cost_compares_logits_labels_and_accuracy_and_marks_a_loss_beyond_a_tenth_of_a_point() -> None:
    reference, labels = np.tile([2.0, -2.0], 500), np.tile([True, False], 500)
    off = reference.copy()
    off[0] = -0.5  # wrong now
    assert Cost(2.5, 0.0025, 1, 0.999, False) == cost(off, reference, labels, 0.0)
    off[1] = 0.5
    assert Cost(2.5, 0.005, 2, 0.998, True) == cost(off, reference, labels, 0.0)
    labels[:2] = False, True  # what has changed is right
    assert Cost(2.5, 0.005, 2, 1.0, False) == cost(off, reference, labels, 0.0)


def test_machine_reads_name_and_flags_of_the_processor(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: Some CPU\nflags\t\t: fpu avx2 avx512f amx_bf16\n\nmodel name\t: Another\n")
    found = machine(cpuinfo)
    assert ("Some CPU", ["avx2", "avx512f", "amx_bf16"]) == (found["processor"], found["flags"])
    assert found["cores"] >= 1


def absent() -> Any:
    """What a crew prepares where a library is missing."""
    raise ModuleNotFoundError("no such library")


def broken() -> Any:
    """What a crew prepares where something is wrong."""
    raise ValueError("a wrong shape")


def faulty(batching: Batching) -> object:
    """A turn that fails at a batch size of 0."""
    return batching.size // batching.size


def test_crew_starts_at_a_signal_and_says_what_failed_and_who_is_left_out() -> None:
    with pytest.raises(LeftOutError, match="no such library"):
        Crew("absent", [absent])
    with pytest.raises(EngineError, match="a contender failed") as failed:
        Crew("broken", [broken])
    assert "a wrong shape" in str(failed.value)
    crew = Crew("faulty", [partial(partial, faulty)] * 2)
    try:
        seconds, found = crew.turn(Batching(3))
        assert [1, 1] == found
        assert 0 < seconds
        with pytest.raises(EngineError, match="a contender failed"):
            crew.turn(Batching(0))
    finally:
        crew.close()


def idle(batching: Batching) -> None:
    """A turn that sleeps for so many hundredths of a second."""
    time.sleep(batching.size / 100)


def test_crew_by_processor_time_does_not_count_what_it_sleeps() -> None:
    crew = Crew("idle", [partial(partial, idle)], processor_time=True)
    try:
        assert crew.turn(Batching(50))[0] < 0.5
    finally:
        crew.close()


def test_contender_without_its_library_is_left_out_with_how_to_install_it(tiny: Artifact, tiny_model: Path) -> None:
    lacking = replace(named("pytorch float32"), requires=("no_such_module",))
    assert ("no_such_module",) == lacking.missing()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.scoring.run.CONTENDERS", (lacking,))
        with pytest.raises(OptionError) as refused:
            run(tiny, reviews(), Settings(str(tiny_model), NAMES, 1, 1), lambda _: None)
    assert "no_such_module is not installed; from a checkout: pip install -e '.[bench]'" in str(refused.value)


def test_benchmark_with_a_tiny_model_writes_table_json_and_figure(
    tiny_model: Path, tmp_path: Path, reviews_lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One library's products: a crew for those of the other would import TensorFlow for the sake of a second line.
    monkeypatch.setattr(scoring, "PRODUCTS", {"products in NumPy": numpy_products})
    output = tmp_path / "results"
    settings = Settings(str(tiny_model), ["engine float32"], rounds=2, processes=1, total_rows=256)
    benchmark(str(reviews_lines), Columns(), 24, settings, output, Console(quiet=True), str(reviews_lines))
    found = json.loads((output / "scoring.json").read_text())
    expected = {"data": "reviews.jsonl", "reviews": 24, "rounds": 2, "processes": 1, "checked": 24, "left_out": []}
    assert expected == {name: found[name] for name in expected}
    (line,) = found["contenders"]
    at_once = BATCH_SIZES[FLOAT32]
    assert ("engine float32", at_once, 1) == (line["name"], line["batch_size"], line["ratio"]["median"])
    assert {"data": "reviews.jsonl", "reviews": 24} == found["labelled"]
    assert {"largest": 0, "mean": 0, "changed": 0, "accuracy": 0.5, "loses": False} == line["cost"]
    assert 2 == len(line["rates"])
    assert 0 < line["rate"]["low"] <= line["rate"]["median"] <= line["rate"]["high"]
    assert line["logit_off"] < 1e-4
    assert found["limit"]["operations"] == operations(TINY, found["mean_length"])
    table = (output / "scoring.md").read_text()
    assert f"| engine float32 | {at_once} |" in table
    assert "| engine float32 | 0.00000 | 0.00000 | 0 | 50.00% |" in table
    assert found["machine"]["processor"] in table
    show.save_figure(found, tmp_path / "again.svg")
    assert (output / "scoring.svg").read_bytes() == (tmp_path / "again.svg").read_bytes()


def test_benchmark_of_fewer_reviews_than_asked_for_refuses(tiny_model: Path, reviews_lines: Path) -> None:
    settings = Settings(str(tiny_model), NAMES, rounds=1, processes=1)
    with pytest.raises(InputError, match="too few reviews"):
        benchmark(str(reviews_lines), Columns(), 25, settings, None, Console(quiet=True))


def test_benchmark_of_the_notebooks_variant_refuses(tmp_path: Path, reviews_lines: Path) -> None:
    variant = replace(TINY, masked=False, recurrent_activation="relu")
    model = save_tiny(tmp_path / "variant", architecture=variant)
    with pytest.raises(ArtifactError, match="only Keras runs"):
        benchmark(str(reviews_lines), Columns(), 4, Settings(str(model), NAMES, 1, 1), None, Console(quiet=True))


def test_markdown_names_every_contender_the_limit_and_who_was_left_out() -> None:
    spread = {"median": 2000.4, "low": 1900, "high": 2100}
    counter = itertools.count(1)
    lines = [
        {"name": name, "batch_size": 16 * next(counter), "equal_length": "pytorch" in name, "rate": spread,
         "tried": {"16": 10.0, "32": 20.0},
         "ratio": {"median": 5.5, "low": 5, "high": 6}, "share_of_limit": 0.5, "reviews_per_vcpu_hour": 3.6e6,
         "logit_off": 2e-6, "cost": {"largest": 0.25, "mean": 1e-3, "changed": 1_000, "accuracy": 0.93123,
                                     "loses": "int8" in name}}
        for name in NAMES
    ]  # fmt: skip
    found = {
        "data": "reviews.parquet", "model_id": "0" * 12, "reviews": 2048, "mean_length": 220.4, "rounds": 5,
        "processes": 2, "processor_time": True, "checked": 64,
        "machine": {"processor": "Some CPU", "cores": 2, "flags": ["avx2"]},
        "versions": {"python": "3.11"}, "contenders": lines,
        "limit": {"operations": 72.3e6, "operations_per_second": 296e9, "by": "products in NumPy, batch 64",
                  "reviews_per_second": 4094.0},
        "left_out": [{"name": "other", "why": "not installed"}],
        "labelled": {"data": "labelled.parquet", "reviews": 5000},
    }  # fmt: skip
    text = show.markdown(found)
    for place, name in enumerate(NAMES, 1):
        batch = f"{16 * place}{'=' if 'pytorch' in name else ''}"
        assert f"| {name} | {batch} | 2,000 | 1,900-2,100 | 5.50 |" in text
        loses = " (loses)" if "int8" in name else ""
        assert f"| {name} | 0.25000 | 0.00100 | 1,000 | 93.12%{loses} |" in text
    assert "Seconds are of processor time" in text
    assert "over 5,000 labelled reviews (labelled.parquet)" in text
    assert (
        "72.3 million operations per review at 296 GFLOP/s (products in NumPy, batch 64) allow 4,094 reviews/s" in text
    )
    assert "* Skipped other: not installed." in text
    assert "Reviews/s at the batches tried for keras sorted: 10 at 16, 20 at 32." in text
    console = Console(width=80, file=io.StringIO())
    for table in show.tables(found):
        console.print(table)
    assert "…" not in console.file.getvalue()  # type: ignore[attr-defined]
