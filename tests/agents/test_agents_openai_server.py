"""The scripted model server as a process of its own, as it runs beside a real Airflow."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support.openai_server import failing, good

TESTS = Path(__file__).parent.parent


def post(url: str, text: str) -> Any:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/chat/completions", data=body), timeout=10) as reply:
        return json.loads(reply.read())["choices"][0]["message"]["content"]


def test_it_answers_by_rules_and_tells_what_it_was_asked(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    rules = [{"match": "weather", "replies": [good("rain"), good("sun")]}]
    script.write_text(json.dumps({"rules": rules, "replies": [good({"a": 1}), failing(500)]}))
    command = [sys.executable, "-m", "support.openai_server", "--script", str(script)]
    process = subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True)
    try:
        url = (process.stdout.readline() if process.stdout else "").strip()
        assert [post(url, "the weather?") for _ in range(3)] == ["rain", "sun", "sun"]
        assert json.loads(post(url, "anything")) == {"a": 1}
        with pytest.raises(urllib.error.HTTPError):
            post(url, "anything")
        with urllib.request.urlopen(f"{url.removesuffix('/v1')}/calls", timeout=10) as reply:
            assert len(json.loads(reply.read())) == 5
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()
