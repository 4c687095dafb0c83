"""`python -m pipelines`: the command line, see pipelines/cli/main.py."""

import signal

if __name__ == "__main__":
    # Until `run` can say it in a message, Ctrl-C ends the program without one.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from pipelines.cli.main import run

    run()
