"""Speeds, memory and scores, measured as the program runs."""

from pipelines import machine

machine.let_threads_sleep()
