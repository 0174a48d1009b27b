"""What the author typed when a cell asked, read from the stored outputs and typed again.

Jupyter's pages write a prompt and its answer into the cell's output, so ``input("n? ")`` and a
session of the debugger can be repeated. Nothing is made up: a question without a stored answer
ends the notebook.
"""

from __future__ import annotations

import re
from typing import Any

_ASKS = re.compile(
    r"\binput\s*\(|\bset_trace\(|\bbreakpoint\(|^\s*%(?:debug|pdb|run -d)\b", re.MULTILINE
)
END_OF_FILE = "\x04"  # ipykernel raises EOFError for it


class Answers:
    """The stored answers of one cell, each given once and in order."""

    def __init__(self, cell: Any) -> None:  # noqa: ANN401 - nbformat's node
        self.text = "" if not _ASKS.search(cell.source) else _printed(cell)
        self.unanswered = False

    @property
    def some(self) -> bool:
        """Tell whether there may be any; without one the kernel itself refuses to ask."""
        return bool(self.text)

    def to(self, prompt: str, *, secret: bool) -> str | None:
        """Return what was typed at the next occurrence of `prompt`, None where nothing tells."""
        at = -1 if secret or not prompt.strip() else self.text.find(prompt)
        if at < 0:
            self.unanswered = True
            return None
        answer, _, self.text = self.text[at + len(prompt) :].partition("\n")
        return answer.rstrip("\r")


def _printed(cell: Any) -> str:  # noqa: ANN401 - nbformat's node
    return "".join(
        output.get("text", "")
        for output in cell.get("outputs", [])
        if output.get("output_type") == "stream" and output.get("name") == "stdout"
    )
