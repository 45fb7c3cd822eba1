"""
Is a part of Airflow well? For health checks: it imports nothing of Airflow, so that asking often costs little.

Run as ``python -m airflow_agentic.deploy.health PART`` with ``metadatabase`` (for the api-server itself),
``scheduler``, ``dag_processor`` or ``triggerer``. The api-server is asked, at the address in
``AIRFLOW__CORE__EXECUTION_API_SERVER_URL``; it knows the last heartbeat of each part.
Ends with 0 when the part is well.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.parse import urljoin
from urllib.request import ProxyHandler, build_opener

PARTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_ADDRESS = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"
#: Seconds.
_TIMEOUT = 5.0


def main(arguments: list[str]) -> int:
    """Say how the part is; 0 when it is well."""
    if len(arguments) != 1 or arguments[0] not in PARTS:
        print(f"Name one of {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    address = os.environ.get(_ADDRESS)
    if not address:
        print(f"{_ADDRESS} isn't set.", file=sys.stderr)
        return 2
    status = part_status(address, arguments[0])
    print(f"{arguments[0]}: {status}")
    return 0 if status == "healthy" else 1


def part_status(address: str, part: str) -> str:
    """
    What the api-server says of a part, or why it says nothing.

    :param address: of the execution API.
    """
    url = urljoin(address, "/api/v2/monitor/health")
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=_TIMEOUT) as reply:
            told: dict[str, Any] = json.load(reply)
    except (OSError, ValueError) as error:
        return f"no answer from {url}: {error}"
    return str(told.get(part, {}).get("status"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
