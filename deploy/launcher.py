"""The program of the flex template's launcher: turns the template's parameters into a `batch-scorer score` command.

Dataflow starts it as `python launcher.py --input=... --output=... --runner=DataflowRunner --template_location=...`: our
parameters and Beam's options, mixed. Ours become options of the command; all others go to Beam, which refuses unknown
ones, misspelt parameters included.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import click

from batch_scorer.cli import main as cli
from batch_scorer.cli.framework import reports_errors
from batch_scorer.errors import OptionError

# Options of the command that are not parameters of the template, and why.
LEFT_OUT = {
    "workers": "it counts the processes of a local run; for Dataflow, use num_workers and max_workers",
    "worker_timeout": "it is for local processes; Dataflow watches its own workers",
    "log_file": "it would be a file on the launcher's disk, which is deleted; Dataflow keeps the log",
    **dict.fromkeys(
        ("quiet", "verbose", "log_format", "as_json"),
        "the launcher ends when the job has been created; Dataflow itself reports on the job",
    ),
    "dry_run": "launching a template always creates a job",
    "price_per_vcpu_hour": "it is only for --dry-run",
}
INPUT = "input"
SEPARATOR = ";"  # gcloud uses the comma itself, and names of columns may contain one
DATED = (INPUT, "output", "after", "run_id")
IMAGE = "sdk_container_image"


def command(words: Sequence[str], environment: Mapping[str, str], today: date) -> list[str]:
    """The `batch-scorer score` command that the launcher's arguments ask for, as a list of words.

    Args:
        words: the launcher's arguments.
        environment: `BATCH_SCORER_MODEL` and `BATCH_SCORER_IMAGE` are used if the arguments have no model or image.
        today: what `{date}` stands for; `{yesterday}` is the day before.

    Raises:
        OptionError: a parameter is empty, given twice, or has a bad value; or there is no image.
    """
    ours, beams = _separate(words)
    if IMAGE not in {_name(word) for word in beams}:
        image = environment.get("BATCH_SCORER_IMAGE")
        if not image:
            raise OptionError(
                f"the parameter {IMAGE} is missing",
                expected="the image that the workers run, which contains batch-scorer and TensorFlow",
                fix="give it, or build the image with --build-arg IMAGE=NAME, which makes NAME the default",
            )
        beams.append(f"--{IMAGE}={image}")
    if environment.get("BATCH_SCORER_MODEL"):
        ours.setdefault("model", environment["BATCH_SCORER_MODEL"])
    dated = {name: _dated(name, value, today) if name in DATED else value for name, value in ours.items()}
    inputs = _listed(INPUT, dated.pop(INPUT)) if INPUT in dated else []
    options = [word for name, value in dated.items() for word in _option(name, value)]
    return ["batch-scorer", "score", *inputs, *options, "--", *beams]


def parameters() -> dict[str, click.Option]:
    """The parameters of the template that are options of the command, by name: all except `input`."""
    named = {option.name: option for option in cli.score.params if isinstance(option, click.Option)}
    return {name: option for name, option in named.items() if name and name not in LEFT_OUT}


def _separate(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Separates our parameters from Beam's options, which stay as they are."""
    ours: dict[str, str] = {}
    beams = []
    known = {INPUT, *parameters()}
    for word in words:
        name, value = _name(word), word.partition("=")[2]
        if name not in known and name not in LEFT_OUT:
            beams.append(word)
            continue
        if name in LEFT_OUT:
            raise OptionError(
                f"{name} is not a parameter of the template", got=word, fix=f"leave it out: {LEFT_OUT[name]}"
            )
        if not value:
            raise OptionError(f"the parameter {name} is empty", got=word, fix="give it a value, or leave it out")
        if name in ours:
            raise OptionError(f"the parameter {name} is given twice", got=word, fix=f"give it once{_many(name)}")
        ours[name] = value
    return ours, beams


def _name(word: str) -> str:
    """`text_column` for `--text_column=body`; empty for a word that is not an option."""
    return word.partition("=")[0].removeprefix("--") if word.startswith("--") else ""


def _many(name: str) -> str:
    return f", with its values separated by {SEPARATOR!r}" if name == INPUT or parameters()[name].multiple else ""


def _dated(name: str, value: str, today: date) -> str:
    """`value` with the day in place of `{date}` or `{yesterday}`: a schedule sends the same words every day."""
    days = {"date": today.isoformat(), "yesterday": (today - timedelta(days=1)).isoformat()}

    def day(placeholder: re.Match[str]) -> str:
        if placeholder[1] not in days:
            raise OptionError(
                f"the parameter {name} has an unknown placeholder",
                expected="{date} or {yesterday}",
                got=placeholder[0],
                fix="remove the braces, or use a glob for the files",
            )
        return days[placeholder[1]]

    return re.sub(r"\{(.*?)\}", day, value)


def _listed(name: str, value: str) -> list[str]:
    values = value.split(SEPARATOR)
    for item in values:
        if not item or item.startswith("-"):
            raise OptionError(
                f"the parameter {name} has an empty value or one that begins with a hyphen",
                got=value,
                fix=f"separate the values by a single {SEPARATOR!r} each",
            )
    return values


def _option(name: str, value: str) -> list[str]:
    """The words of the command for one parameter."""
    option = parameters()[name]
    flag = option.opts[0]
    if option.is_flag:
        if value.lower() not in ("true", "false"):
            raise OptionError(f"the parameter {name} is neither true nor false", got=value, fix="give one of the two")
        return [flag] if value.lower() == "true" else []
    values = _listed(name, value) if option.multiple else [value]
    return [f"{flag}={item}" for item in values]


@reports_errors
def main() -> None:
    """Runs the command in this process."""
    sys.argv = command(sys.argv[1:], os.environ, datetime.now(UTC).date())
    cli.main()


if __name__ == "__main__":
    main()
