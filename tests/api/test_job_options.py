"""The options of a job from Python become those of the command line; what has the wrong type is refused by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_scorer.api.job_options import config_of
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import OptionError


def config(**options: Any) -> ScoreConfig:
    return config_of("in.csv", "out", {"text_column": "text", **options})


def test_options_become_those_of_the_command_line() -> None:
    config = config_of(
        [Path("a.csv"), "b/*.csv"],
        Path("out"),
        {
            "keep": {"label": "true_label"}, "input_format": "csv", "delimiter": ";", "no_excerpt": True,
            "worker_timeout": 9, "workers": 2, "overwrite": True, "log_file": Path("log"),
            "sentences": True, "spans": 4, "beam_options": ["--runner=X", "--s3_secret_access_key=secret"],
        },
    )  # fmt: skip
    expected = ScoreConfig.of(
        ["a.csv", "b/*.csv"], "out", kept=(Kept("label", "true_label"),), input_format="csv", delimiter=";",
        excerpts=False, worker_timeout_s=9, workers=2, overwrite=True, log_file="log", sentences=True, spans=4,
        beam_options=("--runner=X", "--s3_secret_access_key=secret"),
    )  # fmt: skip
    command = (
        "batch-scorer", "score", "a.csv", "b/*.csv", "--output", "out", "--keep", "label=true_label", "--input-format",
        "csv", "--delimiter", ";", "--no-excerpt", "--worker-timeout", "9", "--workers", "2", "--overwrite",
        "--log-file", "log", "--sentences", "--spans", "4", "--", "--runner=X", "--s3_secret_access_key=***",
    )  # fmt: skip
    assert sorted(command) == sorted(config.messages.command)
    assert expected == config.with_options(command=())


def test_single_string_is_taken_as_the_command_line_takes_it_and_not_letter_by_letter() -> None:
    one = config(
        keep="label",
        null_values="n/a, -",
        columns="id,text",
        beam_options="--runner=X --job_name='a b'",
        after="nights",
    )
    several = config(
        keep=["label"], null_values=("n/a", "-"), columns=["id", "text"], after=["nights"],
        beam_options=["--runner=X", "--job_name=a b"],
    )  # fmt: skip
    assert several == one
    assert ("n/a", "-") == one.input.null_values
    assert (Kept("label", "label"),) == one.input.kept


def test_value_of_nought_is_in_the_command_and_none_is_as_good_as_nothing() -> None:
    found = config(top_k=0, max_error_rate=0, spans=0, limit=None, model=None, id_column=None, overwrite=False)
    words = ["--top-k", "0", "--max-error-rate", "0", "--spans", "0"]
    assert ("batch-scorer", "score", "in.csv", "--output", "out", *words) == found.messages.command
    assert (0, 0, None) == (found.scoring.top_k, found.job.max_error_rate, found.input.limit)


def test_numbers_of_numpy_become_those_of_python() -> None:
    found = config(top_k=np.int64(3), max_error_rate=np.float32(0.5), limit=np.uint8(9))
    assert (int, float, int) == (type(found.scoring.top_k), type(found.job.max_error_rate), type(found.input.limit))
    assert config(top_k=3, max_error_rate=0.5, limit=9) == found


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"top_k": 2.5}, "--top-k is of the wrong type"),
        ({"limit": "2"}, "--limit is of the wrong type"),
        ({"workers": True}, "--workers is of the wrong type"),
        ({"max_error_rate": "5%"}, "--max-error-rate is of the wrong type"),
        ({"allow_unreadable": "no"}, "--allow-unreadable is of the wrong type"),
        ({"text_column": None}, "--text-column is of the wrong type"),
        ({"id_column": 3}, "--id-column is of the wrong type"),
        ({"model": 5}, "--model is of the wrong type"),
        ({"keep": [3]}, "--keep is of the wrong type"),
        ({"null_values": 7}, "--null-values is of the wrong type"),
    ],
)
def test_value_of_the_wrong_type_is_refused_by_the_name_of_its_option(options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        config(**options)
