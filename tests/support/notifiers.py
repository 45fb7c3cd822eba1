"""Notifiers for tests: what they were called with is kept in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.notifier import BaseNotifier

if TYPE_CHECKING:
    from airflow.sdk import Context


class FileNotifier(BaseNotifier):
    """Appends a line of JSON to a file; renders its fields as Airflow's own notifiers do."""

    template_fields = ("text", "footer", "body")

    def __init__(self, *, file: str, text: Any = "", footer: str = "run {{ run_id }}") -> None:
        super().__init__()
        self.file = file
        self.text = text
        self.body = f"<p>{text}</p>"
        self.footer = footer

    def line(self) -> str:
        """What is told."""
        return json.dumps({"text": self.text, "body": self.body, "footer": self.footer})

    def notify(self, context: Context) -> None:
        """Tell it."""
        with Path(self.file).open("a") as file:
            file.write(self.line() + "\n")


class AsyncNotifier(FileNotifier):
    """Has only the form for the triggerer."""

    def notify(self, context: Context) -> None:
        """Not to be called there."""
        raise AssertionError("the blocking form was called")

    async def async_notify(self, context: Context) -> None:
        """Tell it."""
        FileNotifier.notify(self, context)


class FailingNotifier(FileNotifier):
    """Is out of order."""

    def notify(self, context: Context) -> None:
        """Fail."""
        raise ConnectionError("nobody listens")


class LetterNotifier(FileNotifier):
    """Has arguments like Airflow's notifiers that send mail."""

    def __init__(self, *, file: str, subject: str, html_content: str) -> None:
        super().__init__(file=file, text=[subject, html_content])
