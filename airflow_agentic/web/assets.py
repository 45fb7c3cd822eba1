"""Style sheets and scripts of the pages, at addresses that change with their content, so that browsers keep them."""

from __future__ import annotations

import mimetypes
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Response

if TYPE_CHECKING:
    from starlette.requests import Request

router = APIRouter()

_FOR_EVER = "private, max-age=31536000, immutable"


@cache
def _assets() -> dict[str, bytes]:
    from airflow_agentic.view.page import asset

    folder = files("airflow_agentic.view") / "static"
    return {entry.name: asset(entry.name) for entry in folder.iterdir() if entry.is_file()}


@cache
def assets_digest() -> str:
    """Of all assets together; a part of their addresses."""
    digest = sha256()
    for name, content in sorted(_assets().items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def assets_address(request: Request) -> str:
    """The folder of the assets, from the host on."""
    return f"{request.scope.get('root_path', '')}/assets/{assets_digest()}"


@router.get("/assets/{digest}/{name}")
def read_asset(digest: str, name: str) -> Response:
    """One asset; a page of another version of the package gets the one that there is."""
    content = _assets().get(name)
    if content is None:
        raise HTTPException(404)
    headers = {"Cache-Control": _FOR_EVER} if digest == assets_digest() else {}
    return Response(content, media_type=mimetypes.guess_type(name)[0], headers=headers)
