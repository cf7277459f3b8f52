"""Google Cloud Storage: each call is one attempt with time limits; `explain` says what errors mean."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

from batch_scorer.storage.stores.retry import ANSWER_S, CONNECT_S, Failure
from batch_scorer.storage.stores.store import Entry, Page, Written

_FIELDS = "items(name,size,timeCreated,generation),prefixes,nextPageToken"
_CHUNK_BYTES = 8 << 20  # of an upload: the library holds one in memory, and sends at most this much in one request
_BATCH = 100  # deletions in one request, the most that the store accepts
_TIMES: dict[str, Any] = {"timeout": (CONNECT_S, ANSWER_S), "retry": None}


class Client:
    """A client for Google Cloud Storage.

    Credentials are the ones that Beam's options ask for, or else the machine's (Application Default Credentials).
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        from google.cloud.storage import Client as StorageClient

        if options.get("no_auth"):
            self._client = StorageClient.create_anonymous_client()
        elif options.get("impersonate_service_account"):
            from apache_beam.io.gcp.gcsio import create_storage_client
            from apache_beam.options.pipeline_options import PipelineOptions

            self._client = create_storage_client(PipelineOptions.from_dictionary(dict(options)))
        else:
            self._client = StorageClient(project=options.get("project"))

    def page(self, bucket: str, prefix: str, deep: bool, token: str | None) -> Page:
        delimiter = None if deep else "/"
        listed = self._client.list_blobs(
            bucket, prefix=prefix, delimiter=delimiter, page_token=token, fields=_FIELDS, **_TIMES
        )
        entries = [_entry(blob) for blob in next(listed.pages, ())]
        return Page(entries, sorted(listed.prefixes), listed.next_page_token)

    def stat(self, bucket: str, name: str) -> Entry | None:
        blob = self._client.bucket(bucket).get_blob(name, **_TIMES)
        return blob and _entry(blob)

    def read(self, bucket: str, entry: Entry, start: int, stop: int) -> bytes:
        blob = self._client.bucket(bucket).blob(entry.name, generation=int(entry.version))
        # Raw: if the server decompressed on the way, sizes and offsets would not be those of the listing.
        data: bytes = blob.download_as_bytes(start=start, end=stop - 1, raw_download=True, checksum=None, **_TIMES)
        return data

    def upload(self, bucket: str, name: str, body: BinaryIO, size_bytes: int) -> None:
        blob = self._client.bucket(bucket).blob(name, chunk_size=_CHUNK_BYTES)
        blob.upload_from_file(body, size=size_bytes, content_type="application/octet-stream", **_TIMES)

    def delete(self, bucket: str, names: Sequence[str]) -> None:
        place = self._client.bucket(bucket)
        for start in range(0, len(names), _BATCH):
            some = names[start : start + _BATCH]
            try:
                with self._client.batch():
                    for name in some:
                        place.delete_blob(name, timeout=_TIMES["timeout"])
            except Exception as error:
                failure = explain(error)
                if failure is None or failure.status != 404:
                    raise
                # One of them is missing; the batch does not say which, so delete the rest one by one.
                place.delete_blobs(some, on_error=lambda blob: None, **_TIMES)

    def write_if(self, bucket: str, name: str, data: bytes, version: str | None) -> Written:
        from google.api_core.exceptions import PreconditionFailed

        blob, now = self._client.bucket(bucket).blob(name), int(version or 0)  # 0 stands for no object
        try:
            blob.upload_from_string(data, if_generation_match=now, **_TIMES)
        except PreconditionFailed as error:
            date = getattr(error.response, "headers", {}).get("Date")
            return Written(None, parsedate_to_datetime(date).timestamp() if date else None)
        return Written(str(blob.generation), blob.time_created.timestamp())

    def delete_if(self, bucket: str, name: str, version: str) -> None:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with contextlib.suppress(NotFound, PreconditionFailed):
            self._client.bucket(bucket).delete_blob(name, if_generation_match=int(version), **_TIMES)


def explain(error: Exception) -> Failure | None:
    """What an exception from the library means; None if it comes from elsewhere."""
    import requests
    import urllib3.exceptions
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth import exceptions as auth
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    log_in = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file"
    if isinstance(error, GoogleAPICallError):
        return Failure(error.code, _message(error), log_in if error.code == 401 else None)
    if isinstance(error, DataCorruption):
        return Failure(None, str(error))
    if isinstance(error, InvalidResponse):
        return Failure(error.response.status_code, str(error.args[0]))
    # Raw downloads read from urllib3 directly, and so get its errors.
    lost = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, ConnectionError)
    if isinstance(error, (*lost, TimeoutError)):
        return Failure(None, str(error))
    if isinstance(error, auth.GoogleAuthError):
        passes = isinstance(error, auth.TransportError) or getattr(error, "retryable", False)
        return Failure(
            None if passes else 401, str(error), None if passes else f"{log_in} (for public data: --no_auth after --)"
        )
    return None


def _message(error: Any) -> str:
    """What the store says, without what the library wraps around it."""
    with contextlib.suppress(AttributeError, LookupError, TypeError, ValueError):
        return str(error.response.json()["error"]["message"])
    return str(error.message)


def _entry(blob: Any) -> Entry:
    # When the bytes were stored, not `updated`: a lifecycle rule may move an object to cheaper storage at any time.
    return Entry(blob.name, blob.size or 0, blob.time_created.timestamp(), str(blob.generation))
