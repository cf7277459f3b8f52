"""S3, and what speaks its protocol: each call once, with time limits, and what its failures mean."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from batch_scorer.storage.stores.retry import ANSWER_S, CONNECT_S, Trouble
from batch_scorer.storage.stores.store import Entry, Page

_ONE_PIECE_BYTES = 64 << 20  # larger files are sent in pieces, which become an object when all are there
_BATCH = 1_000  # objects to delete in one request, the most that the store takes
_CONNECTIONS = 32  # as many as threads that look into files while a job is planned
_BUSY = ("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded")


class S3:
    """A client of S3.

    Credentials, region and endpoint are those of Beam's options, else those that AWS's tools would find.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        import boto3
        from boto3.s3.transfer import TransferConfig
        from botocore import UNSIGNED
        from botocore.config import Config

        # At its lowest level it logs requests whole, session tokens and all.
        logging.getLogger("botocore").setLevel(logging.WARNING)
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=ANSWER_S,
            retries={"total_max_attempts": 1},
            max_pool_connections=_CONNECTIONS,
            signature_version=UNSIGNED if options.get("no_auth") else None,
        )
        self._client = boto3.session.Session().client(
            "s3",
            config=config,
            aws_access_key_id=options.get("s3_access_key_id"),
            aws_secret_access_key=options.get("s3_secret_access_key"),
            aws_session_token=options.get("s3_session_token"),
            endpoint_url=options.get("s3_endpoint_url"),
            region_name=options.get("s3_region_name"),
            api_version=options.get("s3_api_version"),
            verify=options.get("s3_verify"),
            use_ssl=not options.get("s3_disable_ssl"),
        )
        self._transfer = TransferConfig(
            multipart_threshold=_ONE_PIECE_BYTES, multipart_chunksize=_ONE_PIECE_BYTES, use_threads=False
        )

    def page(self, bucket: str, prefix: str, deep: bool, token: str | None) -> Page:
        more = ({} if deep else {"Delimiter": "/"}) | ({"ContinuationToken": token} if token else {})
        found = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        entries = [_entry(item["Key"], item["Size"], item) for item in found.get("Contents", ())]
        folders = [folder["Prefix"] for folder in found.get("CommonPrefixes", ())]
        return Page(entries, folders, found.get("NextContinuationToken"))

    def stat(self, bucket: str, name: str) -> Entry | None:
        found = self._client.head_object(Bucket=bucket, Key=name)
        return _entry(name, found["ContentLength"], found)

    def read(self, bucket: str, entry: Entry, start: int, stop: int) -> bytes:
        asked = f"bytes={start}-{stop - 1}"
        data: bytes = self._client.get_object(Bucket=bucket, Key=entry.name, Range=asked, IfMatch=entry.version)[
            "Body"
        ].read()
        return data

    def upload(self, bucket: str, name: str, body: BinaryIO, size_bytes: int) -> None:
        # One request, or several of which the last makes the object; those that fail are taken back.
        self._client.upload_fileobj(body, bucket, name, Config=self._transfer)

    def delete(self, bucket: str, names: Sequence[str]) -> None:
        from botocore.exceptions import ClientError

        for start in range(0, len(names), _BATCH):
            some = [{"Key": name} for name in names[start : start + _BATCH]]
            failed = self._client.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True}).get("Errors")
            if failed:
                status = {"AccessDenied": 403, "InternalError": 500, "SlowDown": 503}.get(failed[0]["Code"], 400)
                raise ClientError({"Error": failed[0], "ResponseMetadata": {"HTTPStatusCode": status}}, "DeleteObjects")


def explain(error: Exception) -> Trouble | None:
    """What an exception of the library means; None for one that does not come from it."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        return Trouble(503 if code in _BUSY else status, str(error))
    if isinstance(error, (boto.HTTPClientError, boto.IncompleteReadError)):
        return Trouble(None, str(error))
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        fix = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (--no_auth after -- goes without)"
        return Trouble(401, str(error), fix)
    return Trouble(400, str(error)) if isinstance(error, boto.BotoCoreError) else None


def _entry(name: str, size_bytes: int, found: Mapping[str, Any]) -> Entry:
    # Whole seconds: some stores list parts of them that they do not tell of a single object.
    return Entry(name, size_bytes, float(int(found["LastModified"].timestamp())), found["ETag"])
