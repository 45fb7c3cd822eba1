"""
BM25 (by the library bm25s) over texts that are already taken apart into stems.

The scores depend on nothing but the arguments: stems are looked up one by one in sorted order, because floats added
up in another order give another sum, and a set's order changes with the hash seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.agents.library._needs import need

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: BM25's b: how much a long text is held back. Sentences differ in length for no bad reason.
_LENGTH_MATTERS = 0.3


def bm25(documents: Sequence[Sequence[str]], query: Mapping[str, float]) -> list[float]:
    """
    How well each document answers the query.

    :param documents: their stems.
    :param query: stem → weight.
    :returns: a score of at least 0 for each document, rounded to 6 decimals.
    """
    known = {stem for document in documents for stem in document}
    wanted = [(stem, weight) for stem, weight in sorted(query.items()) if stem in known]
    if not wanted:
        return [0.0] * len(documents)
    index = need("bm25s", extra="library").BM25(method="lucene", b=_LENGTH_MATTERS)
    # an empty document breaks the library's statistics; a token that no query has is as good as none
    index.index([list(document) or ["\0"] for document in documents], show_progress=False)
    totals = [0.0] * len(documents)
    for stem, weight in wanted:
        for number, score in enumerate(index.get_scores([stem])):
            totals[number] += weight * float(score)
    return [round(total, 6) for total in totals]
