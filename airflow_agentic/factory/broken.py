"""
How the problems of a broken template reach Airflow's list of import errors, and nothing but them.

An exception raised while a DAG file runs is shown with the frames of Airflow's importer around it. An exception that a
DAG raises when Airflow validates it is shown as its type and text alone, so a template that can't become a DAG becomes
one that says so.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NoReturn

from airflow.sdk import DAG

if TYPE_CHECKING:
    from airflow_agentic.errors import TemplateError


class BrokenDag(DAG):
    """
    Stands for a template in a DAG file of its own: the file gets the error.

    :param error: what is wrong with the template.
    :param path: of the template, so that the DAG's id is unique.
    """

    error: TemplateError

    def __init__(self, error: TemplateError, path: str) -> None:
        super().__init__(f"broken-{sha256(path.encode()).hexdigest()[:20]}", tags=["agentic"], auto_register=False)
        self.error = error

    def validate(self) -> NoReturn:
        """
        Called by Airflow before it takes a DAG.

        :raises TemplateError: always.
        """
        raise self.error


class BrokenDagInLoader(BrokenDag):
    """
    Stands for a template that shares a DAG file with others: the error must not stand under that file.

    An import error that stands under a DAG file marks all of its DAGs as stale: they are no longer scheduled, and
    can't be triggered. What is raised while a DAG is *serialized* is listed under that DAG's own
    ``relative_fileloc``, which the loader makes the template's. The price is two lines of traceback.
    """

    def validate(self) -> None:  # type: ignore[override]
        """Nothing is wrong yet: see the class."""

    def get_serialized_fields(self) -> NoReturn:  # type: ignore[override]
        """
        Called by Airflow when it serializes the DAG.

        :raises SerializationError: always; any other class would be wrapped, with a second traceback.
        """
        from airflow.exceptions import SerializationError

        raise SerializationError(f"this template is broken:\n\n{self.error}") from None
