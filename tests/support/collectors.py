"""
What a deployment sends its telemetry to, on loopback and speaking the real protocols: an OTLP/HTTP collector, a StatsD
server, and a receiver of OpenLineage events (a scripted server will do, it is JSON over HTTP).
"""

from __future__ import annotations

import gzip
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.scripted_server import Reply, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.scripted_server import Call

_STATSD = re.compile(r"(?P<name>[^:]+):(?P<value>[-+.\d]+)\|(?P<type>\w+)")


@dataclass(frozen=True, kw_only=True)
class SentSpan:
    """
    A span as it arrived.

    :param status: ``UNSET``, ``OK`` or ``ERROR``.
    :param events: name → attributes, in order.
    """

    name: str
    trace_id: str
    span_id: str
    parent: str | None
    kind: str
    status: str
    message: str
    seconds: float
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    scope: str = ""
    schema_url: str = ""


class OtlpCollector(ScriptedServer):
    """Takes spans and metrics as protobuf over HTTP: ``/v1/traces``, ``/v1/metrics``."""

    def __init__(self) -> None:
        super().__init__(Reply())

    def reply_to(self, call: Call) -> Reply:
        return Reply(headers={"Content-Type": "application/x-protobuf"})

    def received(self, path: str) -> list[bytes]:
        """The bodies that were posted to a path."""
        bodies = [call for call in self.calls if call.path == path]
        return [
            gzip.decompress(call.body) if call.headers.get("content-encoding") == "gzip" else call.body
            for call in bodies
        ]

    def spans(self) -> list[SentSpan]:
        """All spans, as they arrived."""
        found = []
        for body in self.received("/v1/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found += [_span(span, scope) for span in scope.spans]
        return found

    def metrics(self) -> dict[str, list[dict[str, Any]]]:
        """Metric → the attributes and value of each of its points, as they arrived last."""
        found: dict[str, list[dict[str, Any]]] = {}
        for body in self.received("/v1/metrics"):
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    found.update({metric.name: list(_points(metric)) for metric in scope.metrics})
        return found


class StatsdServer:
    """Takes metrics over UDP; use it as a context manager."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._receive, daemon=True)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def sums(self, prefix: str = "airflow.agentic.") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """(name without the prefix, tags) → the sum of its values; tags as InfluxDB's, behind commas."""
        sums: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for line in list(self.lines):
            match = _STATSD.fullmatch(line)
            if match is None or not match["name"].startswith(prefix):
                continue
            name, *tags = match["name"].removeprefix(prefix).split(",")
            key = name, frozenset((tag.partition("=")[0], tag.partition("=")[2]) for tag in tags)
            sums[key] = sums.get(key, 0.0) + float(match["value"])
        return sums

    def drain(self) -> None:
        """Wait until all that was sent before has been read: datagrams on loopback arrive in their order."""
        mark = f"mark.{len(self.lines)}:1|c"
        self._socket.sendto(mark.encode(), self._socket.getsockname())
        deadline = time.monotonic() + 10
        while mark not in self.lines:
            if time.monotonic() > deadline:
                raise TimeoutError("the datagrams did not arrive")
            time.sleep(0.01)

    def _receive(self) -> None:
        while data := self._socket.recv(65_536):
            self.lines += data.decode().splitlines()


def _span(span: Any, scope: Any) -> SentSpan:
    return SentSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex() or None,
        kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        status=span.status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        message=span.status.message,
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        attributes=_attributes(span.attributes),
        events=[(event.name, _attributes(event.attributes)) for event in span.events],
        scope=scope.scope.name,
        schema_url=scope.schema_url,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    which = value.WhichOneof("value")
    if which == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, which) if which else None


def _points(metric: Any) -> Iterator[dict[str, Any]]:
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points:
        value = point.sum if hasattr(point, "bucket_counts") or kind == "exponential_histogram" else None
        yield {
            "value": value if value is not None else point.as_int or point.as_double,
            "attributes": _attributes(point.attributes),
        }
