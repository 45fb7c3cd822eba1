"""
Where what only Airflow knows of a run is from: nowhere, its database, or its REST API.

The records alone tell what tasks did. Who has an Airflow at hand asks it as well: inside of its installation its
database, from anywhere else its API, as a user who may see the DAG.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.request import getproxies

from airflow_agentic.errors import ConfigError, TraceError
from airflow_agentic.trace.airflow import RunFacts, UnknownRunError

if TYPE_CHECKING:
    from airflow_agentic.local.rest import RestClient

#: Gives the facts of a run by its DAG's id and its own; null for a run that Airflow doesn't know (any more).
FactsSource = Callable[[str, str], RunFacts | None]

USER = "AIRFLOW_AGENTIC_USER"
PASSWORD = "AIRFLOW_AGENTIC_PASSWORD"  # noqa: S105 - a variable's name
TOKEN = "AIRFLOW_AGENTIC_TOKEN"  # noqa: S105 - a variable's name
_NOT_FOUND = 404
_REFUSED = (401, 403)


def records_only(dag_id: str, run_id: str) -> RunFacts | None:
    """Nobody is asked."""
    return None


def from_database(dag_id: str, run_id: str) -> RunFacts | None:
    """
    As the metadata database of the Airflow in this process has them.

    :raises TraceError: it doesn't answer.
    """
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    from airflow_agentic.trace.airflow_database import facts_from_database

    try:
        with create_session() as session:
            return facts_from_database(session, dag_id, run_id)
    except UnknownRunError:
        return None
    except SQLAlchemyError as error:
        raise TraceError(
            f"Airflow's database doesn't answer ({str(error).splitlines()[0]}). `airflow-agentic` instead of "
            "`airflow agentic` tells what the records tell."
        ) from None


def from_rest(url: str) -> FactsSource:
    """
    As the REST API of an Airflow has them.

    :param url: of its api-server, as people open it in a browser.
    :returns: raises TraceError when that Airflow doesn't answer, or not this user.
    :raises ConfigError: the environment says neither a token nor a user and a password.
    """
    client = _client(url)

    def ask(dag_id: str, run_id: str) -> RunFacts | None:
        from airflow_agentic.local.rest import RestError
        from airflow_agentic.trace.airflow_rest import facts_from_rest

        try:
            try:
                return facts_from_rest(client, dag_id, run_id)
            except RestError as error:
                if error.status != _NOT_FOUND:
                    raise
                client.call("GET", "/version")  # or else there is no Airflow there
                return None
        except RestError as error:
            told = (
                "refuses this user, or the password or token isn't right"
                if error.status in _REFUSED
                else "doesn't answer"
            )
            raise TraceError(f"The Airflow in {url} {told}: {error}") from None

    return ask


def _client(url: str) -> RestClient:
    from airflow_agentic.local.rest import RestClient

    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"An Airflow's URL begins with http:// or https://, unlike {url!r}.")
    user, password, token = (os.environ.get(name) for name in (USER, PASSWORD, TOKEN))
    if not token and not (user and password):
        raise ConfigError(f"To ask the Airflow in {url}, set {TOKEN}, or {USER} and {PASSWORD}.")
    return RestClient(
        url.rstrip("/"), user=user or "", password=password or "", token=token or None, proxies=getproxies()
    )
