"""Finished runs as tables for DuckDB: the SQL of four views, `predictions`, `tokens`, `errors` and `runs`.

`batch-scorer sql` prints it; `report` and `compare` ask their questions of the same views.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from batch_scorer.errors import OptionError
from batch_scorer.escape import safe
from batch_scorer.runs.finished import Run
from batch_scorer.schema import ERRORS, OUR_COLUMNS, predictions_schema

# The views, and what a row of each is.
VIEWS = {
    "predictions": "a scored review: the columns of predictions/*.parquet",
    "tokens": "a listed word of a review, beside the review's columns; a review without one has a row with nulls",
    "errors": "a record that was not scored: the columns of errors/*.parquet, and run_id",
    "runs": "a run: its model, the bias, temperature and threshold of its scores, its counts",
}

_NEEDED = {
    "s3": "install httpfs; load httpfs; create secret (type s3, provider credential_chain);  -- or key_id, secret",
    "gs": "install httpfs; load httpfs; create secret (type gcs, key_id 'ID', secret 'SECRET');  -- an HMAC key",
}
_DUCKDB_TYPES = {"string": "varchar", "int64": "bigint", "int32": "integer", "float": "float", "bool": "boolean"}
_WORD = {
    **{"token": "varchar", "position": "integer", "char_start": "integer", "char_end": "integer"},
    **{"attention": "float", "contribution": "float"},
}
_RANKS = ("contributing_rank", "attended_rank")
_OF_THE_REVIEW = ("run_id", "record_id", "source", "offset", "predicted_label", "probability", "logit")
_COUNTS = ("read", "scored", "rejected", "unreadable")
_NUMBER = re.compile(r"u?int\d+|halffloat|float|double|decimal.*")


def script(runs: Sequence[Run], prefix: str = "") -> str:
    """`statements` as a file for DuckDB to read, which begins with what they are."""
    width = max(map(len, VIEWS)) + len(safe(prefix))
    lines = ["-- Views for DuckDB over the runs", *(f"--   {safe(_name(run))}  {safe(run.output)}" for run in runs)]
    lines += ["-- A row of", *(f"--   {safe(prefix + name):{width}}  is {what}" for name, what in VIEWS.items())]
    lines += ["-- Where a run has been moved or made again: `batch-scorer sql` once more."]
    for scheme, needed in _NEEDED.items():
        if any(run.output.startswith(f"{scheme}://") for run in runs):
            lines += [f"-- DuckDB reads {scheme}:// after this, with your credentials:", f"--   {needed}"]
    return "\n".join([*lines, *(f"\n{statement}" for statement in statements(runs, prefix))]) + "\n"


def statements(runs: Sequence[Run], prefix: str = "") -> list[str]:
    """The statements that make the views over all of `runs` together, each of which ends in a semicolon.

    A word that stands in both lists of a review is one row of `tokens`. A kept column that the runs have in different
    types is the wider one if all are numbers, and else text. DuckDB knows no upper and lower case in names.

    Args:
        prefix: what the views' names begin with.

    Raises:
        OptionError: two of the runs have one name, so that their rows could not be told apart; or a path is no text.
    """
    names = [_name(run) for run in runs]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise OptionError(
                f"two runs are called {name}",
                where=f"{runs[names.index(name)].output}, {runs[at].output}",
                expected="runs that their run_id tells apart",
                fix="give one of them alone, or score anew with another --run-id",
            )
    bodies = (_predictions(runs), _tokens(runs, prefix), _errors(runs), _runs(runs))
    return [
        f"create or replace view {identifier(prefix + name)} as\n{body};"
        for name, body in zip(VIEWS, bodies, strict=True)
    ]


def literal(value: object) -> str:
    """A value as SQL writes it, on one line, and in characters that can be seen.

    Raises:
        OptionError: it is a path that is no text.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # Without the type it would be a decimal, rounded.
        return f"{value!r}::double" if math.isfinite(value) else f"'{value!r}'::double"
    if isinstance(value, int):
        return repr(value)
    pieces = re.split("([^\x20-\x7e])", str(value).replace("'", "''"))
    try:
        shown = [piece if piece.isprintable() else f"' || chr({ord(piece.encode().decode())}) || '" for piece in pieces]
    except UnicodeEncodeError as error:
        raise OptionError(
            "a name is not in UTF-8, and SQL is", where=str(value), fix="give the directory another name"
        ) from error
    return "'" + "".join(shown) + "'"


def identifier(name: str) -> str:
    """A name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def _name(run: Run) -> str:
    return str(run.manifest["run_id"])


def _read(paths: Sequence[str]) -> str:
    # Names with brackets or stars would be patterns: each of these stands for itself. A backslash escapes what follows
    # it in patterns only; a name with one is left alone, which DuckDB finds since it is there.
    found = [path if "\\" in path else "".join(f"[{c}]" if c in "*?[" else c for c in path) for path in paths]
    listed = ",\n    ".join(literal(path) for path in found)
    # A directory above may be called year=2024, which would be a column.
    return f"read_parquet([\n    {listed}\n  ], hive_partitioning = false)"


def _predictions(runs: Sequence[Run]) -> str:
    unlike = _unlike(runs)

    def rows_of(run: Run) -> str:
        names = [identifier(name) for key, (name, _) in _columns_of(run).items() if key in unlike]
        as_text = f" replace ({', '.join(f'{name}::varchar as {name}' for name in names)})" if names else ""
        return f"select *{as_text} from {_read(run.predictions)}"

    found = [rows_of(run) for run in runs if run.predictions]
    if found:
        return "\nunion all by name\n".join(found)
    import pyarrow as pa

    word = f"struct({', '.join(f'{name} {kind}' for name, kind in _WORD.items())})[]"
    kinds = {
        field.name: word if pa.types.is_list(field.type) else _DUCKDB_TYPES[str(field.type)]
        for field in predictions_schema(pa.schema([]), "", "")
    }
    return _no_rows({**kinds, **{name: "varchar" for name in _kept(runs)}})


def _columns_of(run: Run) -> dict[str, tuple[str, str]]:
    """Kept columns as DuckDB tells them apart, in lower case: name and type. It calls a second `Stars` `Stars_1`."""
    found: dict[str, tuple[str, str]] = {}
    for name, kind in run.kept_types.items():
        if name.casefold() not in OUR_COLUMNS:
            found.setdefault(name.casefold(), (name, kind))
    return found


def _unlike(runs: Sequence[Run]) -> set[str]:
    """Kept columns whose types are neither the same everywhere nor all numbers."""
    kinds: dict[str, set[str]] = {}
    for run in runs:
        for key, (_, kind) in _columns_of(run).items() if run.predictions else ():
            kinds.setdefault(key, set()).add(kind)
    return {key for key, found in kinds.items() if len(found) > 1 and not all(map(_NUMBER.fullmatch, found))}


def _kept(runs: Sequence[Run]) -> list[str]:
    """Names of the kept columns of any run, but for those that are called like a property of a word."""
    columns = {key: name for run in reversed(runs) for key, (name, _) in _columns_of(run).items()}
    return [name for key, name in columns.items() if key not in {*_WORD, *_RANKS}]


def _no_rows(kinds: dict[str, str]) -> str:
    columns = ", ".join(f"cast(null as {kind}) as {identifier(name)}" for name, kind in kinds.items())
    return f"select {columns} where false"


def _tokens(runs: Sequence[Run], prefix: str) -> str:
    # A list of one null, where there is no word, keeps the review. No join: rows pass by one after the other. Within,
    # the columns have names of our own, so that none is called like an argument of a lambda, which it would hide.
    names = {f"_{at}": identifier(name) for at, name in enumerate((*_OF_THE_REVIEW, *_kept(runs)))}
    columns, words = ", ".join(names), ", ".join(f"_word.{name}" for name in (*_WORD, *_RANKS))
    return f"""select {", ".join(f"{ours} as {name}" for ours, name in names.items())},
  {words}
from (
  select {columns}, unnest(if(len(_words) = 0, [null], _words)) as _word
  from (
    select {columns},
      list_concat(
        list_transform(_contributing, lambda w, rank: struct_insert(w,
          contributing_rank := rank, attended_rank := list_position(_attended_places, w.position))),
        list_filter(list_transform(_attended, lambda w, rank: struct_insert(w,
          contributing_rank := list_position(_contributing_places, w.position), attended_rank := rank)),
          lambda w: w.contributing_rank is null)
      ) as _words
    from (
      select *, list_transform(_attended, lambda w: w.position) as _attended_places,
        list_transform(_contributing, lambda w: w.position) as _contributing_places
      from (
        select {", ".join(f"{name} as {ours}" for ours, name in names.items())},
          top_contributing as _contributing, top_attended as _attended
        from {identifier(prefix + "predictions")}
      )
    )
  )
)"""


def _errors(runs: Sequence[Run]) -> str:
    selects = [f"select {literal(_name(run))} as run_id, * from {_read(run.errors)}" for run in runs if run.errors]
    if selects:
        return "\nunion all by name\n".join(selects)
    return _no_rows({"run_id": "varchar", **{field.name: _DUCKDB_TYPES[str(field.type)] for field in ERRORS}})


def _runs(runs: Sequence[Run]) -> str:
    names = [name for name, _ in _columns(runs[0])]
    rows = ",\n  ".join("(" + ", ".join(literal(value) for _, value in _columns(run)) + ")" for run in runs)
    return (
        "select * replace (try_cast(started as timestamp) as started, try_cast(finished as timestamp) as finished)\n"
        f"from (values\n  {rows}\n) as r({', '.join(names)})"
    )


def _columns(run: Run) -> Iterator[tuple[str, object]]:
    m = run.manifest
    yield from ((name, m[name]) for name in ("run_id", "model_id", "model_name"))
    yield from ((name, float(m[name])) for name in ("bias", "temperature", "threshold"))
    yield from ((name, m[name]) for name in ("max_words", "top_k"))
    yield from ((name, m["counts"][name]) for name in _COUNTS)
    yield "complete", run.complete
    yield from ((name, m[name]) for name in ("started", "finished"))
    yield "output", run.output
