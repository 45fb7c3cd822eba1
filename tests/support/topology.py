"""
The services of docker-compose.yaml on this machine, without containers.

Each service of the file is started with its own command and environment, read from the file; its health check says
when it is ready. Every one has a folder of its own as home and as working directory, and, where the tests run as root,
a user of its own who alone may enter that folder: services share nothing but what they reach over the network. Two
things are put in the places of images: Debian's PostgreSQL, and moto as the S3-compatible store.

What differs from containers is in :func:`_variables` and :meth:`Topology._here`: addresses and ports on loopback.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from support.compose import FILE, Service, new_variables, services

from airflow_agentic.local.rest import RestClient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT = FILE.parent
_HOST = "127.0.0.1"
#: The user ids of services; nobody's, on any usual machine.
_FIRST_USER = 61_000
#: What is stopped first comes first: tasks are given up before what they write to.
_STOPPED_FIRST = ("airflow-worker", "airflow-", "redis", "s3", "postgres")


class TopologyError(Exception):
    """A service couldn't be started, or ended by itself."""


def missing_programs() -> str | None:
    """What has to be installed first, if anything."""
    wanted = {"postgresql": _postgres_programs() is not None, "redis-server": bool(shutil.which("redis-server"))}
    missing = [package for package, is_there in wanted.items() if not is_there]
    return f"not installed; Debian and Ubuntu: apt-get install {' '.join(missing)}" if missing else None


@dataclass
class Running:
    """
    A service, or one of a service's several instances, as processes of this machine.

    :param user: the user id that it runs as; None for the tests' own.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    health_check: Sequence[str]
    folder: Path
    log: Path
    user: int | None
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it; it is not ready yet."""
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                self._as_user(self.command),
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_healthy(self) -> bool:
        """Ask its health check."""
        kind, *rest = self.health_check
        command = ["sh", "-c", *rest] if kind == "CMD-SHELL" else rest
        asked = subprocess.run(
            self._as_user(command), cwd=self.folder, env=dict(self.environment), capture_output=True, check=False
        )
        return asked.returncode == 0

    def wait_until_healthy(self, timeout: float = 120.0) -> None:
        """
        Wait for its health check.

        :raises TopologyError: it ended, or it takes longer.
        """
        deadline = time.monotonic() + timeout
        while not self.is_healthy():
            self.check()
            if time.monotonic() > deadline:
                raise TopologyError(f"{self.name} isn't healthy after {timeout:.0f} s.\n{self.last_words()}")
            time.sleep(0.5)

    def check(self) -> None:
        """
        See that it is there.

        :raises TopologyError: it has ended.
        """
        if self.process is None or self.process.poll() is not None:
            code = None if self.process is None else self.process.returncode
            raise TopologyError(f"{self.name} has ended with {code}.\n{self.last_words()}")

    def finish(self, timeout: float = 180.0) -> None:
        """
        Run it to its end.

        :raises TopologyError: it failed.
        """
        self.start()
        if self.process is not None and self.process.wait(timeout):
            raise TopologyError(f"{self.name} failed.\n{self.last_words()}")

    def kill(self) -> int:
        """End it and all of its children with ``-9``, at once; how many processes that were."""
        members = self._members()
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        return len(members)

    def connections_to(self, port: int) -> int:
        """How many connections its processes have to a server on this machine."""
        found = 0
        for pid in self._members():
            with suppress(psutil.Error):
                found += sum(
                    bool(connection.raddr) and connection.raddr.port == port and connection.status == "ESTABLISHED"
                    for connection in psutil.Process(pid).net_connections(kind="tcp")
                )
        return found

    def stop(self, grace: float) -> None:
        """Ask it to end, and end what is left after some seconds."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.kill()

    def last_words(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join([f"--- {self.log}", *self.log.read_text(errors="replace").splitlines()[-lines:]])

    def _members(self) -> list[int]:
        """Its processes, the first one first, so that it starts no new ones: tasks have groups of their own."""
        if self.process is None:
            return []
        found = []
        for pid in psutil.pids():
            with suppress(OSError):
                if os.getsid(pid) == self.process.pid:
                    found.append(pid)
        return sorted(found, key=lambda pid: pid != self.process.pid)  # type: ignore[union-attr]

    def _as_user(self, command: Sequence[str]) -> list[str]:
        """As its user; and it ends with the tests, however they end."""
        user = [] if self.user is None else [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        return ["setpriv", "--pdeathsig", "TERM", *user, "--", *command]


class Topology:
    """
    All services, with as many workers as wanted.

    :param folder: everything is below it; others must be able to enter it.
    :param templates: the folder of templates; only the dag processor gets it.
    :param settings: variables of the file, as in ``.env``, over what :func:`_variables` chooses.
    """

    def __init__(self, folder: Path, templates: Path, *, workers: int, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._templates = templates
        self.variables = _variables(settings)
        self.described = services(self.variables)
        self._python = _Python.found(folder)
        self._users = iter(range(_FIRST_USER, _FIRST_USER + 100)) if self._python.for_everybody else None
        (folder / "logs").mkdir()
        self._python.install(folder)
        self.url = f"http://{self.variables['API_ADDRESS']}"
        self.rest = RestClient(self.url, user="admin", password=self.variables["AIRFLOW_ADMIN_PASSWORD"])
        self.running: dict[str, Running] = {}
        self.workers = [f"airflow-worker-{number}" for number in range(1, workers + 1)]

    @property
    def environment(self) -> dict[str, str]:
        """What the workers see, for tests that read the stores."""
        return self.described["airflow-worker"].environment

    @property
    def users(self) -> str:
        """As whom the services run."""
        return "users of their own" if self._users else f"the tests' user: {self._python.why}"

    def start(self) -> None:
        """Start everything, in the order in which the services depend on each other, and wait until it is ready."""
        self._start_postgres()
        for name in ("redis", "s3"):
            self._make(name).start()
        for name in ("redis", "s3"):
            self.running[name].wait_until_healthy()
        self._make("airflow-init").finish()
        central = [name for name in self.described if name.startswith("airflow-") and name != "airflow-init"]
        central.remove("airflow-worker")
        for name in central:
            self._make(name).start()
        for name in central:
            self.running[name].wait_until_healthy()
        for name in self.workers:
            self._make("airflow-worker", name).start()
        for name in self.workers:
            self.running[name].wait_until_healthy()

    def stop(self) -> None:
        """End everything."""
        for prefix in _STOPPED_FIRST:
            for name, running in self.running.items():
                if name.startswith(prefix):
                    running.stop(grace=0.0 if name in self.workers else 10.0)

    def check(self) -> None:
        """
        See that all services are there.

        :raises TopologyError: one of them has ended.
        """
        for name, running in self.running.items():
            if name != "airflow-init":
                running.check()

    def last_words(self) -> str:
        """The ends of all logs."""
        return "\n".join(running.last_words() for running in self.running.values())

    def _make(self, name: str, instance: str | None = None) -> Running:
        """A service of the file, not started yet."""
        service, instance = self.described[name], instance or name
        user = None if self._users is None else next(self._users)
        folder = self._home(instance, user)
        if any(str(volume).endswith("/templates:ro") for volume in service.more.get("volumes", ())):
            shutil.copytree(self._templates, folder / "templates")
        here = self._here(service, instance)
        environment = {**self._machine(folder, instance), **service.environment, **here.environment}
        running = Running(
            name=instance,
            command=here.command or service.command,
            environment=environment,
            health_check=here.health_check or service.health_check,
            folder=folder,
            log=self._folder / "logs" / f"{instance}.log",
            user=user,
        )
        self.running[instance] = running
        return running

    def _here(self, service: Service, instance: str) -> _Here:
        """What is different from a container of its own: where it listens, and what stands in for its image."""
        match service.name:
            case "redis":
                return _Here(environment={"REDIS_PORT": _port_of(self.variables["REDIS_ADDRESS"])})
            case "s3":
                port = _port_of(self.variables["S3_ENDPOINT_URL"])
                return _Here(
                    command=("python", "-m", "moto.server", "-H", _HOST, "-p", port),
                    health_check=(
                        "CMD",
                        "python",
                        "-c",
                        f"import socket; socket.create_connection(('{_HOST}', {port}))",
                    ),
                )
            case "airflow-api-server":
                port = _port_of(self.variables["API_ADDRESS"])
                return _Here(environment={"AIRFLOW__API__HOST": _HOST, "AIRFLOW__API__PORT": port})
            case "airflow-worker":
                return _Here(environment={"AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(_free_port())})
            case "airflow-triggerer":
                return _Here(environment={"AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(_free_port())})
            case _:
                return _Here()

    def _machine(self, folder: Path, instance: str) -> dict[str, str]:
        """What an image and a container set."""
        return {
            "PATH": f"{self._folder / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            **self._python.environment(self._folder),
            "HOME": str(folder),
            "AIRFLOW_HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "HOSTNAME": instance,
            "USER": instance,
            "LANG": "C.UTF-8",
            "NO_PROXY": "*",
        }

    def _home(self, instance: str, user: int | None) -> Path:
        folder = self._folder / instance
        (folder / "tmp").mkdir(parents=True)
        folder.chmod(0o700)
        if user is not None:
            for path in (folder, folder / "tmp"):
                os.chown(path, user, user)
        return folder

    def _start_postgres(self) -> None:
        """Debian's PostgreSQL with what the image makes of the service's environment. It doesn't run as root."""
        service, programs = self.described["postgres"], _postgres_programs()
        if programs is None:
            raise TopologyError(missing_programs())
        user = pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else None
        folder = self._home("postgres", user)
        names = {key: service.environment[f"POSTGRES_{key}"] for key in ("USER", "PASSWORD", "DB")}
        address = dict(zip(("PGHOST", "PGPORT"), self.variables["POSTGRES_ADDRESS"].split(":"), strict=True))
        environment = {**self._machine(folder, "postgres"), **service.environment, **address}
        environment["PATH"] = f"{programs}:{environment['PATH']}"
        environment["PGPASSWORD"] = names["PASSWORD"]
        make = f"""
            umask 077
            printf %s "$POSTGRES_PASSWORD" > password
            initdb --pgdata data --username "$POSTGRES_USER" --pwfile password --auth scram-sha-256 --encoding UTF8 \
                --locale C.UTF-8
            exec postgres -D data -p {address["PGPORT"]} -c listen_addresses={_HOST} -c unix_socket_directories=
        """
        running = Running(
            name="postgres",
            command=("sh", "-ec", make),
            environment=environment,
            health_check=("CMD-SHELL", service.health_check[1].replace("$POSTGRES_DB", "postgres")),
            folder=folder,
            log=self._folder / "logs" / "postgres.log",
            user=user,
        )
        self.running["postgres"] = running
        running.start()
        running.wait_until_healthy()
        create = ["createdb", "--username", names["USER"], names["DB"]]
        subprocess.run(create, env=environment, cwd="/", check=True)
        running.health_check = service.health_check


@dataclass(frozen=True, kw_only=True)
class _Here:
    """What a service has on this machine over what the file says."""

    environment: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ()
    health_check: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class _Python:
    """
    The Python that services run: the tests' own, with the tests' packages, as far as other users may.

    :param why: services can't have users of their own, if they can't.
    """

    interpreter: Path
    for_everybody: bool
    why: str = ""

    @classmethod
    def found(cls, folder: Path) -> _Python:
        own = Path(sys.executable).resolve()
        if os.getuid() != 0:
            return cls(interpreter=own, for_everybody=False, why="who isn't root")
        if not all(_anybody_can("ls", path) for path in (_site_packages(), str(folder))):
            return cls(interpreter=own, for_everybody=False, why="others can't read these folders")
        if _anybody_can(own, "-c", ""):
            return cls(interpreter=own, for_everybody=True)
        return cls(interpreter=_copied(own, folder / "python"), for_everybody=True)

    def install(self, folder: Path) -> None:
        """Put the package and the commands where all services find them, as the image does."""
        shutil.copytree(PROJECT / "airflow_agentic", folder / "site" / "airflow_agentic")
        (folder / "bin").mkdir()
        for name, module in {"python": "", "airflow": "-P -m airflow", "celery": "-P -m celery"}.items():
            script = folder / "bin" / name
            script.write_text(f'#!/bin/sh\nexec {self.interpreter} {module} "$@"\n')
            script.chmod(0o755)

    def environment(self, folder: Path) -> dict[str, str]:
        """What the interpreter needs to find itself and the packages."""
        return {
            "PYTHONPATH": f"{folder / 'site'}:{_site_packages()}",
            "PYTHONNOUSERSITE": "1",
            "PYTHONUNBUFFERED": "1",
            "LD_LIBRARY_PATH": str(self.interpreter.parent.parent / "lib"),
        }


def _copied(interpreter: Path, target: Path) -> Path:
    """A copy of a Python that is in somebody's home, without its packages."""
    library = f"python{sys.version_info.major}.{sys.version_info.minor}"
    left_out = shutil.ignore_patterns("site-packages", "test", "__pycache__")
    shutil.copytree(Path(sys.base_prefix, "lib", library), target / "lib" / library, ignore=left_out)
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        shutil.copy(shared, target / "lib")
    (target / "bin").mkdir()
    return Path(shutil.copy(interpreter, target / "bin"))


def _anybody_can(*command: object) -> bool:
    """May somebody who isn't root do this? (setpriv itself may still do what root may; what it starts may not.)"""
    somebody = ("setpriv", f"--reuid={_FIRST_USER}", f"--regid={_FIRST_USER}", "--clear-groups", "--")
    arguments = [*somebody, "sh", "-c", 'exec "$@"', "sh", *map(str, command)]
    return subprocess.run(arguments, cwd="/", capture_output=True, check=False).returncode == 0


def _variables(settings: Mapping[str, str]) -> dict[str, str]:
    """An ``.env`` for this machine: secrets of its own, and addresses on loopback."""
    ports = {name: f"{_HOST}:{_free_port()}" for name in ("API_ADDRESS", "POSTGRES_ADDRESS", "REDIS_ADDRESS")}
    return {
        **new_variables(),
        **ports,
        "S3_ENDPOINT_URL": f"http://{_HOST}:{_free_port()}",
        "AIRFLOW_URL": f"http://{ports['API_ADDRESS']}",
        **settings,
    }


def _postgres_programs() -> Path | None:
    """The folder of the newest PostgreSQL; Debian keeps ``initdb`` out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    elsewhere = shutil.which("initdb")
    return found[-1].parent if found else Path(elsewhere).parent if elsewhere else None


def _site_packages() -> str:
    return sysconfig.get_paths()["purelib"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _port_of(address: str) -> str:
    return address.rpartition(":")[2]
