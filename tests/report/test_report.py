"""`batch-scorer report`: what it says of a run, held against the run's rows; and the command around it."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from batch_scorer.analysis.statistics import proportion
from batch_scorer.cli.main import main
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError, OptionError, RefusedError
from batch_scorer.models.profile import EMPTY, LENGTH_EDGES, SHARE_EDGES, Profile
from batch_scorer.report import budget
from batch_scorer.report.budget import TEXT, fit
from batch_scorer.report.drift import measure_drift
from batch_scorer.report.findings import LISTS, Findings, ListedWord, Review
from batch_scorer.report.gather import gather
from batch_scorer.report.question import Question
from batch_scorer.storage.stores import client
from tests.conftest import REVIEWS
from tests.jobs import rows, score_here
from tests.made_runs import BIAS, HOSTILE, write_run
from tests.stubs import gcs

ALL_COLUMNS = ("text", "truth", "stars", "product")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `run`, over `reviews.parquet`, and `old`, of other reviews and another model."""
    folder = tmp_path_factory.mktemp("made")
    source = str(folder / "reviews.parquet")
    table = write_run(folder / "run", 1_000, source=source, keep=ALL_COLUMNS, rejected=40, unreadable=1)
    pq.write_table(table, source)
    write_run(folder / "old", 300, seed=1, model_id="ba9876543210")
    return folder


@pytest.fixture(scope="module")
def found(made: Path) -> Findings:
    return ask(
        made / "run",
        reference=str(made / "old"),
        text_column="text",
        label_column="truth",
        slice_columns=("product",),
        reviews=20,
    )


def ask(output: Path, **changes: Any) -> Findings:
    return gather(Question(str(output), **changes))


def listed(found: Findings, name: str) -> list[str]:
    """The ids of a list, in its order."""
    ranked = [(r.ranks[r.lists.index(name)], r.record_id) for r in found.reviews if name in r.lists]
    assert list(range(1, len(ranked) + 1)) == sorted(rank for rank, _ in ranked)
    return [record_id for _, record_id in sorted(ranked)]


def profile(reviews: int, words: int, lengths: dict[int, int]) -> Profile:
    length = tuple(lengths.get(edge, 0) for edge in LENGTH_EDGES)
    half = (reviews // 2, *(0,) * (len(SHARE_EDGES) - 2), reviews - reviews // 2)
    return replace(
        EMPTY, reviews=reviews, words=words, used_words=words, length=length, oov_rate=half, probability=half
    )


def test_drift_of_like_corpora_is_stable_and_says_the_means() -> None:
    one, other = profile(1_000, 231_000, {200: 1_000}), profile(500, 117_000, {200: 500})
    length = measure_drift(one, other, "in training")[1]
    assert ("length", "stable") == (length.name, length.grade)
    assert "Reviews are about as long as in training: 231 words on average, 234 there." == length.sentence


def test_drift_of_shorter_reviews_is_major_and_says_so() -> None:
    length = measure_drift(profile(1_000, 50_000, {50: 1_000}), profile(500, 100_000, {200: 500}), "in training")[1]
    assert "major" == length.grade
    assert "Reviews are much shorter than in training: 50 words on average, 200 there." == length.sentence


def test_drift_of_the_spread_alone_is_not_called_a_change_of_the_mean() -> None:
    one, other = profile(1_000, 100_000, {10: 500, 200: 500}), profile(1_000, 100_000, {100: 1_000})
    assert (
        "on average about as long as in training, but spread very"
        in measure_drift(one, other, "in training")[1].sentence
    )


@pytest.mark.parametrize("reviews", [0, 1, 199])
def test_drift_of_few_reviews_has_no_grade(reviews: int) -> None:
    some, many = profile(reviews, 10 * reviews, {10: reviews}), profile(1_000, 200_000, {200: 1_000})
    for one, other in ((some, many), (many, some)):
        for drift in measure_drift(one, other, "in training"):
            assert "too few" == drift.grade
            assert "too few to tell" in drift.sentence
            assert math.isfinite(drift.psi)


def test_words_are_the_sums_over_the_rows(made: Path, found: Findings) -> None:
    sums: dict[str, Counter[str]] = {}
    times, reviews = Counter[str](), Counter[str]()
    for run in ("run", "old"):
        total = sums[run] = Counter()
        for row in rows(made / run):
            for word in row["top_contributing"]:
                total[word["token"]] += word["contribution"]
            if run == "run":
                times.update(word["token"] for word in row["top_contributing"])
                reviews.update({word["token"] for word in row["top_contributing"]})
    scale = 1_000 / 300
    new, old = sums["run"], {word: value * scale for word, value in sums["old"].items()}
    by_change = sorted(new | old, key=lambda word: -abs(new.get(word, 0) - old.get(word, 0)))
    assert sorted((w for w in new if new[w] > 0), key=lambda w: -new[w])[:25] == [w.token for w in found.positive_words]
    assert sorted((w for w in new if new[w] < 0), key=lambda w: new[w])[:25] == [w.token for w in found.negative_words]
    assert by_change[:25] == [word.token for word in found.changed_words]
    for word in (*found.positive_words, *found.negative_words, *found.changed_words):
        assert (times[word.token], reviews[word.token]) == (word.times, word.reviews)
        assert new[word.token] == pytest.approx(word.contribution, abs=1e-5)
        assert old[word.token] == pytest.approx(word.reference, abs=1e-5)


def test_lists_are_the_rows_in_order(made: Path, found: Findings) -> None:
    table = rows(made / "run")
    surest = sorted(table, key=lambda row: (-abs(row["logit"]), row["record_id"]))
    wrong = [row for row in surest if (row["truth"] == 1) != (row["predicted_label"] == "positive")]
    expected = {
        "positive": sorted(table, key=lambda row: (-row["logit"], row["record_id"])),
        "negative": sorted(table, key=lambda row: (row["logit"], row["record_id"])),
        "uncertain": sorted(table, key=lambda row: (abs(row["logit"]), row["record_id"])),
        "surprising": wrong,
    }
    for name in LISTS:
        assert [row["record_id"] for row in expected[name][:20]] == listed(found, name), name


def test_review_has_the_values_of_its_row_and_its_sum_adds_up(made: Path, found: Findings) -> None:
    table = {row["record_id"]: row for row in rows(made / "run")}
    for review in found.reviews:
        row = table[review.record_id]
        assert (row["predicted_label"], row["n_tokens"]) == (review.label, review.n_tokens)
        assert np.float32(row["probability"]) == np.float32(review.probability)
        assert ("positive" if row["truth"] else "negative") == review.truth
        assert (("truth", str(row["truth"])), ("stars", str(row["stars"])), ("product", row["product"])) == review.kept
        for rank, column in (("contributing_rank", "top_contributing"), ("attended_rank", "top_attended")):
            ranked = sorted((w for w in review.words if getattr(w, rank)), key=lambda w: getattr(w, rank))
            assert [w["position"] for w in row[column]] == [w.position for w in ranked]
        total = BIAS + review.rest + sum(w.contribution for w in review.words if w.contributing_rank)
        assert review.logit == pytest.approx(total, abs=1e-5)
        assert sorted(w.position for w in review.words) == [w.position for w in review.words]


def test_reviews_of_one_score_come_by_id(made: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(made / "old", tmp_path / "copy")
    path = copy / "predictions/part-00000.parquet"
    table = pq.read_table(path)
    same = pa.repeat(pa.scalar(1.5, pa.float32()), len(table))
    shuffled = np.random.default_rng(0).permutation(len(table))
    pq.write_table(table.set_column(4, table.schema.field("logit"), same).take(shuffled), path)
    assert [f"r{i:06d}" for i in range(5)] == listed(ask(copy, reviews=5), "uncertain")


def test_quality_is_that_of_the_rows(made: Path, found: Findings) -> None:
    table = rows(made / "run")
    truth = np.array([row["truth"] == 1 for row in table])
    label = np.array([row["predicted_label"] == "positive" for row in table])
    p = np.array([row["probability"] for row in table])
    quality = found.quality
    assert quality is not None
    counts = (truth & label, ~truth & label, ~truth & ~label, truth & ~label)
    assert [int(c.sum()) for c in counts] == [
        *(quality.true_positive, quality.false_positive, quality.true_negative, quality.false_negative)
    ]
    assert ((truth == label).mean(), 1_000, 0) == (quality.accuracy, quality.reviews, quality.unlabelled)
    place = np.minimum((p * 10).astype(int), 9)
    gaps = [abs((p - truth)[place == b].sum()) for b in range(10)]
    assert sum(gaps) / 1_000 == pytest.approx(quality.ece, abs=1e-6)
    assert [int((place == b).sum()) for b in range(10)] == [b.reviews for b in quality.reliability]
    by_product = {s.value: (s.reviews, s.accuracy) for s in quality.slices if s.column == "product"}
    for name, (reviews, accuracy) in by_product.items():
        here = np.array([row["product"] == name for row in table])
        assert (here.sum(), (truth == label)[here].mean()) == (reviews, pytest.approx(accuracy))
    for column in ("length", "unknown words", "product"):
        assert 1_000 == sum(s.reviews for s in quality.slices if s.column == column)


def bounds(count: int, reviews: int) -> tuple[float, float]:
    found = proportion(count, reviews)
    return found.low, found.high


def test_wilson_interval_is_that_of_the_literature() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20.
    assert (0.2553, 0.3662) == pytest.approx(bounds(81, 263), abs=5e-5)
    assert (0.0, 0.1611) == pytest.approx(bounds(0, 20), abs=5e-5)


LABELS: list[tuple[Sequence[Any] | pa.Array, str | None, tuple[int, int, int]]] = [  # positive, negative, neither
    ([1, 0, 1, None], None, (2, 1, 1)),
    ([1.0, 0.0, 1.0, math.nan], None, (2, 1, 1)),
    ([True, False, None, True], None, (2, 1, 1)),
    (["Positive", " negative", "", "positive"], None, (2, 1, 1)),
    (["pos", "pos", "pos", "pos"], None, (4, 0, 0)),
    (["neg", "neg", "neg", None], None, (0, 3, 1)),
    ([5, 1, 4, 3], "5", (1, 3, 0)),
    (["good", "bad", "bad", None], "good", (1, 2, 1)),
    (["positive", "negative", "mixed", "mixed"], "positive", (1, 1, 2)),
    (pa.array([1, 0, 1, 0], pa.int8()), None, (2, 2, 0)),
    (pa.array([1, 0, 1, None], pa.decimal128(4, 2)), None, (2, 1, 1)),
    (["1.00", "0.00", "1.50", None], "1", (1, 2, 1)),
    (pa.array(["true", "false", "true", "true"]).dictionary_encode(), None, (3, 1, 0)),
]


@pytest.mark.parametrize(("labels", "positive", "expected"), LABELS)
def test_labels_are_understood(labels: Any, positive: str | None, expected: tuple[int, ...], tmp_path: Path) -> None:
    write_run(tmp_path / "run", 4, kept={"label": labels})
    quality = ask(tmp_path / "run", label_column="label", positive_value=positive).quality
    assert quality is not None
    negative = quality.true_negative + quality.false_positive
    assert expected == (quality.true_positive + quality.false_negative, negative, quality.unlabelled)


@pytest.mark.parametrize(
    ("labels", "positive", "message"),
    [
        ([1, 2, 3, 4], None, r"which labels mean positive[\s\S]*1, 2, 3, 4[\s\S]*--positive-value"),
        (["good", "bad", "bad", "bad"], None, r"which labels mean positive[\s\S]*bad, good"),
        (["positive", "negative", "mixed", None], None, r"which labels mean positive"),
        ([1, 2, 3, 4], "5", r"no label has the value[\s\S]*1, 2, 3, 4"),
    ],
)
def test_labels_that_do_not_say_what_is_positive_are_refused(
    labels: list[Any], positive: str | None, message: str, tmp_path: Path
) -> None:
    write_run(tmp_path / "run", 4, kept={"label": labels})
    with pytest.raises(OptionError) as refused:
        ask(tmp_path / "run", label_column="label", positive_value=positive)
    refused.match(message)


def test_label_column_without_labels_is_said_and_is_no_failure(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 4, kept={"label": pa.nulls(4, pa.string())})
    found = ask(tmp_path / "run", label_column="label")
    assert found.quality is None
    assert ("The column label holds no label: nothing can be said about quality.",) == found.notices


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"label_column": "rating"}, r"kept no column 'rating'[\s\S]*text, truth, stars, product[\s\S]*--keep rating"),
        ({"text_column": "body"}, "kept no column 'body'"),
        ({"text_column": "stars"}, r"'stars' does not hold text[\s\S]*int64"),
        ({"label_column": "truth", "slice_columns": ("shop",)}, "kept no column 'shop'"),
        ({"slice_columns": ("product",)}, "--slice-column needs --label-column"),
        ({"positive_value": "1"}, "--positive-value needs --label-column"),
        ({"text_column": "text", "text_from": ("x.parquet",)}, "exclude each other"),
        ({"reference": "nowhere"}, r"there is no run[\s\S]*nowhere"),
    ],
)
def test_what_the_run_does_not_have_is_refused(asked: dict[str, Any], message: str, made: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        ask(made / "run", **asked)
    refused.match(message)


def test_rejected_records_are_counted_by_code_with_the_first_as_examples(made: Path, found: Findings) -> None:
    errors = rows(made / "run", "errors")
    counts = Counter(row["code"] for row in errors)
    assert sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])) == [(r.code, r.records) for r in found.rejected]
    for kind in found.rejected:
        first = [row for row in errors if row["code"] == kind.code][:5]
        examples = tuple((row["source"], row["offset"], row["message"], row["excerpt"]) for row in first)
        assert examples == kind.examples
        assert kind.meaning


def test_texts_of_a_kept_column_are_those_that_were_scored(made: Path, found: Findings) -> None:
    texts = dict(
        zip(*(pq.read_table(made / "reviews.parquet")[name].to_pylist() for name in ("id", "text")), strict=True)
    )
    assert [texts[review.record_id] for review in found.reviews] == [review.text for review in found.reviews]
    assert "The texts come from the kept column text." == found.texts_note


def test_texts_that_are_others_are_left_out_and_counted(tmp_path: Path) -> None:
    table = write_run(tmp_path / "made", 6)
    texts = table["text"].to_pylist()
    others = [f"{texts[0]} more", texts[1].replace(" ", "  ", 1), texts[2].upper(), None, *texts[4:]]
    write_run(tmp_path / "run", 6, kept={"other": others})
    found = ask(tmp_path / "run", text_column="other")
    assert {r: t for r, t in zip(table["id"].to_pylist(), [None, None, others[2], None, *texts[4:]], strict=True)} == {
        review.record_id: review.text for review in found.reviews
    }
    assert "2 texts are not those that were scored and are left out. 1 review was not found there." in found.texts_note


def test_no_texts_are_shown_unless_asked_for(made: Path) -> None:
    found = ask(made / "run", reviews=2)
    assert {None} == {review.text for review in found.reviews}
    assert "--text-from INPUT" in found.texts_note


@pytest.fixture(scope="module")
def elsewhere(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The input as it was scored, and as it may be found later."""
    folder = tmp_path_factory.mktemp("elsewhere")
    table = pq.read_table(made / "reviews.parquet")
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    pq.write_table(table, folder / "reviews.parquet", row_group_size=300)
    pq.write_table(shuffled, folder / "shuffled.parquet")
    shuffled.slice(0, 500).to_pandas().to_csv(folder / "half.csv", index=False)
    return {"as it was": made / "reviews.parquet", **{path.stem: path for path in folder.iterdir()}, "folder": folder}


@pytest.mark.parametrize("place", ["as it was", "reviews", "shuffled", "folder"])
def test_texts_are_found_in_the_inputs_wherever_they_stand(
    place: str, made: Path, found: Findings, elsewhere: dict[str, Path]
) -> None:
    others = ask(made / "run", text_from=(str(elsewhere[place]),), label_column="truth", reviews=20)
    assert {r.record_id: r.text for r in found.reviews} == {r.record_id: r.text for r in others.reviews}
    assert f"The texts come from {elsewhere[place]}." == others.texts_note


def test_texts_that_are_not_in_the_inputs_are_counted(made: Path, elsewhere: dict[str, Path]) -> None:
    found = ask(made / "run", text_from=(str(elsewhere["half"]),), reviews=20)
    missing = sum(review.text is None for review in found.reviews)
    assert 0 < missing < len(found.reviews)
    assert f"{missing} reviews were not found there." in found.texts_note


def test_inputs_without_the_columns_of_the_run_are_refused(made: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"column 'text' is missing[\s\S]*inputs that were scored"):
        ask(made / "run", text_from=(str(tmp_path / "x.parquet"),))


def test_names_of_kept_columns_may_be_anything(tmp_path: Path) -> None:
    names = ("PROBABILITY", "Model_ID", "truth", "list", "rank", "kept_0", 'a "b"', "select", "k", "record_ID")
    write_run(tmp_path / "run", 3, kept={name: [f"{name} {i}" for i in range(3)] for name in names} | {"y": [1, 0, 1]})
    found = ask(tmp_path / "run", label_column="y", slice_columns=names)
    for review in found.reviews:
        i = int(review.record_id[1:])
        assert (*((name, f"{name} {i}") for name in names), ("y", str((i + 1) % 2))) == review.kept


def test_kept_times_are_shown_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    times = pa.array([0, 86_400], pa.timestamp("s", "Europe/Berlin"))
    write_run(tmp_path / "run", 2, kept={"at": times})
    assert {"1970-01-01 00:00:00+00", "1970-01-02 00:00:00+00"} == {
        review.kept[0][1] for review in ask(tmp_path / "run").reviews
    }


def test_run_without_predictions_has_findings_too(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 0, rejected=3, keep=("truth",))
    found = ask(tmp_path / "run", reference=str(tmp_path / "run"), label_column="truth")
    assert ((), (), None, 3) == (
        found.reviews,
        found.positive_words,
        found.quality,
        sum(r.records for r in found.rejected),
    )
    assert {"too few"} == {drift.grade for drift in (*found.drift, *found.drift_reference)}


def test_threshold_of_one_calls_all_negative_and_leaves_no_gap(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 50, threshold=1.0)
    found = ask(tmp_path / "run", reviews=10)
    assert (0, 10, 10) == tuple(len(listed(found, name)) for name in ("positive", "negative", "uncertain"))


def test_damaged_part_is_refused(made: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(made / "old", tmp_path / "copy")
    path = copy / "predictions/part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RefusedError, match=r"output of a run cannot be read[\s\S]*--resume"):
        ask(copy)


def word(i: int, token: str) -> ListedWord:
    return ListedWord(token, i, 10 * i, 10 * i + 5, 0.01, 0.25, i + 1, None)


def review(i: int, character: str) -> Review:
    words = tuple(word(k, character * 60) for k in range(60))
    kept = tuple((character * 200, character * 200) for _ in range(20))
    return Review(
        *(character * 1_000, character * 1_000, i, (LISTS[i % 4],), 0.5, 0.0, "positive", None, 9, 9, 0.0, words, 1.0),
        kept=kept,
        text=character * 20_000,
    )  # fmt: skip


@pytest.mark.parametrize(("count", "character"), [(4, "a"), (400, "<"), (1_000, "\x00"), (1_000, "😀")])
def test_reviews_fit_whatever_is_in_them(count: int, character: str) -> None:
    reviews = [review(i, character) for i in range(count)]
    fitted, without = fit(reviews)
    texts = [review.text for review in fitted if review.text is not None]
    assert {True} == {review.is_cut for review in fitted if review.text is not None}
    assert {TEXT} == {len(text) for text in texts}
    assert count - len(texts) == without
    data = json.dumps([astuple(review) for review in fitted], separators=(",", ":"), ensure_ascii=False)
    assert len(data.encode()) + 5 * data.count("<") < 4_400_000
    some = fitted[0]
    assert 1.0 + 60 * 0.25 == pytest.approx(some.rest + sum(w.contribution for w in some.words))


def test_lists_take_turns_where_there_is_no_room_for_all_texts() -> None:
    reviews = [replace(review(i, "a"), lists=(LISTS[0] if i < 90 else LISTS[1],)) for i in range(100)]
    fitted, without = fit(reviews, texts_bytes=12 * (TEXT + 2))
    assert 88 == without
    assert [*range(6), *range(90, 96)] == [i for i, review in enumerate(fitted) if review.text is not None]


def test_reviews_without_room_for_their_texts_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "run", 6, keep=("text",))
    monkeypatch.setattr(budget, "TEXTS_BYTES", 0)
    assert "6 reviews go without, so that the page stays small." in ask(tmp_path / "run", text_column="text").texts_note


def test_words_and_ids_of_any_length_are_cut(made: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(made / "old", tmp_path / "copy")
    path = copy / "predictions/part-00000.parquet"
    table = pq.read_table(path)
    changed = table.to_pylist()
    for row in changed:
        row["record_id"] += "x" * 5_000
        for name in ("top_contributing", "top_attended"):
            for k, found in enumerate(row[name]):
                found["token"] = "w" * (50 + 5_000 * (k == 0))
    pq.write_table(pa.Table.from_pylist(changed, table.schema), path)
    found = ask(copy, reviews=5)
    assert {200} == {len(review.record_id) for review in found.reviews}
    assert {50, 60} == {len(word.token) for review in found.reviews for word in review.words}
    assert {"w" * 50, "w" * 59 + "…"} == {word.token for word in (*found.positive_words, *found.negative_words)}


def test_what_is_no_number_does_not_reach_the_page(made: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(made / "old", tmp_path / "copy")
    path = copy / "predictions/part-00000.parquet"
    table = pq.read_table(path)
    changed = table.to_pylist()
    changed[0]["logit"] = changed[1]["rest_contribution"] = changed[2]["oov_rate"] = math.nan
    for place, value in ((1, math.inf), (2, -math.inf)):
        changed[place]["top_contributing"][0] |= {"contribution": value, "attention": value}
    pq.write_table(pa.Table.from_pylist(changed, table.schema), path)
    found = ask(copy, reviews=300)
    assert 299 == len(found.reviews)
    json.dumps(
        [astuple(part) for part in (*found.reviews, *found.positive_words, *found.negative_words)], allow_nan=False
    )


def test_hostile_strings_are_found_as_they_are(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 20, hostile=True, rejected=20, keep=("text", "product"))
    found = ask(tmp_path / "run", text_column="text")
    assert set(HOSTILE) <= {review.record_id for review in found.reviews}
    for review in found.reviews:
        if review.record_id in HOSTILE:
            assert review.text is not None
            assert review.text.startswith(review.record_id)
            assert (("product", review.record_id),) == review.kept


# The command, on a run of the tiny model.


@pytest.fixture(scope="module")
def scored(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `out`, `reviews.jsonl` that it is of, and `lines.log`, of which `lines` is."""
    folder = tmp_path_factory.mktemp("scored")
    path = folder / "reviews.jsonl"
    records = [{"id": i, "text": text, "good": int("good" in text)} for i, text in REVIEWS]
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + "{}\n")
    job = ScoreConfig.of(inputs=(str(path),), output=str(folder / "out"), model=str(tiny_model), max_error_rate=1.0)
    score_here(job.with_options(id_column="id", kept=(Kept("good", "good"),)))
    log = folder / "lines.log"
    log.write_text("".join(f"{text}\n" for _, text in REVIEWS))
    score_here(job.with_options(inputs=(str(log),), output=str(folder / "lines"), input_format="lines"))
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Runs `report` in this process and an empty directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, ["report", *map(str, args)])


@pytest.mark.parametrize(("output", "source"), [("out", "reviews.jsonl"), ("lines", "lines.log")])
def test_run_of_a_model_has_all_its_texts(output: str, source: str, scored: Path) -> None:
    found = ask(scored / output, text_from=(str(scored / source),))
    assert {text for _, text in REVIEWS} == {review.text for review in found.reviews}


def test_command_writes_the_report_into_the_output_and_says_what_is_in_it(
    run: Callable[..., Result], scored: Path
) -> None:
    result = run(scored / "out", "--label-column", "good")
    page = scored / "out/report.html"
    assert 0 == result.exit_code, result.output
    assert page.read_bytes().lower().startswith(b"<!doctype html>")
    lines = result.output.splitlines()
    assert lines[0].startswith(f"report  {page}  ")
    assert lines[1].startswith("  6 reviews, ")
    assert "by good on 6." in lines[2]
    assert "--text-from INPUT" in lines[-1]
    assert 0 == run(scored / "out", "--text-from", scored / "reviews.jsonl").exit_code  # over the one before


def test_command_says_that_a_label_column_holds_no_label(run: Callable[..., Result], tmp_path: Path) -> None:
    write_run(tmp_path / "run", 4, kept={"label": pa.nulls(4, pa.string())})
    result = run(tmp_path / "run", "--label-column", "label")
    assert 0 == result.exit_code
    assert "  quality The column label holds no label: nothing can be said about quality." in result.output.splitlines()


def test_command_writes_over_no_file_that_is_not_its_own(
    run: Callable[..., Result], scored: Path, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text("<title>mine</title>")
    (tmp_path / "folder").mkdir()
    for name in ("page.html", "folder"):
        result = run(scored / "out", "--output", name)
        assert 2 == result.exit_code
        assert "no report of batch-scorer" in result.output
    assert "<title>mine</title>" == (tmp_path / "page.html").read_text()


def test_command_that_fails_leaves_the_report_before_it(
    run: Callable[..., Result], scored: Path, tmp_path: Path
) -> None:
    assert 0 == run(scored / "out", "--output", "page.html").exit_code
    before = (tmp_path / "page.html").read_bytes()
    assert 2 == run(scored / "out", "--output", "page.html", "--label-column", "none").exit_code
    assert before == (tmp_path / "page.html").read_bytes()
    assert ["page.html"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("missing", ["plan.json", "manifest.json"])
def test_command_refuses_what_is_no_finished_run(
    missing: str, run: Callable[..., Result], made: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(made / "old", tmp_path / "copy")
    (copy / missing).unlink()
    result = run(copy)
    assert 2 == result.exit_code
    assert ("there is no run" if missing == "plan.json" else "not come to its end") in result.output
    assert not (copy / "report.html").exists()


def test_command_says_what_is_rejected_where_nothing_is_scored(run: Callable[..., Result], tmp_path: Path) -> None:
    write_run(tmp_path / "run", 0, rejected=3)
    result = run("run")
    assert 0 == result.exit_code, result.output
    assert "No review was scored; 3 records were rejected." in result.output


def test_run_in_a_store_is_reported_here_or_there(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "gs://bucket/in/reviews.parquet"
    pq.write_table(write_run(tmp_path / "run", 20, source=source, rejected=2), tmp_path / "reviews.parquet")
    client._client.cache_clear()  # of the server of another test
    with gcs.serving("bucket") as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        store.put("bucket", "in/reviews.parquet", (tmp_path / "reviews.parquet").read_bytes())
        for path in (tmp_path / "run").rglob("*"):
            if path.is_file():
                store.put("bucket", str(path.relative_to(tmp_path)), path.read_bytes())
        result = run("gs://bucket/run", "--text-from", source)
        assert 0 == result.exit_code, result.output
        assert result.output.startswith("report  report.html  ")
        result = run("gs://bucket/run", "--text-from", source, "--output", "gs://bucket/page.html")
        assert 0 == result.exit_code, result.output
        assert store.read("bucket", "page.html") == (tmp_path / "report.html").read_bytes()


def test_terminal_obeys_nothing_that_stands_in_a_run(run: Callable[..., Result], tmp_path: Path) -> None:
    write_run(tmp_path / "run", 300, hostile=True, kept={"\x1b[31m": [1, 0, *[1] * 298]}, keep=("text",))
    result = run("run", "--label-column", "\x1b[31m", "--text-column", "text")
    assert 0 == result.exit_code, result.output
    assert "\x1b" not in result.output
