"""What is done once before the services start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.redis_server import MISSING, redis_binary, running_redis

from airflow_agentic import storage
from airflow_agentic.deploy import prepare
from airflow_agentic.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

needs_redis = pytest.mark.skipif(redis_binary() is None, reason=MISSING)


def test_a_store_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    prepare.try_store(str(tmp_path / "new" / "trace"), "[agentic] trace_url")
    assert list((tmp_path / "new" / "trace").iterdir()) == []


def test_a_store_that_forgets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "create", storage.overwrite)
    with pytest.raises(ConfigError, match="If-None-Match"):
        prepare.try_store(str(tmp_path), "[agentic] trace_url")


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"\[agentic\] trace_url can't be used"):
        prepare.try_store(str(tmp_path / "file" / "trace"), "[agentic] trace_url")


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ConfigError, match="trace_url"):
        prepare.try_store("nowhere://bucket/trace", "[agentic] trace_url")


def test_all_stores_of_ours_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in prepare.STORES:
        monkeypatch.setenv(f"AIRFLOW__AGENTIC__{name.upper()}", str(tmp_path / name))
    assert all(str(tmp_path / name) in prepare.prepare_stores() for name in prepare.STORES)
    assert {"trace_url", "artifact_url", "version_url"} <= set(prepare.STORES)


def test_a_file_for_limits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__LIMITER_URL", "/srv/limits.db")
    assert "one machine" in prepare.check_limiter()


def test_a_redis_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__LIMITER_URL", "redis://127.0.0.1:9/0")
    with pytest.raises(ConfigError, match="limiter_url can't be used"):
        prepare.check_limiter()


@needs_redis
def test_a_redis_that_forgets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from redis import Redis

    with running_redis(tmp_path) as url, Redis.from_url(url) as client:
        monkeypatch.setenv("AIRFLOW__AGENTIC__LIMITER_URL", url)
        assert "Redis" in prepare.check_limiter()
        client.config_set("maxmemory", "50mb")
        assert "Redis" in prepare.check_limiter()
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(ConfigError, match="noeviction"):
            prepare.check_limiter()


def test_the_first_failure_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> str:
        raise ConfigError("no database")

    monkeypatch.setattr(prepare, "migrate", fail)
    monkeypatch.setattr(prepare, "prepare_xcoms", lambda: pytest.fail("went on"))
    assert prepare.main() == 1
    assert capsys.readouterr().err == "no database\n"


def test_without_the_fab_auth_manager_no_user_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTIC_ADMIN_USER", "admin")
    monkeypatch.setenv("AGENTIC_ADMIN_PASSWORD", "secret")
    assert prepare.create_admin() == "No user was created."
