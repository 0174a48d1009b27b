"""Leman: a virtual research environment, from any repository of notebooks to a checked result."""

__version__ = "0.1.0"
