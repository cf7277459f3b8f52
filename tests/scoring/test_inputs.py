"""Inputs read as `score` reads them, without a job: chunks, notices, and labels as text whatever their type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import InputConfig
from batch_scorer.errors import InputError, OptionError
from batch_scorer.scoring.inputs import LABEL, open_inputs


def table(folder: Path, labels: Any, name: str = "a.parquet") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": ["a film"] * len(labels), "stars": labels}), folder / name)
    return str(folder)


def labels(*paths: str, column: str = "stars") -> list[str | None]:
    inputs = open_inputs(InputConfig(paths), column)
    return [label for chunk in inputs for label in chunk.reviews[LABEL].to_pylist()]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([5, None], pa.int8()), ["5", None]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array(["5 ", ""]), ["5 ", ""]),
        (pa.array(["good", None]).dictionary_encode(), ["good", None]),
        (pa.array([b"good", b"b\xe4d"]), ["good", "0x62e464"]),
        (pa.array([5, 1], pa.decimal128(5, 2)), ["5.00", "1.00"]),
        (pa.array([2**62 + 1, 3]), [str(2**62 + 1), "3"]),
    ],
)
def test_labels_of_any_type_are_read_as_text(column: pa.Array, expected: list[Any], tmp_path: Path) -> None:
    assert expected == labels(table(tmp_path, column))


def test_labels_may_have_another_type_in_each_file_and_may_be_in_the_path(tmp_path: Path) -> None:
    table(tmp_path, [5], "a.parquet")
    table(tmp_path, ["good"], "b.parquet")
    (tmp_path / "c.csv").write_text("text,stars\na film,3.5\n")
    (tmp_path / "d.jsonl").write_text('{"text": "a film", "stars": 4.5}\n{"text": "a film", "stars": true}\n')
    (tmp_path / "stars=2").mkdir()
    (tmp_path / "stars=2/e.txt").write_text("a film")
    assert ["5", "good", "3.5", "4.5", "true", "2"] == labels(str(tmp_path))


def test_inputs_say_what_the_listing_notices(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("no review")
    inputs = open_inputs(InputConfig((table(tmp_path, [5]),)))
    assert (f"{tmp_path}: skipped 1 .md file",) == inputs.notices
    assert [["a film"]] == [chunk.texts for chunk in inputs] == [chunk.texts for chunk in inputs]


def test_inputs_without_labels_are_refused_by_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a film")
    with pytest.raises(InputError, match="the file has no columns, and so no labels") as refused:
        labels(str(tmp_path))
    assert str(tmp_path / "a.txt") == refused.value.where
    with pytest.raises(InputError, match="the column 'rating' is missing") as refused:
        labels(table(tmp_path / "b", [5]), column="rating")
    assert "name another with --label-column" == refused.value.fix
    with pytest.raises(InputError, match="cannot be written as text"):
        labels(table(tmp_path / "c", [[5]]))
    with pytest.raises(OptionError, match="--label-column is empty"):
        labels(table(tmp_path / "b", [5]), column="")


def test_options_that_nothing_can_be_read_with_are_refused(tmp_path: Path) -> None:
    for wrong, option in (
        ({"encoding": "utf-16"}, "--encoding"),
        ({"delimiter": ";;"}, "--delimiter"),
        ({"format": "xml"}, "--input-format"),
        ({"max_text_bytes": 0}, "--max-text-bytes"),
        ({"text_column": ""}, "--text-column"),
    ):
        with pytest.raises(OptionError, match=option):
            open_inputs(InputConfig((table(tmp_path, [5]),), **wrong))
