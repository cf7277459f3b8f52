"""Single objects in stores: found by the rules of a disk, read and written whole, and what is retried."""

from __future__ import annotations

import errno
import io
import os
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
import urllib3.util.connection
from botocore.exceptions import SSLError

from batch_scorer import storage
from batch_scorer.errors import StoreError, UnavailableError
from batch_scorer.escape import command_without_secrets
from batch_scorer.storage.stores import client, retry
from batch_scorer.storage.stores import gcs as gcs_client
from batch_scorer.storage.stores import s3 as s3_client
from batch_scorer.storage.stores.objects import put
from batch_scorer.storage.stores.reader import FIRST_BYTES, MOST_BYTES, ObjectReader
from tests.stubs import gcs, s3
from tests.stubs.both import add_bucket, both
from tests.stubs.gcs import Fault, Request

MB = 1 << 20
NAMES = (
    *("a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt", ".git/e.txt", ".hidden", "_log/x.txt", "sub/_tmp/y.txt"),
    *("_day=1/k.txt", "sub/_day=2/_x=3.txt"),
    *("what?.txt", "whats.txt", "set[ab].txt", "seta.txt", "part[1]/f.txt", "part1/g.txt", "naïve слово/h i.txt"),
)
PATTERNS = (
    *("", "/", "/sub", "/sub/", "/a.txt", "/*.txt", "/[b-z].txt", "/*", "/.*", "/**/*.txt", "/**/**/*.txt", "/**"),
    *(
        "/s*/*.txt",
        "/s*/**",
        "/sub/**/d.txt",
        "/what?.txt",
        "/set[ab].txt",
        "/set[[]ab].txt",
        "/part[1]/",
        "/part[1]/*",
    ),
    *("/naïve слово/*", "/missing.txt", "/missing/*.txt", "/a.txt/x", "/?.txt"),
)


@dataclass(frozen=True)
class Bucket:
    """An empty bucket of a store on this machine."""

    url: str
    name: str
    store: gcs.Store | s3.Store

    def put(self, name: str, data: bytes = b"x") -> str:
        self.store.put(self.name, name, data)
        return f"{self.url}/{name}"

    def names(self) -> list[str]:
        return self.store.names(self.name)

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.store.requests if request.method == method]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, gcs.Store | s3.Store]]:
    """Both stores, and an environment that points to them."""
    with both() as stores:
        yield stores


numbers = count()


@pytest.fixture(params=["gs", "s3"])
def bucket(
    request: pytest.FixtureRequest, servers: dict[str, gcs.Store | s3.Store], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    """An empty bucket in each store; failures are retried at once, three times."""
    monkeypatch.setattr(retry, "WAITS_S", (0.0, 0.0, 0.0))
    store, name = servers[request.param], f"bucket{next(numbers)}"
    add_bucket(store, name)
    store.requests.clear()
    yield Bucket(f"{request.param}://{name}", name, store)
    store.fault = lambda request: None
    if isinstance(store, gcs.Store):
        store.page = gcs.PAGE


def first(times: int, fault: Fault, method: str) -> Iterator[Fault | None]:
    """Makes the first few requests with that method fail."""
    left = iter([fault] * times)
    return lambda request: next(left, None) if request.method == method else None  # type: ignore[return-value]


def test_patterns_match_in_a_store_what_they_match_on_a_disk(bucket: Bucket, tmp_path: Path) -> None:
    for name in NAMES:
        bucket.put(name, name.encode())
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    bucket.put("sub/")  # as the stores' own consoles make an empty folder
    if isinstance(bucket.store, gcs.Store):
        bucket.store.page = 3
    for pattern in PATTERNS:
        here = [file.path.removeprefix(str(tmp_path)) for file in storage.match(f"{tmp_path}{pattern}")]
        there = [file.path.removeprefix(bucket.url) for file in storage.match(f"{bucket.url}{pattern}")]
        assert sorted(here) == there, pattern
    folders = {path for path in ("", "/", "/sub", "/sub/", "/a.txt", "/s", "/missing", "/*")}
    assert {"", "/", "/sub", "/sub/"} == {path for path in folders if storage.is_directory(bucket.url + path)}
    assert sorted(os.listdir(tmp_path)) == sorted(storage.names_in(bucket.url))


def test_glob_lists_only_the_folder_it_is_in_and_only_its_literal_prefix(bucket: Bucket) -> None:
    for name in ("in/a.txt", "in/a-2.txt", "in/b.txt", "in/deep/c.txt", "other/d.txt"):
        bucket.put(name)
    matched = [file.path for file in storage.match(f"{bucket.url}/in/a*.txt")]
    assert [f"{bucket.url}/in/a-2.txt", f"{bucket.url}/in/a.txt"] == matched
    lists = [request.query for request in bucket.store.requests if "prefix" in request.query]
    assert [("in/a", "/")] == [(query["prefix"], query["delimiter"]) for query in lists]


def test_keys_that_no_disk_could_have_are_listed_and_read_like_any_other(bucket: Bucket) -> None:
    # A program that puts one slash too many between folder and name makes such keys.
    paths = [bucket.put(name, name.encode()) for name in ("in//a.txt", "in/b.txt", "/c.txt")]
    listed = [file.path for file in storage.match(f"{bucket.url}/")]
    assert sorted(paths) == listed
    assert [f"{bucket.url}/in//a.txt"] == [file.path for file in storage.match(f"{bucket.url}/in//*")]
    assert [b"in//a.txt", b"in/b.txt", b"/c.txt"] == [storage.read_bytes(path) for path in paths]


def test_size_and_time_are_the_same_in_a_listing_and_for_one_object(bucket: Bucket) -> None:
    path = bucket.put("a.txt", b"12345")
    (listed,) = storage.match(f"{bucket.url}/*.txt")
    assert (5, listed) == (listed.size_bytes, storage.look_at(path))
    assert 1.6e9 < listed.modified
    assert None is storage.look_at(f"{bucket.url}/a")


def test_reader_gives_the_bytes_of_a_file_from_any_offset(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3 * MB)
    with io.BytesIO(data) as plain, ObjectReader(lambda start, stop: data[start:stop], len(data)) as reader:
        for seed in range(300):
            dice = random.Random(seed)
            at, whence = dice.choice([(dice.randrange(3 * MB), 0), (-dice.randrange(1, MB), 2), (dice.randrange(9), 1)])
            assert plain.seek(at, whence) == reader.seek(at, whence)
            size = dice.choice([1, 100, 70_000, MB])
            assert plain.read(size) == b"".join(iter_reads(reader, size))
            assert plain.tell() == reader.tell()


def iter_reads(reader: ObjectReader, size: int) -> Iterator[bytes]:
    """`size` bytes, in as many reads as that takes."""
    while size and (data := reader.read(size)):
        size -= len(data)
        yield data


def test_reader_fetches_little_after_a_jump_and_more_when_read_in_sequence() -> None:
    fetched: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        fetched.append((start, stop))
        return bytes(stop - start)

    with io.BufferedReader(ObjectReader(fetch, 40 * MB)) as reader:
        reader.seek(-8, os.SEEK_END)
        reader.read(8)
        assert [(40 * MB - 8, 40 * MB)] == fetched
        reader.seek(0)
        while reader.read(4_096):
            pass
    assert fetched[1] == (0, FIRST_BYTES)
    assert {MOST_BYTES} == {stop - start for start, stop in fetched[6:-1]}
    assert [start for start, _ in fetched[2:]] == [stop for _, stop in fetched[1:-1]]  # nothing twice
    assert 12 > len(fetched)


@pytest.mark.parametrize(
    "fault",
    [Fault(503), Fault(429), Fault(cut_after=5), Fault(503, after=True), Fault(cut_after=0, after=True)],
    ids=lambda fault: " ".join(f"{k}={v}" for k, v in vars(fault).items() if v not in (None, 0, False)) or "cut",
)
def test_fourth_attempt_may_succeed_and_there_is_no_fifth(fault: Fault, bucket: Bucket) -> None:
    path, data = bucket.put("a.txt", b"0123456789"), bytes(300_000)
    for method, call, result in (
        ("GET", lambda: storage.read_bytes(path), b"0123456789"),
        ("GET", lambda: [file.path for file in storage.match_in(bucket.url, "a*")], [path]),
        (
            "PUT" if bucket.url.startswith("s3") else "POST",
            lambda: storage.publish_bytes(data, f"{bucket.url}/b"),
            None,
        ),
    ):
        bucket.store.fault = first(3, fault, method)  # type: ignore[assignment]
        assert result == call()
        bucket.store.fault = first(4, fault, method)  # type: ignore[assignment]
        with pytest.raises(UnavailableError, match="the object store is unavailable") as failed:
            call()
        assert "gave up after 4 attempts" in (failed.value.got or "")
    assert data == bucket.store.read(bucket.name, "b")


def test_answer_that_comes_too_late_is_requested_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bucket.put("a.txt", b"late")
    monkeypatch.setitem(gcs_client._TIMES, "timeout", 0.3)
    monkeypatch.setattr(s3_client, "ANSWER_S", 0.3)
    client._client.cache_clear()
    bucket.store.fault = first(1, Fault(delay_s=1.0), "GET")  # type: ignore[assignment]
    assert b"late" == storage.read_bytes(path)
    client._client.cache_clear()


def test_object_whose_bytes_break_off_is_read_again(bucket: Bucket) -> None:
    data = random.Random(5).randbytes(MB)
    path = bucket.put("a.bin", data)
    left = iter([Fault(cut_after=MB // 2), Fault(cut_after=10)])
    # Not its metadata, which come first in Google's store.
    google = isinstance(bucket.store, gcs.Store)
    bucket.store.fault = lambda request: (
        next(left, None) if (request.is_download if google else request.method == "GET") else None
    )
    assert data == storage.read_bytes(path)
    assert None is next(left, None)


@pytest.mark.parametrize("error", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT])
def test_store_that_cannot_be_reached_is_tried_again(
    error: int, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, connect = bucket.put("a.txt", b"back"), urllib3.util.connection.create_connection
    lost: list[OSError] = []
    times = 3

    def fails_at_first(*given: Any, **options: Any) -> socket.socket:
        if len(lost) < times:
            lost.append(TimeoutError() if error == errno.ETIMEDOUT else OSError(error, os.strerror(error)))
            raise lost[-1]
        return connect(*given, **options)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", fails_at_first)
    client._client.cache_clear()  # no connection is open
    assert b"back" == storage.read_bytes(path)
    assert 3 == len(lost)
    client._client.cache_clear()
    lost.clear()
    times = 4
    with pytest.raises(UnavailableError, match="the object store is unavailable"):
        storage.read_bytes(path)
    client._client.cache_clear()


def test_certificate_that_is_not_accepted_is_refused_at_once() -> None:
    failure = s3_client.explain(SSLError(endpoint_url="https://store", error="self-signed certificate"))
    assert failure is not None
    assert not failure.is_transient
    assert "self-signed certificate" in failure.message


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_request_is_not_sent_twice(status: int, bucket: Bucket) -> None:
    bucket.store.fault = lambda request: Fault(status)
    whose_region = ("HEAD", bucket.name)  # after a 400, S3's client checks whether the region is wrong
    for call in (
        lambda: storage.look_at(f"{bucket.url}/a.txt"),
        lambda: storage.match(f"{bucket.url}/"),
        lambda: storage.publish_bytes(b"x", f"{bucket.url}/b.txt"),
    ):
        bucket.store.requests.clear()
        with pytest.raises(StoreError, match=r"the object store (refused the request|denied access)") as refused:
            call()
        assert f"{status}: " in (refused.value.got or "") and bucket.url in (refused.value.where or "")
        sent = [request for request in bucket.store.requests if (request.method, request.target) != whose_region]
        assert 1 == len(sent)


def test_waiting_for_a_store_calls_beat(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "WAITS_S", (0.2,))
    monkeypatch.setattr(retry, "_STEP_S", 0.02)
    path, beats = bucket.put("a.txt"), list[int]()
    bucket.store.fault = first(1, Fault(503), bucket_stat(bucket))  # type: ignore[assignment]
    with storage.beating(lambda: beats.append(1)):
        assert storage.look_at(path)
    assert 3 < len(beats)
    bucket.store.fault = first(1, Fault(503), bucket_stat(bucket))  # type: ignore[assignment]
    assert storage.look_at(path)
    assert 15 > len(beats)  # and none outside of `beating`


def bucket_stat(bucket: Bucket) -> str:
    return "HEAD" if bucket.url.startswith("s3") else "GET"


def test_object_that_is_replaced_while_it_is_read_is_never_mixed_with_the_new_one(bucket: Bucket) -> None:
    path = bucket.put("a.txt", b"a" * 2 * MB)
    with storage.open_read(path) as file:
        assert b"a" == file.read(1)
        bucket.put("a.txt", b"b" * 2 * MB)
        with pytest.raises(FileNotFoundError):
            file.read()


class Failing(io.BytesIO):
    """A file whose disk fails when half of it has been read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() + (size if size and size > 0 else 12 * MB) > 6 * MB:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_part_that_this_machine_cannot_read_to_its_end_is_neither_stored_nor_retried(bucket: Bucket) -> None:
    source = Failing(bytes(12 * MB))
    with pytest.raises(OSError, match="Input/output error"):
        put(cast(BinaryIO, source), 12 * MB, f"{bucket.url}/part")
    assert [] == bucket.names()
    assert 2 > len(bucket.store.uploads(bucket.name))


def test_large_file_cut_in_its_middle_is_sent_again_from_the_beginning(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(s3_client, "_ONE_PIECE_BYTES", 5 * MB)
    client._client.cache_clear()
    data, local = random.Random(2).randbytes(17 * MB), tmp_path / "part"
    local.write_bytes(data)
    pieces = iter([None, Fault(cut_after=MB)])  # the second piece is cut
    bucket.store.fault = lambda request: next(pieces, None) if request.method == "PUT" else None
    beats: list[int] = []
    storage.publish_file(str(local), f"{bucket.url}/part", lambda: beats.append(1))
    assert data == bucket.store.read(bucket.name, "part")
    assert ["part", "part"] == bucket.store.uploads(bucket.name)
    assert 3 < len(beats)
    assert not local.exists()
    client._client.cache_clear()


def test_large_file_with_a_piece_that_always_fails_leaves_nothing(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(s3_client, "_ONE_PIECE_BYTES", 5 * MB)
    client._client.cache_clear()
    local = tmp_path / "part"
    local.write_bytes(bytes(17 * MB))
    seen: list[int] = []

    def fault(request: Request) -> Fault | None:
        if request.method != "PUT":
            return None
        seen.append(1)
        return None if len(seen) % 2 else Fault(cut_after=MB)  # every second piece is cut

    bucket.store.fault = fault
    with pytest.raises(UnavailableError):
        storage.publish_file(str(local), f"{bucket.url}/part")
    bucket.store.fault = lambda request: None
    assert [] == bucket.names()
    assert local.exists()  # for another attempt
    if isinstance(bucket.store, s3.Store):
        assert 0 == bucket.store.unfinished(bucket.name)
    client._client.cache_clear()


def test_many_objects_are_deleted_in_few_requests_and_missing_ones_are_no_error(bucket: Bucket) -> None:
    paths = [bucket.put(f"out/{i:03d}") for i in range(120)]
    kept = bucket.put("kept")
    bucket.store.requests.clear()
    storage.delete(paths)
    assert ["kept"] == bucket.names()
    assert 2 >= len(bucket.asked("POST"))
    storage.delete([f"{bucket.url}/gone", kept])
    assert [] == bucket.names()
    storage.delete([f"{bucket.url}x/gone"])


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_machine_without_credentials_gets_the_command_or_variables_that_provide_them(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*s3.KEYS, "STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_EC2_METADATA_DISABLED", "NO_GCE_CHECK"):
        monkeypatch.setenv(name, "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    client._client.cache_clear()
    with pytest.raises(StoreError, match="denied access") as refused:
        storage.look_at(f"{scheme}://bucket/a")
    assert "gcloud auth" in str(refused.value) if scheme == "gs" else "AWS_PROFILE" in str(refused.value)
    assert "--no_auth" in (refused.value.fix or "")
    client._client.cache_clear()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gs:///a", "does not name a bucket"),
        ("s3://", "does not name a bucket"),
        ("gs://_UPPER!/a", "invalid bucket name or store option"),
        ("s3://so odd/a", "the object store refused the request"),
    ],
)
@pytest.mark.usefixtures("servers")
def test_path_with_an_impossible_bucket_name_is_refused(path: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        storage.look_at(path)


def test_command_line_is_recorded_without_the_secrets_of_stores() -> None:
    given = ["x", "--", "--s3_secret_access_key=hush", "--s3_session_token", "hush", "--s3_region_name=eu", "hush.csv"]
    kept = ("x", "--", "--s3_secret_access_key=***", "--s3_session_token", "***", "--s3_region_name=eu", "hush.csv")
    assert kept == command_without_secrets(given)
