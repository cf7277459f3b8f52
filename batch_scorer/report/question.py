"""What a report is asked to say, as its options have it."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scorer.errors import OptionError
from batch_scorer.report import budget
from batch_scorer.runs.finished import Run


@dataclass(frozen=True)
class Question:
    """What a report is to say.

    Args:
        output: the run.
        reference: an earlier run, to compare with.
        text_from: inputs to take the texts from.
        text_column, label_column, slice_columns: kept columns: the text, the truth, what to slice quality by.
        positive_value: the label that means positive; None goes by what is there.
        reviews: how many in each list.
    """

    output: str
    reference: str | None = None
    text_from: tuple[str, ...] = ()
    text_column: str | None = None
    label_column: str | None = None
    positive_value: str | None = None
    slice_columns: tuple[str, ...] = ()
    reviews: int = 100

    def check(self, run: Run) -> None:
        """Looks whether the options go together, and whether `run` has the columns that they name.

        Raises:
            OptionError: not so.
        """
        if self.text_from and self.text_column:
            raise OptionError("--text-from and --text-column exclude each other", fix="give one of them")
        if self.label_column is None:
            for option, given in (
                ("--positive-value", self.positive_value),
                ("--slice-column", self.slice_columns),
            ):
                if given:
                    raise OptionError(f"{option} needs --label-column", fix="name the kept column that holds the truth")
        named = [("--text-column", self.text_column), ("--label-column", self.label_column)]
        for option, name in [*named, *(("--slice-column", name) for name in self.slice_columns)]:
            if name is not None and name not in run.kept:
                raise OptionError(
                    f"the run has kept no column {name!r}",
                    where=f"{option} {name}",
                    expected="a kept column of the run",
                    got=", ".join(budget.cut(kept, budget.TOKEN) for kept in run.kept[: budget.KEPT_COLUMNS])
                    or "it has kept none",
                    fix="give one of these, or keep it: batch-scorer score ... "
                    f"--keep {budget.cut(name, budget.TOKEN)}",
                )
        kinds = {kept["output_name"]: kept["type"] for kept in run.plan["kept"]}
        if self.text_column and kinds[self.text_column] not in ("string", "large_string", "null"):
            raise OptionError(
                f"the kept column {self.text_column!r} does not hold text",
                where=f"--text-column {self.text_column}",
                expected="string",
                got=kinds[self.text_column],
                fix="name the column that was scored, or give the inputs with --text-from",
            )
