"""The protocols there are."""

from pipelines.errors import BadSetting
from pipelines.measuring.kernels import describe_kernel
from pipelines.measuring.protocol import Protocol, shrink_original, take_as_small

ROUND_TRIP = Protocol(
    key="round-trip",
    name="Test mode: shrink, upscale, compare",
    about="the original is shrunk, upscaled back by one model, and compared with the original",
    make_trial=shrink_original,
)
CHAINED_8X = Protocol(
    key="chained-8x",
    name="Chained 8x",
    about="the original is shrunk by 8, upscaled back by an x4 and then an x2 model, and compared with the original, "
    "beside direct x8 models",
    make_trial=shrink_original,
    fixed_scale=8,
    chain_scales=(4, 2),
    always=("bicubic",),
)
NO_ORIGINAL = Protocol(
    key="no-original",
    name="I only have the small image",
    about="the image is upscaled as it is, and only what needs no original is measured",
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
    meaning = describe_kernel(kernel)
    return f"Shrunk by {kernel} ({meaning})." if meaning else f"Shrunk by {kernel}."
