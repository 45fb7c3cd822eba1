"""
What a model's failure means: which kind of error it is, and how long the provider asked to wait.

Imports pydantic-ai, so it is itself imported only when an llm agent has failed. Its categories are used as far as they
go: they know the providers' own codes (a 429 can be a rate limit or an empty account).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from pydantic import ValidationError
from pydantic_ai import exceptions

from airflow_agentic.agents.callables import failure
from airflow_agentic.agents.foreign_errors import kind_of_status, meaning_of
from airflow_agentic.agents.retry_after import bounded, retry_after
from airflow_agentic.agents.validate import MalformedOutput
from airflow_agentic.errors import AttemptError, FinalError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.agents.foreign_errors import Kind
    from airflow_agentic.errors import FinalKind, RetryableKind

#: Packages whose exceptions tell of a connection, or of the server at its other end.
_OF_TRANSPORT = frozenset({"httpx", "httpx2", "httpcore", "aiohttp", "mcp", "fastmcp"})
_TOOL_RETRIES = re.compile(r"Tool '([^']+)' exceeded")
#: Said of an answer that reached the limit of tokens; the model is told, too.
CUT_OFF = "The answer was cut off at the limit of tokens (the setting max_tokens). Answer more briefly."

#: What servers say of a request that is longer than the model's context, besides what pydantic-ai knows: Anthropic of
#: the request with its answer, llama.cpp, LM Studio, Text Generation Inference.
_TOO_LONG = re.compile(
    r"exceeds? (the |its )?(available |maximum )?context (size|length|limit|window)"
    r"|context (size|length|window) (has been exceeded|of only)"
    r"|`inputs` tokens \+ `max_new_tokens` must be",
    re.IGNORECASE,
)
_OF_WINDOW = (
    "Let the agent's window (max_tokens, overflow) be shorter than the model's context, less the longest answer."
)

_FINAL: tuple[tuple[type[Exception], FinalKind], ...] = (
    (exceptions.ModelQuotaExceededError, "rejected"),
    (exceptions.ModelRequestRejectedError, "rejected"),
    (exceptions.ContentFilterError, "rejected"),
    (exceptions.UsageLimitExceeded, "rejected"),
    (exceptions.UserError, "rejected"),
)
_RETRYABLE: tuple[tuple[type[Exception], RetryableKind], ...] = (
    (exceptions.ModelRateLimitError, "rate_limited"),
    (exceptions.ModelTimeoutError, "timeout"),
    (exceptions.ModelRequestTimeout, "timeout"),
    (exceptions.ModelUnavailableError, "unavailable"),
    (exceptions.ModelServerError, "unavailable"),
    (exceptions.ModelConnectionError, "unavailable"),
)


def attempt_error(error: Exception) -> AttemptError:
    """The attempt's error for whatever asking a model raised."""
    if isinstance(error, exceptions.FallbackExceptionGroup):
        return _of_group(error)
    if isinstance(error, exceptions.UnexpectedModelBehavior) and not isinstance(error, exceptions.ContentFilterError):
        return MalformedOutput(_problem(error), details=_details(error))
    if _was_cut_off(error):
        return MalformedOutput(f"The reply was cut off: {_text(error)}", details=_details(error))
    known = _of_category(error)
    if known is not None:
        return known
    if isinstance(error, AirflowNotFoundException):
        return FinalError(f"A tool's connection is missing: {error}", kind="rejected")
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and not isinstance(error, AirflowException):
        return _of_kind(error, kind_of_status(status))
    return _of_unknown(error)


def _of_category(error: Exception) -> AttemptError | None:
    """By pydantic-ai's own categories."""
    if _is_too_long(error):
        return FinalError(f"{_message(error)}. {_OF_WINDOW}", kind="window_exceeded", details=_details(error))
    for classes, kind in _FINAL:
        if isinstance(error, classes):
            return FinalError(_message(error), kind=kind, details=_details(error))
    if isinstance(error, exceptions.ModelConnectionError) and _is_refused(error):
        return FinalError(_message(error), kind="rejected", details=_details(error))
    for classes, retryable in _RETRYABLE:
        if isinstance(error, classes):
            return _retryable(error, retryable)
    return None


def _is_too_long(error: Exception) -> bool:
    """Whether the model's context is shorter than the request."""
    if isinstance(error, exceptions.ModelContextWindowExceededError):
        return True
    return isinstance(error, exceptions.ModelHTTPError) and _TOO_LONG.search(_said(error.body)) is not None


def _of_kind(error: Exception, kind: Kind) -> AttemptError:
    if kind == "rejected":
        return FinalError(_message(error), kind=kind, details=_details(error))
    return _retryable(error, kind)


def _is_refused(error: Exception) -> bool:
    """Whether there was no connection because the server's certificate isn't trusted."""
    meaning = meaning_of(error)
    return meaning is not None and meaning.kind == "rejected"


def _of_group(group: exceptions.FallbackExceptionGroup) -> AttemptError:
    """
    Several models failed, one after the other.

    If any of them may answer later, the attempt may be repeated, as soon as the first of those may be asked.
    """
    errors = [attempt_error(error) for error in group.exceptions if isinstance(error, Exception)]
    hopeful = [error for error in errors if isinstance(error, RetryableError)]
    chosen = (hopeful or errors)[0]
    waits = [error.retry_after or 0.0 for error in hopeful]
    chosen.retry_after = min(waits, default=0.0) or None
    chosen.message = "All models failed: " + "; ".join(f"{error.message} ({error.kind})" for error in errors)
    chosen.args = (chosen.message,)
    return chosen


def _of_unknown(error: Exception) -> AttemptError:
    """An exception that pydantic-ai didn't foresee: of the transport, of a tool's server, or while reading a reply."""
    meaning = meaning_of(error)
    if meaning is not None:
        return _of_kind(error, meaning.kind)
    if any(_is_of_transport(each) for each in (error, *_causes(error))):
        return _retryable(error, "unavailable")
    if any(name.startswith("pydantic_ai.models.") for name in _modules_of(error)):
        return MalformedOutput(f"The reply can't be read: {type(error).__name__}: {error}", details=_details(error))
    return failure(error, "The model's agent")


def _is_of_transport(error: BaseException) -> bool:
    packages = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
    return isinstance(error, OSError) or bool(packages & _OF_TRANSPORT)


def _retryable(error: Exception, kind: RetryableKind) -> RetryableError:
    return RetryableError(_message(error), kind=kind, retry_after=_wait(error), details=_details(error))


def _wait(error: Exception) -> float | None:
    """Seconds that the provider asked to wait: in words of its own (milliseconds, the body), or by HTTP's header."""
    headers = getattr(error, "headers", None) or {}
    own = getattr(error, "retry_after", None)
    wait = retry_after(headers) if "retry-after-ms" not in headers else None
    if wait is None and isinstance(own, (int, float)):
        wait = bounded(float(own))
    return wait


def _problem(error: exceptions.UnexpectedModelBehavior) -> str:
    """What is wrong with the model's answer, in words that help the model, too."""
    if isinstance(error, exceptions.OutputTokenLimitExceeded):
        return CUT_OFF
    cause, tool = error.__cause__, _TOOL_RETRIES.match(error.message)
    if tool is not None:
        return f"The tool {tool[1]!r} was called wrongly again and again: {_misfit(cause) or 'there is none'}."
    if not isinstance(cause, (exceptions.ToolRetryError, ValidationError)):
        return _text(error)
    is_answer = "retries" in error.message
    what = "The answer does not fit what was asked for" if is_answer else error.message.partition(":")[0]
    return f"{what}: {_misfit(cause)}."


def _misfit(cause: BaseException | None) -> str:
    """Why pydantic-ai refused an answer or a call, in a line."""
    details: Any = None
    if isinstance(cause, ValidationError):
        details = cause.errors()
    elif isinstance(cause, exceptions.ToolRetryError):
        details = cause.tool_retry.content
    if not isinstance(details, list):
        return str(cause or "").rstrip(".")
    lines = [_misfit_line(detail) for detail in details if isinstance(detail, dict)]
    return ("; ".join(lines) or str(cause)).rstrip(".")


def _misfit_line(detail: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in detail.get("loc", ()))
    return f"{place}: {detail.get('msg')}" if place else str(detail.get("msg"))


def _was_cut_off(error: Exception) -> bool:
    """Whether a reply broke off, or isn't JSON at all: pydantic-ai gives neither a category of its own."""
    if type(error) is exceptions.ModelAPIError:
        return isinstance(error.__cause__, ValueError) or "JSON response" in error.message
    return isinstance(error, exceptions.ModelConnectionError) and any(
        "complete message body" in str(cause) for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error.__cause__
    for _ in range(20):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__


def _modules_of(error: Exception) -> Iterator[str]:
    """The names of the modules that the exception came through."""
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame.f_globals.get("__name__", "")
        step = step.tb_next


def _message(error: Exception) -> str:
    """What the provider said, without what is in the details."""
    model = getattr(error, "model_name", None)
    status = getattr(error, "status_code", None)
    hint = " ".join(filter(None, [_suggestion(error), getattr(error, "hint", None)]))
    said = _said(getattr(error, "body", None)) if status is not None else _text(error)
    head = f"The model {model!r}" if model else "Asking the model, or one of its tools,"
    happened = f"answered {status}" if status is not None else "failed"
    return f"{head} {happened}: {said}" + (f". {hint}" if hint else "")


def _suggestion(error: Exception) -> str | None:
    suggested = getattr(error, "suggested_model_id", None)
    return f"Did you mean {suggested!r}?" if suggested else None


def _said(body: Any) -> str:
    if isinstance(body, dict):
        inner = body.get("error", body)
        body = inner.get("message", inner) if isinstance(inner, dict) else inner
    return str(body)[:500] if body not in (None, "") else "(no message)"


def _text(error: Exception) -> str:
    text = error.message if isinstance(error, exceptions.ContentFilterError) else str(error)
    cause = error.__cause__.__cause__ if error.__cause__ is not None else None
    behind = "" if cause is None else f" ({str(cause) or type(cause).__name__})"
    return (text or type(error).__name__)[:1000] + behind[:300]


def _details(error: Exception) -> dict[str, Any]:
    facts = {
        "exception": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "provider_error_code", None),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}
