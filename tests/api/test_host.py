"""What the Python API leaves as it found it in the process that uses it: everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import REVIEWS

ROOT = Path(__file__).parents[2]
STATE = """
import csv, gc, json, logging, os, signal, sys, tempfile, threading, warnings

def state():
    root = logging.getLogger()
    return {
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "root logger": (root.level, [repr(handler) for handler in root.handlers], root.disabled, root.manager.disable),
        "signals": {int(number): repr(signal.getsignal(number)) for number in signal.valid_signals()},
        "hooks": (repr(sys.excepthook), repr(threading.excepthook), repr(sys.stdout), repr(sys.stderr)),
        "temporary": tempfile.tempdir,
        "csv": csv.field_size_limit(),
        "threads": [thread.name for thread in threading.enumerate()],
        "files": sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2)),
        "tensorflow": "tensorflow" in sys.modules,
        "path": list(sys.path),
    }
"""
USES = (
    STATE
    + """
before = state()
from batch_scorer import load_model, open_run, score_job
model = load_model(sys.argv[1])
table = model.score(["a good film", None])
assert ["missing_text"] == table["error"].drop_null().to_pylist()
model.explain("a good film")
run = score_job(sys.argv[2], sys.argv[3], model=sys.argv[1], progress=False)
assert run.complete and 6 == run.predictions().num_rows == open_run(sys.argv[3]).predictions().num_rows
print(json.dumps([before, state(), "apache_beam" in sys.modules]))
"""
)
BUILDS = (
    """
import apache_beam as beam
"""
    + STATE
    + """
def made():
    return beam.Pipeline(runner="FnApiRunner") | beam.Create([("a", "good film")])
made() | beam.Map(print)  # Beam sets up a log of its own, whatever the pipeline does
before = state()
from batch_scorer import ScoreTexts
scored, rejected = made() | ScoreTexts(sys.argv[1])
built = state()
step = ScoreTexts(sys.argv[1])._step  # as a worker in this process has it
step.setup()
step.start_bundle()
step.process(("a", "good film"), 0, None, None)
((key, row),) = [result.value for result in step.finish_bundle()]
assert key == "a" and 3 == row["n_tokens"] + 1
print(json.dumps([before, built, state()]))
"""
)
IMPORTS = """
import sys, batch_scorer
listed = dir(batch_scorer)
heavy = [name for name in ("tensorflow", "apache_beam", "pyarrow", "numpy", "batch_scorer.api") if name in sys.modules]
from batch_scorer import *
names = sorted(name for name in batch_scorer.__all__ if name in globals())
print(heavy, "tensorflow" in sys.modules, names == batch_scorer.__all__ and set(names) <= set(listed))
"""


def python(code: str, *words: object) -> str:
    """What a fresh process prints."""
    command = [sys.executable, "-c", code, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_scoring_explaining_and_a_job_change_nothing(tiny_model: Path, reviews_file: Path, tmp_path: Path) -> None:
    before, after, imported_beam = json.loads(python(USES, tiny_model, reviews_file, tmp_path / "out"))
    assert before == after
    assert not imported_beam
    assert 6 == len(REVIEWS)


def test_pipeline_changes_nothing_where_it_is_built_and_where_it_scores(tiny_model: Path) -> None:
    before, built, scored = json.loads(python(BUILDS, tiny_model))
    assert before == built == scored


def test_import_of_the_package_brings_nothing_heavy_and_names_come_when_they_are_used() -> None:
    assert "[] False True\n" == python(IMPORTS)
