"""The model of large jobs: its events against arithmetic, nothing lost or doubled, and its tables those of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from click.testing import CliRunner

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.planning.plan import Plan, make_plan
from batch_scorer.runners.dataflow import pool
from benchmarks.scaling import __main__ as command
from benchmarks.scaling import cases, show
from benchmarks.scaling.costs import (
    ROUND_TRIPS,
    Cluster,
    Costs,
    closed_form,
    costs_of,
    cut,
    default_rows,
    default_workers,
    measured,
)
from benchmarks.scaling.simulate import Run, simulate

ROOT = Path(__file__).parents[2]
COSTS = Costs(review_s=0.002, process_s=10.0, shard_s=1.5)
NOISE: dict[str, Any] = {"spread": 0.3, "slow_share": 0.1, "slow_factor": 5.0, "preempted_an_hour": 20.0}


@pytest.fixture(scope="module")
def page() -> tuple[dict[str, Any], str]:
    """What the command finds as it is given in docs/scaling.md, and that page."""
    costs = measured(command.MEASURED)
    return cases.run(costs, 0.05, 300.0, 0.08, 1), (ROOT / "docs" / "scaling.md").read_text()


@pytest.mark.parametrize(("reviews", "rows", "workers"), [(64_000, 1_000, 4), (65_000, 1_000, 64), (9_000, 3_000, 7)])
def test_makespan_of_workers_that_are_alike_is_the_closed_form(reviews: int, rows: int, workers: int) -> None:
    cluster = Cluster(workers, machine_s=100.0)
    run = simulate(cut(reviews, rows), COSTS, cluster)
    assert closed_form(reviews, rows, COSTS, cluster) == pytest.approx(run.makespan_s)


def test_makespan_of_two_unequal_shards_on_one_worker_is_their_sum() -> None:
    run = simulate([1_000, 500], COSTS, Cluster(1, machine_s=100.0))
    assert 100 + 10 + 2 * 1.5 + 3 == pytest.approx(run.makespan_s)


def test_straggler_takes_its_factor_longer_for_start_and_reviews() -> None:
    run = simulate([1_000], COSTS, Cluster(1, machine_s=100.0, slow_share=1.0, slow_factor=3.0))
    assert 100 + 3 * 10 + 1.5 + 3 * 2 == pytest.approx(run.makespan_s)


def test_more_workers_that_are_alike_never_take_longer() -> None:
    shards = [(i * 7_919) % 5_000 + 1 for i in range(200)]
    spans = [simulate(shards, COSTS, Cluster(workers, machine_s=60.0)).makespan_s for workers in range(1, 220)]
    assert sorted(spans, reverse=True) == spans
    assert spans[-1] < spans[0] / 4


def accounted_s(run: Run) -> float:
    return run.starting_s + run.useful_s + run.lost_s + run.idle_s


@pytest.mark.parametrize("seed", range(20))
def test_preemption_repeats_the_shard_in_hand_and_nothing_else(seed: int) -> None:
    shards = cut(100_000, 3_000)
    run = simulate(shards, COSTS, Cluster(12, machine_s=30.0, **NOISE), seed)
    assert (1,) * len(shards) == run.done
    assert 100_000 == run.scored
    assert len(shards) + run.lost == run.begun
    assert 12 * run.makespan_s == pytest.approx(accounted_s(run))
    assert run.vcpu_hours == pytest.approx(12 * run.makespan_s / 3600)
    assert (run.lost > 0) == (run.lost_s > 0)


def test_preemption_at_a_high_rate_loses_work_and_takes_longer() -> None:
    often = [simulate(cut(100_000, 10_000), COSTS, Cluster(4, preempted_an_hour=100.0), seed) for seed in range(5)]
    never = simulate(cut(100_000, 10_000), COSTS, Cluster(4))
    assert 0 == never.lost
    assert all(run.lost > 0 for run in often)
    assert all(run.makespan_s > never.makespan_s for run in often)


def test_same_seed_gives_the_same_tables_and_another_one_does_not() -> None:
    def tables(seed: int) -> dict[str, str]:
        found = {"corpora": [{kind: cases.case(10**7, 50_000, 16, COSTS, 300.0, seed, trouble).to_json(COSTS, 0.05)
                              for kind, trouble in (("alike", {}), ("usual", cases.USUAL))}]}  # fmt: skip
        return {"corpora": str(show.corpora_cells(found))}

    assert tables(1) == tables(1)
    assert tables(1) != tables(2)


def test_median_case_lies_between_its_fastest_and_its_slowest_run() -> None:
    found = cases.case(10**7, 50_000, 16, COSTS, 300.0, 1, cases.USUAL)
    spans = [run.makespan_s for run in found.runs]
    assert cases.SEEDS == len(spans)
    assert spans[0] <= found.middle.makespan_s == spans[1] <= spans[2]
    told = found.to_json(COSTS, 0.5)
    assert told["vcpu_hours"] * 0.5 == told["cost"]
    assert spans[2] == told["slowest_seconds"]


def test_costs_are_the_rate_of_the_reviews_added_and_the_rest_is_the_start() -> None:
    growth = [
        {"reviews": 1_000, "seconds": 3.0, "processes": 1},
        {"reviews": 10_000, "seconds": 15.0, "processes": 2},  # 10 s to start, 5 s for 10 000 at 2 x 1 000 a second
        {"reviews": 110_000, "seconds": 65.0, "processes": 2},
    ]
    expected = Costs(review_s=0.002, process_s=20.0, shard_s=ROUND_TRIPS * 0.1)
    found = costs_of({"growth": growth}, vcpu_share=0.5, trip_s=0.1)
    assert vars(expected) == pytest.approx(vars(found))


@pytest.mark.parametrize("content", ["{", "[]", '{"growth": []}', '{"growth": [{"reviews": 1}, {"reviews": 2}]}'])
def test_measured_of_another_file_says_what_is_expected(content: str, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(InputError, match="measured times cannot be read"):
        measured(tmp_path / "job.json")


@pytest.mark.parametrize(("rows", "reviews"), [(640, 10**6), (160_000, 10**8)])
def test_defaults_are_those_of_plan_and_pool(rows: int, reviews: int, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a film"] * rows}), tmp_path / "in.parquet")
    plan, shards = make_plan(ScoreConfig.of((str(tmp_path / "in.parquet"),), str(tmp_path / "out")), "model")
    assert len(list(shards)) == len(cut(rows, default_rows(rows)))

    changed: dict[str, Any] = {
        **vars(plan),
        "reviews": reviews,
        "shard_count": len(cut(reviews, default_rows(reviews))),
    }
    found = pool(Plan(**changed), PipelineOptions([]))
    assert found.workers_max * found.vcpus_each == default_workers(reviews)


def test_page_has_the_tables_that_the_code_prints(page: tuple[dict[str, Any], str]) -> None:
    found, text = page
    for name, table in show.tables(found).items():
        assert table in text, f"{name}: python -m benchmarks.scaling prints\n{table}"


def test_default_shard_size_is_near_the_best_where_the_workers_are_the_default_ones(
    page: tuple[dict[str, Any], str],
) -> None:
    for column in page[0]["sizes"]:
        reviews, workers = column[0]["reviews"], column[0]["workers"]
        best = min(case["seconds"] for case in column)
        (chosen,) = (case["seconds"] for case in column if case["rows"] == default_rows(reviews))
        assert chosen <= best * (1.05 if workers == default_workers(reviews) else 1.10)


def test_command_writes_what_it_prints_and_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MIDDLE", 10**6)
    monkeypatch.setattr(cases, "POOLS", ((10**6, 4),))
    monkeypatch.setattr(cases, "TROUBLE_SIZES", (15_625,))
    monkeypatch.setattr(cases, "CORPORA", (10**6,))
    result = CliRunner().invoke(command.main, ["--output", str(tmp_path), "--price", "2"])
    assert 0 == result.exit_code, result.output
    assert (tmp_path / "scaling.md").read_text() == result.output
    found = json.loads((tmp_path / "scaling.json").read_text())
    assert 2 == found["assumed"]["price"]
    assert "<svg" in (tmp_path / "scaling.svg").read_text()


def test_command_without_measured_times_ends_with_exit_code_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(command.main, ["--measured", str(tmp_path / "none.json")])
    assert 2 == result.exit_code
    assert "the measured times cannot be read" in result.output
