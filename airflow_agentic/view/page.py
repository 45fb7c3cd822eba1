"""
The page of a run: from one page an auditor learns what happened, why, and where each sentence is from.

The same templates give the page that is served (details come on demand, and while the run goes on its sections are
asked for again) and the single file that carries everything. Each is a function of the trace alone.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from airflow_agentic.render.style import page_css
from airflow_agentic.shown import safe_html
from airflow_agentic.view import story, values, words
from airflow_agentic.view.columns import columns_of
from airflow_agentic.view.details import Teller, place_of, title_of
from airflow_agentic.view.path import path_of
from airflow_agentic.view.provenance import told_of
from airflow_agentic.view.timeline import attempt_words, timeline_of

if TYPE_CHECKING:
    from airflow_agentic.trace.document import Trace

STYLES = ("frame.css", "trace.css")
SCRIPTS = ("frame.js", "trace.js")
#: The page's sections, in their order; each is a template.
SECTIONS = ("summary", "timeline", "path", "decisions", "stages", "people", "errors", "artifact", "template")


@dataclass(frozen=True, kw_only=True)
class LiveLinks:
    """
    Where a served page finds more. All are paths relative to the page or absolute paths of the same server.

    :param sections: gives what :func:`trace_sections` does, with an ETag; asked every 2 s while the run goes on.
    :param attempt: with ``{id}``: gives what :func:`attempt_details` does.
    :param value: with ``{id}`` and ``{name}``: gives a whole value (:func:`airflow_agentic.view.values.whole_value`).
    :param assets: the folder of what :func:`asset` gives.
    :param task: with ``{task_id}`` and ``{map_index}``: Airflow's own page of a task instance; ``/mapped/{map_index}``
        is left out where it isn't mapped.
    :param artifact: with ``{id}``: gives an artifact as a file.
    :param now: the time in UTC, for the timeline of a run that goes on; None: it ends with the last thing known.
    :param downloads: label and address of what may be stored.
    """

    sections: str
    attempt: str
    value: str
    assets: str
    task: str | None
    artifact: str | None = None
    now: str | None = None
    downloads: tuple[tuple[str, str], ...] = ()


def trace_page(trace: Trace, *, live: LiveLinks | None = None) -> str:
    """
    The whole page.

    :param live: None: one file that needs nothing else.
    """
    given = _given(trace, live)
    carried: dict[str, Any] = {"styles": (), "scripts": (), "policy": None}
    if live is None:
        style, script = (b"\n".join(asset(name) for name in names).decode() for names in (STYLES, SCRIPTS))
        policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; img-src data:"
        carried = {"styles": (Markup(style),), "scripts": (Markup(script),), "policy": policy}  # noqa: S704 our own
    found = _sections(given)
    sections = Markup("".join(found.values()))  # noqa: S704 of templates that escape
    return _rendered("page", **given, **carried, sections=sections, names=SECTIONS, there=found)


def trace_sections(trace: Trace, *, live: LiveLinks) -> str:
    """What changes while the run goes on: the page's sections, each with a digest of what is in it."""
    return "".join(_sections(_given(trace, live)).values())


def attempt_details(trace: Trace, attempt_id: str, *, live: LiveLinks | None) -> str:
    """
    All of one attempt, for the panel beside the page.

    :raises KeyError: the run has no such attempt.
    """
    told = Teller(trace).details(attempt_id)
    return _rendered("attempt", trace=trace, told=told, link=_Links(live))


@cache
def asset(name: str) -> bytes:
    """
    A file of the page: ``trace.css``, ``trace.js``, ….

    :raises KeyError: there is no such file.
    """
    folder = files("airflow_agentic.view") / "static"
    if name not in {file.name for file in folder.iterdir()}:
        raise KeyError(name)
    data = (folder / name).read_bytes()
    return data + page_css(".picture").encode() if name == "trace.css" else data


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _given(trace: Trace, live: LiveLinks | None) -> dict[str, Any]:
    timeline = timeline_of(trace, live.now if live is not None else None)
    who, how = story.who_began(trace)
    return {
        "trace": trace,
        "link": _Links(live),
        "teller": Teller(trace),
        "timeline": timeline,
        "path": path_of(trace, timeline.rows),
        "artifacts": [told_of(artifact) for artifact in trace.artifacts],
        "columns": columns_of(trace.stages),
        "story": story.story(trace),
        "failures": story.failures(trace),
        "again": story.tried_again(trace),
        "who": who,
        "how": how,
        "rows": {(row.stage.stage, row.stage.rounds): row.key for row in timeline.rows},
    }


def _sections(given: dict[str, Any]) -> dict[str, str]:
    """Those of which there is something to say, by name."""
    found = {}
    for name in SECTIONS:
        text = _rendered(name, **given).strip()
        if text:
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            found[name] = f'<section id="{name}" class="part" data-digest="{digest}">\n{text}\n</section>\n'
    return found


class _Links:
    """Addresses: of other places of the page, or on the server."""

    def __init__(self, live: LiveLinks | None) -> None:
        self.live = live

    def attempt(self, name: str) -> str:
        """The details of an attempt."""
        return f"#{quote(name, errors='replace')}" if self.live is None else _filled(self.live.attempt, id=name)

    def value(self, shown: values.Shown) -> str | None:
        """All of a value; None where the page has it."""
        return None if self.live is None else _filled(self.live.value, id=shown.ref, name=shown.name)

    def task(self, task_id: str, map_index: int) -> str | None:
        """Airflow's page of a task instance."""
        if self.live is None or self.live.task is None:
            return None
        address = self.live.task if map_index >= 0 else self.live.task.replace("/mapped/{map_index}", "")
        return _filled(address, task_id=task_id, map_index=str(map_index))

    def artifact(self, name: str) -> str | None:
        """An artifact as a file."""
        return None if self.live is None or self.live.artifact is None else _filled(self.live.artifact, id=name)

    def asset(self, name: str) -> str:
        """A file of the page."""
        return f"{self.live.assets.rstrip('/')}/{name}" if self.live is not None else name


def _filled(template: str, **given: str) -> str:
    for key, value in given.items():
        template = template.replace(f"{{{key}}}", quote(value, safe="", errors="replace"))
    return template


def _rendered(name: str, **given: Any) -> str:
    return _environment().get_template(f"{name}.html.j2").render(**given)


def _harmless(value: Any) -> Any:
    """What is written: texts of others can't turn round what stands after them."""
    return words.harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("airflow_agentic.view"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # templates and code change together: when the process starts again
        finalize=_harmless,
    )
    environment.filters |= {
        "at": words.at,
        "clock": words.clock,
        "count": words.count,
        "duration": words.duration,
        "money": words.money,
        "dollars": words.dollars,
        "budget": words.budget_words,
        "tokens": words.tokens,
        "state_words": words.state_words,
        "state_colour": words.state_colour,
        "state_sign": words.state_sign,
        "drawn": Markup,
        "safe_html": lambda text: Markup(safe_html(text)),  # noqa: S704 sanitized
        "attempt_words": attempt_words,
        "title_of": title_of,
        "place_of": place_of,
        "percent": lambda number: f"{number:.3f}".rstrip("0").rstrip(".") + "%",
    }
    environment.globals |= {
        "plural": words.plural,
        "shown": values.shown,
        "parts": values.parts,
        "NOTHING": words.NOTHING,
    }
    return environment
