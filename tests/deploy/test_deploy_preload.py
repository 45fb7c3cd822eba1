"""What a worker imports before it starts tasks."""

from __future__ import annotations

import json
import subprocess
import sys

_SCRIPT = """
import json, sys, threading
from airflow_agentic.deploy import preload
print(json.dumps({
    "missing": preload.preload(),
    "loaded": [name for name in sys.modules if name.startswith("airflow_agentic.")],
    "threads": len(threading.enumerate()),
}))
"""


def test_everything_that_is_installed_is_imported_and_nothing_is_begun() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert {"airflow_agentic.operators.agent", "airflow_agentic.agents.http", "airflow_agentic.trace.store"} <= set(
        told["loaded"]
    )
    # providers of a deployment on several machines aren't among what tests need
    assert all(name.startswith(("airflow.providers.amazon.", "boto3", "s3fs")) for name in told["missing"])
    assert told["threads"] == 1  # a thread that was there before a fork is not there after it
