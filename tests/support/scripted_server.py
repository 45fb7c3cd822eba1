"""
A real HTTP server on loopback that answers as a script says, and remembers what it was asked.

Agents are tested against real sockets: a timeout, a body that is cut off or a ``Retry-After`` date behave as they do
in life, through the real client libraries.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that arrived. Header names are in lower case; ``json`` is the body, where it is JSON."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """
    What to answer.

    :param body: bytes or text as they are; anything else as JSON.
    :param delay: seconds before the status line.
    :param body_delay: seconds between the head and the body.
    :param cut: send only so many bytes of the body, then close the connection.
    :param hang_up: close the connection without any answer.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    body_delay: float = 0.0
    cut: int | None = None
    hang_up: bool = False

    def encoded(self) -> tuple[bytes, str]:
        """The body's bytes and content type."""
        if isinstance(self.body, bytes):
            return self.body, "application/octet-stream"
        if isinstance(self.body, str):
            return self.body.encode(), "text/plain; charset=utf-8"
        return json.dumps(self.body).encode(), "application/json"


def retry_after_seconds(seconds: float) -> dict[str, str]:
    """The header in its usual form."""
    return {"Retry-After": f"{seconds:g}"}


def retry_after_date(seconds: float) -> dict[str, str]:
    """The header as a date so many seconds from now."""
    return {"Retry-After": formatdate(time.time() + seconds, usegmt=True)}


class ScriptedServer:
    """
    Answers each request with the next reply of a list, and the last one from then on.

    Use it as a context manager; ``url`` is its address, ``calls`` what arrived.
    """

    def __init__(
        self, *replies: Reply, port: int = 0, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.calls: list[Call] = []
        self._replies = list(replies)
        self._lock = threading.Lock()
        self._host = host
        self._tls = tls
        self._open(port)

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://{self._host}:{self.port}"

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _open(self, port: int) -> None:
        """Take a port; whoever comes is served from the thread's start on."""
        self._http = ThreadingHTTPServer((self._host, port), self._handler())
        self._http.daemon_threads = True
        if self._tls is not None:
            self._http.socket = self._tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def reply_to(self, call: Call) -> Reply:
        """The answer to a call; overridden by servers that speak a protocol."""
        with self._lock:
            return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def answer(self, call: Call) -> Reply:
        """Remember a call, and answer it."""
        with self._lock:
            self.calls.append(call)
        return self.reply_to(call)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # the client went away
                    super().handle()

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                call = Call(method=self.command, path=self.path, headers=headers, body=body, at=time.time())
                self.send(server.answer(call))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815

            def send(self, reply: Reply) -> None:
                time.sleep(reply.delay)
                if reply.hang_up:
                    self.close_connection = True
                    return
                body, content_type = reply.encoded()
                self.send_response(reply.status)
                for name, value in {"Content-Type": content_type, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.flush()
                time.sleep(reply.body_delay)
                self.wfile.write(body[: reply.cut])
                self.close_connection = self.close_connection or reply.cut is not None

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        return Handler
