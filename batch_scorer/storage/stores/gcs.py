"""Google Cloud Storage: each call once, with time limits, and what its failures mean."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from batch_scorer.storage.stores.retry import ANSWER_S, CONNECT_S, Trouble
from batch_scorer.storage.stores.store import Entry, Page

_FIELDS = "items(name,size,timeCreated,generation),prefixes,nextPageToken"
_CHUNK_BYTES = 8 << 20  # of an upload: the library holds one in memory, and sends no more than this in one request
_BATCH = 100  # requests in one, the most that the store takes
_TIMES: dict[str, Any] = {"timeout": (CONNECT_S, ANSWER_S), "retry": None}


class Gcs:
    """A client of Google Cloud Storage.

    Credentials are the machine's (Application Default Credentials), or those that Beam's options ask for.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        from google.cloud.storage import Client

        if options.get("no_auth"):
            self._client = Client.create_anonymous_client()
        elif options.get("impersonate_service_account"):
            from apache_beam.io.gcp.gcsio import create_storage_client
            from apache_beam.options.pipeline_options import PipelineOptions

            self._client = create_storage_client(PipelineOptions.from_dictionary(dict(options)))
        else:
            self._client = Client(project=options.get("project"))

    def page(self, bucket: str, prefix: str, deep: bool, token: str | None) -> Page:
        delimiter = None if deep else "/"
        found = self._client.list_blobs(
            bucket, prefix=prefix, delimiter=delimiter, page_token=token, fields=_FIELDS, **_TIMES
        )
        entries = [_entry(blob) for blob in next(found.pages, ())]
        return Page(entries, sorted(found.prefixes), found.next_page_token)

    def stat(self, bucket: str, name: str) -> Entry | None:
        blob = self._client.bucket(bucket).get_blob(name, **_TIMES)
        return blob and _entry(blob)

    def read(self, bucket: str, entry: Entry, start: int, stop: int) -> bytes:
        blob = self._client.bucket(bucket).blob(entry.name, generation=int(entry.version))
        # Raw: a server that decompresses on the way would give other bytes than the listing has.
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
                trouble = explain(error)
                if trouble is None or trouble.status != 404:
                    raise
                # One was not there. The batch says no more than that, so that the rest are asked for one by one.
                place.delete_blobs(some, on_error=lambda blob: None, **_TIMES)


def explain(error: Exception) -> Trouble | None:
    """What an exception of the library means; None for one that does not come from it."""
    import requests
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth import exceptions as auth
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    log_in = "run `gcloud auth application-default login`, or name a key's file in GOOGLE_APPLICATION_CREDENTIALS"
    if isinstance(error, GoogleAPICallError):
        return Trouble(error.code, _message(error), log_in if error.code == 401 else None)
    if isinstance(error, DataCorruption):
        return Trouble(None, str(error))
    if isinstance(error, InvalidResponse):
        return Trouble(error.response.status_code, str(error.args[0]))
    if isinstance(error, (requests.RequestException, http.client.HTTPException, ConnectionError, TimeoutError)):
        return Trouble(None, str(error))
    if isinstance(error, auth.GoogleAuthError):
        lost = isinstance(error, auth.TransportError) or getattr(error, "retryable", False)
        return Trouble(
            None if lost else 401, str(error), None if lost else f"{log_in} (--no_auth after -- goes without)"
        )
    return None


def _message(error: Any) -> str:
    """What the store says, without all that the library puts around it."""
    with contextlib.suppress(AttributeError, LookupError, TypeError, ValueError):
        return str(error.response.json()["error"]["message"])
    return str(error.message)


def _entry(blob: Any) -> Entry:
    # When these bytes came, and not `updated`: a rule of the bucket may move an object to cheaper storage at any time.
    return Entry(blob.name, blob.size or 0, blob.time_created.timestamp(), str(blob.generation))
