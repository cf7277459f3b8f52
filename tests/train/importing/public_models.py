"""Models as people publish them, in plain Keras: what an import has to read, and what it is compared with."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.src.legacy.preprocessing.text import Tokenizer


@dataclass(frozen=True)
class Sizes:
    """How large a model is."""

    words: int = 30
    length: int = 12
    values: int = 6
    units: int = 5
    attention: int = 4


class Bahdanau(layers.Layer):
    """With a query, in nested Dense layers."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.W1, self.W2, self.V = units, layers.Dense(units), layers.Dense(units), layers.Dense(1)

    def call(self, states: Any, query: Any) -> Any:
        scores = self.V(tf.tanh(self.W1(states) + self.W2(query)[:, None]))
        return tf.reduce_sum(tf.nn.softmax(scores, axis=1) * states, axis=1)

    def compute_output_shape(self, shape: Any, *_: Any) -> Any:
        return shape[0], shape[2]


class WordAttention(layers.Layer):
    """Without a query, in raw variables; it ignores masks."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape: Any) -> None:
        self.W = self.add_weight(name="W", shape=(shape[-1], self.units))
        self.b = self.add_weight(name="b", shape=(self.units,))
        self.u = self.add_weight(name="u", shape=(self.units, 1))

    def call(self, states: Any) -> Any:
        attention = tf.nn.softmax(tf.tanh(states @ self.W + self.b) @ self.u, axis=1)
        return tf.reduce_sum(attention * states, axis=1)

    def compute_output_shape(self, shape: Any, *_: Any) -> Any:
        return shape[0], shape[2]


class MaskedAttention(WordAttention):
    """The same, leaving padding out."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.supports_masking = True

    def call(self, states: Any, mask: Any = None) -> Any:
        weights = tf.exp(tf.tanh(states @ self.W + self.b) @ self.u)
        if mask is not None:
            weights *= tf.cast(mask, "float32")[:, :, None]
        return tf.reduce_sum(weights / tf.reduce_sum(weights, axis=1, keepdims=True) * states, axis=1)

    def compute_mask(self, states: Any, mask: Any = None) -> None:
        return None


class ColumnAttention(layers.Layer):
    """W [D, 1] and a bias by position."""

    def build(self, shape: Any) -> None:
        self.W = self.add_weight(name="att_weight", shape=(shape[-1], 1))
        self.b = self.add_weight(name="att_bias", shape=(shape[1], 1))

    def call(self, states: Any) -> Any:
        attention = tf.nn.softmax(tf.tanh(states @ self.W + self.b), axis=1)
        return tf.reduce_sum(attention * states, axis=1)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape[0], shape[2]


@dataclass(frozen=True)
class Public:
    """A model, its texts' way to ids, and how it is saved.

    Args:
        build: sizes -> the model.
        ids: texts -> what it is given.
        suffix: of the file, `.keras`, `.h5` or `.weights.h5`.
        words: what `--word-index` gets, by file name; nothing where the model has its words.
        options: others of the command.
        is_open: whether its weights leave several readings.
    """

    build: Callable[[Sizes], keras.Model]
    ids: Callable[[Sequence[str], Sizes], Any]
    suffix: str = ".keras"
    words: dict[str, Callable[[Sizes], str]] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    is_open: bool = False


class Words:
    """Fitted tokenizers of Keras, by what they do with unknown words."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)

    def tokenizer(self, sizes: Sizes, oov: str | None = "<OOV>") -> Tokenizer:
        made = Tokenizer(num_words=sizes.words, oov_token=oov)
        made.fit_on_texts(self.texts)
        return made

    def vectorizer(self, sizes: Sizes) -> layers.TextVectorization:
        made = layers.TextVectorization(max_tokens=sizes.words, output_sequence_length=sizes.length)
        made.adapt(self.texts)
        return made


def embedded(sizes: Sizes, mask: bool = False) -> tuple[Any, Any]:
    ids = keras.Input((sizes.length,), dtype="int32")
    words = layers.Embedding(sizes.words, sizes.values, mask_zero=mask)(ids)
    return ids, layers.SpatialDropout1D(0.2)(words)


def both_ways(cell: Any, sizes: Sizes, **how: Any) -> layers.Bidirectional:
    merge = {"merge_mode": how.pop("merge_mode")} if "merge_mode" in how else {}
    return layers.Bidirectional(cell(sizes.units, return_sequences=True, **how), **merge)


def sigmoid(context: Any) -> Any:
    return layers.Dense(1, activation="sigmoid")(layers.Dropout(0.2)(layers.BatchNormalization()(context)))


def notebook(sizes: Sizes) -> keras.Model:
    ids, words = embedded(sizes)
    states, ahead, _, back, _ = both_ways(layers.LSTM, sizes, return_state=True, recurrent_activation="relu")(words)
    context = Bahdanau(sizes.attention)(states, layers.Concatenate()([ahead, back]))
    return keras.Model(ids, sigmoid(context))


def gru_with_query(sizes: Sizes) -> keras.Model:
    ids, words = embedded(sizes, mask=True)
    states, ahead, back = both_ways(layers.GRU, sizes, return_state=True)(words)
    return keras.Model(ids, sigmoid(Bahdanau(sizes.attention)(states, layers.Concatenate()([ahead, back]))))


def cell_state_as_query(sizes: Sizes) -> keras.Model:
    ids, words = embedded(sizes, mask=True)
    how = {"return_state": True, "recurrent_activation": "hard_sigmoid"}
    states, _, ahead, _, back = both_ways(layers.LSTM, sizes, **how)(words)
    return keras.Model(ids, sigmoid(Bahdanau(sizes.attention)(states, layers.Concatenate()([back, ahead]))))


def sequential(attention: Callable[[Sizes], Any], cell: Any, mask: bool, **how: Any) -> Callable[[Sizes], keras.Model]:
    def build(sizes: Sizes) -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((sizes.length,), dtype="int32"),
                layers.Embedding(sizes.words, sizes.values, mask_zero=mask),
                both_ways(cell, sizes, **how),
                attention(sizes),
                layers.Dense(1, activation="sigmoid"),
            ]
        )

    return build


def spelt_out(sizes: Sizes) -> keras.Model:
    ids, words = embedded(sizes)
    states = both_ways(layers.LSTM, sizes)(words)
    scores = layers.Flatten()(layers.Dense(1, activation="tanh")(states))
    attention = layers.Permute([2, 1])(layers.RepeatVector(2 * sizes.units)(layers.Activation("softmax")(scores)))
    context = layers.GlobalAveragePooling1D()(layers.Multiply()([states, attention]))
    return keras.Model(ids, sigmoid(layers.Dense(8)(context)))


def spelt_out_with_query(sizes: Sizes) -> keras.Model:
    ids, words = embedded(sizes, mask=True)
    states, ahead, _, back, _ = both_ways(layers.LSTM, sizes, return_state=True)(words)
    query = layers.Dense(sizes.attention)(layers.Concatenate()([ahead, back]))
    hidden = layers.Add()([layers.Dense(sizes.attention)(states), layers.RepeatVector(sizes.length)(query)])
    attention = layers.Softmax(axis=1)(layers.Dense(1)(layers.Activation("tanh")(hidden)))
    context = layers.Flatten()(layers.Dot(axes=1)([attention, states]))
    return keras.Model(ids, layers.Dense(2, activation="softmax")(context))


def with_operations(ids: Any, words: Any, sizes: Sizes) -> keras.Model:
    states = both_ways(layers.LSTM, sizes)(words)
    scores = layers.Dense(1)(layers.Dense(sizes.attention, activation="tanh")(states))
    context = keras.ops.sum(keras.ops.softmax(scores, axis=1) * states, axis=1)
    return keras.Model(ids, layers.Dense(1, activation="sigmoid")(context))


def public_models(words: Words) -> dict[str, Public]:
    """Ten models of public shapes; the words of their texts are those of `words`."""

    def padded(oov: str | None = "<OOV>", **how: Any) -> Callable[[Sequence[str], Sizes], Any]:
        def ids(texts: Sequence[str], sizes: Sizes) -> Any:
            numbers = words.tokenizer(sizes, oov).texts_to_sequences(texts)
            return keras.utils.pad_sequences(numbers, maxlen=sizes.length, **how)

        return ids

    def vectorized(texts: Sequence[str], sizes: Sizes) -> Any:
        return words.vectorizer(sizes)(tf.constant(list(texts)))

    def strings(texts: Sequence[str], sizes: Sizes) -> Any:
        return tf.constant([[text] for text in texts])

    def end_to_end(sizes: Sizes) -> keras.Model:
        text = keras.Input((1,), dtype="string")
        ids = words.vectorizer(sizes)(text)
        return with_operations(text, layers.Embedding(sizes.words, sizes.values, mask_zero=True)(ids), sizes)

    def known(tokenizer: Tokenizer, sizes: Sizes) -> str:
        return json.dumps({word: at for word, at in tokenizer.word_index.items() if at < sizes.words})

    index = {"word_index.json": lambda sizes: known(words.tokenizer(sizes), sizes)}
    tokenizer = {"tokenizer.json": lambda sizes: words.tokenizer(sizes, None).to_json()}
    lines = {"vocabulary.txt": lambda sizes: "\n".join(words.vectorizer(sizes).get_vocabulary())}
    gru, lstm = layers.GRU, layers.LSTM
    post = ("--padding", "post", "--truncating", "post")
    return {
        "notebook": Public(notebook, padded(), ".keras", index, is_open=True),
        "GRU with query": Public(gru_with_query, padded(), ".h5", index, is_open=True),
        "cell state as query": Public(
            cell_state_as_query, padded(None, padding="post"), ".weights.h5", tokenizer, is_open=True
        ),
        "word attention that ignores the mask": Public(
            sequential(lambda s: WordAttention(s.attention), lstm, True), padded(), ".h5", index, is_open=True
        ),
        "word attention with a mask": Public(
            sequential(lambda s: MaskedAttention(s.attention), gru, True, reset_after=False),
            padded(None),
            ".keras",
            tokenizer,
            is_open=True,
        ),
        "one column, post padding": Public(
            sequential(lambda s: ColumnAttention(), lstm, False, merge_mode="sum"),
            padded(padding="post", truncating="post"),
            ".keras",
            index,
            post,
        ),
        "spelt out": Public(spelt_out, padded(None), ".h5", tokenizer),
        "spelt out with query": Public(spelt_out_with_query, padded(), ".keras", index),
        "end to end": Public(end_to_end, strings, ".keras"),
        "vocabulary beside it": Public(
            sequential(lambda s: WordAttention(s.attention), gru, False), vectorized, ".keras", lines
        ),
    }


def save(public: Public, model: keras.Model, sizes: Sizes, folder: Path) -> list[str]:
    """Saves a model and its words as people do it; the arguments of the command that imports it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"model{public.suffix}"
    if public.suffix == ".weights.h5":
        model.save_weights(path)
        (folder / "model.json").write_text(model.to_json())
        arguments = [str(path), "--config", str(folder / "model.json")]
    else:
        model.save(path)
        arguments = [str(path)]
    for name, text in public.words.items():
        (folder / name).write_text(text(sizes), encoding="utf-8")
        arguments += ["--word-index", str(folder / name)]
    return [*arguments, *public.options]


def predicted(public: Public, model: keras.Model, texts: Sequence[str], sizes: Sizes) -> np.ndarray:
    """P(positive) by `model.predict`: of two softmax units, the second."""
    return np.asarray(model.predict(public.ids(texts, sizes), verbose=0, batch_size=64))[:, -1].astype(np.float64)


def write_expected(path: Path, texts: Sequence[str], probabilities: np.ndarray) -> str:
    """A file for `--expected`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("text", "probability"), *zip(texts, map(repr, probabilities.tolist()), strict=True)])
    return str(path)
