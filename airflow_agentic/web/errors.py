"""
What somebody sees where there is nothing to show: a page in plain words, or JSON for programs.

Nothing of what went wrong inside is in it: that is in the api-server's log.
"""

from __future__ import annotations

import html
import logging
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from airflow_agentic.errors import AgenticError
from airflow_agentic.web.assets import assets_address
from airflow_agentic.web.traces import NoTraceError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _NOT_ALLOWED, _FAILED, _UNAVAILABLE = 401, 403, 404, 405, 500, 503
_WORDS = {
    _UNAUTHORIZED: ("You are not signed in", "Sign in to Airflow, and load this page again."),
    _FORBIDDEN: (
        "You may not see this",
        "Whoever manages Airflow's users can permit you to see this DAG.",
    ),
    _NOT_FOUND: ("There is nothing here", "What this address names isn't there, or isn't there any more."),
    _NOT_ALLOWED: ("Nothing can be changed here", "These pages are for reading only."),
    _FAILED: ("This page can't be shown", "Something went wrong; Airflow's api-server has logged what."),
    _UNAVAILABLE: (
        "The records can't be read",
        "Airflow's api-server has logged why. It may help to load this page again a little later.",
    ),
}
_NO_TRACE = (
    "This run has no trace",
    "Runs of agentic templates leave one as soon as their first task has begun; other runs leave none. "
    "Airflow's other tabs tell what happened in this run.",
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>{assets}
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
</main>
</body>
</html>
"""
_ASSETS = """
<link rel="stylesheet" href="{folder}/frame.css">
<link rel="stylesheet" href="{folder}/message.css">
<script type="module" src="{folder}/frame.js"></script>"""


def add_error_pages(app: FastAPI) -> None:
    """Show errors in words, whatever they are."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(AgenticError, _failed)
    app.add_middleware(_NoTracebacks)


class _NoTracebacks:
    """Whatever else goes wrong is logged, and a page says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            if begun or scope["type"] != "http":
                raise
            log.exception("The page %r failed.", scope["path"])
            await _told(Request(scope), _FAILED)(scope, receive, send)


async def _refused(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", _FAILED)
    reply = _told(request, status)
    reply.headers.update(getattr(error, "headers", None) or {})
    return reply


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, NoTraceError):
        return _told(request, _NOT_FOUND, _NO_TRACE)
    log.error("The page %r can't be shown: %s", request.url.path, error)
    return _told(request, _UNAVAILABLE)


def _told(request: Request, status: int, words: tuple[str, str] | None = None) -> Response:
    title, text = words or _WORDS.get(status, _WORDS[_FAILED])
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"detail": f"{title}. {text}"}, status)
    # style sheets are for those who are signed in, too
    assets = "" if status == _UNAUTHORIZED else _ASSETS.format(folder=html.escape(assets_address(request)))
    return HTMLResponse(_PAGE.format(title=html.escape(title), text=html.escape(text), assets=assets), status)
