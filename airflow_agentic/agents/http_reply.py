"""Reading the reply of an HTTP API: what a failure means, and where in a reply the output is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.foreign_errors import kind_of_status
from airflow_agentic.agents.retry_after import retry_after
from airflow_agentic.agents.validate import MalformedOutput, checked_output, parse_json, type_name
from airflow_agentic.errors import AttemptError, FinalError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientResponse

#: Bytes. More than any agent's answer, and less than what would take a worker down.
_LARGEST_REPLY = 64 * 1024 * 1024
_JSON_TYPE = re.compile(r"application/(.+\+)?json|text/json")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back."""

    status: int
    reason: str
    headers: Mapping[str, str]
    content_type: str
    charset: str | None
    body: bytes

    def text(self) -> str:
        """
        The body as text.

        :raises MalformedOutput: it isn't text.
        """
        try:
            return self.body.decode(self.charset or "utf-8-sig")
        except (UnicodeDecodeError, LookupError) as error:
            raise MalformedOutput(f"The reply is not text: {error}", reply=repr(self.body[:1000])) from None

    def excerpt(self, length: int) -> str:
        """The beginning of the body, whatever it is."""
        return self.body[:length].decode("utf-8", "replace")


async def read_reply(response: ClientResponse) -> Reply:
    """
    Read a response to its end.

    :raises MalformedOutput: it is too large.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_REPLY:
            raise MalformedOutput(f"The reply is larger than {_LARGEST_REPLY} bytes.")
    return Reply(
        status=response.status,
        reason=response.reason or "",
        headers=response.headers,
        content_type=response.content_type,
        charset=response.charset,
        body=bytes(body),
    )


def status_error(reply: Reply, name: str) -> AttemptError:
    """The error that a reply's status stands for."""
    says = " ".join(reply.excerpt(300).split())
    message = f"{name} answered {reply.status} {reply.reason}".strip() + (f": {says}" if says else "")
    more = {"reply": reply.excerpt(10_000), "details": {"status": reply.status}}
    wait = retry_after(reply.headers)
    kind = kind_of_status(reply.status)
    if kind == "rejected":
        return FinalError(message, kind=kind, **more)
    return RetryableError(message, kind=kind, retry_after=wait, **more)


def read_output(reply: Reply, select: str | None, schema: Mapping[str, Any] | None) -> Any:
    """
    The output in a successful reply.

    :param select: the path to it; None: the whole reply.
    :param schema: of the output; None: text.
    :raises MalformedOutput: the reply isn't what was asked for.
    """
    if schema is None and select is None:
        return checked_output(reply.text(), None)
    value = _value(reply)
    if select is not None:
        value = _selected(value, select)
    return checked_output(value, schema)


def _value(reply: Reply) -> Any:
    """JSON where the reply says that it is, or looks like it; else text; nothing at all is null."""
    text = reply.text()
    is_json = _JSON_TYPE.fullmatch(reply.content_type) is not None
    if not text.strip():
        return None
    try:
        if is_json or text.lstrip()[0] in "{[":
            return parse_json(text)
    except ValueError as error:
        if is_json:
            raise MalformedOutput(f"The reply is not valid JSON: {error}", reply=text[:10_000]) from None
    return text


def _selected(value: Any, path: str) -> Any:
    found = value
    for part in path.split("."):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            has = f"an object with {', '.join(map(repr, found)) or 'no keys'}" if isinstance(found, dict) else None
            message = f"The reply has no {path!r}: {part!r} is looked for in {has or type_name(found)}."
            raise MalformedOutput(message, reply=value)
    return found
