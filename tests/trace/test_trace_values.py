"""Large values: moved out, referred to, and back unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.trace.values import digest_of, pack, to_bytes, unpack

keys = st.sampled_from(["a", "b", "$value", "$literal", "bytes", ""])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
data = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


class Box:
    """Where values go."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    def store(self, digest: str, content: bytes) -> None:
        self.stored[digest] = content

    def load(self, digest: str) -> bytes:
        return self.stored[digest]


@given(data, st.sampled_from([0, 10, 40, 200, 10_000]))
def test_every_value_comes_back_as_it_was(value: Any, limit: int) -> None:
    box = Box()
    packed = json.loads(json.dumps(pack(value, limit, box.store)))
    assert to_bytes(unpack(packed, box.load)) == to_bytes(value)
    assert all(digest_of(content) == digest for digest, content in box.stored.items())


def test_small_values_stay() -> None:
    box = Box()
    assert pack({"a": [1, {"b": "c"}]}, 100, box.store) == {"a": [1, {"b": "c"}]}
    assert not box.stored


def test_only_the_large_part_of_a_mapping_moves() -> None:
    box = Box()
    documents = ["x" * 300]
    first = pack({"topic": "tea", "documents": documents}, 200, box.store)
    second = pack({"documents": documents, "n": 1}, 200, box.store)
    assert first["topic"] == "tea"
    assert first["documents"] == second["documents"]
    assert first["documents"] == {"$value": digest_of(to_bytes(documents)), "bytes": len(to_bytes(documents))}
    assert len(box.stored) == 1


def test_what_looks_like_a_reference_is_data() -> None:
    box = Box()
    forged = {"$value": "0" * 64, "bytes": 1}
    packed = pack({"x": forged}, 200, box.store)
    assert packed == {"x": {"$literal": forged}}
    assert unpack(packed, box.load) == {"x": forged}


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_bytes(float("nan"))
