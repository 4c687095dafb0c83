"""The protocols there are."""

from pipelines.errors import BadSetting
from pipelines.images.resample import SHRINKING_KERNELS
from pipelines.measuring.protocol import Protocol, shrink_original, take_as_small

ROUND_TRIP = Protocol(
    key="round-trip",
    name="Round trip",
    about="the original shrunk, enlarged back by one model, and compared with the original",
    make_trial=shrink_original,
)
CHAINED_8X = Protocol(
    key="chained-8x",
    name="Chained 8x",
    about="the original shrunk by 8, enlarged back by an x4 and then an x2 model, and compared with the original; "
    "direct x8 models beside it",
    make_trial=shrink_original,
    fixed_scale=8,
    chain_scales=(4, 2),
    always=("bicubic",),
)
NO_ORIGINAL = Protocol(
    key="no-original",
    name="No original: mine is the small one",
    about="the picture enlarged as it is; no original is known, and consistency alone is measured",
    make_trial=take_as_small,
    shrinks=False,
)
PROTOCOLS = (
    ROUND_TRIP,
    CHAINED_8X,
    NO_ORIGINAL,
)


def find_protocol(key: str) -> Protocol:
    """The protocol of that key. Raises BadSetting where there is none."""
    for protocol in PROTOCOLS:
        if protocol.key == key:
            return protocol
    raise BadSetting(f"There is no protocol {key!r}; there are {' and '.join(each.key for each in PROTOCOLS)}.")


def describe_conditions(protocol: Protocol | None, kernel: str) -> str:
    """Returns under which conditions scores were made, to stand beside them: without it they do not compare.

    None is a protocol that is not known here, as one that shrinks.
    """
    if protocol is not None and not protocol.shrinks:
        return "Consistency by antialiased bicubic."
    meaning = SHRINKING_KERNELS.get(kernel)
    return f"Shrunk by {kernel} ({meaning})." if meaning else f"Shrunk by {kernel}."
