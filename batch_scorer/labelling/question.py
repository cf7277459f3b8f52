"""Which reviews of a run people should label, as the options of `batch-scorer review` say."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scorer.errors import OptionError
from batch_scorer.runs.finished import Run

LEAST_CERTAIN, UNUSUAL, RANDOM = "least certain", "unusual", "random"


@dataclass(frozen=True)
class Question:
    """Which reviews to make tasks of: those of several choices are all taken, each once.

    Args:
        output: the output directory of the run.
        text_from: inputs to take the texts from; without any, a kept column or the run's own inputs.
        least_certain: so many whose probability is nearest to the threshold.
        unusual: so many whose texts are unlike those of training, least certain first.
        random: so many drawn at random, each as likely as any other.
        seed: of the draw; with the same seed, a larger sample contains the smaller one.
        prefill: whether the labels are those of the model, to be corrected, rather than empty.
    """

    output: str
    text_from: tuple[str, ...] = ()
    least_certain: int = 0
    unusual: int = 0
    random: int = 0
    seed: int = 0
    prefill: bool = False

    @property
    def choices(self) -> dict[str, int]:
        """What is asked for: the name of each choice, and the most reviews that it takes."""
        asked = {LEAST_CERTAIN: self.least_certain, UNUSUAL: self.unusual, RANDOM: self.random}
        return {name: count for name, count in asked.items() if count}

    def check(self, run: Run | None = None) -> None:
        """Refuses a question that no run, or not this one, can answer.

        Raises:
            OptionError: nothing is asked for, or the run does not say which texts are unusual.
        """
        if not self.choices:
            raise OptionError(
                "nothing says which reviews to choose",
                expected="--least-certain N, --unusual N, --random N, or several of them",
                fix=f"for instance: batch-scorer review {self.output} --least-certain 200",
            )
        if run is not None and self.unusual and "unusual" not in run.columns:
            raise OptionError(
                "the run does not say which texts are unusual",
                where=f"--unusual {self.unusual}",
                expected="a run that was scored with --unusual",
                got=f"columns {', '.join(run.columns)}",
                fix="score again with --unusual, or choose by --least-certain or --random",
            )
