"""Read a notebook of any version, send its cells to a kernel, and collect what comes back.

Builds on nbclient; what differs is said at each override.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from queue import Empty
from typing import TYPE_CHECKING, Any

import nbformat
import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from nbclient.client import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from zmq.utils.monitor import parse_monitor_message

from leman.reproduction.answers import END_OF_FILE, Answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from leman.reproduction.kernel import Kernel

SKIP_TAGS = frozenset({"nbval-skip", "leman:skip"})
_RAISES = "raises-exception"
_RETRY = 400  # milliseconds in which ZeroMQ has tried to connect again, if it ever does
_OUTPUTS = 30  # seconds to wait for a cell's last outputs; nbclient's 4 lose some on busy machines
_SILENCE = 0.05  # seconds without an output before a question is answered
_NO_INPUT = "StdinNotImplementedError"
_IMPORTS = frozenset({"ImportError", "ModuleNotFoundError"})


class CellError(Exception):
    """A cell raised, and was not expected to; `reply` is the kernel's execute_reply content."""

    def __init__(self, cell: int, reply: dict[str, Any]) -> None:
        super().__init__(str(reply.get("ename", "")))
        self.cell = cell
        self.reply = reply


@dataclass(slots=True)
class Spent:
    """Bytes of output so far: of the whole notebook, and of the cell that runs."""

    total: int = 0
    cell: int = 0


class Client(NotebookClient):
    """nbclient with a bound on output, tolerance for odd messages, and expected errors."""

    channel: Channel

    def __init__(self, notebook: Any, limit: int) -> None:  # noqa: ANN401 - nbformat's node
        super().__init__(notebook, record_timing=False, timeout=None, iopub_timeout=_OUTPUTS)
        self.limit = limit
        self.full = asyncio.Event()
        self.spent = Spent()
        self.at = -1
        self.answers = {index: Answers(cell) for index, cell in enumerate(notebook.cells)}
        self.heard = 0
        self.expected = {index: _error_names(cell) for index, cell in enumerate(notebook.cells)}
        self.planned = [index for index, cell in enumerate(notebook.cells) if _has_code(cell)]
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = []
                cell.execution_count = None

    async def run(self, progress: Callable[[int, int], None]) -> None:
        """Run all cells in their order, telling how many of how many are done.

        Raises CellError at the first one that should not raise.
        """
        progress(0, len(self.planned))
        asked = asyncio.ensure_future(self._answer())
        try:
            await self._all(progress)
        finally:
            asked.cancel()

    async def _all(self, progress: Callable[[int, int], None]) -> None:
        for number, index in enumerate(self.planned, start=1):
            cell = self.nb.cells[index]
            self.at = index
            self.spent.cell = 0
            self.channel.allow_stdin = self.answers[index].some
            await self.async_execute_cell(cell, index)
            progress(number, len(self.planned))

    async def _answer(self) -> None:
        """Type what the author typed, and show it as Jupyter's pages do."""
        while True:
            message = await self.channel.stdin_channel.get_msg(timeout=None)
            question = message["content"]
            prompt, secret = str(question.get("prompt", "")), bool(question.get("password"))
            answer = self.answers[self.at].to(prompt, secret=secret)
            heard = -1
            while heard != self.heard:  # what was printed before the question comes first
                heard = self.heard
                await asyncio.sleep(_SILENCE)
            if answer is not None:
                text = f"{prompt}{answer}\n"
                shown = nbformat.v4.new_output("stream", name="stdout", text=text)  # type: ignore[no-untyped-call]
                self.nb.cells[self.at].outputs.append(shown)
            self.channel.input(END_OF_FILE if answer is None else answer)

    def finish(self) -> None:
        """Merge streams, store widgets' states where they can be read.

        Only now: an update of a display names an output by its place among a cell's outputs.
        """
        for cell in self.nb.cells:
            if cell.cell_type == "code":
                cell.outputs = merged(cell.outputs)
        try:
            self.set_widgets_metadata()
        except (KeyError, TypeError, AttributeError, ValueError):
            self.nb.metadata.pop("widgets", None)

    def code(self) -> str:
        """Return the code of all cells so far, the one that runs last."""
        return "\n".join(self.nb.cells[one].source for one in self.planned if one <= self.at)

    def stderr(self, index: int) -> str:
        """Return what a cell has written to its standard error."""
        return "".join(
            output.get("text", "")
            for output in self.nb.cells[index].outputs
            if output.get("output_type") == "stream" and output.get("name") == "stderr"
        )

    async def cut_off(self) -> None:
        """Set `full` when a message was so large that the connection was closed over it.

        ZeroMQ then never connects anew, as it does at once after a connection that broke.
        """
        retries = zmq.EVENT_CONNECT_RETRIED | zmq.EVENT_CONNECT_DELAYED | zmq.EVENT_CONNECTED
        socket = self.channel.iopub_channel.socket
        monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | retries)
        while True:
            event = parse_monitor_message(await monitor.recv_multipart())["event"]
            if event == zmq.EVENT_DISCONNECTED:
                retried = await monitor.poll(_RETRY)
                if not retried and self.channel.kernel.alive():
                    self.full.set()

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:  # noqa: ANN401 - as overridden
        """Count and bound; a message that nbclient cannot read is dropped, not fatal.

        Kernels of other ages send comm messages without fields that nbclient reads.
        """
        self.heard += 1
        if msg.get("msg_type") == "clear_output":
            self.spent.total -= self.spent.cell
            self.spent.cell = 0
        elif msg.get("msg_type") in {"stream", "display_data", "execute_result", "error"}:
            size = _size(msg["content"])
            if self.spent.total + size > self.limit:
                self.full.set()
                return None
            self.spent.total += size
            self.spent.cell += size
        try:
            return super().process_message(msg, cell, cell_index)
        except CellExecutionComplete:
            raise
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            self.log.debug("a message was dropped: %r", error)
            return None

    async def _check_raise_for_error(
        self,
        cell: Any,  # noqa: ANN401 - as overridden
        cell_index: int,
        exec_reply: dict[str, Any] | None,
    ) -> None:
        """Let a cell raise whose stored output is an error or whose tag says so.

        An import that fails is ours to repair, unless the author's failed as well.
        """
        content = exec_reply["content"] if exec_reply else {}
        if self.answers[cell_index].unanswered:
            text = "it asks for input that its stored outputs do not hold"
            raise CellError(cell_index, {**content, "ename": _NO_INPUT, "evalue": text})
        if content.get("status") != "error" or _RAISES in tags(cell):
            return
        stored = self.expected[cell_index]
        name = content.get("ename", "")
        if stored and (name not in _IMPORTS or stored & _IMPORTS):
            return
        raise CellError(cell_index, content)


class Channel(AsyncKernelClient):
    """jupyter_client's client; the kernel lives as long as its process does, heartbeat or not."""

    kernel: Kernel

    async def is_alive(self) -> bool:
        """Tell whether the kernel's process runs."""
        return self.kernel.alive()


def connect(kernel: Kernel, limit: int) -> Channel:
    """Return a client of a kernel that listens; messages over twice `limit` bytes are refused."""
    channel = Channel()
    channel.kernel = kernel
    info: Any = kernel.connection  # as the connection file has it
    channel.load_connection_info(info)
    # Unlimited queues: a burst of small outputs must not lose one. The watch bounds their memory.
    channel.context.setsockopt(zmq.RCVHWM, 0)
    channel.context.setsockopt(zmq.MAXMSGSIZE, 2 * limit + 2**20)
    channel.start_channels(stdin=True, hb=False)
    channel.allow_stdin = False
    return channel


async def ready(channel: Channel, seconds: float) -> dict[str, Any] | None:
    """Wait until requests are answered and outputs arrive; return kernel_info, None if never."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and channel.kernel.alive():
        asked = channel.kernel_info()
        try:
            reply = await channel.shell_channel.get_msg(timeout=1)
            while reply["parent_header"].get("msg_id") != asked:
                reply = await channel.shell_channel.get_msg(timeout=1)
            await channel.iopub_channel.get_msg(timeout=0.2)
        except Empty:
            continue
        found: dict[str, Any] = reply["content"]
        return found
    return None


def read(text: str) -> Any:  # noqa: ANN401 - nbformat's node
    """Parse a notebook of any version, also an invalid one, as version 4.

    Raises ValueError where it is no notebook at all.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or not ({"cells", "worksheets"} & content.keys()):
        raise ValueError("it is JSON, but has neither cells nor worksheets")
    if "worksheets" in content or content.get("nbformat", 4) < 4:
        content.setdefault("metadata", {})
        content.setdefault("nbformat", 3)
        content.setdefault("nbformat_minor", 0)
        for sheet in _list(content.get("worksheets")):
            for cell in _list(_dict(sheet).get("cells")):
                if isinstance(cell, dict) and "outputs" in cell:
                    cell["outputs"] = _kept(cell)
        try:
            old = nbformat.reader.reads(json.dumps(content))  # type: ignore[no-untyped-call]
            return nbformat.convert(old, 4)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise ValueError(f"its old format cannot be read: {error!r}") from error
    return nbformat.v4.to_notebook(_repaired(content))  # type: ignore[no-untyped-call]


def write(notebook: Any) -> bytes:  # noqa: ANN401 - nbformat's node
    """Return a notebook as the bytes of an .ipynb file."""
    text: str = nbformat.v4.writes(notebook)  # type: ignore[no-untyped-call]
    return text.encode("utf-8", "replace") + b"\n"


def tags(cell: Any) -> set[str]:  # noqa: ANN401 - nbformat's node
    """Return a cell's tags, whatever a broken notebook holds in their place."""
    found = cell.get("metadata", {}).get("tags", [])
    return {tag for tag in found if isinstance(tag, str)} if isinstance(found, list) else set()


def merged(outputs: list[Any]) -> list[Any]:
    """Join neighbouring streams of one name, overwritten text gone, as Jupyter's pages store it."""
    out: list[Any] = []
    parts: list[str] = []
    for output in outputs:
        same = output.output_type == "stream" and out and out[-1].output_type == "stream"
        if same and out[-1].name == output.name:
            parts.append(output.text)
            continue
        _close(out, parts)
        out.append(output)
        parts = [output.text] if output.output_type == "stream" else []
    _close(out, parts)
    return out


def overwritten(text: str) -> str:
    r"""Apply carriage returns and backspaces as a terminal does: "a 1%\ra 2%" is "a 2%"."""
    if "\b" in text:
        kept: list[str] = []
        for character in text:
            if character == "\b" and kept and kept[-1] != "\n":
                kept.pop()
            elif character != "\b":
                kept.append(character)
        text = "".join(kept)
    if "\r" not in text:
        return text
    return "\n".join(_overwritten_line(line) for line in re.sub(r"\r+\n", "\n", text).split("\n"))


def _overwritten_line(line: str) -> str:
    shown = ""
    for part in line.split("\r"):
        shown = part + shown[len(part) :]
    return shown


def _close(out: list[Any], parts: list[str]) -> None:
    if parts:
        out[-1].text = overwritten("".join(parts))


def _size(content: dict[str, Any]) -> int:
    text = content.get("text")
    return len(text if isinstance(text, str) else json.dumps(content, default=str))


def _has_code(cell: Any) -> bool:  # noqa: ANN401 - nbformat's node
    return bool(cell.cell_type == "code" and cell.source.strip() and not SKIP_TAGS & tags(cell))


def _error_names(cell: Any) -> set[str]:  # noqa: ANN401 - nbformat's node
    return {
        str(output.get("ename", ""))
        for output in cell.get("outputs", ())
        if output.get("output_type") == "error"
    }


def _repaired(content: dict[str, Any]) -> dict[str, Any]:
    """Give a version 4 notebook the fields that it must have and this one lacks."""
    cells = [_repaired_cell(cell) for cell in _list(content["cells"]) if isinstance(cell, dict)]
    metadata = _dict(content.get("metadata"))
    minor = content.get("nbformat_minor", 0)
    ids = [cell.get("id") for cell in cells]
    if not isinstance(minor, int) or isinstance(minor, bool):
        minor = 4
    if minor >= 5 and (not all(isinstance(one, str) for one in ids) or len(set(ids)) < len(ids)):
        minor = 4  # ids are required from 4.5 on, and these are missing or double
        for cell in cells:
            cell.pop("id", None)
    return {"nbformat": 4, "nbformat_minor": minor, "metadata": metadata, "cells": cells}


def _repaired_cell(cell: dict[str, Any]) -> dict[str, Any]:
    kind = cell.get("cell_type")
    kind = kind if kind in ("code", "markdown", "raw") else "markdown"  # may be unhashable
    source = cell.get("source", cell.get("input", ""))
    fixed = {**cell, "cell_type": kind, "source": source, "metadata": _dict(cell.get("metadata"))}
    if not isinstance(source, str):
        fixed["source"] = "".join(part for part in _list(source) if isinstance(part, str))
    if kind == "code":
        fixed.setdefault("execution_count", None)
        fixed["outputs"] = _kept(cell)
    return fixed


def _kept(cell: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the stored errors and printed text; all other outputs are dropped before the run.

    They tell what may be raised and what was typed; formats 3 and 4 name a stream differently.
    """
    kept = []
    for one in _list(cell.get("outputs")):
        kind = one.get("output_type") if isinstance(one, dict) else None
        if kind in ("error", "pyerr"):
            name = str(one.get("ename", ""))
            kept.append({"output_type": kind, "ename": name, "evalue": "", "traceback": []})
        elif kind == "stream" and "stdout" in (one.get("name"), one.get("stream")):
            text = one.get("text")
            whole = text if isinstance(text, str) else "".join(map(str, _list(text)))
            kept.append({"output_type": kind, "name": "stdout", "stream": "stdout", "text": whole})
    return kept


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
