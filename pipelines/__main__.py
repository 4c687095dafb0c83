"""`python -m pipelines`: the command line, see pipelines/cli/main.py."""

import signal

if __name__ == "__main__":
    # Until `run` can say it in a sentence, Ctrl-C ends the program without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from pipelines.cli.main import run

    run()
