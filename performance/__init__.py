"""Speeds, memory and scores, measured as the program runs."""

from pipelines import environment

environment.let_threads_sleep()
