"""Architectures, one file each, readable alone: the network, and how it is recognised and built from a file of weights.

Each imports torch, so it is imported where a model is loaded.
"""
