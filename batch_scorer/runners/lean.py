"""Beam and Arrow, without what a job on this machine does not use.

Where they are installed, Beam imports pandas and the clients of three clouds: half of the two and a half seconds of
processor time that its import takes, in each process of a job. It does without them where they are not installed, and
so they are hidden from it meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.metadata import version

OPTIONAL = ("pandas", "pymongo", "google.api_core", "google.auth", "boto3", "azure", "hdfs", "requests", "jsonschema")
TRIED = ("2.70", "2.77")  # the first and the last version of Beam that was seen to do without them


def import_beam(tried: tuple[str, str] = TRIED) -> None:
    """Imports Beam, unless it has been imported, without the modules that it is able to do without.

    For processes of our own: Beam's file systems for clouds, and its types for pandas, stay missing in this one. Our
    own clients of stores do not use them unless options for Beam say so, and such a job imports Beam as it is. So does
    everybody with a version of Beam that was not tried: an import that fails half-way cannot be repeated.

    Args:
        tried: the range of versions to hide modules from. Afterwards these can be imported as ever.
    """
    if "apache_beam" in sys.modules or not _minor(tried[0]) <= _minor(version("apache-beam")) <= _minor(tried[1]):
        return
    with _without(OPTIONAL):
        import apache_beam
        import apache_beam.runners.portability.fn_api_runner
        import apache_beam.runners.worker.sdk_worker_main  # noqa: F401


def forgo_pandas() -> None:
    """Has Arrow do without pandas in this process, which it would import, half a second long, for its first list.

    For processes of our own, in which nothing of pandas meets Arrow. Afterwards pandas can be imported as ever, but
    Arrow takes nothing from it and makes nothing of it. A process that has either already is left as it is.
    """
    if "pyarrow" in sys.modules or "pandas" in sys.modules:
        return
    import pyarrow as pa

    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([])  # now it looks for pandas, once and for all
    finally:
        sys.meta_path.remove(finder)


class _NoPandas(MetaPathFinder):
    """Finds no pandas, wherever it is: Arrow, which is compiled, would take a None in `sys.modules` for a module."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ImportError("hidden from Arrow", name=fullname)


def _minor(words: str) -> tuple[int, ...]:
    return tuple(int(word) for word in words.split(".")[:2])


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # which makes `import` raise
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, name) is None:
                del sys.modules[name]
