"""Whole jobs by a model whose ids are pieces of words: written, explained, reported, compared, in Python."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from batch_scorer import load_model, open_run
from batch_scorer.config import ScoreConfig
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.run_row import find_row, find_text
from tests.cli.test_main import run
from tests.conftest import SUBWORDS
from tests.jobs import part_bytes, rows, score_here
from tests.plain_model import expected
from tests.scoring.test_subwords import rows as rows_of

TEXTS = {
    "english": "Goodness, a wonderful film: it\u2019s not bad",
    "korean": "영화가 재미있다, 최고다",
    "japanese": "映画は最高です。ストーリーか\u3099最高",
    "thai": "ภาพยนตร์ดีมาก",
    "mixed": "iPhone最高! a film, 映画は good",
    "long": "goodness 最高です " * 12,
}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, tiny_subwords_model: Path) -> ScoreConfig:
    """A finished job, its input beside it."""
    folder = tmp_path_factory.mktemp("job")
    lines = [json.dumps({"id": name, "text": text}, ensure_ascii=False) for name, text in TEXTS.items()]
    (folder / "in.jsonl").write_text("\n".join([*lines, '{"id": "none", "text": "。、"}']) + "\n", encoding="utf-8")
    made = ScoreConfig.of(
        [str(folder / "in.jsonl")],
        str(folder / "out"),
        str(tiny_subwords_model),
        id_column="id",
        shard_rows=3,
        workers=1,
    )
    score_here(made)
    return made


@pytest.fixture(scope="module")
def output(job: ScoreConfig) -> Path:
    return Path(job.output.directory)


def test_rows_are_those_of_plain_python_and_the_manifest_says_the_type(output: Path, tiny_subwords: Artifact) -> None:
    found = rows(output)
    assert [*TEXTS] == [row["record_id"] for row in found]
    for row in found:
        wanted = expected(tiny_subwords, TEXTS[row["record_id"]], 10)
        for name in ("n_tokens", "n_tokens_used", "truncated", "oov_rate", "temperature"):
            assert wanted[name] == row[name], name
        assert wanted["logit"] == pytest.approx(row["logit"], abs=1e-5)
        for word in row["top_contributing"]:
            assert word["token"] == TEXTS[row["record_id"]][word["char_start"] : word["char_end"]].lower()
    assert ["no_words"] == [row["code"] for row in rows(output, "errors")]
    manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    assert {"type": "subwords", "pattern": SUBWORDS["pattern"]} == manifest["tokenizer"]
    profile = manifest["profile"]["run"]
    assert sum(row["n_tokens"] for row in found) == profile["words"]
    assert profile["used_words"] > sum(row["n_tokens_used"] for row in found), "pieces"
    assert {"Han", "Hangul", "Kana", "Thai"} == profile["scripts"].keys()
    assert sum(profile["scripts"].values()) == profile["foreign_words"]


def test_resumed_run_has_the_same_bytes(job: ScoreConfig, output: Path, tmp_path: Path) -> None:
    copy = tmp_path / "out"
    shutil.copytree(output, copy)
    for name in ("shards/00001.json", "manifest.json", "_SUCCESS"):
        (copy / name).unlink()
    score_here(job.with_options(output=str(copy), resume=True))
    assert part_bytes(str(output)) == part_bytes(copy)


@pytest.mark.parametrize("name", TEXTS)
def test_text_of_a_row_is_found_again_and_its_listed_units_are_marked(name: str, output: Path) -> None:
    row = find_row(open_run(output)._run, name)
    text = find_text(row).text
    assert TEXTS[name] == text
    review = row.review(text)
    listed = {(w["char_start"], w["char_end"]) for w in row.columns["top_contributing"]}
    assert listed <= {(word.start, word.end) for word in review.words if word.contribution}


def test_other_text_in_a_script_without_blanks_is_not_taken_for_the_one_that_was_scored(
    job: ScoreConfig, output: Path, tmp_path: Path
) -> None:
    lines = (output.parent / "in.jsonl").read_text(encoding="utf-8").splitlines()
    for changed in (
        "映画は最低です。ストーリーか\u3099最高",
        "映画は",
        TEXTS["japanese"] + " " + "とても" * 20 + " a b c d e f g h i j k",
    ):
        data = json.dumps({"id": "japanese", "text": changed}, ensure_ascii=False)
        (tmp_path / "in.jsonl").write_text("\n".join([*lines[:2], data, *lines[3:]]) + "\n", encoding="utf-8")
        found = find_text(find_row(open_run(output)._run, "japanese"), (str(tmp_path / "in.jsonl"),))
        assert found.text is None
        assert "is not the text that was scored" in found.note


def test_row_and_text_are_explained_alike(output: Path, tiny_subwords_model: Path) -> None:
    by_run = json.loads(run("explain", "--run", output, "--id", "mixed", "--json").stdout)
    by_text = json.loads(run("explain", TEXTS["mixed"], "--model", tiny_subwords_model, "--json").stdout)
    for name in ("logit", "oov_rate", "temperature"):
        assert by_run[name] == pytest.approx(by_text[name], abs=1e-5)
    places = [[(w["char_start"], w["char_end"]) for w in side["top_attended"]] for side in (by_run, by_text)]
    assert places[0] == places[1]
    shown = run("explain", TEXTS["thai"], "--model", tiny_subwords_model).stdout
    assert "4 words" in shown and "ภาพ(" in shown


def test_run_is_reported_with_its_texts(output: Path, tmp_path: Path) -> None:
    result = run("report", output, "--text-from", output.parent / "in.jsonl", "--output", tmp_path / "page.html")
    assert (0, "") == (result.exit_code, result.stderr)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert TEXTS == {review["id"]: review["text"] for review in data["reviews"]}


def test_runs_by_words_and_by_pieces_are_compared_by_place(
    job: ScoreConfig, output: Path, tiny_model_2: Path, tmp_path: Path
) -> None:
    score_here(job.with_options(model=str(tiny_model_2), output=str(tmp_path / "words"), run_id="words"))
    result = run("compare", tmp_path / "words", output, "--json")
    found: dict[str, Any] = json.loads(result.stdout)
    assert (0, len(TEXTS), 0) == (result.exit_code, found["pairs"]["both"], found["pairs"]["other_text"])
    settings = {setting["name"]: (setting["a"], setting["b"]) for setting in found["settings"]}
    assert ("typographic apostrophes belong to words", "of any script, each in pieces") == settings["words"]


def test_model_in_python_gives_the_rows_of_a_job(tiny_subwords_model: Path, tiny_subwords: Artifact) -> None:
    explained = load_model(str(tiny_subwords_model)).explain(TEXTS["japanese"])
    (row,) = rows_of([TEXTS["japanese"]], Scorer(tiny_subwords, ExactEngine(tiny_subwords)))
    assert row["logit"] == pytest.approx(explained.logit, abs=1e-6)
    assert ["映画", "は", "最高", "です", "ストーリー", "か\u3099", "最高"] == [word.token for word in explained.words]


def test_card_of_a_model_of_pieces_says_so(tiny_subwords_model: Path) -> None:
    said = " ".join(run("inspect", tiny_subwords_model).stdout.split())
    assert "all pieces of words of a review up to the last 36, 9 at a time" in said
    assert "pieces and marks" in said
