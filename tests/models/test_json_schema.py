"""Documents against their schemas: whatever the quick check accepts, JSON Schema accepts too."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from batch_scorer.models import json_schema
from batch_scorer.models.artifact import SHIPPED, Artifact
from batch_scorer.models.json_schema import Fault, first_fault, object_of
from batch_scorer.models.manifest_schema import ARTIFACTS
from batch_scorer.runs.schemas import MANIFEST
from tests.finished_runs import Original
from tests.models.test_artifact import json_values

WHOLE = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
SHIPPED_MANIFEST: dict[str, Any] = json.loads(Path(SHIPPED, "manifest.json").read_text(encoding="utf-8"))


def is_valid(schema: dict[str, Any], document: Any) -> bool:
    validator = extend(Draft202012Validator, type_checker=WHOLE)(schema)
    return next(validator.iter_errors(document), None) is None


def changed(document: Any, data: st.DataObject) -> Any:
    """A copy of `document` with another value, fewer, or more, somewhere in it."""
    document = copy.deepcopy(document)
    parent = document
    while True:
        keys = sorted(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = data.draw(st.sampled_from(keys))
        if not (isinstance(parent[key], (dict, list)) and parent[key] and data.draw(st.booleans())):
            break
        parent = parent[key]
    change = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "remove":
        del parent[key]
    elif change == "replace":
        near = [1, 1.0, -1, 0, True, "1", "0" * 64, "a" * 300, [], {}, 10**16]
        parent[key] = data.draw(st.sampled_from(near) | json_values)
    elif isinstance(parent, dict):
        parent[data.draw(st.text(max_size=3) | st.just("x" * 300))] = data.draw(json_values)
    else:
        parent.append(data.draw(json_values))
    return document


@pytest.mark.parametrize("version", ARTIFACTS)
@given(data=st.data())
def test_quick_check_accepts_no_model_manifest_that_json_schema_refuses(
    version: int, tiny_2: Artifact, data: st.DataObject
) -> None:
    schema, document = ARTIFACTS[version], changed(SHIPPED_MANIFEST if version == 1 else dict(tiny_2.manifest), data)
    assert is_valid(schema, document) or not json_schema._surely_fits(schema, document)
    assert is_valid(schema, document) == (first_fault(schema, document) is None)


@given(data=st.data())
def test_quick_check_accepts_no_run_manifest_that_json_schema_refuses(original: Original, data: st.DataObject) -> None:
    document = changed(json.loads((original.output / "manifest.json").read_text(encoding="utf-8")), data)
    assert is_valid(MANIFEST, document) or not json_schema._surely_fits(MANIFEST, document)
    assert is_valid(MANIFEST, document) == (first_fault(MANIFEST, document) is None)


def test_quick_check_accepts_the_manifests_that_we_write(original: Original, tiny: Artifact, tiny_2: Artifact) -> None:
    for manifest in (SHIPPED_MANIFEST, tiny.manifest, tiny_2.manifest):
        assert json_schema._surely_fits(ARTIFACTS[manifest["format_version"]], manifest)
    assert json_schema._surely_fits(MANIFEST, json.loads((original.output / "manifest.json").read_text("utf-8")))


@pytest.mark.parametrize(
    ("schema", "document", "expected"),
    [
        ({"type": "integer"}, 5.0, Fault("the whole", "type 'integer'", "5.0")),
        ({"const": [1, 2]}, [1, 2.0], None),  # equal in JSON Schema, though the quick check cannot tell
        ({"const": 1}, True, Fault("the whole", "const 1", "True")),
        ({"enum": ["a", "b"]}, "c", Fault("the whole", "enum ['a', 'b']", "'c'")),
        ({"minimum": 3}, "no number", None),
        ({"uniqueItems": True}, [1, 1], Fault("the whole", "uniqueItems True", "[1, 1]")),
        ({"required": ["a", "b"]}, {"a": 1}, Fault("the whole", "the key 'b'", "an object without it")),
        (object_of({"a": {"maxLength": 1}}), {"a": "xy"}, Fault("a", "maxLength 1", "'xy'")),
    ],
)
def test_first_fault_is_what_json_schema_says(schema: dict[str, Any], document: Any, expected: Fault | None) -> None:
    assert expected == first_fault(schema, document)
