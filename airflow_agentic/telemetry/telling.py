"""
The one place where what was recorded is told to a deployment's observability: events, metrics and lineage.

Every record passes here once, after it was written. Where nobody listens, nothing more is imported.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from airflow_agentic.telemetry import spans

if TYPE_CHECKING:
    from airflow_agentic.operators.base import PlannedOperator
    from airflow_agentic.trace.record import Record

#: Imported where the OpenLineage provider is installed and told where to send its events.
_LINEAGE = "airflow.providers.openlineage.plugins.listener"


def tell(operator: PlannedOperator, record: Record) -> None:
    """Tell of a record. Nothing of it can fail the task."""
    spans.told(record)
    if _counts():
        from airflow_agentic.telemetry import metrics

        metrics.told(record)
    if _LINEAGE in sys.modules:
        operator.note_lineage(record)


def _counts() -> bool:
    """Whether Airflow sends metrics anywhere."""
    from airflow.sdk.configuration import conf

    return any(
        conf.getboolean("metrics", option, fallback=False)
        for option in ("statsd_on", "statsd_datadog_enabled", "otel_on")
    )
