"""Speeds, memory and scores, measured as the program runs."""

import sys

from pipelines import environment, machine

environment.let_threads_sleep()
if sys.argv[0] == "-m":  # it is being run, and not imported by a test, whose process is not this program's
    machine.keep_heap()
