"""Both stores at once, and an environment that points to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from batch_scorer.storage.stores import client
from tests.stubs import gcs, s3


@contextmanager
def both() -> Iterator[dict[str, gcs.Store | s3.Store]]:
    """Servers for `gs` and `s3`, without buckets, until the body ends."""
    with gcs.serving() as google, s3.serving() as amazon, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", google.url)
        # For its traces, Google's client also requests the bucket itself, once, from a thread of its own.
        patch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        patch.setenv("AWS_ENDPOINT_URL_S3", amazon.url)
        for name, value in s3.KEYS.items():
            patch.setenv(name, value)
        client.use(())
        client._client.cache_clear()
        yield {"gs": google, "s3": amazon}
        client._client.cache_clear()


def add_bucket(store: gcs.Store | s3.Store, name: str) -> None:
    """An empty bucket."""
    if isinstance(store, gcs.Store):
        store.buckets[name] = {}
    else:
        store.make(name)
