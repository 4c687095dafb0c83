"""How steps become words on the page, and which of them are shown."""

import errno

import gradio as gr
import numpy as np
import pytest

from pipelines.errors import BadSetting
from pipelines.runs import Preview, Run, Step
from ui.jobs.running import describe_step, explain_errors, forward_steps


@pytest.mark.parametrize(
    ("step", "elapsed", "said"),
    [
        (Step(0, 16, "LapSRN x4: tiles"), 0.0, "0 of 16 · LapSRN x4: tiles"),
        (Step(4, 16, "LapSRN x4: tiles"), 3.0, "4 of 16 · 9.0 s left · LapSRN x4: tiles"),
        (Step(4, 16, "step 3 of 20, tile 2 of 6"), 3.0, "9.0 s left · step 3 of 20, tile 2 of 6"),
        (Step(15, 16, "stage 2 of 2, ESPCN x2: tiles"), 3.0, "15 of 16 · stage 2 of 2, ESPCN x2: tiles"),
        (Step(500_000, 1_000_000, "unet.safetensors"), 60.0, "0.5 MB of 1.0 MB · 60 s left · unet.safetensors"),
    ],
)
def test_words_of_a_step(step: Step, elapsed: float, said: str) -> None:
    assert describe_step(step, elapsed) == said


@pytest.mark.parametrize(
    ("error", "said", "logged"),
    [
        (BadSetting("There is no such scale."), "There is no such scale.", False),
        (MemoryError(), "There is not enough memory for that. Try a smaller image.", False),
        (OSError(errno.ENOSPC, "full", "/srv/secret"), "The server has no room left. Try again later.", True),
        (KeyError("/srv/secret"), "Something unexpected went wrong. It has been logged.", True),
    ],
)
def test_whatever_ends_a_run_is_one_sentence(
    error: Exception, said: str, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(gr.Error) as told, explain_errors():
        raise error
    assert told.value.message == said and bool(caplog.text) is logged


def test_steps_in_quick_succession_are_left_out_but_previews_are_shown() -> None:
    def quick() -> Run[str]:
        for done in range(50):
            yield Step(done, 50, "quick")
            if done % 10 == 9:
                yield Preview(done, 50, "seen", np.zeros((1, 1, 3), np.uint8))
        return "done"

    shown: list[str] = []
    run = forward_steps(quick(), lambda said, share: said)
    with pytest.raises(StopIteration) as end:
        while True:
            shown.append(next(run))
    assert end.value.value == "done"
    seen = [said.split(" · ") for said in shown if said.endswith("seen")]  # on a busy machine with the time left
    assert [said[0] for said in seen] == [f"{done} of 50" for done in range(9, 50, 10)]
    assert len(shown) < 20
