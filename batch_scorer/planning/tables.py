"""Tables whose folders hold more than their rows: Delta, Iceberg and Hudi keep files that they have dropped."""

from __future__ import annotations

import json
import os

from batch_scorer import storage
from batch_scorer.errors import InputError
from batch_scorer.escape import python, python_runs

_REMOTE_FOLDERS = 200  # of a store that are looked at: each takes three requests

# The library of each kind, and the Python that writes the current rows of the table at {0} to the file {1}.
_EXPORTS = {
    "Delta": (
        "deltalake",
        "from deltalake import DeltaTable; import pyarrow.parquet as pq; "
        "pq.write_table(DeltaTable({0}).to_pyarrow_table(), {1})",
    ),
    "Iceberg": (
        "pyiceberg",
        "from pyiceberg.table import StaticTable; import pyarrow.parquet as pq; "
        "pq.write_table(StaticTable.from_metadata({0}).scan().to_arrow(), {1})",
    ),
    "Hudi": (
        "hudi",
        "from hudi import HudiTable; import pyarrow as pa, pyarrow.parquet as pq; "
        "pq.write_table(pa.Table.from_batches(HudiTable({0}).read()), {1})",
    ),
}


class Tables:
    """Looks for tables in the folders of input files and above them; at each folder once."""

    def __init__(self) -> None:
        self._seen = set[str]()
        self._remote = 0

    def refuse(self, file: str, kind: str) -> None:
        """Refuses a file that is part of a table: it may hold rows that the table no longer has.

        Args:
            kind: its format. Only Parquet is part of such a table, whatever a folder beside other files is called.

        Raises:
            InputError: it is.
        """
        folder = os.path.dirname(file)
        if kind != "parquet" or folder in self._seen:
            return
        self._seen.add(folder)
        folder = folder if storage.is_remote(folder) else os.path.abspath(folder)
        while folder not in self._seen or folder == os.path.dirname(file):
            self._seen.add(folder)
            self._look_at(folder, file)
            above = os.path.dirname(folder)
            if above == folder or above.endswith(("://", ":/")):
                return
            folder = above

    def _look_at(self, folder: str, file: str) -> None:
        if "=" in os.path.basename(folder):
            return  # of a partition: the table is above it
        if storage.is_remote(folder):
            self._remote += 1
            if self._remote > _REMOTE_FOLDERS:
                return
        for kind, (inside, name) in _SIGNS.items():
            signs = storage.match_in(storage.join(folder, inside), name)
            if signs:
                newest = max(signs, key=lambda sign: (sign.modified, sign.path))
                raise _refusal(kind, folder, newest.path, file)


_SIGNS = {
    "Delta": ("_delta_log", "*.json"),
    "Iceberg": ("metadata", "*.metadata.json"),
    "Hudi": (".hoodie", "hoodie.properties"),
}


def _refusal(kind: str, folder: str, sign: str, file: str) -> InputError:
    library, code = _EXPORTS[kind]
    copy = f"{os.path.basename(folder) or 'table'}.parquet"
    code = code.format(json.dumps(sign if kind == "Iceberg" else folder), json.dumps(copy))
    return InputError(
        f"the input is in {'an' if kind == 'Iceberg' else 'a'} {kind} table, "
        "whose files also hold rows that the table no longer has",
        where=folder,
        expected="files that hold nothing but the rows to score",
        got=f"{file}, beside {sign}",
        fix=f"write the current rows to a file, and score {copy}: {python()} -m pip install {library} pyarrow; "
        f"{python_runs(code)}",
    )
