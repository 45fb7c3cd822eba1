"""
A scripted model server: Anthropic's messages API over real HTTP on loopback, with its counter of tokens.

The counter says that a token has four characters of what is said; replies are given as to
:class:`support.scripted_server.ScriptedServer`, and may be what :func:`said` and :func:`refused` make.
"""

from __future__ import annotations

import json
from typing import Any

from support.scripted_server import Call, Reply, ScriptedServer


def said(text: str) -> Reply:
    """An answer."""
    return Reply(
        body={
            "id": "msg_scripted",
            "type": "message",
            "role": "assistant",
            "model": "claude-test",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 11, "output_tokens": 7},
        }
    )


def refused(message: str, *, status: int = 400, kind: str = "invalid_request_error") -> Reply:
    """An error of the API."""
    return Reply(status=status, body={"type": "error", "error": {"type": kind, "message": message}})


class AnthropicServer(ScriptedServer):
    """
    Serves ``POST /v1/messages`` and ``POST /v1/messages/count_tokens``.

    :param counts: whether the counter works; otherwise it is overloaded.
    """

    def __init__(self, *replies: Reply, counts: bool = True) -> None:
        super().__init__(*replies)
        self._counts = counts

    @property
    def requests(self) -> list[Any]:
        """The bodies of the messages requests that arrived."""
        return [call.json for call in self.calls if not _is_count(call)]

    @property
    def counted(self) -> list[int]:
        """What the counter said."""
        return [tokens_of(call.json) for call in self.calls if _is_count(call)]

    def connection(self, **extra: Any) -> str:
        """An Airflow connection to this server, as an environment variable takes it."""
        extra = {"model": "anthropic:claude-test", **extra}
        return json.dumps({"conn_type": "pydanticai", "host": self.url, "password": "sk-ant-secret", "extra": extra})

    def reply_to(self, call: Call) -> Reply:
        if not _is_count(call):
            return super().reply_to(call)
        if not self._counts:
            return refused("Overloaded", status=529, kind="overloaded_error")
        return Reply(body={"input_tokens": tokens_of(call.json)})


def tokens_of(request: Any) -> int:
    """What the counter says of a request."""
    parts = [request.get("system"), request["messages"], request.get("tools")]
    return len(json.dumps(parts, ensure_ascii=False)) // 4


def _is_count(call: Call) -> bool:
    return call.path.partition("?")[0].endswith("/count_tokens")
