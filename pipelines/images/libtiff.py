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

    Of a fax a warning counts as well: of rows that are too short or too long libtiff only warns. Odd metadata does not.
    """
    return bool(_thread.broken)


def _note(module: bytes | None, _format: bytes | None, _arguments: int | None) -> None:
    if module is not None and b"Decode" in module:
        _thread.broken = True


def _note_warning(module: bytes | None, _format: bytes | None, _arguments: int | None) -> None:
    if module is not None and module.startswith(b"Fax"):
        _thread.broken = True


_handlers = _Handler(_note), _Handler(_note_warning)  # kept for as long as libtiff may call them
# A Pillow that was built with libtiff inside, as on Windows, does not show the function: there it goes on printing.
with suppress(AttributeError):
    _libtiff = ctypes.CDLL(_imaging.__file__)
    _libtiff.TIFFSetErrorHandler(_handlers[0])
    _libtiff.TIFFSetWarningHandler(_handlers[1])
