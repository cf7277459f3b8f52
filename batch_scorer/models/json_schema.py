"""Building blocks of JSON Schemas, and the first fault of a document: shared by a model's manifest and a run's."""

from __future__ import annotations

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
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    # JSON Schema counts 5.0 as an integer; a size of 5.0 is of no use.
    whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    error = best_match(extend(Draft202012Validator, type_checker=whole)(schema).iter_errors(document))
    if error is None:
        return None
    where = ", ".join(f"{key!s:.80}" for key in error.absolute_path) or "the whole"
    in_words = error.validator in ("required", "additionalProperties")  # else the message is the whole instance again
    return Fault(
        where,
        f"{error.validator} {error.validator_value!r:.120}",
        f"{error.message:.200}" if in_words else f"{error.instance!r:.80}",
    )
