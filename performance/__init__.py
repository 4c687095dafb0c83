"""Speeds, memory and scores, measured as the program runs."""

from pipelines import environment, machine

environment.let_threads_sleep()
machine.keep_heap()
