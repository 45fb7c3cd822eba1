"""The security headers of every reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Pages bring nothing of other hosts, run no scripts and styles but the package's own files, and stand in frames of
#: this very host only.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
#: What isn't shown as a page: nothing in it may do anything, wherever it is opened.
INERT = "default-src 'none'; frame-ancestors 'self'; sandbox"
#: Of what somebody looks at or stores once: the browser keeps nothing of it for whoever uses it next.
NOT_KEPT = {"Content-Security-Policy": INERT, "Cache-Control": "private, no-store"}

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    # what somebody may see, no one else's cache may keep; each time, it is asked whether they still may
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie, Authorization",
}


class SecurityHeaders:
    """Adds the headers that a reply doesn't have itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, with headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)
