"""A model from Python: the same numbers as a job's, a row for each text whatever it is, and what else can happen."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from batch_scorer import Model, ScoreTexts, load_model, score_job
from batch_scorer.api import rows
from batch_scorer.api.process import Child
from batch_scorer.api.scoring_process import ScoringProcess
from batch_scorer.errors import ArtifactError, EngineError, OptionError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.calibration import ConfidenceCurve
from batch_scorer.models.profile import measure
from batch_scorer.schema import ERROR_CODES, predictions_schema
from batch_scorer.scoring import read
from tests.conftest import REVIEWS, save_tiny
from tests.processes import GUARD_S

TEXTS = [text for _, text in REVIEWS]
NOT_OURS = ["record_id", "source", "offset", "run_id", "text_hash"]


def job_rows(source: Path, model: Path | None, output: Path, **options: Any) -> pa.Table:
    """The rows that a job writes, without the columns that only a run has.

    The job has processes of its own: in this one, TensorFlow may already be in use with other settings.
    """
    run = score_job(source, output, model=model, worker_timeout=GUARD_S, progress=False, **options)
    return run.predictions().drop_columns(NOT_OURS)


def test_columns_are_those_of_predictions_in_their_order_and_error(model: Model) -> None:
    table = model.score(TEXTS)
    contract = [name for name in predictions_schema(pa.schema([]), "", "").names if name not in NOT_OURS]
    assert [*contract, "error"] == table.column_names
    assert rows.schema() == table.schema
    assert [None] * len(TEXTS) == table["error"].to_pylist()
    assert {model.model_id} == set(table["model_id"].to_pylist())


def test_rows_equal_those_of_a_job_to_the_last_bit(
    model: Model, tiny_model: Path, reviews_file: Path, tmp_path: Path
) -> None:
    expected = job_rows(reviews_file, tiny_model, tmp_path / "out", top_k=3)
    assert expected.to_pylist() == model.score(TEXTS, 3).drop_columns("error").to_pylist()
    assert [[]] * len(TEXTS) == model.score(TEXTS, 0)["top_attended"].to_pylist()


def test_sentences_and_phrases_are_those_of_a_job_to_the_last_bit(
    model: Model, tiny_model: Path, reviews_file: Path, tmp_path: Path
) -> None:
    expected = job_rows(reviews_file, tiny_model, tmp_path / "out", top_k=3, sentences=True, spans=2)
    found = model.score([*TEXTS, None], 3, sentences=True, spans=2)
    assert [*expected.column_names, "error"] == found.column_names
    assert expected.to_pylist() == found.drop_columns("error").to_pylist()[:-1]
    assert {None} == {found[name][len(TEXTS)].as_py() for name in ("sentences", "top_spans", "spans_rest")}
    assert model.score([], spans=2).schema == model.score(["good"], spans=2).schema


ODD: list[tuple[object, str | None]] = [
    ("good film", None),
    (None, "missing_text"),
    (float("nan"), "missing_text"),
    (pd.NA, "missing_text"),
    (5, "text_not_a_string"),
    (["good"], "text_not_a_string"),
    ("half \ud800", "lone_surrogate"),
    ("good " * 100, "text_too_large"),
    ("?!", "no_words"),
    ("", "no_words"),
    ("bad", None),
]


def test_bad_text_has_nulls_and_its_code_at_its_place(model: Model) -> None:
    texts, codes = zip(*ODD, strict=True)
    table = model.score(texts, max_text_bytes=400)
    assert list(codes) == table["error"].to_pylist()
    assert {code for code in codes if code} <= ERROR_CODES.keys()
    good = model.score(["good film", "bad"])
    assert good.to_pylist() == table.filter(pa.compute.is_null(table["error"])).to_pylist()
    bad = table.filter(pa.compute.is_valid(table["error"])).drop_columns("error")
    assert {None} == {value for row in bad.to_pylist() for value in row.values()}


def test_only_bad_texts_give_only_nulls_and_no_texts_give_no_rows(model: Model) -> None:
    assert ["missing_text", "no_words"] == model.score([None, "?"])["error"].to_pylist()
    assert rows.schema().empty_table() == model.score([])


def test_rows_of_a_model_of_format_2_are_those_of_a_job_with_a_temperature_each(
    tiny_model_2: Path, reviews_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = job_rows(reviews_file, tiny_model_2, tmp_path / "out", top_k=3).to_pylist()
    with closing(load_model(tiny_model_2)) as model:
        table = model.score([*TEXTS, None], 3)
        assert ["rest_contribution", "temperature", "model_id", "error"] == table.column_names[-4:]
        assert [*expected, dict.fromkeys(expected[0])] == table.drop_columns("error").to_pylist()
        assert table.schema == model.score([]).schema
        explained = model.explain(TEXTS[3])
    assert expected[3]["temperature"] == pytest.approx(explained.temperature)
    assert [False] * 14 + [True] * 28 == [word.read for word in explained.words]


def test_caveats_are_those_of_a_job_whichever_way_they_are_asked_for(reviews_file: Path, tmp_path: Path) -> None:
    curve = ConfidenceCurve((0.5, 0.94), (100, 100), (60, 97))
    usual = measure(*(np.full(400, n) for n in (12, 12, 1)), np.full(400, 0.5))
    place = save_tiny(tmp_path / "model", confidence_curve=curve, training_profile=usual)
    asked: Any = {"target_accuracy": 0.96, "unusual": True}
    expected = job_rows(reviews_file, place, tmp_path / "out", top_k=3, **asked)
    assert {"short", "long", "short,unknown words"} == {*expected["unusual"].to_pylist()}
    assert {True, False} == {*expected["decided"].to_pylist()}
    with closing(load_model(place)) as model:
        table = model.score([*TEXTS, None], 3, **asked)
        assert ["rest_contribution", "decided", "unusual", "model_id", "error"] == table.column_names[-5:]
        assert expected.to_pylist() == table.slice(0, len(TEXTS)).drop_columns("error").to_pylist()
        assert {None} == {value for name, value in table.slice(len(TEXTS)).to_pylist()[0].items() if name != "error"}
        with pytest.raises(OptionError, match=r"at most 0\.97"):
            model.score(TEXTS, target_accuracy=0.99)
        with pytest.raises(OptionError, match="target_accuracy is out of range"):
            model.score(TEXTS, target_accuracy=97)
        step = ScoreTexts(place, 3, **asked)._step
        step._shared.acquire(lambda: model._process)  # instead of another child
        step.setup()
        step.start_bundle()
        for name, text in REVIEWS:
            assert () == tuple(step.process((name, text), 0, None, None))
        found = dict(element.value for element in step.finish_bundle())
    assert dict(zip([name for name, _ in REVIEWS], expected.to_pylist(), strict=True)) == found


def test_chunks_do_not_change_a_row(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*TEXTS, None, *TEXTS, "?", *TEXTS]
    whole = model.score(texts)
    monkeypatch.setattr(read, "CHUNK_REVIEWS", 4)
    cut = model.score(text for text in texts)
    assert 1 < cut["logit"].num_chunks
    assert whole.to_pylist() == cut.to_pylist()


def test_generator_is_read_a_chunk_at_a_time(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def texts() -> Iterator[str]:
        for i in range(6):
            asked.append(i)
            yield "good"

    scored_after: list[int] = []
    score = model._process.score

    def watched(*args: Any) -> Any:
        scored_after.append(len(asked))
        return score(*args)

    monkeypatch.setattr(read, "CHUNK_REVIEWS", 2)
    monkeypatch.setattr(model._process, "score", watched)
    model.score(texts())
    assert [2, 4, 6] == scored_after


@pytest.mark.parametrize("top_k", [-1, 2.5, "3"])
def test_number_of_words_that_cannot_be_is_refused(model: Model, top_k: Any) -> None:
    with pytest.raises(OptionError, match="top_k"):
        model.score(TEXTS, top_k)


def test_single_text_is_refused(model: Model) -> None:
    with pytest.raises(OptionError, match="not a list of texts"):
        model.score("a good film")


def test_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        load_model(tmp_path)
    with pytest.raises(OptionError, match="precision"):
        load_model(precision="float16")


def test_call_after_the_process_was_killed_or_interrupted_or_closed_starts_another(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = model.score(TEXTS)
    child = model._process._child
    assert child is not None
    os.kill(child._process.pid, signal.SIGKILL)
    with pytest.raises(EngineError) as ended:
        model.score(TEXTS)
    assert "SIGKILL" in str(ended.value.got)
    assert model._process._child is None

    def interrupted(child: Child) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Child, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.score(["quite another text"])
    assert model._process._child is None  # its answer would have come to the next call
    model.close()
    assert before == model.score(TEXTS)


def test_model_whose_engine_cannot_be_loaded_raises_why_each_time(tiny: Artifact) -> None:
    manifest = {**tiny.manifest, "probe": {**tiny.manifest["probe"], "logit": 99.0}}
    process = ScoringProcess(replace(tiny, manifest=manifest))
    (chunk,) = read.read_texts(TEXTS)
    with pytest.raises(ArtifactError, match="probe"):
        process.score(chunk, 1)
    assert process._child is None


def test_model_shows_which_it_is(model: Model) -> None:
    assert f"Model(name='tiny', model_id='{model.model_id}')" == repr(model)


def test_numbers_of_words_are_numpys_too(model: Model) -> None:
    assert model.score(np.array(TEXTS, object)) == model.score(pd.Series(TEXTS))
