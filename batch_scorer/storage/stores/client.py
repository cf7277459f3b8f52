"""From a path, `gs://bucket/name` or `s3://bucket/name`, to the client of its store, and to what the store answers."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from batch_scorer.errors import StoreError
from batch_scorer.escape import install
from batch_scorer.storage.stores.retry import Beat, Failure, with_retries
from batch_scorer.storage.stores.store import Store

# By scheme: the module beside this one that has its `Client` and `explain`, and the extra that installs its packages.
_MODULES = {"gs": "gcs", "s3": "s3"}
EXTRAS = {"gs": "gcp", "s3": "aws"}
Result = TypeVar("Result")

_given: tuple[str, ...] = ()


def use(beam_options: Sequence[str]) -> None:
    """Sets the store options, among Beam's, for this whole process; call it wherever a job's code begins.

    Like Beam's own `FileSystems.set_options`: code that reads a file should not have to know about credentials.
    """
    global _given  # noqa: PLW0603
    _given = tuple(beam_options)


class Place(NamedTuple):
    """An object or, if the name is empty or ends in a slash, a folder."""

    scheme: str
    bucket: str
    name: str

    @classmethod
    def of(cls, path: str) -> Place:
        """The place that a path names.

        Raises:
            StoreError: the scheme is unknown, or the bucket is missing.
        """
        scheme, _, rest = path.partition("://")
        bucket, _, name = rest.partition("/")
        if scheme not in EXTRAS:
            raise StoreError(
                "unknown kind of object store",
                where=path,
                expected=" or ".join(f"{known}://" for known in EXTRAS),
                got=f"{scheme}://",
                fix="copy the files to one of these, or to a local disk",
            )
        if not bucket:
            raise StoreError(
                "the path does not name a bucket",
                where=path,
                expected=f"{scheme}://BUCKET/NAME",
                fix="add the name of the bucket",
            )
        return cls(scheme, bucket, name)

    def path(self, name: str | None = None) -> str:
        """The path of this place, or of the object called `name` in the same bucket."""
        return f"{self.scheme}://{self.bucket}/{self.name if name is None else name}"

    def is_folder(self) -> bool:
        """Whether the name cannot be that of a file: at most, of an object that stands for an empty folder."""
        return not self.name or self.name.endswith("/")


def ask(place: Place, call: Callable[[Store], Result], where: str | None = None, beat: Beat | None = None) -> Result:
    """What the store of `place` answers to `call`, retried if that may help.

    Args:
        where: what the call is about, for messages; if None, `place`.

    Raises:
        FileNotFoundError, StoreError, UnavailableError: as in `retry.with_retries`.
    """
    where = where or place.path()
    explain = functools.partial(_explain, place.scheme)
    try:
        client = with_retries(lambda: _client(place.scheme, _given), where, explain, beat)
        return with_retries(lambda: call(client), where, explain, beat)
    except ImportError as error:
        raise StoreError(
            f"the packages for {place.scheme}:// are not installed",
            where=where,
            got=str(error),
            fix=f"from a checkout of batch-scorer: {install(EXTRAS[place.scheme])}",
        ) from error
    except ValueError as error:  # the libraries check names and addresses themselves
        raise StoreError(
            "invalid bucket name or store option",
            where=where,
            got=" ".join(str(error).split()),
            fix="check the name of the bucket and the store options after --",
        ) from error


def no_bucket(place: Place) -> StoreError:
    """The error for a missing bucket, where a missing object would be fine."""
    return StoreError("the bucket does not exist", where=f"{place.scheme}://{place.bucket}", fix="check its name")


@functools.lru_cache(maxsize=8)
def _client(scheme: str, given: tuple[str, ...]) -> Store:
    """The client of this process: making one takes 0.1 s, and longer if it has to look for credentials."""
    options: dict[str, Any] = {}
    if given:
        from apache_beam.options.pipeline_options import PipelineOptions

        options = PipelineOptions(list(given)).get_all_options(drop_default=True)
    client: Store = _module(scheme).Client(options)
    return client


def _explain(scheme: str, error: Exception) -> Failure | None:
    if isinstance(error, ConnectionError):
        return Failure(None, str(error))
    failure: Failure | None = _module(scheme).explain(error)
    return failure


def _module(scheme: str) -> Any:
    return importlib.import_module(f"{__package__}.{_MODULES[scheme]}")
