"""What is usual to a model follows from its training profile, and which texts are not from that alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.errors import OptionError
from batch_scorer.models import artifact
from batch_scorer.models.artifact import SHIPPED, Artifact
from batch_scorer.models.profile import EMPTY, Profile, measure
from batch_scorer.models.scripts import COUNT, LATIN, SCRIPTS
from batch_scorer.models.unusual import REASONS, Usual, usual_for

HANGUL = SCRIPTS.index("Hangul")


def model_of(profile: Profile) -> Artifact:
    return Artifact("0" * 12, {"name": "made", "training_profile": profile.to_json()}, (), {})


def profile_of(lengths: list[int], unknown: list[int], hangul: list[int] | None = None) -> Profile:
    n_tokens, scripts = np.array(lengths), np.zeros((len(lengths), COUNT), np.int64)
    scripts[:, HANGUL] = hangul or 0
    return measure(n_tokens, n_tokens, np.array(unknown), np.full(len(lengths), 0.5), scripts=scripts)


def test_usual_is_all_but_the_outermost_hundredth() -> None:
    lengths = [20, *[30] * 99, *[120] * 200, *[260] * 98, 510, 2_500]
    usual = usual_for(model_of(profile_of(lengths, [0] * 394 + [30] * 4 + [200, 2_000])))
    assert Usual(25, 299, 0.15, (LATIN,)) == usual
    more = usual_for(model_of(profile_of([*[20] * 5, *lengths, *[2_500] * 5], [0] * 410)))
    assert (10, None, 0.05) == (more.fewest, more.most, more.unknown)


def test_scripts_of_a_hundredth_of_the_words_are_usual() -> None:
    korean = usual_for(model_of(profile_of([100] * 4, [0] * 4, [99, 100, 100, 98])))
    assert ("Hangul",) == korean.scripts
    mixed = profile_of([100] * 4, [0] * 4, [90, 100, 100, 98])
    assert {"Hangul", LATIN} == {*usual_for(model_of(mixed)).scripts}
    unknown = replace(mixed, scripts={})  # as older models have it
    assert (LATIN, *SCRIPTS) == usual_for(model_of(unknown)).scripts


Text = tuple[int, int, int]
texts = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60)), max_size=12)


@given(
    texts.map(lambda found: [(n, min(oov, n), min(hangul, n)) for n, oov, hangul in found]),
    st.builds(Usual, st.integers(1, 40), st.none() | st.integers(20, 50), st.none() | st.sampled_from([0.1, 0.2, 0.5]),
              st.sampled_from([(LATIN,), ("Hangul",), (LATIN, "Hangul"), ("Cyrillic",)])),
)  # fmt: skip
def test_reasons_are_those_of_plain_python(found: list[Text], usual: Usual) -> None:
    expected = []
    for n, oov, hangul in found:
        foreign = (hangul if "Hangul" not in usual.scripts else 0) + (n - hangul if LATIN not in usual.scripts else 0)
        holds = (
            n < usual.fewest,
            usual.most is not None and n > usual.most,
            usual.unknown is not None and np.float32(oov / n) >= np.float32(usual.unknown) and (oov > 1 or oov == n),
            foreign / n >= 0.2,
        )
        expected.append(",".join(reason for reason, is_so in zip(REASONS, holds, strict=True) if is_so))
    scripts = np.zeros((len(found), COUNT), np.int32)
    scripts[:, HANGUL] = [hangul for _, _, hangul in found]
    n_tokens, oov_ids = (np.array([text[at] for text in found], np.int32) for at in (0, 1))
    assert expected == usual.reasons(n_tokens, n_tokens, oov_ids, scripts)


def test_model_that_does_not_know_its_texts_is_refused() -> None:
    with pytest.raises(OptionError, match="does not say what its training texts were like") as refused:
        usual_for(model_of(EMPTY))
    assert "brought from elsewhere" in str(refused.value.got)


def test_shipped_model_finds_most_reviews_usual() -> None:
    shipped: Any = artifact.load(SHIPPED)
    usual = usual_for(shipped)
    assert Usual(25, 999, 0.2, (LATIN,)) == usual
