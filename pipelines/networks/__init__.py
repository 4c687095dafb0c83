"""Neural networks as functions on arrays: read from files, tiled, and run on whatever device there is.

Most of it imports torch, whose threads are told beforehand to sleep while they wait.
"""

from pipelines import environment

environment.let_threads_sleep()
