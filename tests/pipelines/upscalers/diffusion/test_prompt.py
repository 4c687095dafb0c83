"""Words, as the text encoder reads them."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.catalog.rows import Options
from pipelines.networks.devices import Device
from pipelines.upscalers.diffusion.engine import DiffusionUpscaler
from pipelines.upscalers.diffusion.parts import PromptedParts
from pipelines.upscalers.diffusion.prompt import embed_prompt
from tests.conftest import smooth
from tests.support.denoisers import run_plain
from tests.support.diffusion_parts import loaded


def test_words_beyond_what_is_read_are_told(x4: DiffusionUpscaler) -> None:
    """Fourteen tokens, which are letters here."""
    fits, cut = (run_plain(x4, smooth(8, 8), prompt=prompt) for prompt in ("a " * 14, "a " * 14 + "b c"))
    assert cut.notes[-1] == "the prompt was cut: 14 of its 16 tokens were read"
    assert fits.notes == ()
    np.testing.assert_array_equal(cut.pixels, fits.pixels)


def test_words_beyond_what_is_read_are_told_in_the_note_alone(
    x4_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """transformers would warn of them, once for each tokenizer, on the terminal."""
    library = logging.getLogger("transformers")
    library.addHandler(caplog.handler)
    try:
        run_plain(loaded(x4_folder), smooth(8, 8), prompt="a " * 40)
    finally:
        library.removeHandler(caplog.handler)
    assert caplog.messages == []


def test_words_may_be_read_by_several_threads(x4: DiffusionUpscaler) -> None:
    parts = x4.parts(Device("cpu"))
    assert isinstance(parts, PromptedParts)
    asked = [Options(prompt="a cat " * (1 + number % 5), guidance=9.0) for number in range(400)]
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda options: embed_prompt(parts, options), asked))
    for options, words in zip(asked[:5], read[-5:], strict=True):
        alone = embed_prompt(parts, options)
        torch.testing.assert_close(words.embedding, alone.embedding)
        assert words.notes == alone.notes


@pytest.mark.parametrize("prompt", ["犬 🐕‍🦺", "\x00\x1b[31m", "<|endoftext|> <|startoftext|>", "​", "x " * 1000])
def test_any_words_may_be_asked_for(prompt: str, x4: DiffusionUpscaler) -> None:
    assert np.isfinite(run_plain(x4, smooth(4, 4), prompt=prompt, steps=1).pixels).all()
