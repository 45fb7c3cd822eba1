"""Each test here has a store of its own, at an address of its own."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_former_store() -> None:
    """File systems are kept by fsspec, with the address and the keys that they were made with."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
