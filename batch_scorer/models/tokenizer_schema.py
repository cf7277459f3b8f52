"""What manifests say of a tokenizer: as a schema, from a tokenizer, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_scorer.models.json_schema import SIZE, Json, object_of
from batch_scorer.models.splitting import LOWERCASE, Splitting
from batch_scorer.models.subwords import WORD_START, SubwordTokenizer
from batch_scorer.models.tokenizer import LINE_BREAK, PATTERN, RESERVED, Rule, Tokenizer

# What the tokenizer does, as a model's manifest says it: a model trained with another tokenizer is refused.
TOKENIZER: Json = {
    "pattern": PATTERN,
    "read_as_space": LINE_BREAK,
    "lowercase": "word by word",
    "reserved": list(RESERVED),
}
TOKENIZER_1: Json = {**{name: {"const": value} for name, value in TOKENIZER.items()}, "max_words": SIZE}
LAST, WINDOWS, FIRST = LONG_TEXTS = ("last", "windows", "first")
MAX_WINDOWS = 10_000
_CHARACTERS: Json = {"type": "string", "maxLength": 500}
_RULES = object_of(
    {
        "separators": {**_CHARACTERS, "minLength": 1, "description": "the characters between words"},
        "removed": {**_CHARACTERS, "description": "characters deleted from words before they are looked up"},
        "lowercase": {"enum": list(LOWERCASE)},
        "start_mark": {"type": "boolean", "description": "whether a review begins with the id 1"},
        "drops_unknown": {"type": "boolean", "description": "whether unknown words are dropped; else they have id 2"},
    },
    additionalProperties=False,
    description="of models brought from Keras: how a tokenizer of Keras splits; pattern follows from it",
)
# What a run's manifest repeats of it.
WORDS, SUBWORDS = TYPES = ("words", "subwords")
READS: Json = {
    "type": {"enum": list(TYPES), "description": "what an id stands for: a word, or a piece of one"},
    "pattern": {
        "type": "string",
        "maxLength": 5_000,
        "description": "one of two, of which the one with a typographic apostrophe looks it up as the plain one; or, "
        "with rules, what follows from them; or that of subwords, whose first alternative finds runs of scripts "
        "without blanks, of which the units are pieces",
    },
}
RULES: Json = {"rules": _RULES}
# What else a model says of its tokenizer where ids are pieces.
PIECES_SETTINGS: Json = {
    "model": {"const": "unigram", "description": "the pieces of a word are those with the highest sum of scores"},
    "word_start": {"const": WORD_START, "description": "stands before a word, not before a unit of a run"},
    "normalization": {"const": "NFC", "description": "of a word as it is looked up; offsets are those of the text"},
}
LONG: Json = {
    "long_texts": {
        "enum": list(LONG_TEXTS),
        "description": "last: the last max_words words are read; windows: the last max_words * max_windows, in windows"
        "; first: the first max_words",
    },
    "max_windows": {**SIZE, "maximum": MAX_WINDOWS},
}


TOKENIZER_2: Json = object_of(
    {
        **TOKENIZER_1,
        "read_as_space": {"enum": [LINE_BREAK, None], "description": "null: with rules"},
        "lowercase": {"enum": [TOKENIZER["lowercase"], *LOWERCASE]},
        **READS,
        **LONG,
        **RULES,
        **PIECES_SETTINGS,
    },
    required=list({**TOKENIZER_1, **READS, **LONG}),
)


def type_of(tokenizer: Tokenizer) -> str:
    """What an id of a tokenizer stands for, one of `TYPES`."""
    return SUBWORDS if isinstance(tokenizer, SubwordTokenizer) else WORDS


def tokenizer_settings(tokenizer: Tokenizer, format_version: int) -> Json:
    """What a model's manifest says of its tokenizer."""
    settings = {**TOKENIZER, "max_words": tokenizer.max_words}
    if format_version == 1:
        return settings
    words = words_settings(tokenizer)
    if isinstance(tokenizer.pattern, Splitting):
        settings |= {"read_as_space": None, "lowercase": tokenizer.pattern.lowercase}
    more = {"long_texts": long_texts(tokenizer), "max_windows": tokenizer.max_windows}
    described = {name: part["const"] for name, part in PIECES_SETTINGS.items()} if words["type"] == SUBWORDS else {}
    return {"type": words["type"], **settings, **words, **more, **described}


def words_settings(tokenizer: Tokenizer) -> Json:
    """What both manifests say of what a word is, and what an id stands for."""
    rule = tokenizer.pattern
    if isinstance(rule, Splitting):
        return {"type": WORDS, "pattern": rule.pattern, "rules": rule.to_json()}
    return {"type": type_of(tokenizer), "pattern": rule}


def rule_of(settings: Mapping[str, Any], reads_first: bool = False) -> Rule:
    """The inverse of `words_settings`, as far as words are concerned."""
    if "rules" in settings:
        return Splitting.from_json(settings["rules"], reads_first)
    return str(settings.get("pattern", PATTERN))


def long_texts(tokenizer: Tokenizer) -> str:
    """How a review of more than `max_words` words is read, one of `LONG_TEXTS`."""
    if isinstance(tokenizer.pattern, Splitting) and tokenizer.pattern.reads_first:
        return FIRST
    return WINDOWS if tokenizer.max_windows > 1 else LAST
