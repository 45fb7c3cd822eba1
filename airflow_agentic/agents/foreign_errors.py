"""
What the exceptions of other libraries mean: a callable's HTTP client was refused, wasn't answered, was told to wait.

No library is imported for this: whoever raised an exception has imported it. An error status is recognised by what
clients' exceptions have in common (a status, and the response's headers), everything else by the names of classes,
which are part of the clients' documented interface. Where the exception itself says nothing, the one that it was
raised from does; what a callable merely handled while it failed counts only for Airflow's own hooks, which hide the
client's exception in that way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_agentic.agents.retry_after import retry_after

Kind = Literal["rate_limited", "unavailable", "timeout", "rejected"]

#: How many exceptions behind one are looked at.
_DEEPEST = 20
#: AWS says some of what others say with 429 and 503 with a code of its own, often with the status 400.
_THROTTLED = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown", "ProvisionedThroughputExceeded")
#: Codes of providers of models that refuse with 429 for good: waiting doesn't fill an account.
_EMPTY = ("insufficient_quota", "billing_hard_limit_reached")

#: Package → names of its exceptions, those for a class of failures before those that are more general.
_REFUSED = {
    "ssl": ("SSLCertVerificationError",),
    "aiohttp": ("ClientConnectorCertificateError",),
}
_TIMEOUTS = {
    "builtins": ("TimeoutError",),
    "httpx": ("TimeoutException",),
    "httpx2": ("TimeoutException",),
    "httpcore": ("TimeoutException",),
    "requests": ("Timeout",),
    "urllib3": ("TimeoutError",),
    "openai": ("APITimeoutError",),
    "anthropic": ("APITimeoutError",),
    "botocore": ("ConnectTimeoutError", "ReadTimeoutError"),
    "azure": ("ServiceRequestTimeoutError", "ServiceResponseTimeoutError"),
}
_UNAVAILABLE = {
    "builtins": ("ConnectionError",),
    "socket": ("gaierror",),
    "ssl": ("SSLError",),
    "http": ("IncompleteRead", "RemoteDisconnected"),
    "httpx": ("NetworkError", "RemoteProtocolError", "ProxyError"),
    "httpx2": ("NetworkError", "RemoteProtocolError", "ProxyError"),
    "httpcore": ("NetworkError", "RemoteProtocolError", "ProxyError"),
    "requests": ("ConnectionError", "ChunkedEncodingError", "RetryError"),
    "urllib3": ("ProtocolError", "NewConnectionError", "ResponseError", "SSLError", "ProxyError"),
    "aiohttp": ("ClientConnectionError", "ClientPayloadError"),
    "openai": ("APIConnectionError",),
    "anthropic": ("APIConnectionError",),
    "botocore": ("EndpointConnectionError", "ConnectionError", "HTTPClientError"),
    "azure": ("ServiceRequestError", "ServiceResponseError", "IncompleteReadError"),
}
#: A kind of timeout by its class, also where the connection was refused at once.
_NOT_REACHED = {"urllib3": ("NewConnectionError",)}
#: What requests' ConnectionError can stand for, when the body stops coming.
_LATE = {"urllib3": ("ReadTimeoutError",)}
#: Airflow's hooks raise their own exception while they handle the client's.
_HOOKS = {"airflow": ("AirflowException",)}
#: Codes of gRPC.
_OF_GRPC: Mapping[str, Kind] = {
    "RESOURCE_EXHAUSTED": "rate_limited",
    "DEADLINE_EXCEEDED": "timeout",
    "UNAVAILABLE": "unavailable",
    "INTERNAL": "unavailable",
    "ABORTED": "unavailable",
    "UNAUTHENTICATED": "rejected",
    "PERMISSION_DENIED": "rejected",
    "INVALID_ARGUMENT": "rejected",
    "NOT_FOUND": "rejected",
}


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """
    What an exception means.

    :param kind: the language's kind of error.
    :param retry_after: seconds that the other side asked to wait, when it did.
    :param status: of HTTP, when the other side has answered.
    """

    kind: Kind
    retry_after: float | None = None
    status: int | None = None


def meaning_of(error: BaseException) -> Meaning | None:
    """What an exception means, or None when it is nothing of another side's: a bug."""
    for each in _chain(error):
        meaning = _of_one(each)
        if meaning is not None:
            return meaning
    return None


def kind_of_status(status: int) -> Kind:
    """The kind of error that a status of HTTP stands for (of 400 and more)."""
    if status == 429:
        return "rate_limited"
    if status == 408:
        return "timeout"
    return "unavailable" if status >= 500 else "rejected"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, and what it was raised from; of a group, what is in it."""
    waiting, seen = [error], 0
    while waiting and seen < _DEEPEST:
        each, seen = waiting.pop(0), seen + 1
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        behind = [getattr(each, "reason", None), each.__cause__]
        if _is(each, _HOOKS) and not each.__suppress_context__:
            behind.append(each.__context__)
        waiting += [one for one in behind if isinstance(one, BaseException)]


def _of_one(error: BaseException) -> Meaning | None:
    status = _status(error)
    if status is not None:
        return _of_status(error, status)
    if _is(error, {"grpc": ("RpcError",)}):
        return _of_grpc(error)
    if _is(error, _TIMEOUTS) and not _is(error, _NOT_REACHED):
        return Meaning(kind="timeout")
    if not _is(error, _UNAVAILABLE):
        return None
    if _hides(error, _REFUSED):
        return Meaning(kind="rejected")
    return Meaning(kind="timeout" if _hides(error, _LATE) else "unavailable")


def _of_status(error: BaseException, status: int) -> Meaning:
    code = str(_code(error) or "")
    wait = retry_after(_headers(error))
    if code.startswith(_THROTTLED):
        return Meaning(kind="rate_limited", retry_after=wait, status=status)
    if code in _EMPTY:
        return Meaning(kind="rejected", status=status)
    kind = kind_of_status(status)
    return Meaning(kind=kind, retry_after=None if kind == "rejected" else wait, status=status)


def _of_grpc(error: BaseException) -> Meaning | None:
    code = getattr(error, "code", None)
    name = getattr(code() if callable(code) else code, "name", None)
    kind = _OF_GRPC.get(str(name))
    return None if kind is None else Meaning(kind=kind)


def _status(error: BaseException) -> int | None:
    """The error status of HTTP that an exception was raised for."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        found = [(response.get("ResponseMetadata") or {}).get("HTTPStatusCode")]
    else:
        found = [getattr(error, "status_code", None), getattr(response, "status_code", None)]
        found += [getattr(response, "status", None)]
        if getattr(error, "headers", None) is not None:  # aiohttp, and others whose "status" is this one
            found += [getattr(error, "status", None)]
        if _is(error, {"urllib": ("HTTPError",), "google": ("GoogleAPICallError", "APIError")}):
            found += [getattr(error, "code", None)]
    return next((status for status in found if type(status) is int and 400 <= status < 600), None)


def _headers(error: BaseException) -> Mapping[str, str]:
    response = getattr(error, "response", None)
    found: Any
    if isinstance(response, Mapping):
        found = (response.get("ResponseMetadata") or {}).get("HTTPHeaders")
    else:
        found = getattr(response, "headers", None) or getattr(error, "headers", None)
    return found if found is not None and hasattr(found, "items") else {}


def _code(error: BaseException) -> Any:
    """The other side's own word for what is wrong."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        return (response.get("Error") or {}).get("Code")
    return getattr(error, "code", None)


def _hides(error: BaseException, names: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether an exception, or one that it came from in whatever way, is of these: clients wrap the reason deeply."""
    waiting: list[Any] = [error]
    for _ in range(_DEEPEST):
        each = waiting.pop(0) if waiting else None
        if isinstance(each, BaseException):
            if _is(each, names):
                return True
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args[:1]]
    return False


def _is(error: BaseException, names: Mapping[str, tuple[str, ...]]) -> bool:
    return any(cls.__name__ in names.get(cls.__module__.partition(".")[0], ()) for cls in type(error).__mro__)
