"""When a DAG runs: the plan's ``schedule`` and ``start_date`` as arguments of ``airflow.sdk.DAG``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pendulum


def schedule_arguments(schedule: dict[str, Any] | str | None, start_date: str) -> dict[str, Any]:
    """
    The DAG's ``schedule`` and ``start_date``.

    A preset, a cron string or an interval stays what it is, so that the DAG makes the timetable that the deployment
    asks for (``[scheduler] create_cron_data_intervals``); Airflow takes a cron string's time zone from the start date.

    :param schedule: as in a plan: null, a preset, or a mapping of one kind.
    :raises ValueError: the time zone, the start date or an asset's URI is not one.
    """
    if not isinstance(schedule, dict):
        arguments = {"schedule": schedule, "start_date": _start(start_date, "UTC")}
        # Airflow refuses more than one, and takes its configured default where none is given.
        return {**arguments, "max_active_runs": 1} if schedule == "@continuous" else arguments
    return {"schedule": _schedule(schedule), "start_date": _start(start_date, schedule.get("timezone") or "UTC")}


def _start(start_date: str, zone: str) -> datetime:
    """The start date in the schedule's time zone; one without an offset is meant in that zone."""
    start = datetime.fromisoformat(start_date)
    tz = pendulum.timezone(zone)
    return start.replace(tzinfo=tz) if start.tzinfo is None else start.astimezone(tz)


def _schedule(schedule: dict[str, Any]) -> Any:
    if "cron" in schedule:
        return schedule["cron"]
    if "every" in schedule:
        return timedelta(seconds=schedule["every"])
    from airflow.sdk import Asset, AssetAll, AssetAny

    if "any_asset" in schedule:
        return AssetAny(*(Asset(uri=uri) for uri in schedule["any_asset"]))
    return AssetAll(*(Asset(uri=uri) for uri in schedule["assets"]))
