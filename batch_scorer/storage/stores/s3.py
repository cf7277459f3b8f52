"""S3 and its like: each call is one attempt with time limits; `explain` says what errors mean."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

from batch_scorer.storage.stores.retry import ANSWER_S, CONNECT_S, Failure
from batch_scorer.storage.stores.store import Entry, Page, Written

_ONE_PIECE_BYTES = 64 << 20  # larger files are sent in pieces, which become an object when all have arrived
_BATCH = 1_000  # objects deleted by one request, the most that S3 accepts
_CONNECTIONS = 32  # one for each thread that reads files while a job is planned
_BUSY = ("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired")  # with status 400
_CONFLICT = "ConditionalRequestConflict"  # another conditional write was under way: S3 says to try again


class Client:
    """A client for S3.

    Credentials, region and endpoint come from Beam's options, or else from where AWS's own tools look.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        import boto3
        from boto3.s3.transfer import TransferConfig
        from botocore import UNSIGNED
        from botocore.config import Config

        # At debug level it logs entire requests, session tokens included.
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
        listed = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        entries = [_entry(item["Key"], item["Size"], item) for item in listed.get("Contents", ())]
        folders = [folder["Prefix"] for folder in listed.get("CommonPrefixes", ())]
        return Page(entries, folders, listed.get("NextContinuationToken"))

    def stat(self, bucket: str, name: str) -> Entry | None:
        head = self._client.head_object(Bucket=bucket, Key=name)
        return _entry(name, head["ContentLength"], head)

    def read(self, bucket: str, entry: Entry, start: int, stop: int) -> bytes:
        some = f"bytes={start}-{stop - 1}"
        answer = self._client.get_object(Bucket=bucket, Key=entry.name, Range=some, IfMatch=entry.version)
        data: bytes = answer["Body"].read()
        return data

    def upload(self, bucket: str, name: str, body: BinaryIO, size_bytes: int) -> None:
        # One request, or several, the last of which makes the object; boto3 removes the pieces of a failed upload.
        self._client.upload_fileobj(body, bucket, name, Config=self._transfer)

    def delete(self, bucket: str, names: Sequence[str]) -> None:
        from botocore.exceptions import ClientError

        for start in range(0, len(names), _BATCH):
            some = [{"Key": name} for name in names[start : start + _BATCH]]
            failed = self._client.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True}).get("Errors")
            if failed:
                status = {"AccessDenied": 403, "InternalError": 500, "SlowDown": 503}.get(failed[0]["Code"], 400)
                raise ClientError({"Error": failed[0], "ResponseMetadata": {"HTTPStatusCode": status}}, "DeleteObjects")

    def write_if(self, bucket: str, name: str, data: bytes, version: str | None) -> Written:
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        known = self._client.meta.service_model.operation_model("PutObject").input_shape.members
        if not condition.keys() <= known.keys():
            raise NotImplementedError("this version of boto3 has no conditional writes")
        try:
            answer = self._client.put_object(Bucket=bucket, Key=name, Body=data, **condition)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 501:
                raise NotImplementedError(str(error)) from error
            # With a version, 404 says that the object is gone (and without one, that the bucket is).
            if status == 412 or (status == 404 and version is not None):
                return Written(None, _clock(error.response))
            raise
        return Written(answer["ETag"], _clock(answer))

    def delete_if(self, bucket: str, name: str, version: str) -> None:
        from botocore.exceptions import ClientError

        try:
            self._client.delete_object(Bucket=bucket, Key=name, IfMatch=version)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (404, 412):
                raise


def explain(error: Exception) -> Failure | None:
    """What an exception from the library means; None if it comes from elsewhere."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        if code in _EXPIRED:
            return Failure(401, str(error), "renew the credentials")
        if status == 400 and code == "400":  # the answer to HEAD has no body that would say more
            fix = "check the name and the store options after --, and renew the credentials if they have expired"
            return Failure(400, str(error), fix)
        if code == "RequestTimeTooSkewed":
            return Failure(403, str(error), "set the clock of this machine: a store refuses one that is minutes off")
        return Failure(503 if code in (*_BUSY, _CONFLICT) else status, str(error))
    # A certificate that is not accepted will not be later either; a machine that cannot be reached may be.
    is_lost = isinstance(error, boto.ConnectionError) and not isinstance(error, boto.SSLError)
    if is_lost or isinstance(error, (boto.HTTPClientError, boto.IncompleteReadError)):
        return Failure(None, str(error))
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        fix = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (for public data: --no_auth after --)"
        return Failure(401, str(error), fix)
    return Failure(400, str(error)) if isinstance(error, boto.BotoCoreError) else None


def _entry(name: str, size_bytes: int, described: Mapping[str, Any]) -> Entry:
    # Whole seconds: some stores give fractions in listings but not for a single object.
    return Entry(name, size_bytes, float(int(described["LastModified"].timestamp())), described["ETag"])


def _clock(answer: Mapping[str, Any]) -> float | None:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date).timestamp() if date else None
