"""When runs start by themselves."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_agentic.template.hints import did_you_mean

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking

PRESETS = ("@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+\Z")


def check_schedule(checking: Checking) -> None:
    """The schedule means something."""
    schedule = checking.template.schedule
    if isinstance(schedule, str) and schedule not in PRESETS:
        hint = did_you_mean(schedule, PRESETS) or f"the presets are {', '.join(PRESETS)}"
        checking.report("AGT420", f"there is no schedule '{schedule}'", ("schedule",), hint=hint)
    elif isinstance(schedule, dict) and "cron" in schedule:
        _check_cron(checking, schedule["cron"], schedule["timezone"])
    elif isinstance(schedule, dict):
        for kind in ("assets", "any_asset"):
            for index, uri in enumerate(schedule.get(kind, ())):
                check_uri(checking, uri, ("schedule", kind, index))


def _check_cron(checking: Checking, cron: str, timezone: str) -> None:
    from zoneinfo import ZoneInfo

    from croniter import croniter

    whole = isinstance(checking.template.spec.schedule, str)
    if not croniter.is_valid(cron):
        loc = ("schedule",) if whole else ("schedule", "cron")
        hint = "five fields: minute hour day month weekday, as in '0 6 * * MON'"
        checking.report("AGT420", f"'{cron}' is not a cron string", loc, hint=hint)
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        message = f"there is no time zone '{timezone}'"
        checking.report("AGT421", message, ("schedule", "timezone"), hint="a name such as Europe/Paris")


def check_inputs_have_defaults(checking: Checking) -> None:
    """A run that starts by itself has nobody to ask for inputs."""
    template = checking.template
    if template.schedule is None:
        return
    for name, spec in template.inputs.items():
        if spec.required:
            message = f"a scheduled run has no value for the input '{name}'"
            checking.report("AGT422", message, ("inputs", name), key=True, hint="give it a default")


def check_start_date(checking: Checking) -> None:
    """The start date is one."""
    text = checking.template.spec.start_date
    if text is None:
        return
    try:
        datetime.fromisoformat(text)
    except ValueError:
        hint = "write 2026-01-31, or 2026-01-31T06:00:00+01:00"
        checking.report("AGT423", f"'{text}' is not a date", ("start_date",), hint=hint)


def check_uri(checking: Checking, uri: str, loc: tuple[str | int, ...]) -> None:
    """An asset's URI is a fixed one, as Airflow wants it."""
    if "{{" in uri:
        hint = "Airflow must know it before a run"
        checking.report("AGT424", "an asset's URI can't hold an expression", loc, hint=hint)
    elif not _URI.match(uri) or uri.startswith("airflow:"):
        checking.report("AGT424", f"'{uri}' is not an asset's URI", loc, hint="write scheme://name, not airflow://")


CHECKS = (check_schedule, check_inputs_have_defaults, check_start_date)
