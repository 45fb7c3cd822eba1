"""A scope to render texts against, values of JSON, and what every way to render says of a text that can't be."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from airflow_agentic.template.expressions import ExpressionError, render, render_passages, render_string

SCOPE = {
    "text": "words",
    "empty": "",
    "number": 5,
    "half": 0.5,
    "yes": True,
    "no": False,
    "nothing": None,
    "list": [1, "two", None],
    "words": ["b", "a"],
    "mapping": {
        "a": 1,
        "items": "field",
        "keys": "k",
        "b": {"c": [{"d": "deep"}]},
        "with space": 2,
        "__class__": "mine",
    },
    "objects": [{"name": "x", "n": 2}, {"name": "y", "n": 1}],
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def refused(text, scope=SCOPE) -> str:
    """What every way to render a text says when it can't."""
    for function in (render, render_string, render_passages):
        with pytest.raises(ExpressionError) as caught:
            function(text, scope)
    return caught.value.message


class Trap:
    """An object of Python in the scope, which no template should get anything out of."""

    secret = "leaked"

    def __str__(self):
        return self.secret

    __repr__ = __str__

    def __getitem__(self, key):
        return self.secret
