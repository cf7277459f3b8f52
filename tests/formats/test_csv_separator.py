"""CSV: the line by which Excel knows the delimiter is obeyed, and is neither header nor record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import InputError
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read

MakeConfig = Callable[..., ScoreConfig]
LONG = "x" * 300_000


def rows(settings: ScoreConfig) -> list[tuple[int, str, str]]:
    plan, shards = make_plan(settings, "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    assert [] == [r for chunk in chunks for r in chunk.rejected]
    return [
        (row["offset"], text, row["k"])
        for chunk in chunks
        for row, text in zip(chunk.reviews.to_pylist(), chunk.texts, strict=True)
    ]


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ("sep=;\ntext;k\ngood, very;1\nbad;2\n", {}),
        ('"sep=;"\r\n"text";"k"\r\n"good, very";1\r\nbad;2\r\n', {}),
        ("\ufeffSEP=|\ntext|k\ngood, very|1\nbad|2\n", {}),
        ("sep=\t\ntext\tk\ngood, very\t1\nbad\t2\n", {}),
        ('sep=,\ntext,k\n"good, very",1\nbad,2\n', {}),
        ("sep=;\ntext|k\ngood, very|1\nbad|2\n", {"delimiter": "|"}),
        ("sep=;\ngood, very;1\nbad;2\n", {"columns": ("text", "k")}),
        (f"sep=;\ntext;k;{LONG}\ngood, very;1;\nbad;2;\n", {}),
    ],
)
def test_line_that_tells_the_delimiter_is_obeyed(
    content: str, more: dict[str, object], folder: Path, config: MakeConfig
) -> None:
    (folder / "a.csv").write_text(content, encoding="utf-8", newline="")

    assert [(0, "good, very", "1"), (1, "bad", "2")] == rows(config(folder, kept=(Kept("k", "k"),), **more))


@pytest.mark.parametrize(
    "content", ["sep=;;\ntext\ngood\n", "text,k\nsep=;,1\n", "sep,text,k\n1,sep=;,1\n", "sep=\ngood\n"]
)
def test_line_that_only_looks_like_it_is_a_line_like_any_other(content: str, folder: Path, config: MakeConfig) -> None:
    (folder / "a.csv").write_text(content)
    settings = config(folder, kept=(Kept("k", "k"),))

    if content.startswith("sep="):
        with pytest.raises(InputError, match="is missing"):
            make_plan(settings, "model")
    else:
        assert [(0, "sep=;", "1")] == rows(settings)
