"""How a run ended, as the runner tells it to its parent."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leman.reproduction.model import Reason

if TYPE_CHECKING:
    from leman.reproduction.watch import Breach

_SHORT, _LONG = 4_000, 20_000  # characters kept of an error's message, and of its traceback
_ENDINGS = {
    signal.SIGSEGV: "compiled code used memory that is not its own",
    signal.SIGABRT: "compiled code gave up",
    signal.SIGILL: "compiled code used an instruction that this processor lacks",
    signal.SIGFPE: "compiled code divided by zero",
    signal.SIGBUS: "compiled code used memory that is gone",
    signal.SIGKILL: "killed from outside, most often because the machine ran out of memory",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a run ended before its end; `reason` is empty where the parent is to classify it.

    `source` is the code up to and with the cell, `context` what the cell wrote to stderr; `cell`
    counts from 0.
    """

    reason: str = ""
    name: str = ""
    text: str = ""
    traceback: str = ""
    source: str = ""
    context: str = ""
    cell: int = -1


def no_notebook(name: str, text: str) -> Ending:
    """Say that the file is no notebook."""
    return Ending(Reason.NOT_A_NOTEBOOK.value, name, text[:_SHORT])


def interrupted(cell: int = -1) -> Ending:
    """Say that the parent wanted the end."""
    return Ending(Reason.INTERRUPTED.value, "Interrupted", "the run was stopped", cell=cell)


def breached(breach: Breach, cell: int) -> Ending:
    """Say that a limit was passed."""
    return Ending(breach.reason.value, breach.name, breach.text, cell=cell)


def too_slow(seconds: float, cell: int) -> Ending:
    """Say that the time was over."""
    text = f"the cells took longer than {seconds:g} s together"
    return Ending(Reason.TIMEOUT.value, "Timeout", text, cell=cell)


def raised(reply: dict[str, Any], *, source: str, stderr: str, cell: int) -> Ending:
    """Say what a cell raised, from the content of the kernel's execute_reply."""
    trace = reply.get("traceback", [])
    lines = [line for line in trace if isinstance(line, str)] if isinstance(trace, list) else []
    return Ending(
        name=str(reply.get("ename", ""))[:200],
        text=str(reply.get("evalue", ""))[:_SHORT],
        traceback="\n".join(lines)[-_LONG:],
        source=source[-_LONG:],
        context=stderr[-_SHORT:],
        cell=cell,
    )


def not_started(words: str, *, slow: bool, seconds: float) -> Ending:
    """Say why a kernel never answered: with the error that ends its own words, if there is one."""
    last = words.splitlines()[-1] if words else ""
    name, colon, text = last.partition(": ")
    if slow or not colon or not name.replace(".", "").isidentifier():
        name, text = "KernelNotStarted", last or "the kernel ended at once"
    if slow:
        text = f"the kernel did not answer within {seconds:g} s. {last}"
    return Ending("", name, text[-_SHORT:], words[-_LONG:])


def died(code: int, words: str, cell: int) -> Ending:
    """Say how a kernel ended in the middle of a cell; a negative `code` is a signal's number."""
    text = f"the kernel ended with exit code {code}"
    if code == 0:
        text = "the kernel ended itself, as exit() and quit() make it"
    with contextlib.suppress(ValueError):
        if code < 0:
            number = signal.Signals(-code)
            hint = _ENDINGS.get(number, "")
            text = f"the kernel was ended by {number.name}" + (f" ({hint})" if hint else "")
    return Ending(Reason.KERNEL_DIED.value, "KernelDied", text, words[-_LONG:], cell=cell)
