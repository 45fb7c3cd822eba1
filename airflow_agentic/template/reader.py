"""From plain data to models: every wrong key, type and value, with its place and in the language's own words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from airflow_agentic.template import models
from airflow_agentic.template.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_agentic.template.problems import Problem
    from airflow_agentic.template.source import Loc, Source

M = TypeVar("M", bound=models.Model)

_HINTS = {
    "route": "write routes: (a list of them)",
    "branch": "write routes: [{when: …, to: stage}, {to: next}]",
    "switch": "write routes: [{when: …, to: stage}, {to: next}]",
    "goto": "write routes: [{to: stage}]",
    "next": "write routes: [{to: stage}]",
    "then": "write routes: [{to: stage}]",
    "loop": "a loop is a route back: routes: [{when: …, back_to: stage, max_rounds: 3}]",
    "while": "a loop is a route back: routes: [{when: …, back_to: stage, max_rounds: 3}]",
    "until": "a loop is a route back: routes: [{when: …, back_to: stage, max_rounds: 3}]",
    "repeat": "a loop is a route back: routes: [{when: …, back_to: stage, max_rounds: 3}]",
    "max_iterations": "write max_rounds: at the route with back_to",
    "map": "write for_each: with a list; texts then read item and index",
    "expand": "write for_each: with a list; texts then read item and index",
    "foreach": "write for_each: with a list; texts then read item and index",
    "concurrency": "write max_parallel: (items at work at once)",
    "on_failure": "write on_error: {agent: …}, {value: …} or {to: stage}; whom to tell stands in notify:",
    "fallback": "write on_error: {agent: …}, {value: …} or {to: stage}",
    "catch": "write on_error: {agent: …}, {value: …} or {to: stage}",
    "approval": "write human: {ask: …, timeout: 1d, on_timeout: fail}",
    "choices": "write options:",
    "subject": "write ask:",
    "subdag": "write pipeline: with a template's name, or stages in place",
    "template": "write pipeline: with a template's name, or stages in place",
    "retries": "write retry: {attempts: 4}; attempts counts the first try too",
    "depends_on": "write needs: [stage], or just read the stage in an expression",
    "depends": "write needs: [stage], or just read the stage in an expression",
    "if": "write when: expression",
    "condition": "write when: expression",
    "parallel": "stages that don't depend on each other run in parallel by themselves; for a list: for_each",
    "params": "write inputs:",
    "parameters": "write inputs:",
    "variables": "write inputs:",
    "steps": "write stages:",
    "tasks": "write stages:",
    "dag_id": "write name:",
    "id": "the key in front of the mapping is the name",
    "cron": "write schedule: '0 6 * * MON'",
    "outputs": "write output:",
    "artifacts": "write artifact: (one mapping, or a list of them)",
    "system": "write instructions:",
    "system_prompt": "write instructions:",
    "temperature": "write settings: {temperature: 0}",
    "max_tokens": "write settings: {max_tokens: 1200}",
    "url": "the base URL belongs to the Airflow connection; write endpoint: for the path",
    "conn_id": "write connection:",
    "retry_delay": "write retry: {wait: 2s}",
    "execution_timeout": "write timeout: (for one attempt)",
    "provide_context": "a callable that has a parameter `run` gets the run",
    "budget": "a run has one: write it at the top level",
    "max_cost": "write budget: {cost_usd: 5}, at the top level",
    "window": "only an agent of type llm has one",
    "context_window": "write window: {max_tokens: 32000}",
    "cache": "write it at a stage, or below defaults: for all of them",
    "cached": "write cache: {ttl: 7d}",
    "memoize": "write cache: {ttl: 7d}",
    "ttl": "write cache: {ttl: 7d}",
}
#: Of keys that mean something else elsewhere.
_HINTS_OF: dict[type[models.Model], dict[str, str]] = {
    models.Budget: {
        "max_calls": "write calls:",
        "requests": "write calls:",
        "max_tokens": "write tokens:",
        "cost": "write cost_usd:",
        "usd": "write cost_usd:",
        "max_cost": "write cost_usd:",
    },
    models.Window: {
        "tokens": "write max_tokens:",
        "strategy": "write overflow:",
        "truncate": "write overflow: truncate",
    },
    models.Cache: {"expires": "write ttl:", "for": "write ttl:", "max_age": "write ttl:"},
}
#: How keys are written of which one may think that they hold a single value.
_FORMS_OF_KEYS = {
    "budget": "write budget: {calls: 40}; it bounds calls, tokens and cost_usd",
    "window": "write window: {max_tokens: 32000}",
    "cache": "write cache: {ttl: 7d}",
    "retry": "write retry: {attempts: 4}",
}
_TYPES = {
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}
_BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_NO_MAPPING = ("dict_type", "model_type", "model_attributes_type")

_FORMS = {
    "name": "holds letters, digits, '_', '-' and '.' only: it is the DAG's id",
    "callable": "must be module:function, as in my_project.agents:summarize",
    "notifier": "must be the dotted path of a class, as in my_project.notify.Pager",
}


class Reader:
    """
    Reads one file's data into models and keeps what is wrong.

    :param source: where positions are looked up.
    """

    def __init__(self, source: Source, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems

    def error(self, code: str, message: str, loc: Loc, hint: str | None = None, **more: Any) -> None:
        """Keep a problem; ``more`` as in :meth:`Source.problem`."""
        self.problems.append(self.source.problem(code, message, loc, hint=hint, **more))

    def model(self, kind: type[M], data: Any, loc: Loc, **instead: Any) -> M | None:
        """
        Data as a model. Its problems are kept, and the model is made of the rest, so that one wrong key neither
        hides what is wrong with the others nor makes something else look wrong; None when that can't be.

        :param instead: values for keys that are wrong or missing.
        """
        if not isinstance(data, dict):
            self.error("AGT204", f"{quoted(loc)} must be a mapping", loc)
            return None
        try:
            return kind.model_validate(data)
        except ValidationError as failure:
            errors = failure.errors(include_url=False)
            for error in errors:
                self._invalid(kind, dict(error), loc)
        rest = data
        for error in errors:
            rest = _without(rest, error["loc"][:-1] if error["type"] == "missing" else error["loc"])
        try:
            return kind.model_validate({**instead, **rest})
        except ValidationError:
            return None

    def refuse_empty(self, data: dict[str, Any], instead: Mapping[str, Any], loc: Loc) -> dict[str, Any]:
        """Report keys with nothing behind them, which somebody forgot, and go on with a value for them."""
        empty = [key for key in instead if key in data and data[key] in (None, {}, "")]
        for key in empty:
            self.error("AGT208", f"'{key}' is empty", (*loc, key), _FORMS_OF_KEYS.get(key), key=data[key] is None)
        return {**data, **{key: instead[key] for key in empty}} if empty else data

    def mapping(self, data: Any, loc: Loc) -> dict[str, Any]:
        """Data if it is a mapping; otherwise a problem, and nothing."""
        if isinstance(data, dict):
            return data
        if data is not None:
            self.error("AGT204", f"{quoted(loc)} must be a mapping", loc)
        return {}

    def one_kind(self, data: dict[str, Any], kinds: Iterable[str], code: str, message: str, loc: Loc) -> str | None:
        """The one key of several that says what a mapping is; otherwise a problem, and None."""
        found = [key for key in kinds if key in data]
        if len(found) == 1:
            return found[0]
        hints = (_HINTS.get(key) or did_you_mean(key, kinds) for key in data if key not in kinds)
        self.error(code, message, loc, None if found else next(filter(None, hints), None))
        return None

    def unknown_key(self, key: str, known: Iterable[str], loc: Loc, hint: str | None = None) -> None:
        """Report a key that doesn't exist there."""
        hint = hint or _HINTS.get(key) or did_you_mean(key, known)
        self.error("AGT202", f"there is no key '{key}' here", (*loc, key), hint, key=True)

    def _invalid(self, kind: type[models.Model], error: dict[str, Any], loc: Loc) -> None:
        place = (*loc, *error["loc"])
        code, last = error["type"], str(error["loc"][-1]) if error["loc"] else ""
        if code == "extra_forbidden":
            model = _model_at(kind, error["loc"][:-1])
            hint = _HINTS_OF.get(model, {}).get(last) if model is not None else None
            self.unknown_key(last, _keys_of(model), place[:-1], hint)
        elif code == "missing":
            self.error("AGT203", f"the key '{last}' is missing{inside(place[:-1])}", place[:-1])
        elif code == "string_too_short" or error.get("ctx", {}).get("pattern") == models.NOT_EMPTY:
            self.error("AGT208", f"{quoted(place)} is empty", place)
        else:
            self.error("AGT204", f"{quoted(place)} {_words(error)}", place, _hint(error, last))


def _without(data: Any, path: tuple[str | int, ...]) -> Any:
    """A mapping without what stands at a path; what isn't a mapping on the way goes as a whole."""
    if not path or not isinstance(data, dict) or path[0] not in data:
        return data
    key, rest = path[0], path[1:]
    others = {name: part for name, part in data.items() if name != key}
    inner = _without(data[key], rest) if rest and isinstance(data[key], dict) else data[key]
    return others if inner is data[key] else {**others, key: inner}


def _model_at(kind: type[models.Model], path: tuple[str | int, ...]) -> type[models.Model] | None:
    """The model that stands at a path inside another one."""
    for part in path:
        field = kind.model_fields.get(str(part))
        inner = re.findall(r"models\.(\w+)", str(field.annotation)) if field is not None else []
        if not inner:
            return None
        kind = getattr(models, inner[0])
    return kind


def _keys_of(kind: type[models.Model] | None) -> list[str]:
    return [] if kind is None else [field.alias or name for name, field in kind.model_fields.items()]


def _hint(error: dict[str, Any], key: str) -> str | None:
    """What to write instead of a wrong value: the word that was meant, or the form of the key."""
    if error["type"] == "literal_error":
        return did_you_mean(str(error["input"]), re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    return _FORMS_OF_KEYS.get(key) if error["type"] in _NO_MAPPING else None


def _words(error: dict[str, Any]) -> str:
    code, context = error["type"], error.get("ctx", {})
    if code in _TYPES:
        return _TYPES[code]
    if code == "value_error":
        return f"is wrong: {context['error']}"
    if code == "literal_error":
        return f"must be {context['expected']}"
    if code == "string_pattern_mismatch":
        return _FORMS.get(str(error["loc"][-1]), f"must match {context['pattern']}")
    if code in _BOUNDS:
        return f"must be {_BOUNDS[code]} {next(iter(context.values())):,}"
    if code in ("too_short", "missing_argument"):
        return "must not be empty"
    return "is wrong: " + str(error["msg"])[:1].lower() + str(error["msg"])[1:]


def quoted(loc: Loc) -> str:
    return f"'{loc[-1]}'" if loc and isinstance(loc[-1], str) else "this item" if loc else "a template"


def inside(loc: Loc) -> str:
    return f" in '{loc[-1]}'" if loc and isinstance(loc[-1], str) else ""
