"""Graphs of training for tests: making one takes seconds, and running it for the few steps of a test does not."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def trace_each_once(patch: pytest.MonkeyPatch) -> None:
    """Has trainings of the same recipe, network and data share their graphs, whether they start afresh or resume."""
    from train import fit, pretrain

    patch.setattr(fit, "Trainer", once(fit.Trainer))
    patch.setattr(pretrain, "LanguageModels", once(pretrain.LanguageModels))


def once(kind: Callable[..., Any]) -> Callable[..., Any]:
    """Makes objects of a class that traces graphs: for equal arguments the same one, with a new one's values.

    Where training starts, and which one of several it is, are values of variables, which no graph depends on.
    """
    names = list(inspect.signature(kind).parameters)
    traced: dict[str, Any] = {}

    def make(*args: Any, **kwargs: Any) -> Any:
        new = kind(*args, **kwargs)
        given = dict(zip(names, args, strict=False)) | kwargs
        graph = sorted((name, value) for name, value in given.items() if name not in ("start", "turn"))
        first = traced.setdefault(hashlib.sha256(pickle.dumps(graph)).hexdigest(), new)
        if first is not new:
            for variable, value in zip(variables(vars(first)), variables(vars(new)), strict=True):
                variable.assign(value)
        return first

    return make


def variables(value: Any) -> Iterator[Any]:
    """Every variable of a network, an optimizer, or whatever holds some."""
    if isinstance(value, dict):
        for each in value.values():
            yield from variables(each)
    elif hasattr(value, "variables"):
        yield from value.variables
    elif hasattr(value, "assign"):
        yield value


def leave_graphs_as_traced(yes: bool = True) -> None:
    """Has TensorFlow run graphs without optimising them first, which takes longer than the steps that it quickens."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": yes})


@contextmanager
def quick_graphs() -> Iterator[None]:
    """Graphs of training are traced once, and run as they were traced."""
    leave_graphs_as_traced()
    with pytest.MonkeyPatch.context() as patch:
        trace_each_once(patch)
        yield
    leave_graphs_as_traced(False)
