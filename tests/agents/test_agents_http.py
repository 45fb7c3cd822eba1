"""HTTP agents against a real server: what goes out, what comes back, what each failure means."""

from __future__ import annotations

import base64
import gc
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.requests import ANY, attempt_all, make_request, run_once
from support.scripted_server import Reply, ScriptedServer, retry_after_date, retry_after_seconds
from yarl import URL

from airflow_agentic.agents.http import query, rendered_endpoint
from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.agents.threads import run_loop
from airflow_agentic.errors import AttemptError, FinalError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[..., str]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define an Airflow connection in the environment."""

    def define(server: ScriptedServer | None = None, **fields: Any) -> str:
        if server is not None:
            fields = {"host": "127.0.0.1", "port": server.port, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_CHECK_API", json.dumps({"conn_type": "http", **fields}))
        return "check_api"

    return define


def run(connection: str, *, schema: Any = ANY, timeout: float | None = 10, values: Any = None, **spec: Any) -> Any:
    agent = make_agent({"type": "http", "connection": connection, **spec})
    return run_once(agent, make_request(input=values or {}, output_schema=schema, timeout=timeout))


def error_of(reply: Reply, connect: Connect, **more: Any) -> AttemptError:
    with ScriptedServer(reply) as server, pytest.raises(AttemptError) as caught:
        run(connect(server), **more)
    return caught.value


def test_post_sends_the_input_as_json_with_the_connections_login_and_headers(connect: Connect) -> None:
    with ScriptedServer(Reply(body={"supported": True})) as server:
        connection = connect(
            server,
            login="ada",
            password="s3cret",
            extra={"X-From-Connection": "yes", "agentic": {"requests_per_minute": 60}},
        )
        result = run(
            connection,
            values={"claim": "π ≈ 3", "lang": "en"},
            endpoint="/verify/{{ input.lang }}",
            headers={"X-Tenant": "{{ input.lang }}-team", "X-Api-Key": "k"},
        )
    (call,) = server.calls
    assert (call.method, call.path) == ("POST", "/verify/en")
    assert call.json == {"claim": "π ≈ 3", "lang": "en"}
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-from-connection"] == "yes"
    assert call.headers["x-tenant"] == "en-team"
    assert "agentic" not in call.headers
    assert base64.b64decode(call.headers["authorization"].removeprefix("Basic ")) == b"ada:s3cret"
    assert result.output == {"supported": True}
    assert result.sent == {
        "connection": "check_api",
        "method": "POST",
        "endpoint": "/verify/en",
        "headers": {"X-Tenant": "en-team", "X-Api-Key": "***"},
        "json": {"claim": "π ≈ 3", "lang": "en"},
    }
    assert "s3cret" not in json.dumps(dict(result.sent))


def test_get_sends_the_input_as_query(connect: Connect) -> None:
    values = {"q": "a b&c=d", "n": 3, "deep": {"x": [1]}, "tag": ["x", "y"], "on": True, "nothing": None}
    with ScriptedServer(Reply(body=[1])) as server:
        result = run(connect(server), method="GET", endpoint="/search", values=values)
    (call,) = server.calls
    assert call.method == "GET"
    assert call.body == b""
    assert list(URL(call.path).query.items()) == [
        ("q", "a b&c=d"),
        ("n", "3"),
        ("deep", '{"x": [1]}'),
        ("tag", "x"),
        ("tag", "y"),
        ("on", "true"),
    ]
    assert result.sent["query"] == query(values)


def test_a_host_with_scheme_and_path_is_the_base(connect: Connect) -> None:
    with ScriptedServer(Reply(body="pong")) as server:
        assert run(connect(host=f"{server.url}/v1"), endpoint="ping").output == "pong"
    assert server.calls[0].path == "/v1/ping"


@pytest.mark.parametrize(
    ("reply", "spec", "schema", "output"),
    [
        (Reply(body={"data": {"result": [7]}}), {"select": "data.result"}, ANY, [7]),
        (Reply(body={"data": [{"x": "a"}]}), {"select": "data.0.x"}, None, "a"),
        (Reply(body='{"a": 1}'), {}, ANY, {"a": 1}),
        (Reply(body="12"), {}, ANY, "12"),
        (Reply(body=" {not json"), {}, ANY, " {not json"),
        (Reply(body={"a": 1}), {}, None, '{"a": 1}'),
        (Reply(body=b"\xef\xbb\xbf[1]", headers={"Content-Type": "application/vnd.api+json"}), {}, ANY, [1]),
        (
            Reply(body="grün".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin-1"}),
            {},
            ANY,
            "grün",
        ),
        (Reply(status=204), {}, ANY, None),
    ],
)
def test_what_a_reply_means(connect: Connect, reply: Reply, spec: Any, schema: Any, output: Any) -> None:
    with ScriptedServer(reply) as server:
        assert run(connect(server), schema=schema, **spec).output == output


SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


@pytest.mark.parametrize(
    ("reply", "spec", "says"),
    [
        (Reply(body={"ok": "yes"}), {}, "$.ok"),
        (Reply(body=b'{"ok": tr', headers={"Content-Type": "application/json"}), {}, "not valid JSON"),
        (Reply(body=b'{"ok": NaN}', headers={"Content-Type": "application/json"}), {}, "NaN is not JSON"),
        (Reply(body=b"[" * 100_000, headers={"Content-Type": "application/json"}), {}, "nested too deeply"),
        (Reply(body=b'{"a": "\\ud800"}', headers={"Content-Type": "application/json"}), {}, "Unicode"),
        (Reply(body={"ok": True}, cut=4), {}, "cut off"),
        (Reply(body={"data": {}}), {"select": "data.result"}, "'result' is looked for in an object with no keys"),
        (Reply(body={"data": 3}), {"select": "data.result"}, "'result' is looked for in a number"),
        (Reply(body=b"\xff\xfe\xff"), {}, "not text"),
        (Reply(status=204), {}, "$"),
    ],
)
def test_malformed_replies(connect: Connect, reply: Reply, spec: Any, says: str) -> None:
    error = error_of(reply, connect, schema=SCHEMA, **spec)
    assert (error.kind, type(error).__mro__[1]) == ("malformed_output", RetryableError)
    assert says in error.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "rejected"),
        (401, "rejected"),
        (404, "rejected"),
        (408, "timeout"),
        (409, "rejected"),
        (422, "rejected"),
        (429, "rate_limited"),
        (500, "unavailable"),
        (502, "unavailable"),
        (503, "unavailable"),
        (504, "unavailable"),
    ],
)
def test_what_a_status_means(connect: Connect, status: int, kind: str) -> None:
    error = error_of(Reply(status=status, body={"error": "because"}), connect, endpoint="/x")
    assert error.kind == kind
    assert isinstance(error, FinalError if kind == "rejected" else RetryableError)
    assert error.details["status"] == status
    assert error.reply == '{"error": "because"}'
    assert "because" in error.message
    assert f"POST /x of connection 'check_api' answered {status}" in error.message


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_and_as_a_date(connect: Connect, status: int) -> None:
    assert error_of(Reply(status=status, headers=retry_after_seconds(7)), connect).retry_after == 7
    waits = error_of(Reply(status=status, headers=retry_after_date(90)), connect).retry_after
    assert waits == pytest.approx(90, abs=2)
    assert error_of(Reply(status=status, headers={"Retry-After": "soon"}), connect).retry_after is None
    assert error_of(Reply(status=status, headers=retry_after_date(-90)), connect).retry_after == 0


def test_the_hook_does_not_retry_by_itself(connect: Connect) -> None:
    with ScriptedServer(Reply(status=500)) as server:
        told, _ = attempt_all(make_agent({"type": "http", "connection": connect(server)}), make_request())
    assert len(told) == len(server.calls) == 3


def test_failures_then_success(connect: Connect) -> None:
    replies = [Reply(status=429, headers=retry_after_seconds(3)), Reply(body={"ok": 1}), Reply(body={"ok": True})]
    with ScriptedServer(*replies) as server:
        agent = make_agent({"type": "http", "connection": connect(server)})
        told, end = attempt_all(agent, make_request(output_schema=SCHEMA))
    assert [attempt.error and attempt.error.kind for attempt in told] == ["rate_limited", "malformed_output", None]
    assert [attempt.next_wait for attempt in told] == [3.0, 0.02, None]
    assert end is told[-1]


@pytest.mark.parametrize("slow", [{"delay": 2}, {"body_delay": 2}])
def test_a_slow_reply_is_a_timeout(connect: Connect, slow: Any) -> None:
    began = time.monotonic()
    error = error_of(Reply(body={}, **slow), connect, timeout=0.2)
    assert error.kind == "timeout"
    assert "within 0.2 s" in error.message
    assert time.monotonic() - began < 4  # the server's own thread sleeps 2 s


def test_the_connections_own_timeout_counts_too(connect: Connect) -> None:
    with ScriptedServer(Reply(body={}, delay=1)) as server, pytest.raises(RetryableError) as caught:
        run(connect(server, extra={"timeout": 0.2}), timeout=None)
    assert caught.value.kind == "timeout"


def test_no_answer_and_no_server_are_unavailable(connect: Connect) -> None:
    assert error_of(Reply(hang_up=True), connect).kind == "unavailable"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RetryableError) as caught:
        run(connect(host="127.0.0.1", port=port))
    assert caught.value.kind == "unavailable"
    assert "can't be reached" in caught.value.message


@pytest.mark.parametrize(
    ("fields", "spec", "says"),
    [
        ({"host": None}, {"endpoint": "example.com/x"}, "needs a host"),
        ({"host": "ftp://example.com"}, {}, "needs a host, and http or https"),
        ({"host": "h", "extra": {"limits": {"a": 1}}}, {}, "holds 'limits', which is no header"),
        ({"host": "h"}, {"endpoint": "https://elsewhere.example/x"}, "names a host"),
        ({"host": "h"}, {"endpoint": "//elsewhere.example/x"}, "names a host"),
        ({"host": "h"}, {"endpoint": "/a/../b"}, "would leave its path"),
        ({"host": "h"}, {"endpoint": "/a/%2e%2e/b"}, "would leave its path"),
        ({"host": "h"}, {"headers": {"X-A": "{{ input.line }}"}}, "line break"),
        ({"host": "h"}, {"endpoint": "{% filter upper %}{{ input.line }}{% endfilter %}"}, "filter or call block"),
    ],
)
def test_calls_that_are_refused_before_they_are_made(connect: Connect, fields: Any, spec: Any, says: str) -> None:
    with pytest.raises(FinalError) as caught:
        run(connect(**fields), values={"line": "a\r\nX-B: c"}, **spec)
    assert says in caught.value.message


def test_a_missing_connection_is_final() -> None:
    with pytest.raises(FinalError, match="no Airflow connection 'not_there'"):
        run("not_there")


def test_data_in_an_endpoint_stays_one_part_of_it(connect: Connect) -> None:
    with ScriptedServer(Reply(body={})) as server:
        connection = connect(server)
        run(connection, endpoint="/verify/{{ input.v }}/x?q={{ input.v }}", values={"v": "a/b?c#d %2e é"})
    path = URL(server.calls[0].path)
    assert path.parts == ("/", "verify", "a/b?c#d %2e é", "x") or path.raw_path.count("/") == 3
    assert path.query == {"q": "a/b?c#d %2e é"}


@pytest.mark.parametrize("value", ["..", ".", "../admin", "a/../../b", "..\\admin", "/.."])
def test_data_cannot_climb_up_in_an_endpoint(connect: Connect, value: str) -> None:
    with pytest.raises(FinalError, match="would leave its path"):
        run(connect(host="h"), endpoint="/verify/{{ input.v }}", values={"v": value})


@given(st.text(max_size=20))
def test_no_value_changes_the_host_or_the_number_of_parts(value: str) -> None:
    try:
        endpoint = rendered_endpoint("/v/{{ input.v }}/end", {"input": {"v": value}})
    except FinalError:
        assert ".." in value or "." in value
        return
    url = URL(f"http://host:1{endpoint}")
    assert (url.host, url.port, url.query_string, url.fragment) == ("host", 1, "", "")
    assert url.raw_path.count("/") == 3
    assert url.raw_path.startswith("/v/")
    assert url.raw_path.endswith("/end")


def test_headers_that_clients_send_wrong_are_no_problem(connect: Connect) -> None:
    with ScriptedServer(Reply(body={})) as server:
        run(connect(server), headers={"X-Note": "{{ input.v }}"}, values={"v": "  grün 漢 "})
    assert server.calls[0].headers["x-note"].encode("latin-1").decode() == "grün 漢"


def test_the_preview_is_what_is_sent(connect: Connect) -> None:
    agent = make_agent({"type": "http", "connection": "check_api", "endpoint": "/x/{{ input.a }}"})
    with ScriptedServer(Reply(body={})) as server:
        connect(server)
        request = make_request(input={"a": 1})
        assert agent.preview(request) == run_once(agent, request).sent


@pytest.mark.parametrize("reply", [Reply(body={}, body_delay=1), Reply(status=429), Reply(body={"a": "b" * 99}, cut=9)])
def test_no_connection_is_left_open(connect: Connect, reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    async def attempt() -> None:
        agent = make_agent({"type": "http", "connection": "check_api"})
        with pytest.raises(AttemptError):
            await agent.run(make_request(timeout=0.3))
        gc.collect()

    with ScriptedServer(reply) as server:
        connect(server)
        run_loop(attempt())
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
