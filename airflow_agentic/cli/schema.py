"""``schema``: the language's JSON Schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_agentic.template.schema import language_schema

if TYPE_CHECKING:
    import argparse


def schema_command(_arguments: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(language_schema(), indent=2))
    return 0
