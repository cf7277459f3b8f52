"""What the launcher of the flex template runs: a template's parameters in, `batch-scorer score` out.

Dataflow starts it as `python launcher.py --input=... --output=... --runner=DataflowRunner --template_location=...`, our
parameters and Beam's options in one row. Ours become the command's own options, all others go to Beam, which refuses
what it does not know: a parameter that is misspelt ends there.
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

# Options of the command that are no parameters of the template, and why.
LEFT_OUT = {
    "workers": "processes of a local run; Dataflow has num_workers and max_workers",
    "worker_timeout": "local processes are watched; Dataflow watches its own",
    "log_file": "a file on the launcher's disk, which goes with it; Dataflow keeps the log",
    **dict.fromkeys(
        ("quiet", "verbose", "log_format"), "the launcher ends when the job is made; Dataflow tells of the job itself"
    ),
    "dry_run": "a template that is launched makes a job",
    "price_per_vcpu_hour": "for --dry-run",
}
INPUT = "input"
SEPARATOR = ";"  # gcloud has taken the comma, and names of columns may hold one
DATED = (INPUT, "output", "run_id")
IMAGE = "sdk_container_image"


def command(words: Sequence[str], environment: Mapping[str, str], today: date) -> list[str]:
    """The words of the `batch-scorer score` that `words`, the launcher's arguments, ask for.

    Args:
        environment: `BATCH_SCORER_MODEL` and `BATCH_SCORER_IMAGE` are used where no model or image is asked for.
        today: what `{date}` stands for; `{yesterday}` is the day before.

    Raises:
        OptionError: a parameter is empty, twice there, or no value of its kind; no image is known.
    """
    ours, beams = _told_apart(words)
    if IMAGE not in {_name(word) for word in beams}:
        image = environment.get("BATCH_SCORER_IMAGE")
        if not image:
            raise OptionError(
                f"the parameter {IMAGE} is missing",
                expected="the image that the workers run, with batch-scorer and TensorFlow in it",
                fix=f"give it, or build the image with --build-arg IMAGE=NAME; {IMAGE} is then NAME",
            )
        beams.append(f"--{IMAGE}={image}")
    if environment.get("BATCH_SCORER_MODEL"):
        ours.setdefault("model", environment["BATCH_SCORER_MODEL"])
    dated = {name: _dated(name, value, today) if name in DATED else value for name, value in ours.items()}
    inputs = _listed(INPUT, dated.pop(INPUT)) if INPUT in dated else []
    options = [word for name, value in dated.items() for word in _option(name, value)]
    return ["batch-scorer", "score", *inputs, *options, "--", *beams]


def parameters() -> dict[str, click.Option]:
    """The template's parameters that are options of the command, by name; `input` is the one that is not."""
    named = {option.name: option for option in cli.score.params if isinstance(option, click.Option)}
    return {name: option for name, option in named.items() if name and name not in LEFT_OUT}


def _told_apart(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Our parameters, and Beam's options as they came."""
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
                f"{name} is no parameter of the template", got=word, fix=f"leave it out: {LEFT_OUT[name]}"
            )
        if not value:
            raise OptionError(f"the parameter {name} is empty", got=word, fix="give it a value, or leave it out")
        if name in ours:
            raise OptionError(f"the parameter {name} is there twice", got=word, fix=f"give it once{_many(name)}")
        ours[name] = value
    return ours, beams


def _name(word: str) -> str:
    """`text_column`, of `--text_column=body`; nothing of a word that is no option."""
    return word.partition("=")[0].removeprefix("--") if word.startswith("--") else ""


def _many(name: str) -> str:
    return f", its values separated by {SEPARATOR!r}" if name == INPUT or parameters()[name].multiple else ""


def _dated(name: str, value: str, today: date) -> str:
    """`value` with the day for `{date}` or `{yesterday}`: what is scheduled is told the same words every day."""
    days = {"date": today.isoformat(), "yesterday": (today - timedelta(days=1)).isoformat()}

    def day(found: re.Match[str]) -> str:
        if found[1] not in days:
            raise OptionError(
                f"the parameter {name} has an unknown place to fill in",
                expected="{date} or {yesterday}",
                got=found[0],
                fix="write it without the braces, or give the files by a glob",
            )
        return days[found[1]]

    return re.sub(r"\{(.*?)\}", day, value)


def _listed(name: str, value: str) -> list[str]:
    values = value.split(SEPARATOR)
    for one in values:
        if not one or one.startswith("-"):
            raise OptionError(
                f"the parameter {name} has an empty value or one that begins like an option",
                got=value,
                fix=f"separate the values by one {SEPARATOR!r} each",
            )
    return values


def _option(name: str, value: str) -> list[str]:
    """The command's words for one parameter."""
    option = parameters()[name]
    flag = option.opts[0]
    if option.is_flag:
        if value.lower() not in ("true", "false"):
            raise OptionError(f"the parameter {name} is neither true nor false", got=value, fix="give one of the two")
        return [flag] if value.lower() == "true" else []
    values = _listed(name, value) if option.multiple else [value]
    return [f"{flag}={one}" for one in values]


@reports_errors
def main() -> None:
    """Becomes the command."""
    sys.argv = command(sys.argv[1:], os.environ, datetime.now(UTC).date())
    cli.main()


if __name__ == "__main__":
    main()
