"""What the head of an ICC profile says. Knows bytes, not pixels."""


def is_profile_of(icc: bytes, space: bytes) -> bool:
    """Returns whether an ICC profile is whole and describes `space`: b"RGB ", b"GRAY" or b"CMYK" (ICC.1:2022, 7.2)."""
    return len(icc) >= 128 and icc[36:40] == b"acsp" and icc[16:20] == space and int.from_bytes(icc[:4]) <= len(icc)
