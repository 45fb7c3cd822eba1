"""
A private Airflow on this machine: api-server, scheduler and dag processor on a free port, with a home of its own.

It differs from ``airflow standalone`` in what it leaves alone (the user's Airflow home, port 8080, the log server's
port) and in that it never outlives its owner.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import ConfigError
from airflow_agentic.local.database import database_url, migrate, new_database
from airflow_agentic.local.rest import RestClient, RestError
from airflow_agentic.local.settings import clean_environment, recommended_environment, variable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: What every Airflow needs. Deadlines are told, and deferred tasks waited for, by a ``triggerer``.
CORE = ("api-server", "scheduler", "dag-processor")
#: These would serve logs on a fixed port; the api-server finds them on the disk.
_SERVING_LOGS = ("scheduler", "triggerer")
_HOST = "127.0.0.1"
USER = "admin"


class LocalAirflow:
    """
    One private Airflow.

    :param home: its ``AIRFLOW_HOME``; created when it is missing, used again when it isn't.
    :param folder: the folder that its processes, tasks among them, are started in.
    :param bundles: the value of ``[dag_processor] dag_bundle_config_list``.
    :param environment: variables for its processes, over the settings of :mod:`airflow_agentic.local.settings`.
    :param components: which of Airflow's processes are started.
    :param grace: seconds that its processes have to end before they are killed.
    """

    def __init__(
        self,
        home: Path,
        *,
        folder: Path,
        bundles: str,
        environment: Mapping[str, str] | None = None,
        components: Sequence[str] = CORE,
        grace: float = 5.0,
    ) -> None:
        self.home = home
        self.folder = folder
        self._components = components
        self._grace = grace
        self._keeper: subprocess.Popen[bytes] | None = None
        home.mkdir(parents=True, exist_ok=True)
        self.port = _port(home / "port")
        self.url = f"http://{_HOST}:{self.port}"
        self._secrets = _secrets(home / "secrets.json")
        self._environment = self._make_environment(bundles, environment or {})
        self.rest = RestClient(self.url, user=USER, password=self.password)

    @property
    def password(self) -> str:
        """Of the user ``admin``, who may do everything."""
        return self._secrets["password"]

    def start(self) -> None:
        """
        Start the processes. They are not ready yet: see :meth:`wait_until_ready`.

        :raises ConfigError: the metadata database can't be created or brought to the installed version.
        """
        _prepare_database(self.home)
        self._log_folder.mkdir(exist_ok=True)
        passwords = self.home / "simple_auth_manager_passwords.json.generated"
        _write_private(passwords, {USER: self.password})
        specification = self.home / "processes.json"
        specification.write_text(json.dumps({"grace": self._grace, "processes": self._processes()}))
        self._keeper = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", "airflow_agentic.local.keeper", str(specification)],
            stdin=subprocess.PIPE,
            cwd=self.folder,
            env=self._environment,
            start_new_session=True,
        )

    def wait_until_ready(self, *, timeout: float = 120.0, on_wait: Callable[[], None] = lambda: None) -> None:
        """
        Wait until the api-server answers and the scheduler and dag processor have reported to it.

        :param timeout: seconds.
        :param on_wait: called about five times a second.
        :raises ConfigError: one of the processes ended, or it takes longer than the timeout.
        """
        deadline = time.monotonic() + timeout
        while not self._ready():
            self.check()
            if time.monotonic() > deadline:
                raise ConfigError(f"Airflow isn't ready after {timeout:.0f} s. Its logs are in {self._log_folder}.")
            on_wait()
            time.sleep(0.2)

    def check(self) -> None:
        """
        See that all processes are there.

        :raises ConfigError: one of them has ended.
        """
        if self._keeper is None or self._keeper.poll() is not None:
            raise ConfigError(f"One of Airflow's processes has ended.\n{self.last_words()}")

    def stop(self) -> None:
        """End all processes. May be called twice."""
        if self._keeper is None:
            return
        if self._keeper.stdin is not None:
            with suppress(OSError):
                self._keeper.stdin.close()
        self._keeper.wait()
        self._keeper = None

    def last_words(self, lines: int = 30) -> str:
        """The ends of the processes' logs, for an error message."""
        parts = []
        for log in sorted(self._log_folder.glob("*.log")):
            tail = log.read_text(errors="replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {log}", *tail]))
        return "\n".join(parts)

    @property
    def _log_folder(self) -> Path:
        return self.home / "servers"

    def _processes(self) -> list[dict[str, Any]]:
        return [
            {"command": _command(component), "log": str(self._log_folder / f"{component}.log")}
            for component in self._components
        ]

    def _ready(self) -> bool:
        try:
            health = self.rest.health()
        except RestError:
            return False
        return all(health.get(name, {}).get("status") == "healthy" for name in ("scheduler", "dag_processor"))

    def _make_environment(self, bundles: str, more: Mapping[str, str]) -> dict[str, str]:
        return {
            **clean_environment(os.environ),
            **recommended_environment(),
            "AIRFLOW_HOME": str(self.home),
            variable("database", "sql_alchemy_conn"): database_url(_database(self.home)),
            variable("dag_processor", "dag_bundle_config_list"): bundles,
            variable("dag_processor", "dag_bundle_storage_path"): str(self.home / "bundles"),
            variable("core", "simple_auth_manager_users"): f"{USER}:admin",
            variable("core", "fernet_key"): self._secrets["fernet_key"],
            variable("core", "execution_api_server_url"): f"{self.url}/execution/",
            variable("api", "base_url"): self.url,
            variable("api", "host"): _HOST,
            variable("api", "port"): str(self.port),
            variable("api", "secret_key"): self._secrets["secret_key"],
            variable("api_auth", "jwt_secret"): self._secrets["jwt_secret"],
            "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY", os.environ.get("no_proxy")), _HOST))),
            **more,
        }


def _command(component: str) -> list[str]:
    options = ["--skip-serve-logs"] if component in _SERVING_LOGS else []
    return [sys.executable, "-P", "-m", "airflow", component, *options]


def _database(home: Path) -> Path:
    return home / "airflow.db"


def _prepare_database(home: Path) -> None:
    """Create the home's metadata database, or migrate it when it was left by another version of Airflow."""
    database, mark = _database(home), home / "airflow-version"
    installed = version("apache-airflow-core")
    if not database.exists():
        new_database(database)
    elif not mark.exists() or mark.read_text() != installed:
        migrate(database)
    mark.write_text(installed)


def _secrets(file: Path) -> dict[str, str]:
    """The home's own keys and password, the same ones whenever it is used."""
    if file.exists():
        kept: dict[str, str] = json.loads(file.read_text())
        return kept
    from cryptography.fernet import Fernet

    made = {
        "password": secrets.token_urlsafe(9),
        "fernet_key": Fernet.generate_key().decode(),
        "secret_key": secrets.token_hex(16),
        "jwt_secret": secrets.token_hex(32),
    }
    _write_private(file, made)
    return made


def _write_private(file: Path, data: Any) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(data, stream)


def _port(file: Path) -> int:
    """The port of the last time, so that a page in somebody's browser still works, or another free one."""
    kept = int(file.read_text()) if file.exists() else 0
    for wanted in (kept, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_HOST, wanted))
            port: int = probe.getsockname()[1]
            file.write_text(str(port))
            return port
    raise ConfigError(f"There is no free port on {_HOST}.")
