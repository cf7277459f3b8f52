"""Commands of their own kind: one that takes a text, one that passes options on to Beam, and the group of all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from batch_scorer.cli.framework import Command, Group, program
from batch_scorer.escape import command, visible

_BEAM = ("runner", "project", "region", "streaming", "network", "subnetwork")  # without underscores, unlike most
# What people call a command, and what it is.
_COMMANDS = {"train": "`python -m train` trains models, from a checkout"}
_COMMANDS |= dict.fromkeys(("predict", "run", "classify", "infer"), "Did you mean 'score'?")


class TextCommand(Command):
    """A command whose argument is a text: it may look like an option, or be several words for want of quotes."""

    allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [*args]  # which click takes away
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            text = next((arg for arg in words if arg.startswith("-") and " " in arg), None)
            others = [arg for arg in words if arg not in (text, "--")]
            example = f" So: {program()} {command(['explain', *others, '--', text])}" if text else ""
            hint = f"A TEXT that begins with a dash goes after --.{example}"
            raise click.UsageError(f"{error.format_message()} {hint}", error.ctx) from None
        if rest:
            said = f"A TEXT of several words goes into quotes: {command([' '.join([ctx.params['text'], *rest])])}"
            raise click.UsageError(said, ctx)
        return rest


class BeamCommand(Command):
    """A command that passes its arguments after `--` to Beam unchanged, so that a typo before it is still an error."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta["beam_options"] = tuple(args[at + 1 :])
        try:
            return super().parse_args(ctx, args[:at])
        except click.NoSuchOption as error:
            # The names of all of Beam's options are not known without importing it.
            name = error.option_name.removeprefix("--")
            if name not in _BEAM and ("_" not in name or error.possibilities):
                raise
            said = f"No such option '{error.option_name}'. Options for Beam follow --, after all others."
            raise click.UsageError(said, error.ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Beam"):
            text = "Options for Beam and its runner; without any, the job runs on this machine."
            formatter.write_dl([("-- BEAM OPTIONS".ljust(30), text)])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- BEAM OPTIONS]"]


class EscapingGroup(Group):
    """A group whose usage errors escape what they quote; it respects NO_COLOR and FORCE_COLOR."""

    def hint(self, name: str) -> str | None:
        return _COMMANDS.get(name)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        colours = False if os.environ.get("NO_COLOR") else True if os.environ.get("FORCE_COLOR") else None
        with _escaped():
            return super().make_context(*args, **{"color": colours, **kwargs})

    def invoke(self, ctx: click.Context) -> Any:
        with _escaped():
            return super().invoke(ctx)


@contextmanager
def _escaped() -> Iterator[None]:
    try:
        yield
    except getattr(click.exceptions, "NoArgsIsHelpError", ()):
        raise  # its message is the help
    except click.UsageError as error:
        raise click.UsageError(visible(error.format_message()), error.ctx) from None
