"""Finished runs -> the SQL of DuckDB views over their files: `predictions`, `tokens`, `errors` and `runs`.

Where a run lists them, there are `sentences` and `phrases` too. `batch-scorer sql` prints this SQL; `report` and
`compare` query the same views.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from batch_scorer.analysis.newest import newest_rows
from batch_scorer.analysis.quoting import identifier, literal, reference, shown_names
from batch_scorer.analysis.runs_view import runs_view
from batch_scorer.analysis.segment_views import SPAN_LIST, segment_views, segments
from batch_scorer.errors import OptionError
from batch_scorer.escape import safe
from batch_scorer.runs.finished import Run
from batch_scorer.schema import ERRORS, OPTIONAL_COLUMNS, TOKENS, predictions_schema

# View of any run -> what one of its rows is.
VIEWS = {
    "predictions": "a scored review, with the columns of predictions/*.parquet",
    "tokens": "a listed word, with columns of its review; a review that lists none has one row with a null word",
    "errors": "a record that was not scored, with the columns of errors/*.parquet and run_id",
    "runs": "a run: its model, the bias, temperature and threshold of its scores, and its counts",
}

# Scheme of an object store -> the SQL that lets DuckDB read from it.
_STORE_SETUP = {
    "s3": "install httpfs; load httpfs; create secret (type s3, provider credential_chain);  -- or key_id, secret",
    "gs": "install httpfs; load httpfs; create secret (type gcs, key_id 'ID', secret 'SECRET');  -- an HMAC key",
}
_DUCKDB_TYPES = {
    "string": "varchar",
    "int64": "bigint",
    "int32": "integer",
    "float": "float",
    "uint64": "ubigint",
    "bool": "boolean",
}
_WORD_FIELDS = {
    **{"token": "varchar", "position": "integer", "char_start": "integer", "char_end": "integer"},
    **{"attention": "float", "contribution": "float"},
}
_RANKS = ("contributing_rank", "attended_rank")
_REVIEW_COLUMNS = ("run_id", "record_id", "source", "offset", "predicted_label", "probability", "logit")
_NUMBER = re.compile(r"u?int\d+|halffloat|float|double|decimal.*")


def script(runs: Sequence[Run], prefix: str = "", newest: bool = False) -> str:
    """`statements` as a script for DuckDB, under a comment that describes the views.

    It has no control characters: it may be printed to a terminal.

    Raises:
        OptionError: as `statements`, or `prefix` has characters that cannot be shown.
    """
    if not prefix.isprintable():
        raise OptionError(
            "--prefix has a character that cannot be shown", got=safe(prefix), fix="use letters, digits and _"
        )
    views = {**VIEWS, **{name: view.row for name, view in segment_views(_optional_columns(runs)).items()}}
    width = max(map(len, views)) + len(prefix)
    lines = ["-- DuckDB views of these runs:", *(f"--   {safe(_run_id(run))}  {safe(run.output)}" for run in runs)]
    lines += ["-- One row of", *(f"--   {prefix + name:{width}}  is {row}" for name, row in views.items())]
    lines += ["-- Of each id, only the rows of the newest run are there, except in errors."] if newest else []
    lines += ["-- The views name files by path: after moving or repeating a run, run `batch-scorer sql` again."]
    for scheme, setup in _STORE_SETUP.items():
        if any(run.output.startswith(f"{scheme}://") for run in runs):
            lines += [f"-- DuckDB reads {scheme}:// once you have run this, with your credentials:", f"--   {setup}"]
    return "\n".join([*lines, *(f"\n{statement}" for statement in statements(runs, prefix, newest))]) + "\n"


def statements(runs: Sequence[Run], prefix: str = "", newest: bool = False) -> list[str]:
    """The SQL statements that create the views, each over all of `runs`, each ending in a semicolon.

    A word that is in both lists of a review is one row of `tokens`. A kept column that has different types in
    different runs gets the widest of them if all are numbers, and is text otherwise. DuckDB ignores case in names. In
    `tokens`, a kept column whose name has control characters is called what a terminal would show of it.

    Args:
        prefix: what the names of the views begin with.
        newest: whether an id that several runs have has the rows of the newest one only; `errors` has all.

    Raises:
        OptionError: two of the runs have the same run_id, so their rows could not be told apart; or a path is not
            valid UTF-8.
    """
    run_ids = [_run_id(run) for run in runs]
    for at, run_id in enumerate(run_ids):
        if run_id in run_ids[:at]:
            raise OptionError(
                f"two runs have the run_id {run_id}",
                where=f"{runs[run_ids.index(run_id)].output}, {runs[at].output}",
                expected="runs with different run_ids",
                fix="pass only one of them, or score one again with another --run-id",
            )
    rows = newest_rows(_predictions(runs), runs, _read) if newest and len(runs) > 1 else _predictions(runs)
    bodies = dict(zip(VIEWS, (rows, _tokens(runs, prefix), _errors(runs), runs_view(runs)), strict=True))
    reviews = (*_REVIEW_COLUMNS, *_kept_names(runs, ()))
    for name, view in segment_views(_optional_columns(runs)).items():
        bodies[name] = segments(view, reviews, prefix)
    return [f"create or replace view {identifier(prefix + name)} as\n{body};" for name, body in bodies.items()]


def _optional_columns(runs: Sequence[Run]) -> set[str]:
    """Those of `OPTIONAL_COLUMNS` that any of the runs has."""
    return {name for run in runs for name in run.columns if name in OPTIONAL_COLUMNS}


def temperature(run: Run, table: str = "") -> str:
    """What a logit in `predictions` is divided by, as SQL: a column (of `table`, if given), or the run's constant."""
    if "temperature" in run.columns:
        return f"{table}.temperature" if table else "temperature"
    return literal(float(run.manifest["temperature"]))


def _run_id(run: Run) -> str:
    return str(run.manifest["run_id"])


def _read(paths: Sequence[str]) -> str:
    # DuckDB takes `*`, `?` and `[` for glob patterns, so each of them is escaped. In a pattern a backslash would be an
    # escape too: a path with one is passed as it is, and DuckDB, which looks for the very file first, finds it.
    escaped = [path if "\\" in path else "".join(f"[{c}]" if c in "*?[" else c for c in path) for path in paths]
    listed = ",\n    ".join(literal(path) for path in escaped)
    # A parent directory may be called year=2024, which DuckDB would turn into a column.
    return f"read_parquet([\n    {listed}\n  ], hive_partitioning = false)"


def _predictions(runs: Sequence[Run]) -> str:
    mixed = _mixed_type_columns(runs)
    optional = _optional_columns(runs)

    def lacks_it(run: Run) -> bool:
        """Whether others have a temperature for each review, and this run has one for all, and nothing by that name."""
        return "temperature" in optional and "temperature" not in {*run.columns, *_kept_columns(run)}

    def select(run: Run) -> str:
        kept = ((key, name) for key, (name, _) in _kept_columns(run).items() if name.isprintable())
        names = [identifier(name) for key, name in kept if key in mixed]
        as_text = f" replace ({', '.join(f'{name}::varchar as {name}' for name in names)})" if names else ""
        constant = f", {temperature(run)} as temperature" if lacks_it(run) else ""
        return f"select *{as_text}{constant} from {_read(run.predictions)}"

    selects = [select(run) for run in runs if run.predictions]
    if selects:
        return "\nunion all by name\n".join(selects)
    import pyarrow as pa

    word = f"struct({', '.join(f'{name} {kind}' for name, kind in _WORD_FIELDS.items())})[]"
    types = {
        field.name: (word if field.type == TOKENS else SPAN_LIST)
        if pa.types.is_list(field.type)
        else _DUCKDB_TYPES[str(field.type)]
        for field in predictions_schema(pa.schema([]), "", "", optional)
    }
    return _empty({**types, **{name: "varchar" for name in _kept_names(runs)}})


def _kept_columns(run: Run) -> dict[str, tuple[str, str]]:
    """Lower-case name -> name and type of each kept column, as in DuckDB, which calls a second `Stars` `Stars_1`."""
    columns: dict[str, tuple[str, str]] = {}
    for name, kind in run.kept_types.items():
        if name.casefold() not in run.columns:
            columns.setdefault(name.casefold(), (name, kind))
    return columns


def _mixed_type_columns(runs: Sequence[Run]) -> set[str]:
    """The kept columns, in lower case, whose types differ between runs and are not all numbers."""
    types: dict[str, set[str]] = {}
    for run in runs:
        for key, (_, kind) in _kept_columns(run).items() if run.predictions else ():
            types.setdefault(key, set()).add(kind)
    return {key for key, kinds in types.items() if len(kinds) > 1 and not all(map(_NUMBER.fullmatch, kinds))}


def _kept_names(runs: Sequence[Run], taken: Collection[str] = (*_WORD_FIELDS, *_RANKS)) -> list[str]:
    """The names of all kept columns, except those that are taken, by default by the fields of a word."""
    columns = {key: name for run in reversed(runs) for key, (name, _) in _kept_columns(run).items()}
    return [name for key, name in columns.items() if key not in taken]


def _empty(types: dict[str, str]) -> str:
    """A query with these columns and no rows."""
    columns = ", ".join(f"cast(null as {kind}) as {identifier(name)}" for name, kind in types.items())
    return f"select {columns} where false"


def _tokens(runs: Sequence[Run], prefix: str) -> str:
    # Where no word is listed, a list of one null keeps the review. There is no join, so rows stream through. Inside,
    # every column has a name of ours: a kept column called like the argument of a lambda would be hidden by it.
    raw = (*_REVIEW_COLUMNS, *_kept_names(runs))
    ours = [f"_{at}" for at in range(len(raw))]
    names = zip(ours, map(identifier, shown_names(raw)), strict=True)
    sources = ", ".join(f"{reference(name)} as {column}" for column, name in zip(ours, raw, strict=True))
    columns, words = ", ".join(ours), ", ".join(f"_word.{name}" for name in (*_WORD_FIELDS, *_RANKS))
    return f"""select {", ".join(f"{column} as {name}" for column, name in names)},
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
        select {sources},
          top_contributing as _contributing, top_attended as _attended
        from {identifier(prefix + "predictions")}
      )
    )
  )
)"""


def _errors(runs: Sequence[Run]) -> str:
    selects = [f"select {literal(_run_id(run))} as run_id, * from {_read(run.errors)}" for run in runs if run.errors]
    if selects:
        return "\nunion all by name\n".join(selects)
    return _empty({"run_id": "varchar", **{field.name: _DUCKDB_TYPES[str(field.type)] for field in ERRORS}})
