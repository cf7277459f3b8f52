"""The house: who may import whom, and how large a room may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# One module may import those above it, never those below or beside it in the same line's right.
LAYERS = """
errors config
ahead
escape
quiet
events
local_files
stores.patience
stores.store stores.reader
stores.gcs stores.s3
stores.access stores.listing stores.objects
storage
watch
schema tokenizer model profile documents keras_model artifact_files artifact
records
sizes
formats.thrift formats.footer formats.pages formats.reach
formats.inflate
formats.arrow formats.stream formats.parquet formats.jsonl formats.delimited formats.lines formats.files
inputs columns
read
cut
plan
stored_plan
encode
protocol
keras_engine folded_engine
engine
score
explain
write
summarise
shard
review
worker
graph
portable wheel dataflow follow
pipeline
estimate
progress terminal outputs
cards
ending
highlight
runs
views
tables
significance labels
report.findings
report.room
report.words report.drift report.quality report.question report.charts report.browse
report.choose
report.texts
report.gather
report.page
report.command
comparison
pairs
compare_export compare_measures compare_story
compare compare_view
commands
job
cli_frame
complete
cli_look
cli
__main__
"""
ORDER = {name: place for place, name in enumerate(LAYERS.split())}
MODULES = sorted((ROOT / "batch_scorer").rglob("*.py"))
TRAIN = sorted((ROOT / "train").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
DEPLOY = sorted((ROOT / "deploy").rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "batch_scorer").with_suffix("").parts)


def imported(path: Path) -> set[str]:
    """The modules of the project that `path` imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    ours = {f"batch_scorer.{name}" for name in ORDER}
    return {name for name in found if name in ours or name.split(".")[0] == "train"}


@pytest.mark.parametrize("path", [p for p in MODULES if p.name != "__init__.py"], ids=name_of)
def test_module_imports_only_modules_above_it(path: Path) -> None:
    name = name_of(path)
    assert name in ORDER, f"{name} has no place in the layout: add it to LAYERS"
    wrong = {
        other
        for other in imported(path)
        if other.startswith("train") or ORDER[other.removeprefix("batch_scorer.")] >= ORDER[name]
    }
    assert set() == wrong


@pytest.mark.parametrize("path", TRAIN, ids=lambda path: path.stem)
def test_train_imports_the_contract_only_and_evaluation_the_engine(path: Path) -> None:
    contract = {
        "errors",
        "schema",
        "tokenizer",
        "model",
        "profile",
        "documents",
        "keras_model",
        "artifact",
        "quiet",
        "cli_frame",
    }
    if path.parent.name == "evaluate":
        contract |= {"encode", "protocol", "engine", "score"}  # what is judged are the answers that users get
    ours = {other.removeprefix("batch_scorer.") for other in imported(path) if other.startswith("batch_scorer.")}
    assert set() == ours - contract


@pytest.mark.parametrize("path", [*MODULES, *TRAIN], ids=lambda path: path.stem)
def test_nothing_imports_benchmarks(path: Path) -> None:
    assert "benchmarks" not in path.read_text(encoding="utf-8").replace("python -m benchmarks.", "")


def test_layers_name_only_modules_that_exist() -> None:
    assert set() == set(ORDER) - {name_of(path) for path in MODULES}


@pytest.mark.parametrize("path", [*MODULES, *TRAIN, *BENCHMARKS, *DEPLOY], ids=lambda path: path.stem)
def test_module_has_at_most_250_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("path", [*MODULES, *TRAIN, *BENCHMARKS, *DEPLOY], ids=lambda path: path.stem)
def test_module_says_what_it_is(path: Path) -> None:
    if path.name == "__main__.py":
        return
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
