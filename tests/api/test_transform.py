"""The Beam transform: the rows of `Model.score` for pairs, strings and dicts, in their windows.

The pipeline of docs/python.md shows that workers in other processes give the same rows (`tests.docs.test_python`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.pvalue import TaggedOutput
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import GlobalWindow, IntervalWindow, SlidingWindows, TimestampedValue
from apache_beam.typehints import typehints
from apache_beam.utils.windowed_value import PaneInfo, WindowedValue

from batch_scorer import Model, ScoreTexts
from batch_scorer.api import score_step
from batch_scorer.api.rows import schema
from batch_scorer.errors import ArtifactError, JobError, OptionError
from tests.conftest import REVIEWS, save_tiny

TEXTS = [text for _, text in REVIEWS]
BAD = [(None, "missing_text"), (float("nan"), "missing_text"), (7, "text_not_a_string"), ("?", "no_words")]
PAIRS: list[tuple[str, Any]] = [*REVIEWS, *((f"bad {i}", text) for i, (text, _) in enumerate(BAD))]
Rows = dict[str, dict[str, Any]]


class Review(NamedTuple):
    """A review as a pipeline with a schema has it."""

    id: str
    text: str


@pytest.fixture(scope="module")
def rows(model: Model) -> Rows:
    """The rows of the good reviews, as `Model.score` gives them, by id."""
    table = model.score(TEXTS, 3).drop_columns("error")
    return dict(zip([name for name, _ in REVIEWS], table.to_pylist(), strict=True))


@pytest.fixture(scope="module")
def score(tiny_model: Path) -> ScoreTexts:
    """The transform for pairs and strings; pipelines in this process share its model."""
    return ScoreTexts(tiny_model, top_k=3)


@pytest.fixture(scope="module")
def score_field(tiny_model: Path, score: ScoreTexts) -> ScoreTexts:
    """The transform for a field of dicts, with the same model."""
    made = ScoreTexts(tiny_model, top_k=3, text="text")
    made._step._shared = score._step._shared
    return made


def here() -> beam.Pipeline:
    """A pipeline that runs in this process. `DirectRunner` would first look for another one on the network."""
    return beam.Pipeline(runner="FnApiRunner")


def test_pairs_come_out_with_their_rows_and_rejected_ones_apart(score: ScoreTexts, rows: Rows) -> None:
    pipeline = here()
    result = pipeline | beam.Create(PAIRS) | score
    scored, rejected = result
    assert (scored, rejected) == (result.scored, result.rejected)
    assert_that(scored, equal_to([*rows.items()]))
    found = rejected | beam.Map(lambda bad: (bad["element"][0], bad["code"], bool(bad["message"]), sorted(bad)))
    names = ["code", "element", "message"]
    expected = [(f"bad {i}", code, True, names) for i, (_, code) in enumerate(BAD)]
    assert_that(found, equal_to(expected), label="rejected")
    ran = pipeline.run()
    ran.wait_until_finish()
    counters = ran.metrics().query(MetricsFilter().with_namespace("reviews"))["counters"]
    counts = {counter.key.metric.name: counter.committed for counter in counters}
    assert {"read": len(PAIRS), "scored": len(REVIEWS), "rejected": len(BAD)} == counts
    timings = ran.metrics().query(MetricsFilter().with_namespace("chunk_ms"))["distributions"]
    assert {"encode", "score", "explain"} == {timing.key.metric.name for timing in timings}


def test_strings_are_their_own_keys(score: ScoreTexts, rows: Rows) -> None:
    with here() as pipeline:
        scored, _ = pipeline | beam.Create(TEXTS) | score
        assert_that(scored, equal_to(list(zip(TEXTS, rows.values(), strict=True))))


def test_dicts_and_rows_keep_their_fields(score_field: ScoreTexts, rows: Rows) -> None:
    dicts = [{"id": name, "text": text} for name, text in REVIEWS]
    expected = [{**fields, **rows[fields["id"]]} for fields in dicts]
    with here() as pipeline:
        for kind, elements in {
            "dicts": dicts,
            "named tuples": [Review(**fields) for fields in dicts],
            "beam.Row": [beam.Row(**fields) for fields in dicts],
        }.items():
            scored, _ = pipeline | f"Make {kind}" >> beam.Create(elements) | f"Score {kind}" >> score_field
            assert_that(scored, equal_to(expected), label=kind)


def test_element_keeps_its_windows_and_its_timestamp(score: ScoreTexts, rows: Rows) -> None:
    def with_place(element: Any, at: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam) -> Any:
        name = element[0] if isinstance(element, tuple) else element["element"][0]
        return name, float(at), (float(window.start), float(window.end))

    stamped = [TimestampedValue(pair, 10 * i + 5) for i, pair in enumerate(PAIRS)]
    expected = {
        name: [(name, 10 * i + 5, (start, start + 20)) for start in (10 * i, 10 * i - 10)]
        for i, (name, _) in enumerate(PAIRS)
    }
    with here() as pipeline:
        texts = pipeline | beam.Create(stamped) | beam.Map(lambda x: x) | beam.WindowInto(SlidingWindows(20, 10))
        scored, rejected = texts | score
        for label, found, names in (("scored", scored, rows), ("rejected", rejected, expected.keys() - rows.keys())):
            places = found | f"Place {label}" >> beam.Map(with_place)
            assert_that(places, equal_to([p for n in names for p in expected[n]]), label=label, reify_windows=False)


# Hints and what is refused


@pytest.mark.parametrize(
    ("elements", "key"),
    [
        ([("a", "x"), ("b", "y")], str),
        ([(1, "x"), (2, None)], int),
        (["x"], str),
    ],
)
def test_hints_say_what_comes_out(score: ScoreTexts, elements: list[Any], key: type) -> None:
    scored, rejected = here() | beam.Create(elements) | score
    row = typehints.Dict[str, typehints.Any]
    assert (typehints.Tuple[key, row], row) == (scored.element_type, rejected.element_type)
    scored | beam.GroupByKey()  # needs pairs


def test_hints_of_dicts_and_of_anything(score: ScoreTexts, score_field: ScoreTexts) -> None:
    made = here() | beam.Create([{"text": "x"}])
    row = typehints.Dict[str, typehints.Any]
    assert row == (made | score_field).scored.element_type
    anything = made | beam.Map(lambda x: x).with_output_types(typehints.Any)
    assert typehints.Tuple[typehints.Any, row] == (anything | "Anything" >> score).scored.element_type


def test_model_that_is_not_there_is_refused_while_the_pipeline_is_built(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        ScoreTexts(tmp_path)
    assert "abc" == ScoreTexts(tmp_path, model_id="abc")._step._model_id
    with pytest.raises(OptionError, match="top_k"):
        ScoreTexts(top_k=-1)


def test_worker_with_another_model_is_refused(tmp_path: Path) -> None:
    step = ScoreTexts(save_tiny(tmp_path / "model"))._step
    expected = step._model_id
    shutil.rmtree(tmp_path / "model")
    save_tiny(tmp_path / "model", seed=8)
    with pytest.raises(JobError, match="another model") as refused:
        step.setup()
    assert f"model {expected}" == refused.value.expected


# The step by itself


@pytest.fixture
def step(model: Model, tiny_model: Path) -> Callable[..., score_step.ScoreStep]:
    """Makes the step of the transform as it is in a bundle."""

    def make(text: str | None = None) -> score_step.ScoreStep:
        made = ScoreTexts(tiny_model, top_k=3, text=text)._step
        made._process = model._process
        made.start_bundle()
        return made

    return make


HERE = (0, GlobalWindow(), PaneInfo(True, True, 0, 0, 0))


def values(results: Any) -> list[Any]:
    return [r.value.value if isinstance(r, TaggedOutput) else r.value for r in results]


@pytest.mark.parametrize(
    ("text", "element", "what"),
    [
        (None, {"text": "good"}, "neither a pair nor a string"),
        (None, ("a", "b", "c"), "neither a pair nor a string"),
        ("text", "good", "no fields"),
        ("body", Review("r1", "good"), "no field of this name"),
        ("text", {"text": "good", "logit": 1}, "the name of an output column"),
    ],
)
def test_element_of_no_known_kind_is_refused(step: Any, text: str | None, element: Any, what: str) -> None:
    with pytest.raises(OptionError, match=what) as refused:
        step(text).process(element, *HERE)
    assert refused.value.fix


def test_dict_without_the_field_is_rejected(step: Any) -> None:
    scorer = step("text")
    scorer.process({"id": 1}, *HERE)
    expected = {"element": {"id": 1}, "code": "missing_text", "message": "the field 'text' is missing"}
    assert [expected] == values(scorer.finish_bundle())


@pytest.mark.parametrize(("elements", "characters"), [(3, 10**9), (10**9, len("good") * 3)])
def test_bundle_is_scored_a_chunk_at_a_time(
    step: Any, elements: int, characters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_step, "WAITING_ELEMENTS", elements)
    monkeypatch.setattr(score_step, "WAITING_CHARACTERS", characters)
    scorer = step()
    done = [len(values(scorer.process((i, "good"), *HERE))) for i in range(7)]
    assert [0, 0, 0, 3, 0, 0, 3] == done
    assert [6] == [key for key, _ in values(scorer.finish_bundle())]


def test_element_of_several_windows_is_scored_once_and_equal_elements_each(step: Any) -> None:
    scorer, pane = step(), HERE[2]
    one, two = IntervalWindow(0, 20), IntervalWindow(10, 30)
    pair = ("a", "good")
    for window in (one, two, one, two):  # the same object twice, each time in two windows
        scorer.process(pair, 15, window, pane)
    scorer.process(pair, 16, two, pane)
    results = list(scorer.finish_bundle())
    assert [(one, two), (one, two), (two,)] == [tuple(result.windows) for result in results]
    assert [15, 15, 16] == [float(result.timestamp) for result in results]
    assert all(isinstance(result, WindowedValue) and pane == result.pane_info for result in results)


def test_columns_of_rows_are_those_of_score(step: Any, model: Model) -> None:
    scorer = step()
    scorer.process("good", *HERE)
    ((_, row),) = values(scorer.finish_bundle())
    assert schema().names[:-1] == [*row] == model.score(["good"]).drop_columns("error").column_names


def test_field_called_like_a_list_is_refused_only_where_rows_have_it(step: Any, model: Model, tiny_model: Path) -> None:
    element = {"text": "good. bad", "sentences": 2}
    assert [] == list(step("text").process(element, *HERE))
    asked = ScoreTexts(tiny_model, text="text", sentences=True, spans=1)._step
    asked._process = model._process
    asked.start_bundle()
    with pytest.raises(OptionError, match="the name of an output column"):
        asked.process(element, *HERE)
    asked.process({"text": "good. bad"}, *HERE)
    (row,) = values(asked.finish_bundle())
    expected = model.score(["good. bad"], sentences=True, spans=1).drop_columns("error").to_pylist()
    assert expected == [{name: value for name, value in row.items() if name != "text"}]


def test_field_called_temperature_is_refused_only_where_rows_have_one(step: Any, tiny_model_2: Path) -> None:
    element = {"text": "good", "temperature": 21}
    one = step("text")
    assert [] == list(one.process(element, *HERE))

    two = ScoreTexts(tiny_model_2, text="text")._step
    two.setup()
    two.start_bundle()
    with pytest.raises(OptionError, match="the name of an output column") as refused:
        two.process(element, *HERE)
    assert "temperature" == refused.value.got
