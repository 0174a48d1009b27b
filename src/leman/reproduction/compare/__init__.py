"""Compare every output of a notebook that was run again with what its author stored."""

from leman.reproduction.compare.judge import compare

__all__ = ["compare"]
