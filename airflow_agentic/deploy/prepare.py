"""
What has to be done once before Airflow's services start: ``python -m airflow_agentic.deploy.prepare``.

Brings the metadata database to the installed version, creates the buckets and the first user when they are missing,
and tries every store as the services will use it, so that a wrong key or a store that overwrites what must not be
overwritten ends the start, not a run at night. It may be run as often as one likes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_agentic import config, storage
from airflow_agentic.errors import AgenticError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Options of ours that name a store of files.
STORES = tuple(name for name in ("trace_url", "artifact_url", "version_url", "cache_url") if name in config.OPTIONS)
_USER, _PASSWORD = "AGENTIC_ADMIN_USER", "AGENTIC_ADMIN_PASSWORD"


def main() -> int:
    """Do all steps, in order; 0 when all succeeded."""
    steps: tuple[Callable[[], str], ...] = (migrate, prepare_xcoms, prepare_stores, check_limiter, create_admin)
    for step in steps:
        try:
            print(step(), flush=True)
        except AgenticError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def migrate() -> str:
    """
    Bring the metadata database to the installed version.

    :raises ConfigError: Airflow couldn't.
    """
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - a constant
        raise ConfigError("The metadata database could not be migrated: see above.")
    return "The metadata database is up to date."


def prepare_xcoms() -> str:
    """
    See that the bucket for large XComs is there.

    :raises ConfigError: it isn't, and can't be created.
    """
    from airflow.sdk.configuration import conf

    url = conf.get("common.io", "xcom_objectstorage_path", fallback="")
    if not url:
        return "XComs are kept in the metadata database."
    _prepare_folder(url, f"[common.io] xcom_objectstorage_path {url!r}")
    return f"Large XComs go to {url}."


def prepare_stores() -> str:
    """
    Create what is missing, and try each store.

    :raises ConfigError: one of them can't be used.
    """
    urls = {config.get(name): f"[agentic] {name}" for name in STORES}
    for url, option in urls.items():
        try_store(url, f"{option} {url!r}")
    return f"These stores can be written and read: {', '.join(urls)}."


def try_store(url: str, name: str) -> None:
    """
    Write, read and delete a file in a store.

    :param name: how to call it in an error.
    :raises ConfigError: that failed, or what is there can be overwritten when it must not be.
    """
    filesystem, root = _prepare_folder(url, name)
    try:
        is_kept = _is_kept(filesystem, root)
    except Exception as error:
        raise ConfigError(f"{name} can't be used: {error}") from None
    if not is_kept:
        raise ConfigError(
            f"{name} can't be used: a file that exists was written again. The store must know conditional writes "
            "(If-None-Match on PutObject), or one record could take another's place."
        )


def check_limiter() -> str:
    """
    See that what is used of rate limits and budgets is kept where all workers reach it, and stays there.

    :raises ConfigError: it doesn't.
    """
    url = config.get("limiter_url")
    if not url.startswith(("redis://", "rediss://")):
        return f"Rate limits and budgets are kept in {url}: right for one machine."
    from redis import Redis, RedisError

    with Redis.from_url(url) as client:
        try:
            client.ping()
        except RedisError as error:
            raise ConfigError(f"[agentic] limiter_url can't be used: {error}") from None
        try:
            limited: Any = client.config_get("maxmemory*")
        except RedisError:  # managed services often don't tell
            limited = {}
    policy = limited.get("maxmemory-policy", "noeviction")
    if limited.get("maxmemory", "0") != "0" and policy != "noeviction":
        raise ConfigError(
            f"The Redis of [agentic] limiter_url forgets when its memory is full (maxmemory-policy {policy}), and with "
            "it what runs have spent. Set maxmemory-policy to noeviction."
        )
    return "Rate limits and budgets are kept in Redis."


def create_admin() -> str:
    """
    Create the first user of Airflow's FAB auth manager, unless it exists; its password stays as it is then.

    :raises ConfigError: the user couldn't be created.
    """
    from airflow.configuration import conf

    user, password = os.environ.get(_USER), os.environ.get(_PASSWORD)
    if "FabAuthManager" not in conf.get("core", "auth_manager") or not (user and password):
        return "No user was created."
    from airflow.cli.cli_parser import get_parser

    # in this process, because a command line can be read by others
    names = ["--username", user, "--firstname", user, "--lastname", "admin", "--email", f"{user}@localhost"]
    arguments = get_parser().parse_args(["users", "create", *names, "--role", "Admin", "--password", password])
    try:
        arguments.func(arguments)
    except SystemExit as error:
        raise ConfigError(f"The user {user} could not be created: {error}") from None
    return f"The user {user} may do everything."


def _is_kept(filesystem: Any, root: str) -> bool:
    """Whether a file that is written, and then created once more, is what was written first."""
    path, data = f"{root}/.tried-{uuid.uuid4().hex}", b"tried"
    storage.create(filesystem, path, data)
    with suppress(FileExistsError):
        storage.create(filesystem, path, b"again")
    try:
        return bool(filesystem.cat_file(path) == data)
    finally:
        filesystem.rm_file(path)


def _prepare_folder(url: str, name: str) -> tuple[Any, str]:
    """The file system and root of a URL, whose bucket or folder exists afterwards."""
    try:
        filesystem, root = storage.open_url(url)
        bucket = root if storage.is_local(filesystem) else root.split("/")[0]
        if not filesystem.exists(bucket):
            filesystem.makedirs(bucket, exist_ok=True)
    except Exception as error:  # what a store's client raises is its own
        raise ConfigError(f"{name} can't be used: {error}") from None
    return filesystem, root


if __name__ == "__main__":
    sys.exit(main())
