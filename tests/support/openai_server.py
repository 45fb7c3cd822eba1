"""
A scripted model server: the OpenAI chat completions API over real HTTP on loopback, without a model.

In a test::

    with OpenAIServer(good({"text": "hello"})) as server:
        os.environ["AIRFLOW_CONN_MODEL"] = server.connection()
        ...
        assert server.requests[0]["messages"][0]["content"] == "…"

Beside a real Airflow, as a process of its own that prints its address and is scripted by a file::

    python -m support.openai_server --script script.json --port 0

where the script is ``{"rules": [{"match": "text", "replies": […]}], "replies": […]}``: the first rule whose text occurs
in a request's messages answers it, each list in its order, its last reply again and again. A reply is what a function
of this module returns. ``GET /calls`` gives what arrived, as JSON.

A ``good`` reply's content fits what was asked for: data goes back as a call of the request's output tool, where there
is one, and as JSON text otherwise.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from support.scripted_server import Call, Reply, ScriptedServer, retry_after_date, retry_after_seconds

OUTPUT_TOOL = "final_result"
#: Tokens that every reply claims to have cost.
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def good(content: Any, *, model: str | None = None, usage: Any = USAGE) -> dict[str, Any]:
    """An answer: text, or data for the output tool."""
    return {"kind": "good", "content": content, "model": model, "usage": usage}


def calls(*tools: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """The model wants tools to be called: their names and arguments."""
    return {"kind": "calls", "tools": [list(tool) for tool in tools]}


def raw_arguments(arguments: str) -> dict[str, Any]:
    """A call of the output tool whose arguments are this very text."""
    return {"kind": "arguments", "arguments": arguments}


def failing(status: int, *, code: str | None = None, message: str = "scripted", **headers: str) -> dict[str, Any]:
    """An error of the API."""
    return {"kind": "status", "status": status, "code": code, "message": message, "headers": headers}


def limited(seconds: float, *, as_date: bool = False) -> dict[str, Any]:
    """429 with a ``Retry-After``."""
    return failing(429, **(retry_after_date(seconds) if as_date else retry_after_seconds(seconds)))


def slow(seconds: float, content: Any = "late") -> dict[str, Any]:
    """An answer whose body comes late."""
    return {**good(content), "body_delay": seconds}


def cut_off(content: Any = "a text that nobody will read to its end", *, at: int = 40) -> dict[str, Any]:
    """An answer whose body ends too soon."""
    return {**good(content), "cut": at}


def no_choices() -> dict[str, Any]:
    """An answer without an answer."""
    return {"kind": "no_choices"}


def filtered() -> dict[str, Any]:
    """The provider's content filter took the answer away."""
    return {"kind": "finish", "content": None, "finish_reason": "content_filter"}


def out_of_tokens(content: str | None) -> dict[str, Any]:
    """The answer was stopped at the limit of tokens."""
    return {"kind": "finish", "content": content, "finish_reason": "length"}


def body(text: str, *, content_type: str = "application/json") -> dict[str, Any]:
    """This very text as the body."""
    return {"kind": "body", "text": text, "content_type": content_type}


class OpenAIServer(ScriptedServer):
    """
    Serves ``POST /v1/chat/completions``.

    :param replies: in their order, the last one from then on.
    :param rules: pairs of a text to find in a request's messages and the replies to such requests.
    """

    def __init__(
        self, *replies: dict[str, Any], rules: tuple[tuple[str, list[dict[str, Any]]], ...] = (), port: int = 0
    ) -> None:
        super().__init__(port=port)
        self._lists = [(match, list(listed)) for match, listed in rules]
        self._lists.append(("", list(replies) or [failing(500, message="the script has no reply for this")]))

    @property
    def requests(self) -> list[Any]:
        """The bodies of the chat requests that arrived."""
        return [call.json for call in self.calls if call.path.endswith("/chat/completions")]

    def connection(self, *, model: str | None = "openai-chat:gpt-test", **extra: Any) -> str:
        """An Airflow connection to this server, as an environment variable takes it."""
        if model is not None:
            extra["model"] = model
        return json.dumps(
            {
                "conn_type": "pydanticai",
                "host": f"{self.url}/v1",
                "password": "model-key-4711-for-tests",
                "extra": extra,
            }
        )

    def reply_to(self, call: Call) -> Reply:
        if call.method == "GET" and call.path == "/calls":
            return Reply(body=[{"path": seen.path, "at": seen.at, "json": seen.json} for seen in self.calls[:-1]])
        if not call.path.endswith("/chat/completions"):
            return Reply(status=404, body={"error": {"message": f"no {call.path} here", "type": "not_found"}})
        return reply_of(self._next(call), call.json)

    def _next(self, call: Call) -> dict[str, Any]:
        said = json.dumps(call.json["messages"], ensure_ascii=False)
        with self._lock:
            replies = next(listed for match, listed in self._lists if match in said)
            return replies.pop(0) if len(replies) > 1 else replies[0]


def reply_of(script: dict[str, Any], request: dict[str, Any]) -> Reply:
    """The HTTP reply that a scripted one stands for."""
    timing = {"body_delay": script.get("body_delay", 0.0), "cut": script.get("cut")}
    match script["kind"]:
        case "status":
            error = {"message": script["message"], "type": "scripted_error", "code": script["code"]}
            return Reply(status=script["status"], body={"error": error}, headers=script["headers"])
        case "body":
            return Reply(body=script["text"].encode(), headers={"Content-Type": script["content_type"]})
        case "no_choices":
            return Reply(body={**_completion({}, "stop", request), "choices": []})
        case "finish":
            message = {"content": script["content"]}
            return Reply(body=_completion(message, script["finish_reason"], request))
        case "calls":
            return Reply(body=_completion(_tool_calls(script["tools"]), "tool_calls", request))
        case "arguments":
            return Reply(body=_completion(_tool_calls([[OUTPUT_TOOL, script["arguments"]]]), "tool_calls", request))
        case _:
            message = _answer(script["content"], request)
            reason = "tool_calls" if "tool_calls" in message else "stop"
            return Reply(body=_completion(message, reason, request, script), **timing)


def _answer(content: Any, request: dict[str, Any]) -> dict[str, Any]:
    tools = [tool["function"]["name"] for tool in request.get("tools") or ()]
    if isinstance(content, str):
        return {"content": content}
    if OUTPUT_TOOL in tools:
        return _tool_calls([[OUTPUT_TOOL, content]])
    return {"content": json.dumps(content, ensure_ascii=False)}


def _tool_calls(tools: list[Any]) -> dict[str, Any]:
    return {
        "content": None,
        "tool_calls": [
            {
                "id": f"call_{index}_{time.monotonic_ns()}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                },
            }
            for index, (name, arguments) in enumerate(tools)
        ],
    }


def _completion(
    message: dict[str, Any], reason: str, request: dict[str, Any], script: dict[str, Any] | None = None
) -> dict[str, Any]:
    script = script or {}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": script.get("model") or request["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}],
        "usage": script.get("usage", USAGE),
    }


def main() -> None:
    """Serve a script until the process is stopped."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    script = json.loads(arguments.script.read_text())
    rules = tuple((rule["match"], rule["replies"]) for rule in script.get("rules", ()))
    with OpenAIServer(*script.get("replies", ()), rules=rules, port=arguments.port) as server:
        print(f"{server.url}/v1", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
