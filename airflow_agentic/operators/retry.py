"""
What Airflow does after a task of ours failed.

Attempts with short waits are repeated inside the task; Airflow's retries serve the long waits, and whatever isn't the
template's or the agent's doing: a lost worker, an unreachable API server.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from airflow_agentic.errors import AgenticError, LimiterError, RetryLater, StoppedError, TraceError

if TYPE_CHECKING:
    from airflow.sdk import Context


class AgenticRetryPolicy(RetryPolicy):
    """
    Retry when the next attempt only has to wait, fail when a retry would fail again, else as Airflow would.

    It has no settings, so that one instance serves every task and serializes to the same bytes.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Airflow asks this in the worker, with the exception at hand."""
        from airflow_agentic.trace.mask import masked

        if isinstance(exception, RetryLater):
            return RetryDecision.retry(delay=timedelta(seconds=exception.wait), reason=masked(str(exception)))
        if isinstance(exception, (StoppedError, TraceError, LimiterError)) or not isinstance(exception, AgenticError):
            return RetryDecision.default()
        return RetryDecision.fail(reason=masked(str(exception)))

    def serialize(self) -> dict[str, Any]:
        """Nothing but the type: there are no settings."""
        return {"__type": "airflow_agentic.operators.retry.AgenticRetryPolicy"}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> AgenticRetryPolicy:
        """Undo :meth:`serialize`."""
        return cls()


RETRY_POLICY = AgenticRetryPolicy()
