"""What is believed of a model's speed before it was run here: by the processor, and by how others fared on it."""

import pytest

from pipelines.catalog.rows import Stage
from pipelines.catalog.speeds import FIXED_SECONDS, MEASURED, MEASURED_WITH_AMX, Rate, believe
from pipelines.upscalers import rates

SWIFT, GENERAL = Stage("swift", 2), Stage("real-esrgan-general", 4)


@pytest.fixture(autouse=True)
def _plain_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_learned", {})
    monkeypatch.setattr(rates.machine, "features", frozenset)
    monkeypatch.setattr(rates, "has_nvidia", lambda: False)


def seconds(stage: Stage) -> float:
    rate = rates.find(stage)
    assert rate is not None
    return rate.seconds


# Took, on two cores of an AMD EPYC with AVX512-BF16 and no AMX, at 256 px.
@pytest.mark.parametrize(
    ("key", "scale", "megapixel"),
    [
        *[("swift", 2, 0.7), ("swift", 4, 1.0), ("srcnn", 2, 2.0), ("lapsrn", 4, 4.5), ("real-esrgan-general", 4, 2.7)],
        *[("span", 4, 2.6), ("disp", 4, 2.0), ("haesr", 4, 33.0), ("edsr-base", 2, 10.5), ("espcn", 4, 0.42)],
    ],
)
def test_bfloat16_without_amx_is_told_within_a_factor_of_two(key: str, scale: int, megapixel: float) -> None:
    rate = believe(key, scale, {"avx512_bf16"})
    assert rate is not None and 0.5 < rate.seconds / megapixel < 2


def test_amx_and_neither_are_as_they_were_measured() -> None:
    assert believe("swift", 2, {"amx_bf16", "avx512_bf16"}) == MEASURED_WITH_AMX["swift", 2]
    assert believe("swift", 2, {"avx2"}) == MEASURED["swift", 2]
    assert believe("espcn", 2, {"amx_bf16"}) == MEASURED["espcn", 2]
    assert believe("no such model", 2, {"avx512_bf16"}) is None


def test_what_others_took_here_is_believed_of_the_next() -> None:
    """The one in the middle counts, of the same engine, and a classical kernel tells nothing of a network."""
    assert seconds(GENERAL) == MEASURED["real-esrgan-general", 4].seconds
    for key, times in (("swift", 0.5), ("span", 0.25), ("disp", 7.0)):
        stage = Stage(key, 4)
        rates._known()[stage] = Rate(MEASURED[stage].seconds * times)
    rates._known()[Stage("bicubic", 4)] = Rate(MEASURED["bicubic", 4].seconds * 3)
    assert seconds(GENERAL) == pytest.approx(MEASURED["real-esrgan-general", 4].seconds / 2)
    assert seconds(Stage("swift", 4)) == pytest.approx(MEASURED["swift", 4].seconds / 2), "its own is known"
    assert seconds(Stage("lanczos", 2)) == pytest.approx(MEASURED["lanczos", 2].seconds * 3)


def test_beside_a_gpu_others_tell_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "has_nvidia", lambda: True)
    rates._known()[SWIFT] = Rate(MEASURED[SWIFT].seconds / 5, device="cuda, float16")
    assert seconds(GENERAL) == MEASURED["real-esrgan-general", 4].seconds


def test_a_machine_far_from_all_others_is_not_believed_to_the_end() -> None:
    rates._known()[SWIFT] = Rate(MEASURED[SWIFT].seconds * 1000)
    assert seconds(GENERAL) == pytest.approx(MEASURED["real-esrgan-general", 4].seconds * rates.MOST_PACE)


@pytest.mark.parametrize("key", ["no-such", "owner/gone", "https://nowhere.invalid/x.pth", ""])
def test_what_is_known_no_more_tells_nothing_of_others(key: str) -> None:
    """A model of another version, of a list that changed, or of a host that is not allowed any more."""
    rates._known()[Stage(key, 4)] = Rate(1.0)
    assert seconds(GENERAL) == MEASURED["real-esrgan-general", 4].seconds


def test_where_a_gpu_is_lent_a_plain_processor_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates.machine, "features", lambda: frozenset(["amx_bf16"]))
    assert seconds(GENERAL) == MEASURED_WITH_AMX["real-esrgan-general", 4].seconds
    monkeypatch.setattr(rates.environment, "zero_gpu", lambda: True)
    assert seconds(GENERAL) == MEASURED["real-esrgan-general", 4].seconds


def test_a_little_more_time_tells_a_little_more() -> None:
    """Around what was believed, where a faster machine and a slower one are told apart."""
    believed, told = MEASURED[SWIFT].seconds, list[float]()
    for share in (0.995, 1.0, 1.005):
        rates._known().clear()
        rates.learn(*SWIFT, 200, 200, (FIXED_SECONDS[SWIFT.key] + believed * 0.04) * share)
        told.append(seconds(SWIFT))
    assert told[1] == pytest.approx(believed) and 0.98 * believed < told[0] < told[1] < told[2] < 1.02 * believed
