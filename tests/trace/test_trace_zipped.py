"""Archives of which programs show different things."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from support.records import RUN
from support.sealed_runs import sealed_run

from airflow_agentic.trace.bundle_check import verify_bundle
from airflow_agentic.trace.export import export

if TYPE_CHECKING:
    from pathlib import Path


def other_name(name: str, shown: str) -> bytes:
    """The field in which ``unzip`` and others find the name that they show."""
    data = b"\x01" + struct.pack("<I", zlib.crc32(name.encode())) + shown.encode()
    return struct.pack("<HH", 0x5455, 0) + struct.pack("<HH", 0x7075, len(data)) + data


@pytest.mark.parametrize("where", ["both", "directory", "file"])
def test_a_second_name_is_named(tmp_path: Path, where: str) -> None:
    run = sealed_run(tmp_path)
    export(run.store, RUN.dag_id, RUN.run_id, None, tmp_path / "good.zip")
    field = other_name("trace.html", "README.txt")
    with zipfile.ZipFile(tmp_path / "good.zip") as good, zipfile.ZipFile(tmp_path / "odd.zip", "w") as odd:
        for name in good.namelist():
            info = zipfile.ZipInfo(name)
            info.extra = field if name == "trace.html" and where != "directory" else b""
            odd.writestr(info, good.read(name))
            if name == "trace.html":
                info.extra = b"" if where == "file" else field
    found = verify_bundle(tmp_path / "odd.zip")
    assert (found.state, [finding.path for finding in found.findings]) == ("broken", ["trace.html"])
    assert "second name" in found.findings[0].words
