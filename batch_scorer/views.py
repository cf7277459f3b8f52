"""Finished runs as tables for DuckDB: the SQL of four views, `predictions`, `tokens`, `errors` and `runs`.

`batch-scorer sql` prints it; `report` and `compare` ask their questions of the same views.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from batch_scorer.errors import OptionError
from batch_scorer.runs import Run
from batch_scorer.schema import ERRORS, predictions_schema

VIEWS = ("predictions", "tokens", "errors", "runs")

_DUCKDB_TYPES = {"string": "varchar", "int64": "bigint", "int32": "integer", "float": "float", "bool": "boolean"}
_WORD = (
    "struct(token varchar, position integer, char_start integer, char_end integer, attention float, contribution float)"
)
_COUNTS = ("read", "scored", "rejected", "unreadable")


def statements(runs: Sequence[Run], prefix: str = "") -> list[str]:
    """The statements that make the views over all of `runs` together, each of which ends in a semicolon.

    `tokens` has a row a listed word, and one with nulls for a review that lists none; a word that stands in both lists
    is one row. `runs` has a row a run, with what its scores are computed from.

    Args:
        prefix: what the views' names begin with.

    Raises:
        OptionError: two of the runs have one name, so that their rows could not be told apart.
    """
    names = [run.manifest["run_id"] for run in runs]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise OptionError(
                f"two runs are called {name}",
                where=f"{runs[names.index(name)].output}, {runs[at].output}",
                expected="runs that their run_id tells apart",
                fix="give one of them alone, or score anew with another --run-id",
            )
    bodies = (_predictions(runs), _tokens(prefix), _errors(runs), _runs(runs))
    return [
        f"create or replace view {identifier(prefix + name)} as\n{body};"
        for name, body in zip(VIEWS, bodies, strict=True)
    ]


def literal(value: object) -> str:
    """A value as SQL writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value!r}::double"  # else it would be a decimal, rounded
    if isinstance(value, int):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def _read(paths: Sequence[str]) -> str:
    # Names with brackets or stars would be read as patterns: each of these stands for itself.
    escaped = ["".join(f"[{c}]" if c in "*?[" else c for c in path) for path in paths]
    listed = ",\n    ".join(literal(path) for path in escaped)
    return f"read_parquet([\n    {listed}\n  ], union_by_name = true)"


def _predictions(runs: Sequence[Run]) -> str:
    paths = [path for run in runs for path in run.predictions]
    if paths:
        return f"select * from {_read(paths)}"
    import pyarrow as pa

    kinds = {
        field.name: f"{_WORD}[]" if pa.types.is_list(field.type) else _DUCKDB_TYPES[str(field.type)]
        for field in predictions_schema(pa.schema([]), "", "")
    }
    return _no_rows(kinds)


def _no_rows(kinds: dict[str, str]) -> str:
    return f"select {', '.join(f'cast(null as {kind}) as {name}' for name, kind in kinds.items())} where false"


def _tokens(prefix: str) -> str:
    # A list of one null, where there is no word, keeps the review. No join: rows pass by one after the other. Only our
    # columns come in: a kept one named `w` or `rank` would be taken for what the lambdas name so.
    return f"""select run_id, record_id, predicted_label, probability, logit,
  w.token, w.position, w.char_start, w.char_end, w.attention, w.contribution, w.contributing_rank, w.attended_rank
from (
  select *, unnest(if(len(words) = 0, [null], words)) as w
  from (
    select run_id, record_id, predicted_label, probability, logit,
      list_concat(
        list_transform(top_contributing, lambda w, rank: struct_insert(w,
          contributing_rank := rank, attended_rank := list_position(attended, w.position))),
        list_filter(list_transform(top_attended, lambda w, rank: struct_insert(w,
          contributing_rank := list_position(contributing, w.position), attended_rank := rank)),
          lambda w: w.contributing_rank is null)
      ) as words
    from (
      select *, list_transform(top_attended, lambda w: w.position) as attended,
        list_transform(top_contributing, lambda w: w.position) as contributing
      from (
        select run_id, record_id, predicted_label, probability, logit, top_attended, top_contributing
        from {identifier(prefix + "predictions")}
      )
    )
  )
)"""


def _errors(runs: Sequence[Run]) -> str:
    groups = [(run.manifest["run_id"], run.errors) for run in runs if run.errors]
    if groups:
        selects = (f"select {literal(name)} as run_id, * from {_read(paths)}" for name, paths in groups)
        return "\nunion all by name\n".join(selects)
    return _no_rows({"run_id": "varchar", **{field.name: _DUCKDB_TYPES[str(field.type)] for field in ERRORS}})


def _runs(runs: Sequence[Run]) -> str:
    names = [name for name, _ in _columns(runs[0])]
    rows = ",\n  ".join("(" + ", ".join(literal(value) for _, value in _columns(run)) + ")" for run in runs)
    return f"select * from (values\n  {rows}\n) as r({', '.join(names)})"


def _columns(run: Run) -> Iterator[tuple[str, object]]:
    m = run.manifest
    yield from ((name, m[name]) for name in ("run_id", "model_id", "model_name"))
    yield from ((name, float(m[name])) for name in ("bias", "temperature", "threshold"))
    yield from ((name, m[name]) for name in ("max_words", "top_k"))
    yield from ((name, m["counts"][name]) for name in _COUNTS)
    yield "complete", run.complete
    yield from ((name, m[name]) for name in ("started", "finished"))
    yield "output", run.output
