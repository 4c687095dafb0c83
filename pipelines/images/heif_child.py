"""The program that decodes HEIC, by itself: `heif.py` runs it in a process of its own.

libheif reads what strangers send, and damaged files have made it write where it must not; here that ends this process
alone. Its memory is limited, so that a file can claim what it likes. Input: the file. Output: a line of JSON, and
behind it the bytes of the colour profile, of the XMP packet and of the pixels, as long as the line says.
"""

import json
import sys
from typing import Any

DECODING_BYTES = 24  # of memory for a pixel, at the most: planes, the converted picture, and a copy of it, of 16 bits
BASE_BYTES = 1_500_000_000  # of address space for the interpreter, its libraries and their threads


def limit_memory(pixels: int) -> None:
    """Limits this process to what a picture of so many pixels needs, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    most = BASE_BYTES + DECODING_BYTES * pixels
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def describe(file: Any) -> tuple[dict[str, Any], list[bytes]]:
    """Returns what is to be known of the main picture, and the bytes that follow."""
    image = file[file.primary_index]
    pixels = bytes(image.data)  # first: what is claimed may change when it is decoded
    parts = [image.info.get("icc_profile") or b"", image.info.get("xmp") or b"", pixels]
    told = {
        "size": image.size,
        "mode": image.mode,
        "bits": image.info["bit_depth"],
        "stride": image.stride,
        "number": file.primary_index,
        "pictures": len(file),
        "lengths": [len(part) for part in parts],
    }
    return told, parts


def main() -> None:
    """Decodes what stands on stdin, a picture of as many pixels as the first argument says."""
    limit_memory(int(sys.argv[1]))
    import pi_heif

    # Of what lies beside the picture nothing is used.
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    # As many bits as the file has, from 0 on: what scales 10 bits to 16 leaves white short of it.
    file = pi_heif.open_heif(sys.stdin.buffer.read(), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    told, parts = describe(file)
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")
    for part in parts:
        sys.stdout.buffer.write(part)


if __name__ == "__main__":
    main()
