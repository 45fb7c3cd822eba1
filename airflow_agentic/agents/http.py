"""
Agents behind an HTTP API, called through the HTTP provider's hook and an Airflow connection.

The connection says where (scheme, host, port, login, headers, TLS, proxy); the template says what: method, endpoint,
headers. What a stage's data can change is only inside the endpoint: everything that an expression prints into it is
percent-encoded, and can't climb up in the path.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, unquote, urlsplit

from airflow_agentic.agents.base import AgentRequest, AgentResult, Usage
from airflow_agentic.agents.connections import no_connection
from airflow_agentic.agents.http_reply import read_output, read_reply, status_error
from airflow_agentic.agents.redaction import keep_secret, without_secrets
from airflow_agentic.agents.threads import see_through
from airflow_agentic.agents.validate import MalformedOutput
from airflow_agentic.errors import FinalError, RetryableError
from airflow_agentic.template.expressions import is_text, parse, render_passages, render_string, to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.http.hooks.http import HttpAsyncHook, SessionConfig

_IN_QUERY = ("GET", "HEAD")


@dataclass(frozen=True, kw_only=True)
class HttpAgent:
    """
    An agent that calls an HTTP API.

    :param connection: id of an Airflow connection of type ``http``.
    :param method: ``input`` goes into the query for GET, and into a JSON body otherwise.
    :param endpoint, headers: texts, rendered with ``input``.
    :param select: the path (``data.result``) of the part of the reply that is the output.
    """

    connection: str
    method: str = "POST"
    endpoint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    select: str | None = None

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> HttpAgent:
        """Build it from an entry of ``Plan.agents``."""
        return cls(
            connection=spec["connection"],
            method=(spec.get("method") or "POST").upper(),
            endpoint=spec.get("endpoint") or "",
            headers=spec.get("headers") or {},
            select=spec.get("select"),
        )

    async def run(self, request: AgentRequest) -> AgentResult:
        """Call the API once. See :meth:`airflow_agentic.agents.base.Agent.run`."""
        call = self._call(request)
        try:
            async with asyncio.timeout(request.timeout) as timeout:
                hook, limits = await self._hook()
                async with request.spending.call(timeout, request.waiting) as spent:
                    spent.made = False  # until the connection's limits let it in
                    async with self._let_in(limits, request, timeout):
                        spent.made = True
                        output = await self._reply(hook, call, request)
        except TimeoutError:
            limit = f" within {request.timeout:g} s" if request.timeout is not None else " in time"
            raise RetryableError(f"{self._name(call)} did not answer{limit}.", kind="timeout") from None
        return AgentResult(output=output, sent=call.sent(), usage=Usage(requests=1))

    def preview(self, request: AgentRequest) -> Mapping[str, Any]:
        """The request that :meth:`run` sends."""
        return self._call(request).sent()

    def _call(self, request: AgentRequest) -> _Call:
        scope = {"input": dict(request.input)}
        return _Call(
            connection=self.connection,
            method=self.method,
            endpoint=rendered_endpoint(self.endpoint, scope),
            headers={name: _rendered_header(name, text, scope) for name, text in self.headers.items()},
            input=copy.deepcopy(dict(request.input)),
        )

    async def _reply(self, hook: HttpAsyncHook, call: _Call, request: AgentRequest) -> Any:
        """Send the request, and read the output from what came back."""
        import aiohttp

        try:
            async with hook.session() as session:
                response = await session.run(**call.arguments(), extra_options=self._options(session.config))
                async with response:
                    reply = await read_reply(response)
        except aiohttp.ClientError as error:
            self._raise_for(error, call)
        if not 200 <= reply.status < 300:
            raise status_error(reply, self._name(call))
        return read_output(reply, self.select, request.output_schema)

    async def _hook(self) -> tuple[HttpAsyncHook, Any]:
        """The hook, and what the connection says about limits, if anything."""
        from airflow.providers.http.hooks.http import HttpAsyncHook
        from airflow.sdk.exceptions import AirflowNotFoundException

        # One request and no more: attempts are counted, recorded and repeated outside.
        hook = HttpAsyncHook(method=self.method, http_conn_id=self.connection, retry_limit=1)
        try:
            # It asks Airflow's supervisor, whose next answer somebody else would get if nobody read this one.
            config = await see_through(hook.config())
        except AirflowNotFoundException:
            raise FinalError(no_connection(self.connection), kind="rejected") from None
        # our own settings; the hook takes whatever it doesn't know for a header
        limits = (config.headers or {}).pop("agentic", None)
        self._check(config)
        literal = {name: text for name, text in self.headers.items() if is_text(text)}
        login = None if config.auth is None else (config.auth.login, config.auth.password)
        await keep_secret({**literal, **(config.headers or {})}, login)
        return hook, limits

    def _let_in(
        self, limits: Any, request: AgentRequest, timeout: asyncio.Timeout
    ) -> contextlib.AbstractAsyncContextManager[object]:
        """Wait until the connection's limits let a request in."""
        if limits is None:
            return contextlib.nullcontext()
        from airflow_agentic.limits.admission import gate_to

        gate = gate_to(self.connection, limits, request.waiting, timeout)
        return contextlib.nullcontext() if gate is None else gate.admitted()

    def _check(self, config: SessionConfig) -> None:
        base = urlsplit(config.base_url)
        if base.scheme not in ("http", "https") or not base.hostname:
            # Without a host of its own, the endpoint (and so the data in it) would name one.
            message = f"The connection {self.connection!r} needs a host, and http or https as its schema."
            raise FinalError(message, kind="rejected")
        headers = config.headers or {}
        for name, value in headers.items():
            if not isinstance(value, str):
                message = f"The extra of connection {self.connection!r} holds {name!r}, which is no header: not text."
                raise FinalError(message, kind="rejected")

    def _options(self, config: SessionConfig) -> dict[str, Any]:
        import aiohttp

        options: dict[str, Any] = {"check_response": False}  # a failure's headers and body are needed, too
        if "timeout" not in (config.extra_options or {}):
            options["timeout"] = aiohttp.ClientTimeout(total=None, sock_connect=30)
        return options

    def _raise_for(self, error: Exception, call: _Call) -> NoReturn:
        import aiohttp

        name, text = self._name(call), f"{type(error).__name__}: {error}".removesuffix(": ")
        if isinstance(error, TimeoutError):
            raise RetryableError(f"{name} did not answer in time ({text}).", kind="timeout") from error
        if isinstance(error, aiohttp.ClientPayloadError):
            raise MalformedOutput(f"The reply of {name} was cut off ({text}).") from error
        final = (aiohttp.ClientSSLError, aiohttp.InvalidURL, aiohttp.TooManyRedirects)
        if isinstance(error, final):
            raise FinalError(f"{name} can't be called: {text}", kind="rejected") from error
        if isinstance(error, aiohttp.ClientResponseError):
            raise MalformedOutput(f"{name} answered with something that isn't HTTP ({text}).") from error
        raise RetryableError(f"{name} can't be reached: {text}", kind="unavailable") from error

    def _name(self, call: _Call) -> str:
        return f"{call.method} {call.endpoint or '/'} of connection {self.connection!r}"


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One request, rendered."""

    connection: str
    method: str
    endpoint: str
    headers: dict[str, str]
    input: dict[str, Any]

    def arguments(self) -> dict[str, Any]:
        """What the hook's session takes."""
        body = {"data": query(self.input)} if self.method in _IN_QUERY else {"json": self.input}
        return {"endpoint": self.endpoint, "headers": self.headers, **body}

    def sent(self) -> dict[str, Any]:
        """The request for the record: without the connection's own headers and credentials."""
        body = {"query": query(self.input)} if self.method in _IN_QUERY else {"json": self.input}
        return {
            "connection": self.connection,
            "method": self.method,
            "endpoint": self.endpoint,
            "headers": without_secrets(self.headers),
            **body,
        }


def rendered_endpoint(template: str, scope: Mapping[str, Any]) -> str:
    """
    An endpoint's text, in which the values are percent-encoded, so that they are data and never structure.

    :raises FinalError: it names a host, or a value would climb up in the path.
    """
    _check_blocks(template)
    text, passages = render_passages(template, scope)
    endpoint, end = "", 0
    for passage in passages:
        endpoint += text[end : passage.start]
        value, end = text[passage.start : passage.end], passage.end
        if "?" not in endpoint:
            _check_climbing(value, template)
        endpoint += quote(value, safe="")
    endpoint = (endpoint + text[end:]).strip()
    path = endpoint.partition("?")[0]
    if path.startswith("//") or "://" in path:
        message = f"The endpoint {template!r} names a host, which belongs in the connection; write the path only."
        raise FinalError(message, kind="rejected")
    _check_climbing(unquote(path), template)
    return endpoint


def query(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """An input as the parameters of a query: lists as repeated names, nothing for null, mappings as JSON."""
    pairs = []
    for name, value in values.items():
        parts = value if isinstance(value, list) else [value]
        pairs += [(name, to_text(part)) for part in parts if part is not None]
    return pairs


def _check_blocks(template: str) -> None:
    from jinja2.nodes import CallBlock, FilterBlock

    tree = parse(template)
    if tree.find(CallBlock) is not None or tree.find(FilterBlock) is not None:
        # What is printed inside of them can't be told from the endpoint's own text, so it couldn't be encoded.
        message = f"The endpoint {template!r} holds a filter or call block; write filters inside the braces."
        raise FinalError(message, kind="rejected")


def _check_climbing(path: str, template: str) -> None:
    if any(part in (".", "..") for part in re.split(r"[/\\]", path)):
        message = f"The endpoint {template!r} would leave its path: it holds '.' or '..' as a part of it."
        raise FinalError(message, kind="rejected")


def _rendered_header(name: str, template: str, scope: Mapping[str, Any]) -> str:
    value = render_string(str(template), scope).strip()
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        message = f"The header {name!r} would hold a line break or another control character."
        raise FinalError(message, kind="rejected")
    return value
