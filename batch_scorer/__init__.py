"""batch-scorer: sentiment and its reasons for millions of reviews, as Parquet.

>>> from batch_scorer import load_model
>>> load_model().explain("A lovely film.").label
'positive'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_scorer.api.explanation import Explanation
    from batch_scorer.api.job import score_job
    from batch_scorer.api.model import Model, load_model
    from batch_scorer.api.run import Run, open_run
    from batch_scorer.api.transform import ScoreTexts
    from batch_scorer.errors import ScorerError

__version__ = "0.1.0"
__all__ = ["Explanation", "Model", "Run", "ScoreTexts", "ScorerError", "load_model", "open_run", "score_job"]

# Where each public name is: imported when it is first used, since pyarrow takes a moment and Beam takes seconds.
_PLACES = {
    "Explanation": "api.explanation",
    "Model": "api.model",
    "Run": "api.run",
    "ScoreTexts": "api.transform",
    "ScorerError": "errors",
    "load_model": "api.model",
    "open_run": "api.run",
    "score_job": "api.job",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
