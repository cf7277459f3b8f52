"""An HDF5 file -> its arrays and the attributes of Keras: sizes before memory, numbers only, no links, no plugins.

Whatever else such a file can hold (links to other files, data stored outside, objects, references) is refused.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.artifact_files import LARGEST_WEIGHT, MODEL_BYTES
from train.importing.refusal import damaged, refuse

Floats = npt.NDArray[np.float32]
SIGNATURE = b"\x89HDF\r\n\x1a\n"
OBJECTS = 20_000
DEPTH = 20
ATTRIBUTE_BYTES = 16 << 20


@dataclass(frozen=True)
class Tree:
    """The arrays of an HDF5 file by path, in the order of the file, and the attributes of its groups by path."""

    arrays: dict[str, Floats]
    attributes: dict[str, dict[str, Any]]


def read_tree(source: Path | bytes, where: str) -> Tree:
    """Reads all arrays of numbers.

    Args:
        source: a file, or its bytes.
        where: what to call it in messages.

    Raises:
        InputError: it is not HDF5, or holds anything but bounded arrays of numbers and short attributes.
    """
    _check_beginning(source, where)
    with _errors(where):
        import h5py

        with h5py.File(source if isinstance(source, Path) else io.BytesIO(source), "r") as file:
            reader = _Reader(h5py, where)
            reader.group(file, "", 0)
            return Tree({name: reader.array(file, name) for name in reader.names}, reader.attributes)


def _check_beginning(source: Path | bytes, where: str) -> None:
    try:
        if isinstance(source, bytes):
            first, size = source[:8], len(source)
        else:
            with source.open("rb") as stream:
                first, size = stream.read(8), source.stat().st_size
    except OSError as error:
        raise damaged(where, "a file that can be read", error.strerror) from error
    if first != SIGNATURE:
        kind = "a pickle, which could run code" if first[:1] == b"\x80" else "something else"
        raise damaged(where, "an HDF5 file", f"{kind}: it begins with {first!r}")
    if size > MODEL_BYTES:
        raise damaged(where, f"at most {MODEL_BYTES >> 30} GiB", f"{size:,} bytes")


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """Whatever the library raises on a damaged file, as an error of ours."""
    try:
        yield
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, UnicodeDecodeError) as error:
        raise damaged(where, "an HDF5 file that is whole", error) from error


class _Reader:
    """Walks through the groups, and adds up what their arrays will take before any is read."""

    def __init__(self, h5py: Any, where: str) -> None:
        self._h5py, self._where = h5py, where
        self.names: list[str] = []
        self.attributes: dict[str, dict[str, Any]] = {}
        self._left, self._objects = MODEL_BYTES, 0

    def group(self, group: Any, path: str, depth: int) -> None:
        """Notes what is in a group, and in those below it."""
        self.attributes[path] = self._attributes(group, path)
        for name in group:
            self._objects += 1
            below = f"{path}/{name}".removeprefix("/")
            where = f"{self._where}, {below:.200}"
            if self._objects > OBJECTS or depth > DEPTH:
                raise damaged(where, f"at most {OBJECTS:,} objects, {DEPTH} deep", "more")
            link = group.get(name, getlink=True)
            if not isinstance(link, self._h5py.HardLink):
                raise damaged(where, "data in the file itself", f"a link: {type(link).__name__}")
            item = group[name]
            if isinstance(item, self._h5py.Group):
                self.group(item, below, depth + 1)
            elif isinstance(item, self._h5py.Dataset):
                self._note(item, below, where)
            else:
                raise damaged(where, "a group or an array", type(item).__name__)

    def _note(self, data: Any, path: str, where: str) -> None:
        """Checks an array by its description, before anything is allocated for it."""
        if data.is_virtual or data.external:
            raise damaged(where, "data in the file itself", "data that is stored in another file")
        if data.dtype.kind not in "fiu" or data.dtype.itemsize > 8:
            if path.split("/", maxsplit=1)[0] in ("optimizer_weights", "optimizer"):
                return
            raise damaged(where, "an array of numbers", f"an array of {data.dtype}")
        filters = data.id.get_create_plist()
        known = {self._h5py.h5z.FILTER_DEFLATE, self._h5py.h5z.FILTER_SHUFFLE, self._h5py.h5z.FILTER_FLETCHER32}
        if any(filters.get_filter(i)[0] not in known for i in range(filters.get_nfilters())):
            raise damaged(where, "an array that is plain or compressed by gzip", "another filter")
        if path.split("/", maxsplit=1)[0] in ("optimizer_weights", "optimizer"):
            return
        needed = 4 * math.prod(data.shape)
        self._left -= needed
        if self._left < 0:
            raise damaged(where, f"arrays of at most {MODEL_BYTES >> 30} GiB in all", f"shape {data.shape}")
        self.names.append(path)

    def array(self, file: Any, path: str) -> Floats:
        """An array whose size has been checked, as float32."""
        array = np.asarray(file[path][()]).astype(np.float32)
        wrong = ~(np.abs(array) <= LARGEST_WEIGHT)  # NaN is not
        if wrong.any() and "seed" not in path:
            raise refuse(
                "a weight is not a number that a score can be computed with",
                f"{self._where}, {path:.200}",
                f"weights from {-LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}",
                array[wrong].flat[0],
                "train the model again: training has diverged",
            )
        return array

    def _attributes(self, group: Any, path: str) -> dict[str, Any]:
        """The attributes of a group that are text, or lists of it."""
        found: dict[str, Any] = {}
        left = ATTRIBUTE_BYTES
        for name in group.attrs:
            attribute = group.attrs.get_id(name)
            kind = attribute.dtype
            left -= math.prod(attribute.shape) * kind.itemsize
            if left < 0:
                raise damaged(f"{self._where}, {path:.200}", f"attributes of at most {ATTRIBUTE_BYTES:,} bytes", "more")
            if kind.kind in "SO" and (kind.kind == "S" or self._h5py.check_string_dtype(kind)):
                value = group.attrs[name]
                found[name] = [_text(x) for x in value.tolist()] if isinstance(value, np.ndarray) else _text(value)
        return found


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
