"""
What an agent is beyond its entry in a plan, so that an answer isn't used again after it has become another agent: the
code of callables, and where connections lead.

Credentials are no part of it: a new key changes no answer.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents import callables
from airflow_agentic.agents.redaction import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FALLBACKS = "fallback_conn_ids"
#: The part of an extra that says how often one may ask, and what it costs.
_LIMITS = "agentic"


def identity(spec: Mapping[str, Any]) -> Any:
    """
    What an entry of ``Plan.agents`` stands for now, as plain data. Blocks: it asks Airflow for connections.

    :raises FinalError: a callable may not be used, or can't be found.
    :raises AirflowNotFoundException: there is no such connection.
    """
    match spec["type"]:
        case "python":
            return _code(spec["callable"])
        case "llm":
            return [_models(spec), [_tool(tool) for tool in spec.get("tools") or ()]]
        case _:
            return _connection(spec["connection"])


def takes_run(spec: Mapping[str, Any]) -> bool:
    """Whether the agent is told which run it works for."""
    return spec["type"] == "python" and callables.takes(callables.load_callable(spec["callable"]), "run")


def _models(spec: Mapping[str, Any]) -> list[Any]:
    """The connections behind a model, those to fall back on included."""
    first = _connection(spec["connection"])
    if spec.get("model"):
        first["extra"].pop("model", None)  # the agent's own goes first
    others = [name.strip() for name in first["extra"].get(_FALLBACKS) or () if name.strip()]
    return [first, *map(_connection, others)]


def _tool(tool: Mapping[str, Any]) -> Any:
    return _code(tool["python"]) if "python" in tool else _connection(tool.get("mcp") or tool["sql"])


def _connection(name: str) -> dict[str, Any]:
    from airflow.sdk.bases.hook import BaseHook

    found = BaseHook.get_connection(name)
    extra = {key: value for key, value in found.extra_dejson.items() if key != _LIMITS}
    return {
        "type": found.conn_type,
        "host": found.host,
        "port": found.port,
        "schema": found.schema,
        "extra": without_secrets(extra),
    }


def _code(name: str) -> dict[str, str]:
    """The digests of the modules that a callable is found in and defined in. Those that they import are no part."""
    function = callables.load_callable(name)
    named = callables.full_name(name).partition(":")[0]
    return {module: _digest(module) for module in sorted({named, _module_of(function)})}


def _module_of(function: Callable[..., Any]) -> str:
    inner = inspect.unwrap(function)
    return str(getattr(inner, "__module__", None) or type(inner).__module__)


def _digest(module: str) -> str:
    """Of the module's source; empty for one that has none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    source = inspect.getsourcefile(sys.modules[module]) if file else None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""
