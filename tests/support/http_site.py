"""A small site on loopback, over real HTTP: pages by path, and names that resolve to where a test wants them."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from support.scripted_server import Call, Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest


class HttpSite(ScriptedServer):
    """
    Serves pages.

    :param pages: path → what to answer; any other path is a 404.
    :param host: the loopback address to listen on.
    """

    def __init__(self, pages: Mapping[str, Reply], *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(port=port, host=host)
        self.pages = dict(pages)

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [call.path for call in self.calls]

    def reply_to(self, call: Call) -> Reply:
        return self.pages.get(call.path, Reply(status=404, body="no such page"))


def page(body: str | bytes, content_type: str = "text/html; charset=utf-8", **more: Any) -> Reply:
    """A page of a content type."""
    encoded = body if isinstance(body, bytes) else body.encode()
    return Reply(body=encoded, headers={"Content-Type": content_type}, **more)


def redirect(location: str, status: int = 302) -> Reply:
    """Go there."""
    return Reply(status=status, headers={"Location": location})


def resolve_names(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], list[str]]) -> list[str]:
    """Let the system's resolver answer as ``answer(host)`` says; gives the list of the hosts that it was asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer(host)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked
