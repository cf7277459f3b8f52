"""Words of a new kind of text: which join the vocabulary, and what they start from."""

from __future__ import annotations

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.tokenizer import OOV, RESERVED, Tokenizer
from train.adapt.vocabulary import FEWEST_WORDS, grown, with_new_words


def test_vocabulary_grows_by_the_frequent_words_it_does_not_know(tiny_2: Artifact) -> None:
    old = tiny_2.tokenizer
    texts = ["Delayed flight, a good movie", "delayed FLIGHT; gate", "flight delayed gate once"]
    new = grown(old, texts, most=10, least_count=2)
    assert [*old.vocabulary, "delayed", "flight", "gate"] == list(new.vocabulary)  # neither `movie`, an alias, nor once
    assert ["delayed"] == list(grown(old, texts, most=1, least_count=2).vocabulary)[len(old.vocabulary) :]
    assert (old.aliases, old.pattern, old.max_words, old.max_windows) == (
        new.aliases, new.pattern, new.max_words, new.max_windows,
    )  # fmt: skip
    assert old.ids(["good", "movie"]).tolist() == new.ids(["good", "movie"]).tolist()


def test_words_that_are_read_alike_start_alike() -> None:
    """Of two kinds of words, each among its own: new ones start nearer to their kind than to the other."""
    rng = np.random.default_rng(1)
    count = FEWEST_WORDS
    kinds = [[f"a{i}" for i in range(count)], [f"b{i}" for i in range(count)]]
    old = Tokenizer([*RESERVED, *kinds[0], *kinds[1]])
    centres = rng.normal(0, 1, (2, 8))
    rows = [centres[kind] + rng.normal(0, 0.3, (count, 8)) for kind in (0, 1)]
    embedding = np.concatenate([np.zeros((3, 8)), *rows]).astype(np.float32)
    texts = [" ".join([*rng.choice(kinds[kind], 12), f"new{kind}"]) for kind in (0, 1) for _ in range(200)]
    tokenizer = grown(old, texts, 10, 2)
    out = with_new_words(embedding, tokenizer, [tokenizer.ids(tokenizer.words(text)) for text in texts])
    assert embedding.tolist() == out[: len(embedding)].tolist()
    for kind in (0, 1):
        new = out[tokenizer.vocabulary.index(f"new{kind}")]
        assert np.linalg.norm(new - centres[kind]) < np.linalg.norm(new - centres[1 - kind]) / 2


def test_words_of_few_texts_start_as_the_unknown_word(tiny_2: Artifact) -> None:
    tokenizer = grown(tiny_2.tokenizer, ["delayed flight"] * 2, 10, 2)
    texts = [tokenizer.ids(tokenizer.words("a good delayed flight"))]
    out = with_new_words(tiny_2.tensors["embedding"], tokenizer, texts)
    assert [out[OOV].tolist()] * 2 == out[-2:].tolist()
