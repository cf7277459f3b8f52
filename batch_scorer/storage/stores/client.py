"""Access: from a path, `gs://bucket/name` or `s3://bucket/name`, to a store's client, and to what it answers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from batch_scorer.errors import StoreError
from batch_scorer.storage.stores.retry import Beat, Trouble, tried
from batch_scorer.storage.stores.store import Store

EXTRAS = {"gs": "gcp", "s3": "aws"}  # whose packages each scheme needs
Result = TypeVar("Result")

_given: tuple[str, ...] = ()


def use(beam_options: Sequence[str]) -> None:
    """Takes the options of the stores from Beam's, for all of this process: to be called wherever a job's code begins.

    Like Beam's own `FileSystems.set_options`: what reads a file should not have to know of credentials.
    """
    global _given  # noqa: PLW0603
    _given = tuple(beam_options)


class Place(NamedTuple):
    """An object, or (a name that is empty or ends in a slash) a folder."""

    scheme: str
    bucket: str
    name: str

    @classmethod
    def of(cls, path: str) -> Place:
        """The place that a path names.

        Raises:
            StoreError: it is in no store that is known, or names no bucket.
        """
        scheme, _, rest = path.partition("://")
        bucket, _, name = rest.partition("/")
        if scheme not in EXTRAS:
            raise StoreError(
                "there is no such kind of store",
                where=path,
                expected=" or ".join(f"{known}://" for known in EXTRAS),
                got=f"{scheme}://",
                fix="copy the files to one of these, or to a local disk",
            )
        if not bucket:
            raise StoreError(
                "no bucket is named", where=path, expected=f"{scheme}://BUCKET/NAME", fix="name the bucket"
            )
        return cls(scheme, bucket, name)

    def path(self, name: str | None = None) -> str:
        """The path of this place, or of what else is called `name` in its bucket."""
        return f"{self.scheme}://{self.bucket}/{self.name if name is None else name}"

    def is_folder(self) -> bool:
        """Whether the name can be no object's, but for those that stand for an empty folder."""
        return not self.name or self.name.endswith("/")


def asked(place: Place, call: Callable[[Store], Result], where: str | None = None, beat: Beat | None = None) -> Result:
    """What the store of `place` answers to `call`, tried again where that may help.

    Args:
        where: what it is about, for messages; if None, `place`.

    Raises:
        FileNotFoundError, StoreError, UnavailableError: as in `patience.tried`.
    """
    where = where or place.path()
    explain = functools.partial(_explain, place.scheme)
    try:
        client = tried(lambda: _client(place.scheme, _given), where, explain, beat)
        return tried(lambda: call(client), where, explain, beat)
    except ImportError as error:
        raise StoreError(
            f"the packages for {place.scheme}:// are not installed",
            where=where,
            got=str(error),
            fix=f"pip install 'batch-scorer[{EXTRAS[place.scheme]}]'",
        ) from error
    except ValueError as error:  # the libraries look at names and addresses themselves
        raise StoreError(
            "the object store cannot be asked",
            where=where,
            got=" ".join(str(error).split()),
            fix="check the name of the bucket and the options of the store after --",
        ) from error


def no_bucket(place: Place) -> StoreError:
    """What is raised where nothing is found but an object need not be there."""
    return StoreError("there is no such bucket", where=f"{place.scheme}://{place.bucket}", fix="check its name")


@functools.lru_cache(maxsize=8)
def _client(scheme: str, given: tuple[str, ...]) -> Store:
    """The client of this process: to make one takes a tenth of a second, and more where it looks for credentials."""
    options: dict[str, Any] = {}
    if given:
        from apache_beam.options.pipeline_options import PipelineOptions

        options = PipelineOptions(list(given)).get_all_options(drop_default=True)
    if scheme == "s3":
        from batch_scorer.storage.stores.s3 import S3

        return S3(options)
    from batch_scorer.storage.stores.gcs import Gcs

    return Gcs(options)


def _explain(scheme: str, error: Exception) -> Trouble | None:
    if isinstance(error, ConnectionError):
        return Trouble(None, str(error))
    if scheme == "s3":
        from batch_scorer.storage.stores.s3 import explain
    else:
        from batch_scorer.storage.stores.gcs import explain
    return explain(error)
