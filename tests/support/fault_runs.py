"""Runs of a template with agents of all types against a :mod:`support.fault_server`, and what has to be true after."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from support.fault_server import KINDS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.fault_server import Fault, Served

    from airflow_agentic.trace.record import AttemptRecord

#: Finds run and stage in a prompt, however values are marked there.
KEYS = r"(faulty-\d+).*?Stage (\w+)\."
#: Calls of a run without any fault, by stage.
CALLS = {"plan": 1, "research": 5, "draft": 1, "check": 3, "score": 1, "publish": 1}
#: Six stages. With 30 % faulty replies, one of the calls of 100 runs uses up its 16 attempts once in 200,000 times.
TEMPLATE = """\
version: 1
inputs: {{name: string}}
defaults:
  timeout: {timeout}
  retry: {{attempts: 16, wait: 50ms, multiplier: 1.5, max_wait: 1s}}
agents:
  planner:
    type: python
    callable: "support.fault_agents:ask"
    output: &data {{key: string, items: [string], score: number}}
  researcher: {{type: http, connection: faulty_api, endpoint: /api, output: *data}}
  writer: {{type: llm, connection: faulty_model, output: {{key: string, claims: [string]}}}}
stages:
  plan: {{agent: planner, input: {{url: "{url}", key: "{{{{ inputs.name }}}}/plan"}}}}
  research:
    agent: researcher
    for_each: plan.items
    items_per_task: {items_per_task}
    input: {{key: "{{{{ inputs.name }}}}/research/{{{{ index }}}}", item: "{{{{ item }}}}"}}
  draft:
    agent: writer
    prompt: |
      Run {{{{ inputs.name }}}}.
      Stage draft. Write from {{{{ research.outputs }}}}.
  check:
    agent: planner
    for_each: draft.claims
    items_per_task: {items_per_task}
    input: {{url: "{url}", key: "{{{{ inputs.name }}}}/check/{{{{ index }}}}"}}
  score:
    agent: researcher
    needs: [check]
    input: {{key: "{{{{ inputs.name }}}}/score"}}
  publish:
    agent: writer
    prompt: |
      Run {{{{ inputs.name }}}}.
      Stage publish. {{{{ score.score }}}}
output: {{key: "{{{{ publish.key }}}}", checked: "{{{{ check.total }}}}"}}
"""


def name_of(number: int) -> str:
    """What a run is told to call itself."""
    return f"faulty-{number:03}"


def key_of(name: str, record: AttemptRecord) -> str:
    """The key of a record's request."""
    index = "" if record.item is None else f"/{record.item['index']}"
    return f"{name}/{record.stage}{index}"


def check(log: Iterable[Served], runs: dict[str, list[AttemptRecord]]) -> Counter[str]:
    """
    See that the server's log and the records of the runs (by name) say the same; what happened, counted.

    :raises AssertionError: they don't.
    """
    served: dict[str, list[Served]] = defaultdict(list)
    for entry in log:
        served[entry.key].append(entry)
    recorded: dict[str, list[AttemptRecord]] = defaultdict(list)
    for name, records in runs.items():
        for record in records:
            recorded[key_of(name, record)].append(record)
    assert sorted(served) == sorted(recorded)
    counts: Counter[str] = Counter()
    for key, replies in served.items():
        counts += _check_key(key, replies, sorted(recorded[key], key=lambda record: record.attempt))
    for name in runs:
        assert Counter(key.split("/")[1] for key in recorded if key.startswith(f"{name}/")) == CALLS
    return counts


def _check_key(key: str, replies: list[Served], records: list[AttemptRecord]) -> Counter[str]:
    """One request: its attempts are counted without a gap, the last one and no other succeeded."""
    assert [record.attempt for record in records] == list(range(1, len(records) + 1)), key
    assert [record.state for record in records] == ["retrying"] * (len(records) - 1) + ["success"], key
    assert [entry.fault is None for entry in replies].count(True) == 1, (key, replies)
    column = ("http", "llm", "python").index(records[0].agent["type"])
    counts: Counter[str] = Counter()
    expected = [entry.fault for entry in replies]
    for record in records:
        if expected and _tells(record, expected[0], column):
            counts[expected.pop(0) or "answered"] += 1
        else:
            assert _did_not_arrive(record), (key, replies, [record.error for record in records])
            counts["refused"] += 1
    assert not expected, (key, replies, [record.error for record in records])
    return counts


def _tells(record: AttemptRecord, fault: Fault | None, column: int) -> bool:
    """Whether an attempt's record is that of a reply."""
    if record.error is None or fault is None:
        return record.error is None and fault is None
    same_status = record.error["details"].get("status") == STATUSES.get(fault)
    return record.error["kind"] == KINDS[fault][column] and same_status


def _did_not_arrive(record: AttemptRecord) -> bool:
    """Whether nobody had listened, so that the server knows nothing of it."""
    error: dict[str, Any] = record.error or {}
    return error.get("kind") == "unavailable" and "status" not in error["details"]
