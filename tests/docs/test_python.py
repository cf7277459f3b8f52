"""Every block of docs/python.md runs, and prints what is printed there.

`python -m tests.docs.test_python` runs the page and writes what it prints into it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import batch_scorer
from tests.docs.test_analysts import FENCED, Block, agree, blocks

pytestmark = pytest.mark.usefixtures("plain_shipped")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python.md"
BLOCKS = blocks(PAGE.read_text(encoding="utf-8"))


@dataclass
class Reader:
    """Somebody who types in the page from top to bottom; `folder` is where."""

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    printed: dict[int, str] = field(default_factory=dict)

    def answer(self, block: Block) -> str:
        """What a block prints; all those before it are run first."""
        for each in BLOCKS:
            if each.line <= block.line and each.line not in self.printed:
                self.printed[each.line] = self.read(each)
        return self.printed[block.line]

    def read(self, block: Block) -> str:
        """Runs a block and returns what it prints."""
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(io.StringIO()) as printed:
            if block.kind == "sh":
                path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
                places = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
                environment = {**os.environ, "PATH": path, "PYTHONPATH": places}
                subprocess.run(["bash", "-euc", block.code], check=True, env=environment)
            elif name := re.match(r"# (\w+\.py)\n", block.code):
                Path(name[1]).write_text(block.code, encoding="utf-8")
            else:
                exec(compile(block.code, f"python.md, line {block.line}", "exec"), self.names)
        return "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())


def at_the_samples(folder: Path) -> Reader:
    """A reader in a directory that looks like a checkout, as far as the page can see."""
    shutil.copytree(ROOT / "batch_scorer/samples", folder / "batch_scorer/samples")
    return Reader(folder)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = at_the_samples(tmp_path_factory.mktemp("python"))
    yield made
    for name, close in (("model", "close"), ("db", "close")):
        if name in made.names:
            getattr(made.names[name], close)()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_block_prints_what_is_printed(block: Block, reader: Reader) -> None:
    printed = reader.answer(block)
    assert agree(block.printed, printed), printed


def test_pipeline_gives_the_rows_of_score_to_the_last_bit(reader: Reader) -> None:
    reader.answer(BLOCKS[-1])
    with contextlib.chdir(reader.folder):
        rows = {row["id"]: row for row in reader.names["lines"]("one/scored*")}
        given = [json.loads(line) for line in Path("reviews.jsonl").read_text().splitlines()]
    scored = reader.names["model"].score([review["comment"] for review in given], top_k=3).to_pylist()
    expected = {review["id"]: {**review, **row} for review, row in zip(given, scored, strict=True) if not row["error"]}
    assert 3 == len(expected)
    assert {name: {**row, "error": None} for name, row in rows.items()} == expected


def test_page_names_all_that_is_public_and_links_to_what_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = {"load_model", "score_job", "open_run", "ScoreTexts", "ScorerError"}
    assert shown <= set(batch_scorer.__all__)
    assert all(re.search(rf"\b{name}\b", page) for name in shown)
    links = re.findall(r"\]\(([^)]+)\)", page)
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", page, re.M)
    }
    assert set() == {link[1:] for link in links if link.startswith("#")} - anchors
    assert [] == [link for link in links if link[0] != "#" and not (PAGE.parent / link.partition("#")[0]).is_file()]


def write_answers() -> None:
    """Runs the page in a new directory and writes what it prints into it."""
    from tempfile import TemporaryDirectory

    page = PAGE.read_text(encoding="utf-8")
    with TemporaryDirectory() as name:
        one, parts, end = at_the_samples(Path(name)), [], 0
        for match, block in zip(FENCED.finditer(page), BLOCKS, strict=True):
            printed = one.read(block)
            parts += [page[end : match.start()], f"```{block.kind}\n{block.code}```\n"]
            parts += [f"```\n{printed}\n```\n"] if printed else []
            end = match.end()
    PAGE.write_text("".join([*parts, page[end:]]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(write_answers())
