"""Outputs of runs: finished, unfinished, damaged, and in a store."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from batch_scorer import storage
from batch_scorer.analysis.database import connect
from batch_scorer.errors import RefusedError
from batch_scorer.models import artifact
from batch_scorer.runs.finished import check_parts, fetched, open_run
from batch_scorer.storage.stores import client
from tests.finished_runs import Original, edit
from tests.stubs import gcs, s3


@pytest.fixture
def output(original: Original, tmp_path: Path) -> Path:
    return Path(original.copy(tmp_path / "run", "it"))


def damage(output: Path) -> str:
    """The `got` of the refusal of a damaged output."""
    with pytest.raises(RefusedError, match="the output of the run is damaged") as refused:
        open_run(str(output))
    assert str(output) == refused.value.where
    expected = "another --output" if "plan.json" in str(refused.value.got) else "--resume"
    assert expected in str(refused.value.fix)
    return str(refused.value.got)


def test_run_has_its_parts_in_order_and_says_whether_it_is_a_success(output: Path) -> None:
    run = open_run(str(output))
    assert tuple(f"{output}/predictions/part-0000{n}.parquet" for n in range(len(run.predictions))) == run.predictions
    assert 2 <= len(run.predictions)
    assert ("it", 1, True, ()) == (run.manifest["run_id"], len(run.errors), run.complete, run.kept)
    (output / "_SUCCESS").unlink()
    assert not open_run(str(output)).complete


def test_parts_that_the_manifest_does_not_name_are_not_parts_of_the_run(output: Path) -> None:
    expected = open_run(str(output)).predictions
    (output / "predictions/part-00099.parquet").write_bytes(b"of another run")
    assert expected == open_run(str(output)).predictions


@pytest.mark.parametrize(
    ("change", "what", "got"),
    [
        (lambda output: (output / "plan.json").unlink(), "there is no run", "a directory without a plan.json"),
        (lambda output: output.rename(output.with_name("moved")), "there is no run", "nothing there"),
        (lambda output: (output / "manifest.json").unlink(), "the run is not finished", "no manifest.json"),
    ],
)
def test_anything_but_a_finished_run_is_refused(
    change: Callable[[Path], Any], what: str, got: str, output: Path
) -> None:
    change(output)
    with pytest.raises(RefusedError) as refused:
        open_run(str(output))
    assert (what, str(output), got) == (refused.value.what, refused.value.where, refused.value.got)


@pytest.mark.parametrize("name", ["plan.json", "manifest.json"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"7", b"\xff", b"[" * 100_000, b'{"kept": 7, "parts": 7}', b'{"kept": [7]}']
)
def test_damaged_document_is_refused_and_nothing_else_is_raised(name: str, content: bytes, output: Path) -> None:
    (output / name).write_bytes(content)
    assert damage(output)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bias": "high"}, "bias: expected type 'number', got 'high'"),
        ({"bias": float("nan")}, "not a usable number"),
        ({"bias": float("-inf")}, "not a usable number"),
        ({"bias": 10**400}, "not a usable number"),
        ({"threshold": 2e300}, "threshold"),
        ({"counts": {"read": 1}}, "counts"),
        ({"run_id": 7}, "run_id"),
        ({"parts": [{"path": 7, "rows": 1, "sha256": "0" * 64}]}, "parts, 0, path"),
    ],
)
def test_nonsense_in_the_manifest_is_refused_with_the_field(changes: dict[str, Any], said: str, output: Path) -> None:
    edit(output / "manifest.json", **changes)
    assert said in damage(output)


@pytest.mark.parametrize(
    "kept", [[{"output_name": 7, "type": "int8"}], [{"output_name": "a"}], [{"name": "a"}], {"a": 1}]
)
def test_plan_whose_kept_columns_are_damaged_is_refused(kept: Any, output: Path) -> None:
    edit(output / "plan.json", kept=kept)
    assert "plan.json, kept" in damage(output)


@pytest.mark.parametrize("name", ["text_column", "id_column", "kept", "encoding", "delimiter", "max_text_bytes"])
def test_plan_that_lacks_a_field_is_refused_with_the_field(name: str, output: Path) -> None:
    plan = json.loads((output / "plan.json").read_text())
    del plan[name]
    (output / "plan.json").write_text(json.dumps(plan))
    assert name in damage(output)


@pytest.mark.parametrize(
    "path",
    [
        *("../secret.parquet", "/etc/passwd", "predictions/../../part-00000.parquet", "predictions/part-1.parquet"),
        *("other/part-00000.parquet", "predictions/part-00000.parquet\n", "s3://bucket/predictions/part-00000.parquet"),
    ],
)
def test_path_that_leads_out_of_the_run_is_refused(path: str, output: Path) -> None:
    edit(output / "manifest.json", parts=[{"path": path, "rows": 1, "sha256": "0" * 64}])
    assert repr(path) in damage(output)


def test_missing_part_is_refused_by_name(output: Path) -> None:
    run = open_run(str(output))
    check_parts(run)
    os.unlink(run.predictions[1])
    for look in (lambda: check_parts(run), lambda: fetched([run]).__enter__()):
        with pytest.raises(RefusedError, match="damaged") as refused:
            look()
        assert f"{run.predictions[1]} is missing" == refused.value.got


@pytest.fixture(params=["gs", "s3"])
def in_store(
    request: pytest.FixtureRequest, output: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, gcs.Store | s3.Store]]:
    """The run in a bucket: its address, and the store."""
    client._client.cache_clear()  # of the server of another test
    client.use(())
    with gcs.serving("bucket") if request.param == "gs" else s3.serving() as store:
        if request.param == "gs":
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        else:
            store.make("bucket")
            for name, value in {**s3.KEYS, "AWS_ENDPOINT_URL_S3": store.url}.items():
                monkeypatch.setenv(name, value)
        for path in output.rglob("*"):
            if path.is_file():
                store.put("bucket", f"out/{path.relative_to(output)}", path.read_bytes())
        yield f"{request.param}://bucket/out", store
    client._client.cache_clear()


def test_run_in_a_store_is_copied_while_it_is_in_use(in_store: tuple[str, gcs.Store | s3.Store], output: Path) -> None:
    address, _ = in_store
    run, local = open_run(address), open_run(str(output))
    assert (address, True) == (run.output, run.complete)
    assert len(local.predictions) == len(run.predictions)
    with fetched([local, run]) as (beside, here):
        assert local == beside
        assert all(not storage.is_remote(path) for path in (*here.predictions, *here.errors))
        for path, expected in zip(here.predictions + here.errors, local.predictions + local.errors, strict=True):
            assert Path(expected).read_bytes() == Path(path).read_bytes()
    assert [] == [path for path in here.predictions if os.path.exists(path)]
    with connect("report", new=[run]) as connection:
        assert [(address, 6)] == connection.execute(
            "select output, (select count(*) from new_predictions) from new_runs"
        ).fetchall()


def test_part_that_is_missing_in_a_store_is_refused_by_name(in_store: tuple[str, gcs.Store | s3.Store]) -> None:
    address, store = in_store
    run = open_run(address)
    more = {**run.manifest["parts"][0], "path": "predictions/part-00077.parquet"}
    store.put("bucket", "out/manifest.json", json.dumps({**run.manifest, "parts": [more]}).encode())
    with pytest.raises(RefusedError, match="damaged") as refused, fetched([open_run(address)]):
        pass
    assert f"{address}/predictions/part-00077.parquet is missing" == refused.value.got
    assert address == refused.value.where


def test_connection_of_the_tables_uses_no_network(output: Path) -> None:
    with (
        connect("report", new=[open_run(str(output))]) as connection,
        pytest.raises(duckdb.Error, match="httpfs"),
    ):
        connection.execute("from 'http://127.0.0.1:9/x.parquet'")


def test_shipped_model_is_not_a_run() -> None:
    with pytest.raises(RefusedError, match="there is no run"):
        open_run(artifact.SHIPPED)
