"""Building blocks of JSON Schemas, and the first fault of a document: shared by a model's manifest and a run's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
SHORT: Json = {"type": "string", "maxLength": 200}
COUNT: Json = {"type": "integer", "minimum": 0, "maximum": 10**15}
SIZE: Json = {"type": "integer", "minimum": 1, "maximum": 10**9}
NUMBER: Json = {"type": "number", "minimum": -1e300, "maximum": 1e300}
SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}
SHA256: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def object_of(properties: Json, **more: Any) -> Json:
    """The schema of an object with these properties, all of them required; `more` keywords override or add."""
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def list_of(items: Json) -> Json:
    """The schema of a list whose items all fit `items`."""
    return {"type": "array", "items": items}


@dataclass(frozen=True)
class Fault:
    """Where a document does not fit its schema, what the schema expects there, and what is there instead."""

    where: str
    expected: str
    got: str


def first_fault(schema: Json, document: Any) -> Fault | None:
    """The fault that best explains why `document` does not fit `schema`, or None if it fits.

    Example:
        >>> first_fault(object_of({"top_k": COUNT}), {"top_k": -1})
        Fault(where='top_k', expected='minimum 0', got='-1')
    """
    if _surely_fits(schema, document):
        return None
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    # JSON Schema counts 5.0 as an integer; a size of 5.0 is of no use.
    whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    error = best_match(extend(Draft202012Validator, type_checker=whole)(schema).iter_errors(document))
    if error is None:
        return None
    where = ", ".join(f"{key!s:.80}" for key in error.absolute_path) or "the whole"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return Fault(where, f"the key {missing!r:.80}", "an object without it")
    in_words = error.validator == "additionalProperties"  # else the message is the whole instance again
    return Fault(
        where,
        f"{error.validator} {error.validator_value!r:.120}",
        f"{error.message:.200}" if in_words else f"{error.instance!r:.80}",
    )


def _surely_fits(schema: Json, value: Any) -> bool:
    """Whether `value` fits, as far as can be told without jsonschema, whose import takes longer than all the rest.

    False says nothing: a keyword may be unknown here, or one that applies to values of another type only.
    """
    return all(keyword in _KEYWORDS and _KEYWORDS[keyword](schema, value) for keyword in schema)


def _has_type(name: str, value: Any) -> bool:
    if name == "number":
        return type(value) in (int, float)
    types = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list, "null": type(None)}
    return type(value) is types.get(name)


def _properties_fit(schema: Json, value: Any) -> bool:
    named = schema.get("properties", {})
    return type(value) is dict and all(_surely_fits(named[name], value[name]) for name in named if name in value)


def _others_fit(schema: Json, value: Any) -> bool:
    wanted, named = schema["additionalProperties"], schema.get("properties", {})
    others = [part for name, part in value.items() if name not in named]
    return not others if wanted is False else type(wanted) is dict and all(_surely_fits(wanted, x) for x in others)


# JSON Schema takes 1 and 1.0 for equal, and 1 and true for different. `repr` tells all of them apart.
_KEYWORDS: dict[str, Callable[[Json, Any], bool]] = {
    **dict.fromkeys(("description", "default", "format", "title"), lambda schema, value: True),
    "type": lambda s, value: any(
        _has_type(name, value) for name in ([s["type"]] if type(s["type"]) is str else s["type"])
    ),
    "const": lambda s, value: repr(value) == repr(s["const"]),
    "enum": lambda s, value: repr(value) in map(repr, s["enum"]),
    "minimum": lambda s, value: _has_type("number", value) and value >= s["minimum"],
    "maximum": lambda s, value: _has_type("number", value) and value <= s["maximum"],
    "maxLength": lambda s, value: type(value) is str and len(value) <= s["maxLength"],
    "pattern": lambda s, value: type(value) is str and re.search(s["pattern"], value) is not None,
    "items": lambda s, value: type(value) is list and all(_surely_fits(s["items"], item) for item in value),
    "minItems": lambda s, value: type(value) is list and len(value) >= s["minItems"],
    "maxItems": lambda s, value: type(value) is list and len(value) <= s["maxItems"],
    "required": lambda s, value: type(value) is dict and all(name in value for name in s["required"]),
    "properties": _properties_fit,
    "additionalProperties": lambda s, value: type(value) is dict and _others_fit(s, value),
    "propertyNames": lambda s, value: type(value) is dict and all(_surely_fits(s["propertyNames"], n) for n in value),
    "maxProperties": lambda s, value: type(value) is dict and len(value) <= s["maxProperties"],
}
