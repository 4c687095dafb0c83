"""Tiny diffusion models, saved and loaded once for all tests here: no test changes them for good."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.catalog.schema import Model
from pipelines.networks.devices import Device
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from tests.support.denoisers import one_thread, use
from tests.support.diffusion_parts import MODEL, MODEL_LDM, MODEL_X2, loaded, saved, saved_ldm, saved_x2


@pytest.fixture(autouse=True)
def _processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use(Device("cpu"), monkeypatch)
    with one_thread():
        yield


@pytest.fixture(scope="session")
def x4_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("x4"))


@pytest.fixture(scope="session")
def x2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_x2(tmp_path_factory.mktemp("x2"))


@pytest.fixture(scope="session")
def ldm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_ldm(tmp_path_factory.mktemp("ldm"))


@pytest.fixture(scope="session")
def x4(x4_folder: Path) -> DiffusionUpscaler:
    return _on_cpu(x4_folder, MODEL)


@pytest.fixture(scope="session")
def x2(x2_folder: Path) -> DiffusionUpscaler:
    return _on_cpu(x2_folder, MODEL_X2)


@pytest.fixture(scope="session")
def ldm(ldm_folder: Path) -> DiffusionUpscaler:
    return _on_cpu(ldm_folder, MODEL_LDM)


def _on_cpu(folder: Path, model: Model) -> DiffusionUpscaler:
    with pytest.MonkeyPatch.context() as monkeypatch:  # longer than a test, so without what each test has
        use(Device("cpu"), monkeypatch)
        return loaded(folder, model=model)
