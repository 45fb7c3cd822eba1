"""Airflow's task state store, in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_agentic.operators.journal import Journal

if TYPE_CHECKING:
    from airflow_agentic.operators.life import Life


class StateStore(dict[str, str]):
    """The store of one task, which keeps JSON; ``writes`` counts the calls."""

    writes = 0

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self.writes += 1
        self[key] = json.dumps(value)

    def get(self, key: str, default: Any = None) -> Any:
        """A value."""
        return json.loads(self[key]) if key in self else default


def journal_of(store: StateStore, life: Life, try_number: int) -> Journal:
    """The journal of a try, read."""
    journal = Journal(store, life, try_number)
    journal.read()
    return journal
