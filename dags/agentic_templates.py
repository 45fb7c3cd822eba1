"""
Airflow DAGs from agentic workflow templates: copy this file into a dags folder.

Every template (``*.yaml``, ``*.yml``) beside this file or in a folder below it becomes a DAG. Other YAML files, such
as those that templates include, are left alone. A template with problems is listed among Airflow's import errors,
under its own name, and doesn't keep the others from running.

Where DAG bundles can be configured, ``airflow_agentic.TemplateDagBundle`` is the better choice: with it, a run goes
on with the template that it started with while the template is edited, and every template is parsed by itself.
"""

from __future__ import annotations

from airflow_agentic.factory.loader import dags_beside

globals().update(dags_beside(__file__))
