"""The benchmark of the whole command: both sides agree, memory is seen, and the whole of it with a tiny model."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from rich.console import Console

from batch_scorer.cli.main import main
from batch_scorer.errors import ArtifactError, EngineError, InputError, JobError, OptionError
from benchmarks.job import first_try, processes, reviews, show, sides
from benchmarks.job.__main__ import benchmark, numbers
from benchmarks.job.processes import Peak, Ran, run_watched
from benchmarks.job.reviews import Source, cut
from benchmarks.job.run import compare, job, steps
from benchmarks.job.sides import Settings, check_answers
from tests.conftest import TINY, WORDS, save_tiny

pytestmark = pytest.mark.slow

TIMINGS = {"read": 1.0, "encode": 0.5, "score": 8.0, "explain": 0.3, "write": 0.2}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A file of 36 reviews of 1 to 36 words."""
    texts = [" ".join(WORDS[(i * k) % len(WORDS)] for k in range(i + 1)) for i in range(36)]
    path = tmp_path / "source.parquet"
    pq.write_table(pa.table({"review_id": [f"r{i}" for i in range(36)], "body": texts}), path, row_group_size=10)
    return Source(str(path), "body", "review_id")


def settings(source: Source, model: Path, **changes: Any) -> Settings:
    usual = {"reviews": 40, "first_try_reviews": 36, "rounds": 1, "grow": ()}
    return Settings(source, str(model), **{**usual, **changes})


def answers(*logits: float, ids: str = "abc") -> pa.Table:
    return pa.table({"id": list(ids[: len(logits)]), "logit": logits, "probability": [0.5] * len(logits)})


def test_cut_of_more_reviews_than_the_file_has_repeats_them_with_new_ids(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews, "ROW_GROUP", 15)
    cut(source, 80, tmp_path / "cut.parquet")
    found = pq.ParquetFile(tmp_path / "cut.parquet")
    ids, texts = (found.read()[name].to_pylist() for name in ("id", "text"))
    expected = [f"r{i}{again}" for again in ("", "+1", "+2") for i in range(36)][:80]
    assert expected == ids
    assert [*texts[:36], *texts[:8]] == texts[36:]
    sizes = [found.metadata.row_group(i).num_rows for i in range(found.num_row_groups)]
    assert 80 == sum(sizes)
    assert all(15 <= size < 30 for size in sizes[:-1])


def test_cut_without_an_id_column_numbers_the_rows(source: Source, tmp_path: Path) -> None:
    cut(Source(source.file, "body"), 12, tmp_path / "cut.parquet")
    assert [str(i) for i in range(12)] == pq.read_table(tmp_path / "cut.parquet")["id"].to_pylist()


def test_cut_by_words_divides_reviews_into_texts_of_as_many_and_leaves_out_the_rest(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["one two three four five", "six"]}), tmp_path / "few.parquet")
    source = Source(str(tmp_path / "few.parquet"), id_column="id", words=2)
    cut(source, 3, tmp_path / "cut.parquet")
    assert pq.read_table(tmp_path / "cut.parquet").to_pylist() == [
        {"id": "a.0", "text": "one two"},
        {"id": "a.2", "text": "three four"},
        {"id": "a+1.0", "text": "one two"},
    ]
    assert source.rows() == 2
    with pytest.raises(InputError, match="no text is long enough"):
        cut(replace(source, words=6), 3, tmp_path / "cut.parquet")


def test_cut_of_a_column_that_is_not_there_refuses(source: Source, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="column text"):
        cut(Source(source.file), 2, tmp_path / "cut.parquet")


def test_cut_of_a_file_that_is_no_parquet_refuses(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("text\ngood\n")
    with pytest.raises(InputError, match="cannot be read"):
        cut(Source(str(tmp_path / "reviews.csv")), 2, tmp_path / "cut.parquet")


def ended_once_seen(enough: Callable[[Collection[Peak]], bool], folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Python that waits until the watch has seen enough, however busy the machine is."""
    may_end, look = folder / "may end", processes.Watch._look

    def look_and_let_it_end(watch: processes.Watch) -> None:
        look(watch)
        if enough(watch._seen.values()):
            may_end.touch()

    monkeypatch.setattr(processes.Watch, "_look", look_and_let_it_end)
    return f"while not os.path.exists({str(may_end)!r}): time.sleep(0.01)"


def test_memory_of_a_child_process_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = ended_once_seen(lambda seen: any(peak.mebibytes > 200 for peak in seen), tmp_path, monkeypatch)
    child = f"import os, time\nheld = b'x' * (200 << 20)\n{wait}"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    ran = run_watched([sys.executable, "-c", parent], tmp_path, os.environ)
    (seen,) = ran.others()
    assert 200 < seen < 260
    assert 0 < ran.driver_mib < 100
    assert 0 < ran.seconds


def test_processes_of_an_engine_have_their_names_and_count_though_they_are_not_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {
        "TaskManager": ["java", "-cp", "x", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", "-D", "a"],
        "job server": ["/usr/bin/java", "-Xmx1g", "-jar", "server.jar"],
        "worker": ["python", "-c", "from apache_beam.runners.worker.sdk_worker import SdkHarness; SdkHarness('h:1')"],
        "worker pool": ["python", "/a/deploy/worker_pool.py", "127.0.0.1", "50000"],
        "Prism": ["/home/me/prism-2.77.0", "--port=1"],
    }
    assert {name: name for name in named} == {name: processes._name(words) for name, words in named.items()}
    wait = ended_once_seen(lambda seen: len(seen) == 2, tmp_path, monkeypatch)
    with subprocess.Popen(["sleep", "600"]) as besides:
        ran = run_watched([sys.executable, "-c", f"import os, time\n{wait}"], tmp_path, os.environ, [besides.pid])
        besides.kill()
    assert ["driver", "sleep"] == [peak.name for peak in ran.peaks]


def test_command_that_fails_says_how(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="3: it broke"):
        run_watched([sys.executable, "-c", "import sys; print('it broke'); sys.exit(3)"], tmp_path, os.environ)


def test_check_of_answers_gives_the_largest_difference() -> None:
    assert 2e-4 == pytest.approx(check_answers(answers(1.0, -2.0), answers(1.0001, -2.0002, 5.0)))


@pytest.mark.parametrize(
    ("theirs", "message"),
    [(answers(1.0, -2.1), "do not agree"), (answers(1.0), "same reviews"), (answers(1.0, float("nan")), "not agree")],
)
def test_check_of_answers_that_differ_refuses(theirs: pa.Table, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        check_answers(answers(1.0, -2.0), theirs)


def test_job_shares_are_of_all_stages_and_the_rest_is_an_average_over_workers() -> None:
    peaks = (Peak("driver", 300), Peak("worker", 700), Peak("worker", 800), Peak("sh", 2))
    found = job(1_000, Ran(9.0, peaks), TIMINGS)
    assert (2, 300, 800, 2, 800) == (
        found.processes, found.driver_mib, found.workers_mib, found.other_mib, found.largest_mib
    )  # fmt: skip
    assert 0.2 == pytest.approx(found.but_scoring)
    assert 4.0 == pytest.approx(found.besides_seconds)


def test_ratio_is_to_the_first_try_on_as_many_reviews_with_its_start_and_without(tmp_path: Path) -> None:
    made = settings(Source("none"), tmp_path, reviews=1_001, first_try_reviews=101, rounds=2)
    tries = [(Ran(5.0, (Peak("driver", 400),)), Ran(15.0, (Peak("driver", 900),)))] * 2
    found = compare(made, [10.0, 20.0], tries)
    assert 10 == pytest.approx(found["first_try"]["rate"]["median"])
    assert 105 == pytest.approx(found["first_try"]["seconds_for_all"]["median"])
    assert (10.5, 5.25) == pytest.approx((found["ratio"]["high"], found["ratio"]["low"]))
    assert 10 == pytest.approx(found["ratio_without_its_start"]["high"])
    assert 900 == found["first_try"]["largest_mib"]
    assert not found["first_try"]["too_few"]


def test_steps_compare_workers_only_with_workers() -> None:
    alone, with_workers = (Peak("driver", 900),), (Peak("driver", 300), Peak("worker", 800))
    more = (Peak("driver", 330), Peak("worker", 880))
    runs = [(100, 5.0, alone), (1_000, 14.0, with_workers), (10_000, 104.0, more)]
    first, second = steps([job(n, Ran(seconds, peaks), TIMINGS) for n, seconds, peaks in runs])
    assert (None, None) == (first["driver"], first["worker"])
    assert (1.1, 1.1, 1.1) == pytest.approx((second["largest"], second["driver"], second["worker"]))
    assert 104 / 140 == pytest.approx(second["seconds_a_review"])
    assert 100 == pytest.approx(second["rate"])


def test_numbers_to_grow_by_are_ascending() -> None:
    assert (5_000, 50_000) == numbers("5000,50000")
    assert () == numbers("")
    for wrong in ("5000,50", "many", "10,10", "0,5", "-5"):
        with pytest.raises(OptionError):
            numbers(wrong)


def test_benchmark_of_the_notebooks_variant_refuses(source: Source, tmp_path: Path) -> None:
    from dataclasses import replace

    model = save_tiny(tmp_path / "notebook", architecture=replace(TINY, masked=False, recurrent_activation="relu"))
    with pytest.raises(ArtifactError, match="variant"):
        benchmark(settings(source, model), None, Console(quiet=True))


def test_benchmark_of_more_tries_than_reviews_refuses(source: Source, tiny_model: Path) -> None:
    with pytest.raises(OptionError, match="first-try-reviews"):
        benchmark(settings(source, tiny_model, first_try_reviews=41), None, Console(quiet=True))


@pytest.fixture
def all_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Both sides run in this process: others would import most of the time. Returns what ran.

    The first try makes its network once. Processes that are watched are tested above.
    """
    ran: list[str] = []
    load = first_try.KerasHandler.load_model
    loaded: dict[str, Any] = {}

    def load_once(handler: first_try.KerasHandler) -> Any:
        if handler._model not in loaded:
            loaded[handler._model] = load(handler)
        return loaded[handler._model]

    def watched(command: list[str], directory: Path, environment: dict[str, str]) -> Ran:
        assert [sys.executable, "-m"] == command[:2]
        module, *words = command[2:]
        ran.append(module)
        start = time.perf_counter()
        if module == "batch_scorer":
            assert 0 == CliRunner().invoke(main, words).exit_code
        else:
            first_try.main(words)
        return Ran(time.perf_counter() - start, (Peak("driver", 201.0),))

    monkeypatch.setattr(first_try.KerasHandler, "load_model", load_once)
    monkeypatch.setattr(sides, "run_watched", watched)
    return ran


def test_benchmark_with_a_tiny_model_finds_everything(
    source: Source, tiny_model: Path, tmp_path: Path, all_here: list[str]
) -> None:
    pytest.importorskip("matplotlib")
    console = Console(file=io.StringIO(), width=110)
    output = tmp_path / "results"
    benchmark(settings(source, tiny_model, grow=(72,)), output, console)
    assert ["batch_scorer", "benchmarks.job.first_try"] * 2 == all_here[:4]
    assert (3, 3) == (all_here.count("batch_scorer"), all_here.count("benchmarks.job.first_try"))
    found = json.loads((output / "job.json").read_text())
    expected = {"data": "source.parquet", "data_reviews": 36, "reviews": 40, "rounds": 1, "top_k": 10}
    assert expected == {name: found[name] for name in expected}
    assert found["answers_off"] < 1e-5
    assert [72] == [run["reviews"] for run in found["growth"]]
    for run in [*found["job"]["runs"], *found["growth"]]:
        assert 1 == pytest.approx(sum(run["shares"].values()))
        assert 201 == run["driver_mib"] == run["largest_mib"]
        assert 0 < run["besides_seconds"] < run["seconds"]
    assert 201 == found["first_try"]["largest_mib"]
    text = (output / "job.md").read_text()
    assert "| batch-scorer score | 40 |" in text
    assert "everything other than scoring" in text
    assert "source.parquet has 36 reviews" in text
    assert "growth of batch-scorer score" in console.file.getvalue()  # type: ignore[attr-defined]
    assert not (output / "job.svg").exists()  # a single size makes no line
    two = [found["job"]["runs"][0], *found["growth"]]
    show.save_figure({**found, "growth": two}, output / "job.svg")
    assert "<svg" in (output / "job.svg").read_text()


def test_steps_are_told_with_the_memory_of_each_kind_of_process() -> None:
    peaks = (Peak("driver", 300), Peak("worker", 800))
    (step,) = steps([job(n, Ran(n / 100, peaks), TIMINGS) for n in (1_000, 10_000)])
    expected = (
        "From 1,000 to 10,000 reviews, 10 times as many: 10.00 times the seconds, 1.00 times per review. Factors of "
        "the peak memory: the largest process 1.00, the driver 1.00, a worker 1.00. The additional reviews are scored "
        "at 100 reviews/s."
    )
    assert expected == show.step_sentence(step)
