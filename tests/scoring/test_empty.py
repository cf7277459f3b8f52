"""Empty texts: blank, null or wordless ones are counted apart, in every format; absent ones are faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.models.artifact import Artifact
from batch_scorer.planning.plan import make_plan
from batch_scorer.schema import Rejection
from batch_scorer.scoring.encode import encode
from batch_scorer.scoring.read import read, read_texts
from tests.jobs import score_here

MakeConfig = Callable[..., ScoreConfig]
TEXTS = ["a good film", None, "", " \t", "?! 👍", "___", "' '' _'_", "n/a", " - ", "N/A", "snake_case", "o'clock", "²"]
EMPTY = [None, "", " \t", "?! 👍", "___", "' '' _'_"]


def rejected(settings: ScoreConfig, tiny: Artifact) -> list[Rejection]:
    """Plans, reads and encodes: what is rejected."""
    plan, shards = make_plan(settings, "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    return [r for chunk in chunks for piece in encode(chunk, tiny.tokenizer) for r in piece.rejected]


def written(folder: Path, kind: str, texts: list[str | None]) -> Path:
    """A file of this kind with these texts."""
    path = folder / f"in.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    else:
        path.write_text("text,id\n" + "".join(f"{text or ''},{i}\n" for i, text in enumerate(texts)), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize(("null_values", "more"), [((), [" - "]), (("n/a", "-"), ["n/a", " - "])])
def test_texts_without_words_and_null_values_are_empty_in_every_format(
    kind: str, null_values: tuple[str, ...], more: list[str], folder: Path, tiny: Artifact, config: MakeConfig
) -> None:
    found = rejected(config(written(folder, kind, TEXTS), null_values=null_values), tiny)

    assert len(EMPTY) + len(more) == len(found) and all(r.is_empty for r in found)
    assert {"no_words", *(["missing_text"] if kind != "csv" or null_values else [])} == {r.code for r in found}


@pytest.mark.parametrize(
    ("line", "code", "is_empty"),
    [
        ('{"a": {"b": null}}', "missing_text", True),
        ('{"a": null}', "missing_text", True),
        ('{"a.b": null}', "missing_text", True),
        ('{"a": {"b": "..."}}', "no_words", True),
        ('{"a": {"c": 1}}', "missing_text", False),
        ('{"a": {}}', "missing_text", False),
        ('{"a": 5}', "missing_text", False),
        ('{"b": null}', "missing_text", False),
        ('{"a": {"b": 5}}', "text_not_a_string", False),
        ("{", "malformed_json", False),
    ],
)
def test_absent_field_is_no_empty_text(
    line: str, code: str, is_empty: bool, folder: Path, tiny: Artifact, config: MakeConfig
) -> None:
    (folder / "in.jsonl").write_text(f'{{"a": {{"b": "good film"}}}}\n{line}\n')

    found = rejected(config(folder, text_column="a.b"), tiny)

    assert [(code, is_empty)] == [(r.code, r.is_empty) for r in found]


def test_texts_from_no_file_are_empty_by_the_same_rule(tiny: Artifact) -> None:
    (chunk,) = read_texts(["good", None, "", "_", 5])
    (piece,) = encode(chunk, tiny.tokenizer)

    assert [("missing_text", True), ("text_not_a_string", False), ("no_words", True), ("no_words", True)] == [
        (r.code, r.is_empty) for r in piece.rejected
    ]


@pytest.mark.parametrize(
    ("texts", "counts", "succeeds"),
    [
        (["a good film", *[""] * 8, None, "___"], (11, 1, 10, 10), True),
        ([None, "", "?"], (3, 0, 3, 3), False),
    ],
)
def test_job_with_empty_texts_succeeds_unless_all_are_empty(
    texts: list[Any], counts: tuple[int, ...], succeeds: bool, folder: Path, config: MakeConfig, tmp_path: Path
) -> None:
    manifest = score_here(config(written(folder, "jsonl", texts), max_error_rate=0.01))

    assert counts == tuple(manifest["counts"][name] for name in ("read", "scored", "rejected", "empty"))
    assert succeeds == (manifest["not_a_success"] is None) == (tmp_path / "out" / "_SUCCESS").exists()
