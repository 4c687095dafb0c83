"""What Pillow's libtiff has to say of a broken file.

By itself it prints errors to stderr, and reads on after some of them, so that Pillow shows noise where a fax code was
damaged. Its one error handler is process-wide; this one only notes, for the thread that it is called in.
"""

import ctypes
import threading
from contextlib import suppress

from PIL import _imaging

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_thread = threading.local()


def forget_errors() -> None:
    """Forgets the errors that were met in this thread."""
    _thread.broken = False


def met_broken_pixels() -> bool:
    """Returns whether a decoder of libtiff reported an error in this thread since `forget_errors`.

    Odd metadata does not count, nor do warnings, which Pillow turns off.
    """
    return bool(_thread.broken)


def _note(module: bytes | None, _format: bytes | None, _arguments: int | None) -> None:
    if module is not None and b"Decode" in module:
        _thread.broken = True


_handler = _Handler(_note)  # kept for as long as libtiff may call it
# A Pillow that was built with libtiff inside, as on Windows, does not show the function: there it goes on printing.
with suppress(AttributeError):
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(_handler)
