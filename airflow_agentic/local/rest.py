"""A small client of Airflow's REST API (v2): as much as the demo, the trace and the tests ask for."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener
from uuid import uuid4

from airflow_agentic.errors import AgenticError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Seconds for one answer. Longer than a server on SQLite waits for its lock: what it says then is to be heard.
_TIMEOUT = 75.0
_POLL = 0.3
#: Seconds before the second and the third time.
_AGAIN = (0.5, 2.0)
ENDED = ("success", "failed")


class RestError(AgenticError):
    """
    Airflow didn't do what it was asked to.

    :param status: of the HTTP reply, 0 when there was none.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class RestClient:
    """
    Talks to one Airflow as one user.

    :param url: of the api-server, without the API's path.
    :param token: of the user, where there is one already; else it is asked for with the password.
    :param proxies: scheme → URL, by which the server is reached; none are needed on this machine.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str = "",
        password: str = "",
        token: str | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        self._token = token
        self._open = build_opener(ProxyHandler(dict(proxies or {}))).open

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """
        One call below ``/api/v2``; the reply's JSON, or None where there is none.

        A question (GET) that gets no answer, or that the server failed at, is asked again twice.

        :raises RestError: no connection, or a reply of 400 and above.
        """
        target = f"/api/v2{path}" + (f"?{urlencode(query)}" if query else "")

        def ask() -> Any:
            if self._token is None:
                self._token = self._request("POST", "/auth/token", self._login)["access_token"]
            return self._request(method, target, body, token=self._token)

        return _persistently(ask) if method == "GET" else ask()

    def once(self, method: str, path: str, body: Any = None) -> Any:
        """
        A call that Airflow takes once and then refuses with 409, so that it may be made again when there is no answer.

        :returns: the reply's JSON, or None where all that is known is that an earlier time was taken.
        :raises RestError: see :meth:`call`; 409 only when it is the answer to the first time.
        """
        times = 0

        def ask() -> Any:
            nonlocal times
            times += 1
            try:
                return self.call(method, path, body)
            except RestError as error:
                if times > 1 and error.status == 409:
                    return None
                raise

        return _persistently(ask)

    def health(self) -> dict[str, Any]:
        """What each of Airflow's parts reports, by name; asking also makes the server load its execution API."""
        self._request("GET", "/execution/health")
        found: dict[str, Any] = self._request("GET", "/api/v2/monitor/health")
        return found

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, *, run_id: str | None = None) -> str:
        """Start a run; its run_id, which is made here where none is given."""
        run_id = run_id or f"manual__{datetime.now(UTC).isoformat()}_{uuid4().hex[:8]}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        self.once("POST", f"/dags/{quote(dag_id)}/dagRuns", body)
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """The run, as Airflow describes it."""
        found: dict[str, Any] = self.call("GET", _run_path(dag_id, run_id))
        return found

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's task instances, mapped ones too."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            # whatever is asked for, a page has no more entries than [api] maximum_page_limit says
            page = self.call("GET", path, limit=1000, offset=len(found), order_by="id")
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """
        A task's XCom as plain data.

        :raises RestError: there is none (status 404).
        """
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        return self.call("GET", path, deserialize="false", stringify="false")["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, *, map_index: int = -1) -> str:
        """One try's log as text."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{try_number}"
        content = self.call("GET", path, full_content="true", map_index=map_index)["content"]
        return "\n".join(_log_line(entry) for entry in content)

    def import_errors(self) -> dict[str, str]:
        """File name → why Airflow couldn't load it."""
        errors = self.call("GET", "/importErrors", limit=1000)["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has loaded the DAG, and still has it."""
        try:
            found = self.call("GET", f"/dags/{quote(dag_id)}")
        except RestError as error:
            if error.status == 404:
                return False
            raise
        return not found["is_stale"]

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        timeout: float,
        on_wait: Callable[[], None] = lambda: None,
    ) -> str:
        """
        Wait for the end of a run; its state.

        :param timeout: seconds.
        :param on_wait: called about three times a second, also once after the end.
        :raises RestError: it goes on for longer than the timeout.
        """
        deadline = time.monotonic() + timeout
        while True:
            state: str = self.run(dag_id, run_id)["state"]
            on_wait()
            if state in ENDED:
                return state
            if time.monotonic() > deadline:
                raise RestError(f"The run {run_id} of {dag_id} is still {state} after {timeout:.0f} s.")
            time.sleep(_POLL)

    def _request(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, headers, method=method)  # noqa: S310 - our own server
        try:
            with self._open(request, timeout=_TIMEOUT) as reply:
                text = reply.read()
        except HTTPError as error:
            reason = error.read().decode(errors="replace")
            raise RestError(f"{method} {path}: {error.code} {reason}", status=error.code) from None
        except (OSError, HTTPException) as error:
            raise RestError(f"{method} {path}: {error}") from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise RestError(f"{method} {path}: the reply is not JSON: {text[:200]!r}") from None


def _persistently(ask: Callable[[], Any]) -> Any:
    """Ask again, a few times, where there is no answer or the server failed."""
    for wait in _AGAIN:
        try:
            return ask()
        except RestError as error:
            if 400 <= error.status < 500:
                raise
        time.sleep(wait)
    return ask()


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def _log_line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    more = {key: value for key, value in entry.items() if key not in ("timestamp", "event", "level", "logger")}
    return " ".join(str(part) for part in (entry.get("timestamp") or "", entry["event"], more or "") if part)
