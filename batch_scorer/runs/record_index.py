"""The records of earlier runs (`--after-by record`) in one sorted file, which each worker maps into its memory.

OUT/earlier/records-*.u64: N keys, ascending, then N checks, 64 bits each, little-endian. `runs.indexing` writes it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer import storage
from batch_scorer.errors import JobError
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import layout
from batch_scorer.runs.hashes import UInts, id_hashes, text_hashes
from batch_scorer.schema import ERROR_CODES
from batch_scorer.storage import Beat

_COPY_BYTES = 1 << 20
# What stands for the text of a record that was rejected: no hash of a text, except by a chance of 1 in 2**64.
CODE_HASHES: Mapping[str, int] = {
    code: int(number) for code, number in zip(ERROR_CODES, ~text_hashes([*ERROR_CODES]), strict=True)
}


def keys_and_checks(ids: UInts, hashes: UInts) -> tuple[UInts, UInts]:
    """What stands for N records in the file: a record is in it if both its numbers are.

    Args:
        ids: uint64[N, 2], of `id_hashes`.
        hashes: uint64[N], of their texts, or what stands for these.

    Returns:
        Keys, which depend on the id alone, and checks, uint64[N] each. Two texts of an id never have the same check
        unless they have the same hash.
    """
    return ids[:, 0], ids[:, 1] ^ hashes


class RecordIndex:
    """Records, by id and hash of the text; those of a file are only read from the disk where they are looked up.

    Args:
        keys, checks: uint64[N] each, sorted by both.

    Example:
        >>> keys, checks = keys_and_checks(id_hashes(["r1"]), text_hashes(["Dull."]))
        >>> RecordIndex(keys, checks).has(["r1", "r1", "r2"], text_hashes(["Dull.", "Fine.", "Dull."])).tolist()
        [True, False, False]
    """

    def __init__(self, keys: UInts, checks: UInts) -> None:
        self._keys, self._checks = keys, checks

    def __len__(self) -> int:
        return len(self._keys)

    @staticmethod
    def open(plan: Plan, output: str, beat: Beat | None = None) -> RecordIndex | None:
        """The index of a run; None where it has none, since it passes over no records.

        One in a store is copied to this machine, into a file without a name: it is gone with this process.

        Raises:
            JobError: the file is missing.
        """
        if plan.earlier_records is None:
            return None
        path = index_path(plan.earlier_records, output)
        if not storage.exists(path):
            raise JobError(
                "the list of the records of earlier runs is missing",
                where=path,
                expected="the file that was written when the run was planned",
                fix="run the same command with --resume, which writes it again",
            )
        if not storage.is_remote(path):
            return mapped(path)
        with storage.open_read(path, beat) as source, tempfile.NamedTemporaryFile(prefix="batch-scorer-") as copy:
            shutil.copyfileobj(source, copy, _COPY_BYTES)
            copy.flush()
            return mapped(copy.name)

    def has(self, ids: Sequence[str], hashes: UInts) -> npt.NDArray[np.bool_]:
        """Which of N records are in the index, bool[N].

        Args:
            ids: of the records.
            hashes: uint64[N], of their texts, or what stands for these.
        """
        found = np.zeros(len(ids), np.bool_)
        if not len(self) or not len(ids):
            return found
        keys, checks = keys_and_checks(id_hashes(ids), hashes)
        order = np.argsort(keys)  # neighbours are on the same page of the file
        keys, checks = keys[order], checks[order]
        start = np.searchsorted(self._keys, keys)
        at = np.minimum(start, len(self) - 1)
        has_key = self._keys[at] == keys
        here = has_key & (self._checks[at] == checks)
        # Where a key is there several times: an id was there several times in the newest run that has it.
        after = np.minimum(at + 1, len(self) - 1)
        for i in np.flatnonzero(has_key & ~here & (after > at) & (self._keys[after] == keys)):
            some = self._checks[at[i] : np.searchsorted(self._keys, keys[i], "right")]
            place = np.searchsorted(some, checks[i])
            here[i] = place < len(some) and some[place] == checks[i]
        found[order] = here
        return found


def index_path(earlier_records: Mapping[str, Any], output: str) -> str:
    """Where the index of a run is, while it is going on.

    Args:
        earlier_records: of its plan.
    """
    return storage.join(output, layout.index_name(earlier_records["fingerprint"]))


def mapped(path: str) -> RecordIndex:
    """The index in a file of this machine."""
    count = os.path.getsize(path) // 16
    numbers = np.asarray(np.memmap(path, "<u8", "r", shape=(2, count))) if count else np.zeros((2, 0), np.uint64)
    return RecordIndex(numbers[0], numbers[1])
