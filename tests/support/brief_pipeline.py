"""
The library's agents one after another, in the order of the shipped ``research_brief``, without Airflow.

As a program it prints the result as JSON, so that processes can be compared::

    PYTHONHASHSEED=1 python -m support.brief_pipeline "retries in Airflow" dist:tenacity
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from airflow_agentic.agents.library.analysis import analyse
from airflow_agentic.agents.library.citations import check
from airflow_agentic.agents.library.claims import extract
from airflow_agentic.agents.library.draft import write
from airflow_agentic.agents.library.rank import passages
from airflow_agentic.agents.library.score import score
from airflow_agentic.agents.library.sources import load
from airflow_agentic.agents.library.text import key_themes


def brief(topic: str, *names: str, max_words: int = 500) -> dict[str, Any]:
    """What every stage gave, by its name."""
    loaded = asyncio.run(load(list(names)))
    sources = loaded["sources"]
    themes = key_themes(sources=sources, topic=topic)
    claims = extract(topic, sources)
    checked = check(claims["claims"], sources)
    analysis = analyse(topic, checked["kept"], themes["themes"], sources)
    draft = write(topic, checked["kept"], sources, analysis["sections"], lead=analysis["lead"], max_words=max_words)
    verified = check(draft["citations"], sources)
    figures = score(
        topic, draft["text"], draft["citations"], themes=themes["themes"], check=verified, max_words=max_words
    )
    return {
        "load": loaded,
        "themes": themes,
        "claims": claims,
        "reading": passages(topic, sources, limit=5),
        "check": checked,
        "analysis": analysis,
        "draft": draft,
        "verify": verified,
        "score": figures,
    }


if __name__ == "__main__":
    print(json.dumps(brief(*sys.argv[1:]), ensure_ascii=False))
