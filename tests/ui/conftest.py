"""What tests of the page share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import smooth


@pytest.fixture
def client(served: str, tmp_path: Path) -> Iterator[Client]:
    """A client of the page that most tests share."""
    client = Client(served, verbose=False, download_files=tmp_path / "downloads")
    yield client
    client.close()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A picture of 30 by 20 pixels."""
    images.write(Picture(smooth(20, 30)), tmp_path / "small.png")
    return tmp_path / "small.png"
