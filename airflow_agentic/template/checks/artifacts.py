"""Files that a run leaves behind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_agentic.template.checks.schedule import check_uri
from airflow_agentic.template.expressions import is_text

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking


def check_artifacts(checking: Checking) -> None:
    """An artifact's path stays in the artifact store, and its asset is one."""
    template = checking.template
    for index, artifact in enumerate(template.artifacts):
        loc = ("artifact", index) if isinstance(template.spec.artifact, list) else ("artifact",)
        path = artifact.path
        parts = path.replace("\\", "/").split("/")
        absolute = path.startswith(("/", "\\", "~")) or "://" in path or re.match("[A-Za-z]:", path)
        if absolute or ".." in parts or (is_text(path) and parts[-1] in ("", ".")):
            message = f"the path '{path}' leaves the artifact store, or names no file"
            checking.report("AGT440", message, (*loc, "path"), hint="write a relative path, such as briefs/brief.md")
        if artifact.asset is not None:
            check_uri(checking, artifact.asset, (*loc, "asset"))


CHECKS = (check_artifacts,)
