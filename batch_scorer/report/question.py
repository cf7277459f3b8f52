"""What a report should cover, as the options of `batch-scorer report` say."""

from __future__ import annotations

from dataclasses import dataclass, fields

from batch_scorer.errors import OptionError
from batch_scorer.formats.label_rule import LabelRule
from batch_scorer.report import budget
from batch_scorer.runs.finished import Run


@dataclass(frozen=True)
class Question:
    """What a report should cover.

    Args:
        output: the output directory of the run.
        reference: the output directory of an earlier run to compare with.
        text_from: inputs to take the texts of the reviews from.
        text_column, label_column, slice_columns: kept columns: the text, the true label, what to slice quality by.
        positive_value, negative_value: values and ranges of labels that mean so, as `LabelRule.of` takes them.
        reviews: how many reviews each list has, at most.
        group_by, over: kept columns: those whose values are groups to compare, and the one with dates.
        by: `day`, `week`, `month` or `year`: how long a period is; None: whichever fits.
        date_format: how the dates read, as `dates.read_dates` takes it; None: find out.
        title: what the page is called; None: its run.
        rescore: whether to score the reviews of the page again, and to measure what deleting their parts changes.
        model: the directory of the run's model, for that; None: the shipped one.
        others: the output directories of more runs to take as one with the first, or folders of runs: of an id, the
            rows of the newest run count.
    """

    output: str
    reference: str | None = None
    text_from: tuple[str, ...] = ()
    text_column: str | None = None
    label_column: str | None = None
    positive_value: tuple[str, ...] = ()
    negative_value: tuple[str, ...] = ()
    slice_columns: tuple[str, ...] = ()
    reviews: int = 100
    group_by: tuple[str, ...] = ()
    over: str | None = None
    by: str | None = None
    date_format: str | None = None
    title: str | None = None
    rescore: bool = False
    model: str | None = None
    others: tuple[str, ...] = ()

    @property
    def rule(self) -> LabelRule | None:
        """What the labels mean, as the options say; None without a label column.

        Raises:
            OptionError: the options contradict themselves.
        """
        if self.label_column is None:
            return None
        return LabelRule.of(self.label_column, self.positive_value, self.negative_value)

    def words(self) -> list[str]:
        """The command line that asks the same, without what comes before the options and without the runs.

        Example:
            >>> Question("out", label_column="stars", positive_value=(">=4", "good"), rescore=True).words()
            ['--label-column', 'stars', '--positive-value', '>=4', '--positive-value', 'good', '--rescore']
        """
        words = list[str]()
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("output", "others") and value != field.default:
                option = f"--{field.name.removesuffix('s') if field.name == 'slice_columns' else field.name}"
                for each in value if isinstance(value, tuple) else (value,):
                    words += [option.replace("_", "-"), *([] if each is True else [str(each)])]
        return words

    def check(self, run: Run) -> None:
        """Checks that the options are compatible, and that `run` has the columns they name.

        Raises:
            OptionError: they are not, or it has not.
        """
        if self.text_from and self.text_column:
            raise OptionError("--text-from and --text-column cannot be combined", fix="give one of them")
        if self.model is not None and not self.rescore:
            raise OptionError("--model needs --rescore", fix="add --rescore to score the reviews of the page again")
        if self.rescore and not (self.text_from or self.text_column):
            raise OptionError(
                "--rescore needs the texts",
                expected="the texts that were scored; the output of a run has none",
                got="neither --text-from nor --text-column",
                fix="add --text-from INPUT, the input that was scored, or --text-column NAME, a kept column with them",
            )
        if self.label_column is None:
            for option, given in (
                ("--positive-value", self.positive_value),
                ("--negative-value", self.negative_value),
                ("--slice-column", self.slice_columns),
            ):
                if given:
                    raise OptionError(f"{option} needs --label-column", fix="name the kept column with the true labels")
        if self.over is not None and not self.group_by:
            raise OptionError("--over needs --group-by", fix="name the kept column to compare by: --group-by product")
        for option, given_value in (("--by", self.by), ("--date-format", self.date_format)):
            if given_value is not None and self.over is None:
                raise OptionError(f"{option} needs --over", fix="name the kept column with the dates: --over date")
        names = [("--text-column", self.text_column), ("--label-column", self.label_column), ("--over", self.over)]
        names += [("--slice-column", name) for name in self.slice_columns]
        names += [("--group-by", name) for name in self.group_by]
        for option, name in names:
            if name is not None and name not in run.kept:
                raise _not_kept(option, name, run)
        types = run.kept_types
        if self.text_column and types[self.text_column] not in ("string", "large_string", "null"):
            raise OptionError(
                f"the kept column {self.text_column!r} does not hold text",
                where=f"--text-column {self.text_column}",
                expected="a column of strings",
                got=types[self.text_column],
                fix="name the column that was scored, or give the inputs with --text-from",
            )


def _not_kept(option: str, name: str, run: Run) -> OptionError:
    where = f"{option} {name}"
    if name in run.columns:
        return OptionError(
            f"{name!r} is a column of every run, and not one of the inputs",
            where=where,
            expected="a column of the inputs, which was kept with --keep",
            got="one that batch-scorer writes",
            fix="name a kept column; score again if there is none, with --keep NAME or --keep NAME=NEW",
        )
    return OptionError(
        f"the run did not keep a column {name!r}",
        where=where,
        expected="a kept column of the run",
        got=", ".join(budget.cut(kept, budget.TOKEN) for kept in run.kept[: budget.KEPT_COLUMNS]) or "no kept columns",
        fix="name a kept column, or score again and keep this one: batch-scorer score ... "
        f"--keep {budget.cut(name, budget.TOKEN)}",
    )
