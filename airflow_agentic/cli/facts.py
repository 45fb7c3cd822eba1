"""Whom a command that assembles traces asks beside the records, as its arguments say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.trace import facts_source as sources

if TYPE_CHECKING:
    import argparse

    from airflow_agentic.trace.facts_source import FactsSource


def facts_source(arguments: argparse.Namespace) -> FactsSource:
    """
    The Airflow of ``--airflow``; else inside of an Airflow its database; else nobody.

    :raises ConfigError: the Airflow can't be asked as the environment is.
    """
    if arguments.airflow is not None:
        return sources.from_rest(arguments.airflow)
    return sources.from_database if arguments.inside_airflow else sources.records_only
