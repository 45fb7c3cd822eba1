"""
Answers that may be used again, in files on any file system that fsspec knows.

A file per key, written in one step: of two writers the later one wins, and a reader sees one of them whole. What can't
be read is as good as missing: the work is then done once more. The values are kept as they are, secrets included, as
XComs are.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_agentic import config, storage
from airflow_agentic.errors import ConfigError

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Answer:
    """
    An answer that was accepted.

    :param stored: ISO 8601 in UTC.
    :param record: of the attempt that gave it, in the trace store.
    :param model: that gave it, if one did.
    """

    output: Any
    stored: str
    dag_id: str
    run_id: str
    record: str | None
    model: str | None = None


class AnswerStore:
    """
    The answers below one URL. All methods block.

    :raises ConfigError: the URL's file system isn't there.
    """

    def __init__(self) -> None:
        self._url = config.get("cache_url")
        try:
            self._filesystem, self._root = storage.open_url(self._url)
        except (ValueError, ImportError) as error:
            raise ConfigError(f"[agentic] cache_url {self._url!r} can't be used: {error}") from None

    def read(self, key: str, ttl: float) -> Answer | None:
        """
        The answer under a key; None: there is none, or none that is young enough.

        :param ttl: seconds.
        """
        try:
            answer = _answer(json.loads(self._filesystem.cat_file(self._path(key))), key)
        except FileNotFoundError:
            return None
        except Exception as error:  # of any file system; the answer can be had without it
            log.warning("The kept answer %s in %s can't be read: %s", key, self._url, error)
            return None
        age = datetime.now(UTC) - datetime.fromisoformat(answer.stored)
        return answer if timedelta(0) <= age <= timedelta(seconds=ttl) else None

    def write(self, key: str, answer: Answer) -> None:
        """Keep an answer, in the place of any former one."""
        data = {"format": FORMAT, "key": key, **asdict(answer)}
        try:
            text = json.dumps(data, ensure_ascii=True, allow_nan=False)
            storage.overwrite(self._filesystem, self._path(key), text.encode())
        except Exception as error:
            log.warning("The answer %s can't be kept in %s: %s", key, self._url, error)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key[:2]}/{key}.json"


def _answer(data: Any, key: str) -> Answer:
    if not isinstance(data, dict) or (data.pop("format", None), data.pop("key", None)) != (FORMAT, key):
        raise ValueError("it is none of this version's")
    answer = Answer(**data)
    if datetime.fromisoformat(answer.stored).tzinfo is None:
        raise ValueError("its date has no time zone")
    return answer
