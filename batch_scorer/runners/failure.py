"""Why a job failed: the text of a chain of exceptions, or of a service's message, becomes an error with a next step.

Beam passes on a worker's exception as a copy without its details, or as a traceback in text; both are in the text of
the whole chain. A service sends the traceback in a message.
"""

from __future__ import annotations

import re
import traceback

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import PipelineError

# Too little memory, as Python, threads, malloc, C++ and the loader of shared libraries say it.
_SCARCE = ("MemoryError", "new thread", "allocate memory", "bad_alloc", "failed to map segment")


def is_of_a_step(error: BaseException | None) -> bool:
    """Whether a step of the graph failed, rather than the connection to its worker."""
    text = text_of(error)
    return error is not None and (_ours(text) is not None or "[while running '" in text)


def text_of(error: BaseException | None) -> str:
    """An error and the whole chain that led to it, with tracebacks."""
    return "".join(traceback.format_exception(error))


def _ours(text: str) -> re.Match[str] | None:
    """The error of ours that is in the text of a chain of exceptions, if there is one."""
    text = re.sub(r" \[while running '[^'\n]*'\]", "", text)  # Beam appends it to the last line, whichever that is
    return re.search(r"batch_scorer\.errors\.\w+: (?P<what>.*)(?P<details>(?:\n  [a-z ]+: .*)*)", text)


def failure(text: str, where: str, config: ScoreConfig, less: str = "fewer --workers") -> PipelineError:
    """What went wrong in a worker, and what to do about it.

    Args:
        text: of the whole chain of exceptions, or of the service's message.
        where: the place to name if the text does not name one.
        less: what helps when memory runs out.
    """
    ours = _ours(text)
    if ours is None:
        cause = _cause(text)
        scarce = any(word in cause for word in _SCARCE)
        fix = f"give it more memory, or {less}" if scarce else "fix the cause"
        return PipelineError("the job failed", where=where, got=cause, fix=f"{fix}, then {config.how_to_resume()}")
    details = {"where": where, **dict(re.findall(r"\n  ([a-z ]+): +(.*)", ours["details"]))}
    return PipelineError(
        f"the job failed: {ours['what']}",
        where=details["where"],
        expected=details.get("expected"),
        got=details.get("got"),
        fix=f"{details.get('to fix', 'fix the cause')}; then {config.how_to_resume()}",
    )


def _cause(text: str) -> str:
    """What an exception that is not ours says, on one line."""
    # The class as a traceback shows it, with or without its module, and its message.
    messages = [
        line
        for line in text.splitlines()
        if not line.endswith("recent call last):")
        and re.match(r"(\w+\.)+\w+: \S|\w+(Error|Exception|Interrupt)\b", line)
    ]
    details = re.search(r'^\s+details = "(.+)"$', text, re.MULTILINE)  # gRPC's errors take several lines
    return details[1] if details else (messages or text.strip().splitlines()[-1:] or ["no reason was given"])[0][:500]
