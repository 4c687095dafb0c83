"""Opens the page: `python app.py`, on 127.0.0.1 and the port in PORT (7860). What a Space runs."""

import signal
import sys

if __name__ == "__main__":
    # While the page is not open yet, Ctrl-C ends the program without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from ui.command import open_page

    sys.exit(open_page())
