"""What tests share of what runs on a cluster, and of images at addresses."""

import os
import sys
from collections.abc import Iterator

import fsspec
import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Two cores of this machine as a cluster of Ray, where that is installed: requirements-ray.txt.

    Its processes are as nice as the others: beside what the machine does otherwise they would wait.
    """
    ray = pytest.importorskip("ray")
    pytest.importorskip("pyarrow")
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    paths = os.pathsep.join([str(ROOT), *sys.path])
    own = {"_system_config": {"worker_niceness": 0}, "runtime_env": {"env_vars": {"PYTHONPATH": paths}}}
    ray.init(num_cpus=2, object_store_memory=100_000_000, **quiet, **own)
    yield
    ray.shutdown()


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """What fsspec reads and writes at memory://, empty before and after."""
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]
