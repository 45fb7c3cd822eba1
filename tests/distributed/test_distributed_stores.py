"""Records, versions and artifacts in an S3-compatible store."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from support.records import attempt

from airflow_agentic import storage
from airflow_agentic.deploy import prepare
from airflow_agentic.errors import ConfigError, TraceError
from airflow_agentic.factory.store import VersionStore, version_of
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def url(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket that isn't there yet."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("NO_PROXY", "*")
    url = f"s3://bucket-{uuid.uuid4().hex}/agentic"
    prepare.try_store(url, "the store")
    return url


def test_a_record_is_written_once(url: str) -> None:
    store, record = TraceStore(url), attempt()
    path = store.write(record)
    assert store.read(path) == record
    with pytest.raises(TraceError, match="exists already"):
        store.write(record)
    assert list(TraceStore(url).records(record.run.dag_id, record.run.run_id)) == [path]


def test_records_of_other_machines_are_seen(url: str) -> None:
    one, other = TraceStore(url), TraceStore(url)
    first = attempt()
    one.write(first)
    assert len(other.records(first.run.dag_id, first.run.run_id)) == 1
    one.write(attempt(number=2))
    assert len(other.records(first.run.dag_id, first.run.run_id)) == 2


def test_large_values_come_back(url: str) -> None:
    record = attempt(output="long " * 50_000)
    assert TraceStore(url).read(TraceStore(url).write(record)) == record


def test_versions(url: str) -> None:
    files = {"a.py": b"1", "folder/b.json": b"{}"}
    store = VersionStore(url, "templates")
    assert store.latest() is None
    store.publish(version_of(files), files)
    assert VersionStore(url, "templates").latest() == version_of(files)
    assert VersionStore(url, "templates").load(version_of(files)) == files
    with pytest.raises(ConfigError, match="is not in"):
        store.load("0" * 40)


def test_an_artifact_takes_the_place_of_a_former_one(url: str) -> None:
    filesystem, root = storage.open_url(url)
    for content in (b"one", b"two"):
        storage.overwrite(filesystem, f"{root}/briefs/a b.md", content)
        assert filesystem.cat_file(f"{root}/briefs/a b.md") == content


def test_a_store_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ConfigError, match="the store can't be used"):
        prepare.try_store("s3://elsewhere/agentic", "the store")
