"""The columns of the table of stages: those that no stage has anything for are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_agentic.view.words import count, duration, money

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_agentic.trace.document import StageSummary


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column; :param number: it stands to the right."""

    title: str
    cell: Callable[[StageSummary], str]
    number: bool = True


def columns_of(stages: Sequence[StageSummary]) -> list[Column]:
    """Those beside the stage and its state."""
    return [column for column in _COLUMNS if any(column.cell(stage) for stage in stages)]


def _agent(stage: StageSummary) -> str:
    return stage.agent or f"({stage.kind})"


def _items(stage: StageSummary) -> str:
    if not stage.items:
        return ""
    total, failed, recovered = (stage.items.get(key, 0) for key in ("total", "failed", "recovered"))
    told = f"{count(total - failed)} of {count(total)}" if failed else count(total)
    return f"{told}, {count(recovered)} recovered" if recovered else told


def _seconds(seconds: float) -> str:
    return duration(seconds) if seconds else ""


def _tokens(number: int | None) -> str:
    return "" if number is None else count(number)


_COLUMNS = (
    Column(title="Agent", cell=_agent, number=False),
    Column(title="Model", cell=lambda stage: stage.model or "", number=False),
    Column(title="Tries", cell=lambda stage: count(stage.tries) if stage.tries else ""),
    Column(title="Items", cell=_items),
    Column(title="Queued", cell=lambda stage: _seconds(stage.queued)),
    Column(title="Waited", cell=lambda stage: _seconds(stage.waited)),
    Column(title="Work", cell=lambda stage: _seconds(stage.seconds)),
    Column(title="Tokens in", cell=lambda stage: _tokens(stage.usage.input_tokens)),
    Column(title="Tokens out", cell=lambda stage: _tokens(stage.usage.output_tokens)),
    Column(title="Cost", cell=lambda stage: "" if stage.usage.cost_usd is None else money(stage.usage)),
)
