"""The vocabularies and splitting rules of Keras: a `TextVectorization` layer, a `Tokenizer`, or an index of words.

Each becomes a `Splitting`, and the id of each word in the model's own numbering.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch_scorer.models.splitting import ASCII, FILTERS, NONE, PUNCTUATION, WHITE_SPACE, WHOLE, Splitting, fault
from train.importing.graph import Layer
from train.importing.refusal import damaged, refuse

IMDB_WORDS = 88_584  # in Keras' imdb_word_index.json
_MARKS = {"pad": 0, "start": 1, "unk": 2, "oov": 2, "unknown": 2}
_UNKNOWN = ("unk", "oov", "unknown")


@dataclass(frozen=True)
class Numbering:
    """How texts become the ids of a model.

    Args:
        splitting: the rules, and what becomes of unknown words.
        ids: the id of each word.
        unknown: the id of unknown words, or None if they are dropped.
        start: the id of the start mark, or None.
    """

    splitting: Splitting
    ids: Mapping[str, int]
    unknown: int | None
    start: int | None = None


@dataclass(frozen=True)
class Vectorization:
    """A `TextVectorization` layer."""

    length: int | None
    numbering: Numbering

    @staticmethod
    def of(layer: Layer, lines: Sequence[str] | None) -> Vectorization:
        """The layer by its settings and the lines of its vocabulary, if the file has them.

        Raises:
            InputError: it does more than to number words.
        """
        config, where = layer.config, f"layer {layer.name!r}, TextVectorization"
        for name, allowed in (("output_mode", ("int",)), ("split", ("whitespace",)), ("ngrams", (None,))):
            value = config.get(name, allowed[0])
            if value not in allowed:
                raise refuse("a layer does not fit", where, f"{name}={allowed[0]!r}", f"{name}={value!r}")
        if config.get("ragged"):
            raise refuse("a layer does not fit", where, "ragged=False", "ragged=True")
        standardize = config.get("standardize", "lower_and_strip_punctuation")
        kinds = {
            "lower_and_strip_punctuation": (PUNCTUATION, ASCII),
            "strip_punctuation": (PUNCTUATION, NONE),
            "lower": ("", ASCII),
            None: ("", NONE),
        }
        if isinstance(standardize, dict | list) or standardize not in kinds:
            expected = "standardize 'lower_and_strip_punctuation', 'lower', 'strip_punctuation' or None"
            raise refuse("a layer does not fit", where, expected, f"{standardize!r:.80}, which is code")
        lines = lines or _list(config.get("vocabulary"))
        if not lines:
            raise refuse("the vocabulary is not in the file", where, "one that was adapted", "none",
                         "save the model as .keras after adapt()")  # fmt: skip
        removed, lowercase = kinds[standardize]
        rules = Splitting(WHITE_SPACE, removed, lowercase, reads_first=True)
        length = config.get("output_sequence_length")
        return Vectorization(length if isinstance(length, int) else None, of_lines(lines, rules))


def _list(value: Any) -> list[str] | None:
    """A vocabulary written into a configuration, which has no reserved tokens."""
    if isinstance(value, list) and value and all(isinstance(x, str) for x in value):
        return value if value[:2] == ["", "[UNK]"] else ["", "[UNK]", *value]
    return None


def of_lines(lines: Sequence[str], rules: Splitting | None = None) -> Numbering:
    """A vocabulary of a token a line, as `TextVectorization.get_vocabulary()` gives it.

    Args:
        rules: of the layer; by default, those that it has by default.
    """
    rules = rules or Splitting(WHITE_SPACE, PUNCTUATION, ASCII, reads_first=True)
    marks = 2 if list(lines[:2]) == ["", "[UNK]"] else int(list(lines[:1]) == ["[UNK]"])
    words = lines[marks:]
    return Numbering(rules, {word: at for at, word in enumerate(words, 2)}, 1)


def of_tokenizer(config: Mapping[str, Any], where: str) -> Numbering:
    """A `Tokenizer`, as its `to_json()` writes it.

    Raises:
        InputError: it splits in a way that is not supported, or is not well formed.
    """
    from train.importing.archive import parse_json

    if config.get("char_level"):
        raise refuse("the tokenizer does not fit", where, "words", "char_level=True")
    index = config.get("word_index")
    if isinstance(index, str):  # a JSON text in the JSON
        index = parse_json(index.encode(), f"{where}, word_index")
    ids = _checked(index, where)
    filters, split = config.get("filters", FILTERS), config.get("split", " ")
    if not isinstance(filters, str) or not isinstance(split, str) or len(split) != 1:
        raise refuse(
            "the tokenizer does not fit", where, "filters, and a split of one character", f"split={split!r:.40}"
        )
    separators = "".join(dict.fromkeys(filters + split))
    if wrong := fault({"separators": separators, "removed": ""}):
        raise refuse("the tokenizer does not fit", where, wrong, f"filters={filters!r:.80}")
    lowercase = WHOLE if config.get("lower", True) else NONE
    token = config.get("oov_token")
    unknown = ids.pop(token, None) if isinstance(token, str) else None
    most = config.get("num_words")
    if isinstance(most, int):
        ids = {word: at for word, at in ids.items() if at < most}
    return Numbering(Splitting(separators, "", lowercase, drops_unknown=unknown is None), ids, unknown)


def of_index(index: Mapping[str, Any], where: str, index_from: int | None, choose: Callable[..., Any]) -> Numbering:
    """An index of words, a rank or an id each: `tokenizer.word_index`, or Keras' `imdb_word_index.json`.

    Marks in it, such as `<UNK>`, say how it is numbered. Without them, the index of the IMDB reviews is read as
    `imdb.load_data` numbers it, with 3 added, a start mark and an id for unknown words; any other as `Tokenizer` does.

    Args:
        index_from: as in `imdb.load_data`; None: decide, or choose.
    """
    ids = _checked(index, where)
    marks = {at: word for word, at in ids.items() if _mark(word)}
    for word in marks.values():
        del ids[word]
    named = {_mark(word): at for at, word in marks.items()}
    unknown = next((named[name] for name in _UNKNOWN if name in named), None)
    if named and index_from is None:
        start = named.get("start")
        splits = Splitting(FILTERS + " ", start_mark=start is not None, drops_unknown=unknown is None)
        return Numbering(splits, ids, unknown, start)

    def shifted(by: int, start: bool) -> Numbering:
        moved = {word: at + by for word, at in ids.items()}
        return Numbering(Splitting(FILTERS + " ", start_mark=start), moved, 2, 1 if start else None)

    plain = Numbering(Splitting(FILTERS + " ", drops_unknown=True), ids, None)
    with_start = ("3 added to each rank, as imdb.load_data does it, and a start mark", shifted(3, True))
    without = ("3 added to each rank, and no start mark", shifted(3, False))
    as_it_is = ("as in the file, unknown words dropped", plain)
    if index_from == 0:
        return plain
    if index_from is not None:
        options = (("a start mark", shifted(index_from, True)), ("no start mark", shifted(index_from, False)))
        numbering: Numbering = choose("the numbering", options[0], further=options[1:])
        return numbering
    is_imdb = len(ids) == IMDB_WORDS and ids.get("the") == 1 and ids.get("br") == 7
    first, *others = (with_start, without, as_it_is) if is_imdb else (as_it_is, with_start, without)
    numbering = choose("the numbering", first, further=others)
    return numbering


def _mark(word: str) -> str | None:
    """Which mark it is, if it cannot be a word: it has capitals or brackets around it."""
    inner = word.strip("<>[]()_ ")
    return (
        inner.lower()
        if (inner.lower() in _MARKS and inner != word) or (word.isupper() and inner.lower() in _MARKS)
        else None
    )


def _checked(index: Any, where: str) -> dict[str, int]:
    """Words and ids.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(index, Mapping) or not index:
        raise damaged(where, "words, each with its id", f"{index!r:.80}")
    wrong = next(((w, i) for w, i in index.items() if type(i) is not int or not 0 <= i < 10**9), None)
    if wrong:
        raise damaged(where, "words, each with its id from 0 on", f"{wrong!r:.80}")
    return dict(index)
