"""
Every error of the package, in one tree.

The class says what somebody can do about it; in a task, the class is also what a retry would do::

    AgenticError
    ├── TemplateError          the template is wrong: problems with file, line, column, code and hint
    ├── ConfigError            the deployment's configuration is wrong: an administrator must change it
    ├── InputError             a run was asked for with inputs that the template refuses
    ├── PlanMismatchError      the run's task instances are not those of its plan
    ├── RunFailedError         the run ended, and something in it failed without being recovered
    ├── TraceError             a record is missing, unreadable or can't be written
    │   └── MissingFileError   it isn't there
    ├── StageError             a stage failed outside of an attempt; ``kind`` says what ``on_error`` may be for it
    ├── NotRunError            the task wasn't done, because something that it needs failed
    ├── StoppedError           the process was told to stop while it worked: another try may finish the work
    ├── LimiterError           what is used of limits or budgets can't be told: another try may know
    ├── RetryLater             not a failure yet: the attempt is made (again) after a long wait, by Airflow
    └── AttemptError           one attempt of an agent failed; ``kind`` says why, the class if to retry
        ├── RetryableError     rate_limited, unavailable, timeout, malformed_output, bug
        └── FinalError         rejected, window_exceeded, budget_exceeded, not_accepted
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_agentic.template.problems import Problem

RetryableKind = Literal["rate_limited", "unavailable", "timeout", "malformed_output", "bug"]
FinalKind = Literal["rejected", "window_exceeded", "budget_exceeded", "not_accepted"]
#: The kind that says that a stage never ran; no ``on_error`` is for it.
NOT_RUN = "not_run"


class AgenticError(Exception):
    """Base of all errors that this package raises on purpose."""


class TemplateError(AgenticError):
    """
    A template has problems. All of them are reported at once.

    :param problems: every problem found, sorted by position; at least one is an error.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(*self.problems)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)

    def __str__(self) -> str:
        return "\n\n".join(str(problem) for problem in self.problems)


class ConfigError(AgenticError):
    """The deployment's configuration is wrong. The message names the section and option."""


class InputError(AgenticError):
    """The inputs given for a run are not those that its template takes."""


class PlanMismatchError(AgenticError):
    """The task instances of a run are not those of its plan, so its result can't be trusted."""


class RunFailedError(AgenticError):
    """The run ended, and at least one of its stages failed without being recovered."""


class TraceError(AgenticError):
    """A record of the trace is missing or unreadable, or can't be written."""


class MissingFileError(TraceError):
    """The trace store has no such file."""


class NotRunError(AgenticError):
    """
    A task that judges for itself whether it can run found that it can't, because something that it needs failed.

    It stands for Airflow's state ``upstream_failed``, which no task can take by itself: whoever judges the task tells
    it from a failure of its own by this class's ``kind``, or by its name in the record.
    """

    kind = NOT_RUN


class StageError(AgenticError):
    """
    A stage failed outside of an attempt, in a way that ``on_error`` tells from others.

    :param kind: of the language's error kinds.
    """

    def __init__(self, message: str, kind: str = "failed") -> None:
        super().__init__(message, kind)
        self.message = message
        self.kind = kind

    def __str__(self) -> str:
        return self.message


class StoppedError(AgenticError):
    """The process was told to stop (a task cleared or marked, a worker going down) while an attempt was going on."""


class LimiterError(AgenticError):
    """The store of limits and budgets can't be reached. Nothing is sent without it: they would be exceeded."""


class AttemptError(AgenticError):
    """
    One attempt of an agent failed.

    :param message: what happened, for a person; never holds a secret.
    :param kind: why, one of the language's error kinds.
    :param retry_after: seconds that the other side asked to wait, when it did.
    :param reply: what the agent answered, as far as it did, for the record.
    :param details: more facts for the record: status code, usage, the agent's traceback.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        retry_after: float | None = None,
        reply: Any = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.retry_after = retry_after
        self.reply = reply
        self.details = details or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (
            type(self),
            self.message,
            {
                "kind": self.kind,
                "retry_after": self.retry_after,
                "reply": self.reply,
                "details": self.details,
            },
        )


class RetryableError(AttemptError):
    """The same request may succeed later."""

    def __init__(self, message: str, *, kind: RetryableKind, **more: Any) -> None:
        super().__init__(message, kind=kind, **more)


class FinalError(AttemptError):
    """The same request would fail again: it is not retried."""

    def __init__(self, message: str, *, kind: FinalKind, **more: Any) -> None:
        super().__init__(message, kind=kind, **more)


class RetryLater(AgenticError):
    """
    The next attempt has to wait too long to hold a worker slot: Airflow takes over the wait.

    :param error: the error of the attempt that failed, or why none was made.
    :param wait: seconds until the next attempt.
    :param attempt: number of the attempt that failed, from 1; 0: a limit was reached, and no attempt was made.
    """

    def __init__(self, error: AttemptError, *, wait: float, attempt: int) -> None:
        if attempt:
            text = f"Attempt {attempt} failed ({error.kind}): {error.message}. The next one starts in {wait:.0f} s."
        else:
            text = f"Waiting, without a failure: {error.message}. It goes on in {wait:.0f} s."
        super().__init__(text)
        self.error = error
        self.wait = wait
        self.attempt = attempt

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.error, {"wait": self.wait, "attempt": self.attempt})


def _rebuild(cls: type[Exception], first: Any, keywords: dict[str, Any]) -> Exception:
    """Unpickle an exception whose constructor takes keywords."""
    return cls(first, **keywords)
