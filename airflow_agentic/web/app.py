"""
The app of all pages, which the plugin hands to Airflow's api-server.

There is no route that doesn't ask who is there: that is a dependency of the app itself. Nothing can be changed by it.
"""

from __future__ import annotations

from fastapi import FastAPI

from airflow_agentic.web import assets, pipelines, run_page
from airflow_agentic.web.access import SIGNED_IN
from airflow_agentic.web.errors import add_error_pages
from airflow_agentic.web.headers import SecurityHeaders


def app() -> FastAPI:
    """A new app."""
    made = FastAPI(
        title="Agentic",
        dependencies=[SIGNED_IN],
        # descriptions of the API would be routes that ask nobody
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    made.include_router(run_page.router)
    made.include_router(pipelines.router)
    made.include_router(assets.router)
    add_error_pages(made)
    made.add_middleware(SecurityHeaders)
    return made
