"""``schema``: the JSON Schemas of the language and of traces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def schema_command(arguments: argparse.Namespace) -> int:
    """Print a schema."""
    if arguments.trace:
        from airflow_agentic.trace.schema import trace_schema

        schema = trace_schema()
    else:
        from airflow_agentic.template.schema import language_schema

        schema = language_schema()
    print(json.dumps(schema, indent=2, ensure_ascii=False))
    return 0
