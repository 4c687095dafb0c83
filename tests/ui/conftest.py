"""What tests of the page share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client

from pipelines.images import door as images
from pipelines.images.picture import Picture
from tests.conftest import serving, smooth
from ui.jobs import showing


@pytest.fixture(autouse=True)
def _nothing_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what was learned from results that another one showed."""
    monkeypatch.setattr(showing, "_learned", [])


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


@pytest.fixture(scope="session")
def tiny_diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one's own weights that holds a tiny Stable Diffusion x4."""
    from tests.support.diffusion_parts import saved

    folder = tmp_path_factory.mktemp("prompted")
    saved(folder / "sd-x4")
    (folder / "sd-x4" / "tokenizer" / "special_tokens_map.json").write_text("{}")
    return folder


@pytest.fixture(scope="session")
def painting(tiny_diffusion: Path) -> Iterator[str]:
    """The address of a page that has it."""
    with serving(tiny_diffusion) as address:
        yield address
