"""Beam imported without what a local job does not use, each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys

PIPELINE = """
import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
with beam.Pipeline(runner=FnApiRunner()) as pipeline:
    pipeline | beam.Create([41]) | beam.Map(lambda x: print("found", x + 1))
"""


def python(code: str) -> str:
    """What a new process prints that runs `code`."""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_beam_runs_without_what_was_hidden_which_can_be_imported_afterwards() -> None:
    printed = python(f"""
import sys
from batch_scorer.runners.lean import OPTIONAL, import_beam
import_beam()
assert "apache_beam" in sys.modules
assert not [name for name in OPTIONAL if name in sys.modules]
{PIPELINE}
import pandas, google.cloud.storage, boto3
from batch_scorer.storage.stores.gcs import Client
Client({{"no_auth": True}})
""")
    assert "found 42\n" == printed


def test_version_of_beam_that_was_not_tried_is_imported_as_it_is() -> None:
    printed = python(f"""
import sys
from batch_scorer.runners.lean import import_beam
for tried in (("2.10", "2.11"), ("99.0", "99.1")):
    import_beam(tried)
    assert "apache_beam" not in sys.modules
{PIPELINE}
assert "pandas" in sys.modules
""")
    assert "found 42\n" == printed


def test_what_was_imported_before_is_left_alone() -> None:
    python("""
import sys
import pandas
from batch_scorer.runners.lean import import_beam
import_beam()
assert sys.modules["pandas"] is pandas
whole = sys.modules["apache_beam"]
import_beam()
assert sys.modules["apache_beam"] is whole
""")


def test_arrow_does_without_pandas_which_can_be_imported_afterwards() -> None:
    python("""
import sys
from batch_scorer.runners.lean import forgo_pandas, import_beam
forgo_pandas()
import_beam()
import pyarrow as pa
assert ["a", None] == pa.array(["a", None]).to_pylist() and [{"x": 1.5}] == pa.table({"x": [1.5]}).to_pylist()
assert "pandas" not in sys.modules
import pandas
assert 3 == pandas.Series([1, 2]).sum()
""")


def test_process_that_has_arrow_already_keeps_it_as_it_is() -> None:
    python("""
import sys
import pyarrow as pa
from batch_scorer.runners.lean import forgo_pandas
forgo_pandas()
import pandas
assert [1.5, None] == pa.array(pandas.Series([1.5, None])).to_pylist()
assert [1.5] == pa.table({"x": [1.5]}).to_pandas()["x"].to_list()
""")
