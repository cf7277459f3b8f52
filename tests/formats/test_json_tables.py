"""JSON that holds no object for each review is refused, with a command that makes lines of it."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read
from tests.processes import GUARD_S

MakeConfig = Callable[..., ScoreConfig]
TEXTS = ["a good café", "a bad film", "it's not boring"]
ROWS = [{"id": i, "text": text} for i, text in enumerate(TEXTS)]
COLUMNS = {"id": {str(i): i for i in range(3)}, "text": {str(i): text for i, text in enumerate(TEXTS)}}
TABLES: dict[str, Any] = {
    "columns": COLUMNS,
    "one column": {"text": COLUMNS["text"]},
    "lists": {"id": [0, 1, 2], "text": TEXTS},
    "split": {"columns": ["id", "text"], "index": [0, 1, 2], "data": [[i, text] for i, text in enumerate(TEXTS)]},
    "keyed": {f"r{i}": row for i, row in enumerate(ROWS)},
    "keyed, in others": {"meta": {"n": 3}, "it's": {"all": {f"r{i}": row for i, row in enumerate(ROWS)}}},
    "rows": [[i, text] for i, text in enumerate(TEXTS)],
    "texts": TEXTS,
}


def _texts(settings: ScoreConfig) -> list[str]:
    plan, shards = make_plan(settings, "model")
    return [text for shard in shards for chunk in read(shard, plan.fields) for text in chunk.texts]


def _cured(error: InputError, folder: Path, config: MakeConfig) -> list[str]:
    """The texts that the command of a refusal makes readable."""
    command = re.search("`(.*)`", error.fix or "")
    assert command, error.fix
    subprocess.run(command[1], shell=True, check=True, timeout=GUARD_S)
    (made,) = folder.glob("*.new*")
    column = re.search(r"--text-column (\S+)", error.fix or "")
    return _texts(config(made, text_column=column[1] if column else "text"))


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", TABLES)
def test_table_is_refused_with_a_command_that_makes_lines_of_it(
    name: str, indent: int | None, folder: Path, config: MakeConfig
) -> None:
    (folder / "reviews.json").write_text(json.dumps(TABLES[name], indent=indent))
    with pytest.raises(InputError, match="the input holds") as refused:
        make_plan(config(folder / "reviews.json"), "model")
    assert TEXTS == _cured(refused.value, folder, config)


@pytest.mark.parametrize("name", [name for name in TABLES if name not in ("one column", "lists", "keyed, in others")])
def test_table_that_is_longer_than_what_is_looked_at_is_refused_as_well(
    name: str, folder: Path, config: MakeConfig
) -> None:
    many = [text for i in range(9_000) for text in (f"{TEXTS[0]} {i}", TEXTS[1])]
    table = {
        "columns": {"text": {str(i): text for i, text in enumerate(many)}},
        "split": {"columns": ["text"], "data": [[text] for text in many]},
        "keyed": {str(i): {"text": text} for i, text in enumerate(many)},
        "rows": [[text] for text in many],
        "texts": many,
    }[name]
    (folder / "reviews.json.gz").write_bytes(gzip.compress(json.dumps(table).encode()))
    with pytest.raises(InputError, match="the input holds") as refused:
        make_plan(config(folder / "reviews.json.gz"), "model")
    assert many == _cured(refused.value, folder, config)


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "a good film", "author": {"text": "ann"}}',
        '{"author": {"0": "ann"}, "text": "a good film"}',
        '{"a": {"b": {"text": "c"}, "d": {"text": "e"}}, "text": "a good film"}',
        '{"tags": ["a"], "text": "a good film"}',
        '{"text": "a good film"}\n["no object"]\n["nor this"]',
        '[{"text": "a good film"}, "no object"]',
        '{"columns": ["x"], "data": [1], "text": "a good film"}',
        "[]",
    ],
)
def test_record_that_resembles_a_table_is_read(text: str, folder: Path, config: MakeConfig) -> None:
    (folder / "reviews.json").write_text(text)
    assert ([] if text == "[]" else ["a good film"]) == _texts(config(folder / "reviews.json"))
