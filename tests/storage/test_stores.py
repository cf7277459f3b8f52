"""Whole jobs on object stores, `gs://` and `s3://`: the rows of a local run, even if requests fail."""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer import storage
from batch_scorer.escape import install
from batch_scorer.runs import claim, renewal
from batch_scorer.runs.claim import claimed
from batch_scorer.storage import conditional
from batch_scorer.storage.stores import client, retry
from tests.cli.test_main import Result, run
from tests.conftest import REVIEWS
from tests.jobs import part_bytes, rows
from tests.stubs import gcs, s3
from tests.stubs.gcs import Fault, Request

SCHEMES = ("gs", "s3")
BAD = (b'{"id": "b1", "text": "cut off\n', b'{"id": "b2"}\n')


@dataclass(frozen=True)
class Bucket:
    """A bucket in a store on this machine.

    Args:
        words: the options after `--` that point to the store.
    """

    scheme: str
    store: gcs.Store | s3.Store
    words: tuple[str, ...]

    def path(self, name: str) -> str:
        return f"{self.scheme}://bucket/{name}"

    def put(self, folder: Path, prefix: str) -> None:
        for path in sorted(folder.iterdir()):
            self.store.put("bucket", f"{prefix}/{path.name}", path.read_bytes())

    def fetch(self, prefix: str, to: Path) -> Path:
        """All objects below `prefix`, as files."""
        for name in self.store.names("bucket", f"{prefix}/"):
            target = to / name.removeprefix(f"{prefix}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.store.read("bucket", name))
        return to

    def score(self, *more: object, output: str = "out", model: str | None = None) -> Result:
        """Scores everything below `in/` in two or more shards, always with the same run id."""
        places = (self.path("in/"), "--output", self.path(output), "--model", model or self.path("model"))
        settings = ("--id-column", "id", "--run-id", "r", "--shard-rows", 4, "--max-error-rate", 1)
        return run("score", *places, *settings, *more, "--", *self.words)


@pytest.fixture
def inputs(folder: Path) -> Path:
    """Reviews as JSONL, with bad records in between, as Parquet and as compressed CSV."""
    lines = [json.dumps({"id": i, "text": text}).encode() + b"\n" for i, text in REVIEWS]
    (folder / "a.jsonl").write_bytes(b"".join([*lines[:2], *BAD, *lines[2:]]))
    pq.write_table(
        pa.table({"id": [f"p{i}" for i, _ in REVIEWS], "text": [t for _, t in REVIEWS]}), folder / "b.parquet"
    )
    (folder / "c.csv.gz").write_bytes(gzip.compress(b"id,text\nc1,a good film\nc2,bad plot\n", mtime=0))
    return folder


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "WAITS_S", (0.0, 0.0, 0.0))


@pytest.fixture(params=SCHEMES)
def bucket(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, inputs: Path, tiny_model: Path
) -> Iterator[Bucket]:
    """A bucket with the inputs and the tiny model."""
    client._client.cache_clear()  # it would use the server of another test
    made: Bucket
    if request.param == "gs":
        with gcs.serving("bucket") as store:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
            made = Bucket("gs", store, ())
            made.put(inputs, "in")
            made.put(tiny_model, "model")
            yield made
    else:
        for name, value in s3.KEYS.items():
            monkeypatch.setenv(name, value)
        with s3.serving() as server:
            server.make("bucket")
            made = Bucket("s3", server, (f"--s3_endpoint_url={server.url}",))
            made.put(inputs, "in")
            made.put(tiny_model, "model")
            yield made
    client._client.cache_clear()
    client.use(())


@pytest.mark.usefixtures("through_beam")
def test_job_on_a_store_gives_the_rows_of_a_local_one_and_uploads_each_part_once(
    bucket: Bucket, inputs: Path, tiny_model: Path, tmp_path: Path
) -> None:
    # S3's options must reach worker processes.
    workers = 2 if bucket.scheme == "s3" else 1
    local = ("--output", tmp_path / "local", "--model", tiny_model, "--run-id", "r", "--shard-rows", 4)
    assert 0 == run("score", inputs, *local, "--id-column", "id", "--max-error-rate", 1, "--workers", 1).exit_code
    result = bucket.score("--workers", workers, "--log-file", tmp_path / "log")
    assert 0 == result.exit_code, result.output
    logged = (tmp_path / "log").read_text()
    assert "DEBUG" in logged
    assert [] == [held for held in (*s3.SECRETS.values(), "film", "naïve") if held in logged]
    assert "14 reviews scored" in result.output
    fetched = bucket.fetch("out", tmp_path / "fetched")
    for kind in ("predictions", "errors"):
        expected, actual = rows(tmp_path / "local", kind), rows(fetched, kind)
        sources = [row.pop("source").replace(str(inputs), bucket.path("in")) for row in expected]
        assert sources == [row.pop("source") for row in actual]
        assert expected == actual
    uploads = [name for name in bucket.store.uploads("bucket") if name.startswith("out/")]
    assert "out/.claim.json" == uploads[0]
    uploads = [name for name in uploads if name != "out/.claim.json"]  # renewed now and then, and gone in the end
    assert {1} == set(Counter(uploads).values())
    assert "out/_SUCCESS" == uploads[-1]
    assert sorted(uploads) == bucket.store.names("bucket", "out/")
    markers = [name for name in uploads if name.startswith("out/shards/")]
    for name in markers:  # each comes after the parts that it names
        parts = json.loads(bucket.store.read("bucket", name))["parts"]
        assert all(uploads.index(f"out/{part['path']}") < uploads.index(name) for part in parts)
    assert 4 < len(markers)
    if isinstance(bucket.store, s3.Store):
        assert 0 == bucket.store.unfinished("bucket")


def test_ids_without_a_column_are_made_from_the_path_in_the_store(bucket: Bucket, tmp_path: Path) -> None:
    places = (bucket.path("in/b.parquet"), "--output", bucket.path("out"), "--model", bucket.path("model"))
    result = run("score", *places, "--workers", 1, "--", *bucket.words)
    assert 0 == result.exit_code, result.output
    made = rows(bucket.fetch("out", tmp_path / "fetched"))
    assert [f"{bucket.path('in/b.parquet')}#{i}" for i in range(6)] == [row["record_id"] for row in made]


def test_output_that_is_not_empty_is_refused_and_overwriting_leaves_files_of_others(bucket: Bucket) -> None:
    assert 0 == bucket.score("--workers", 1).exit_code
    bucket.store.put("bucket", "out/notes.txt", b"mine")
    refused = bucket.score("--workers", 1)
    assert 2 == refused.exit_code
    assert "the output directory is not empty" in refused.output
    again = bucket.score("--workers", 1, "--overwrite")
    assert 0 == again.exit_code, again.output
    assert b"mine" == bucket.store.read("bucket", "out/notes.txt")


@pytest.mark.parametrize("bucket", ["gs"], indirect=True)
def test_second_job_is_refused_and_the_claim_of_a_killed_one_is_taken_over(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.use(bucket.words)
    monkeypatch.setattr(claim, "LOOK_S", 0.1)
    monkeypatch.setattr(renewal, "RENEW_S", 0.5)
    with claimed(bucket.path("out")):
        refused = bucket.score("--workers", 1, "--overwrite")
        assert 2 == refused.exit_code, refused.output
        assert "error: another job is writing to this output" in refused.output
        assert "claimed by process" in refused.output
        assert ["out/.claim.json"] == bucket.store.names("bucket", "out/")
    assert conditional.write(bucket.path("out/.claim.json"), renewal.document("killed"), None).version
    monkeypatch.setattr(claim, "LAPSE_S", -1.0)
    again = bucket.score("--workers", 1, "--resume")
    assert 0 == again.exit_code, again.output
    assert "out/.claim.json" not in bucket.store.names("bucket", "out/")


@pytest.mark.parametrize("bucket", ["gs"], indirect=True)
def test_finished_run_that_a_listing_does_not_show_yet_is_refused(bucket: Bucket) -> None:
    bucket.store.put("bucket", "out/plan.json", b'{"run_id": "r", "plan_hash": "h"}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "names_in", lambda folder: [])
        refused = bucket.score("--workers", 1)
    assert 2 == refused.exit_code, refused.output
    assert "the output directory is not empty" in refused.output and "an earlier run" in refused.output


_undisturbed: dict[str, dict[str, bytes]] = {}  # by scheme: bytes depend on nothing else, and a job takes seconds


def undisturbed(bucket: Bucket, tmp_path: Path) -> dict[str, bytes]:
    """The parts that a job writes when nothing goes wrong."""
    if bucket.scheme not in _undisturbed:
        assert 0 == bucket.score("--workers", 1).exit_code
        _undisturbed[bucket.scheme] = part_bytes(bucket.fetch("out", tmp_path / "undisturbed"))
    return _undisturbed[bucket.scheme]


def each_once(*faults: Fault) -> Callable[[Request], Fault | None]:
    """Makes the first request of each kind for each object fail, with each fault in turn."""
    ways, seen = cycle(faults), set[tuple[str, str]]()

    def fault(request: Request) -> Fault | None:
        kind = (request.method, request.target)
        if kind in seen:
            return None
        seen.add(kind)
        return next(ways)

    return fault


@pytest.mark.usefixtures("no_waits")
def test_store_that_fails_now_and_then_does_not_change_a_byte(bucket: Bucket, tmp_path: Path) -> None:
    expected = undisturbed(bucket, tmp_path)
    bucket.store.fault = each_once(Fault(503), Fault(cut_after=10), Fault(503, after=True), Fault(delay_s=0.2))
    result = bucket.score("--workers", 1, output="other")
    bucket.store.fault = lambda request: None
    assert 0 == result.exit_code, result.output
    assert 4 < len(expected)
    assert expected == part_bytes(bucket.fetch("other", tmp_path / "disturbed"))


@pytest.mark.usefixtures("no_waits")
def test_store_that_stops_accepting_a_part_ends_the_job_and_resuming_gives_the_same_bytes(
    bucket: Bucket, tmp_path: Path
) -> None:
    fault = Fault(503) if bucket.scheme == "s3" else Fault(cut_after=1_000)
    expected = undisturbed(bucket, tmp_path)
    lost = "other/predictions/part-00001.parquet"
    bucket.store.fault = lambda request: fault if request.target.endswith(lost) and request.method != "GET" else None
    failed = bucket.score("--workers", 1, output="other")
    bucket.store.fault = lambda request: None
    assert 1 == failed.exit_code, failed.output
    assert "the object store is unavailable" in failed.output
    assert f"where:    {bucket.path(lost)}" in failed.output
    assert "gave up after 4 attempts" in failed.output and "--resume" in failed.output
    there = bucket.store.names("bucket", "other/")
    assert {lost, "other/shards/00001.json", "other/_SUCCESS", "other/manifest.json"}.isdisjoint(there)
    resumed = bucket.score("--workers", 1, "--resume", output="other")
    assert 0 == resumed.exit_code, resumed.output
    assert expected == part_bytes(bucket.fetch("other", tmp_path / "resumed"))


@pytest.mark.usefixtures("no_waits")
def test_store_that_stops_serving_an_input_ends_the_job_and_is_not_taken_for_damage(bucket: Bucket) -> None:
    # Arrow reads one of them, our own code the other.
    lost = {"gs": "in/b.parquet", "s3": "in/a.jsonl"}[bucket.scheme]

    def fault(request: Request) -> Fault | None:
        planned = "out/plan.json" in bucket.store.uploads("bucket")
        # Not requests for metadata only: their failure would end the job too.
        reads = request.is_download if bucket.scheme == "gs" else request.method == "GET"
        return Fault(503) if planned and reads and request.target.endswith(lost) else None

    bucket.store.fault = fault
    failed = bucket.score("--workers", 1)
    bucket.store.fault = lambda request: None
    assert 1 == failed.exit_code, failed.output
    assert "the object store is unavailable" in failed.output
    assert f"where:    {bucket.path(lost)}" in failed.output and "--resume" in failed.output
    assert "out/_SUCCESS" not in bucket.store.names("bucket", "out/")


def refused(*words: object, beam: tuple[str, ...] = ()) -> str:
    """What a command prints when it is refused."""
    result = run(*words, *(("--", *beam) if beam else ()))
    assert 2 == result.exit_code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.mark.usefixtures("no_waits")
def test_store_that_denies_access_is_exit_2_for_inputs_output_and_model(
    bucket: Bucket, reviews_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    bucket.store.fault = lambda request: Fault(403)
    for place, words in (
        ("in/", (bucket.path("in/"), "--output", tmp_path / "out", "--model", tiny_model)),
        ("out", (reviews_file, "--output", bucket.path("out"), "--model", tiny_model)),
        ("model", (reviews_file, "--output", tmp_path / "out", "--model", bucket.path("model"))),
    ):
        said = refused("score", *words, beam=bucket.words or ("--runner=DirectRunner",))
        assert "error: the object store denied access" in said
        assert f"where:    {bucket.path(place)}" in said
        assert "got:      403" in said and "credentials" in said
    assert not (tmp_path / "out").exists()


def test_name_with_objects_below_it_is_a_directory_with_or_without_a_slash(bucket: Bucket) -> None:
    client.use(bucket.words)
    directories = {name: storage.is_directory(bucket.path(name)) for name in ("in", "in/", "in/a.jsonl", "none")}
    assert {"in": True, "in/": True, "in/a.jsonl": False, "none": False} == directories


def test_missing_bucket_or_object_is_exit_2_and_named(bucket: Bucket, tmp_path: Path) -> None:
    common = ("--output", tmp_path / "out", "--model", bucket.path("model"))
    beam = bucket.words or ("--runner=DirectRunner",)
    assert "the bucket does not exist" in refused("score", f"{bucket.scheme}://nowhere/in/", *common, beam=beam)
    assert "no input file matches" in refused("score", bucket.path("in/none.jsonl"), *common, beam=beam)


def test_inspect_and_explain_read_the_store_that_the_environment_names(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 == bucket.score("--workers", 1).exit_code
    client._client.cache_clear()
    client.use(())
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", bucket.store.url)
    for words in (("inspect", bucket.path("out")), ("inspect", bucket.path("model"))):
        result = run(*words)
        assert 0 == result.exit_code, result.output
    explained: Any = json.loads(run("explain", "a good film", "--json", "--model", bucket.path("model")).output)
    assert 3 == explained["n_tokens"]


@pytest.mark.parametrize(
    "words",
    [
        ("score", "foo://bucket/in/", "--output", "OUT"),
        ("score", "IN", "--output", "foo://bucket/out"),
        ("score", "IN", "--output", "OUT", "--model", "foo://bucket/model"),
        ("inspect", "foo://bucket/out"),
        ("explain", "good", "--model", "foo://bucket/model"),
    ],
    ids=["input", "output", "model", "inspect", "explain"],
)
def test_unknown_kind_of_store_is_exit_2_everywhere(words: tuple[str, ...], reviews_file: Path, tmp_path: Path) -> None:
    places = {"IN": reviews_file, "OUT": tmp_path / "out"}
    said = refused(*(places.get(word, word) for word in words))
    assert "error: unknown kind of object store" in said
    assert "expected: gs:// or s3://" in said


@pytest.mark.parametrize(
    ("scheme", "package", "extra"), [("gs", "google.cloud.storage", "gcp"), ("s3", "boto3", "aws")]
)
def test_missing_packages_of_a_store_are_reported_with_the_command_that_installs_them(
    scheme: str, package: str, extra: str, reviews_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client._client.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"batch_scorer.storage.stores.{'gcs' if scheme == 'gs' else 's3'}", raising=False)
    said = refused("score", reviews_file, "--output", f"{scheme}://bucket/out")
    assert f"the packages for {scheme}:// are not installed" in said
    assert f"from a checkout of batch-scorer: {install(extra)}" in said
