"""Inside the Jupyter server: each notebook gets its environment's kernel, whatever name it wants.

A notebook names the kernel of its author's machine: ``python3``, ``conda-env-astro-py``. Here that
name means nothing. Two small classes give such a notebook its own environment's kernel without a
question and without touching the file: on the way to the browser the name is exchanged, on the way
back to the disk the author's own is put in again. Notebooks of other languages stay as they are.
"""

from __future__ import annotations

from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from traitlets import Dict, Unicode, default

PREFIX = "leman-"
_NEUTRAL = {"name": "python3", "display_name": "Python 3", "language": "python"}
_KEPT = "leman_kernelspec"  # key of a notebook's metadata, seen by the browser only
# First parts of the names of kernels that are not Python's, from Jupyter's list of kernels:
# https://github.com/jupyter/jupyter/wiki/Jupyter-kernels
_OTHER_LANGUAGES = frozenset(
    """ansible apl bash c c11 clojure coffee common cpp csharp dotnet .net elixir erlang evcxr forth
fsharp gap gnuplot go gophernotes groovy haskell ihaskell ijavascript iphp ir irkernel iruby iperl
java javascript js jslab julia kotlin lean lua macaulay2 mathematica matlab maxima node nodejs ocaml
octave perl php polyglot powershell prolog r racket raku ruby rust sas scala scilab script singular
sos spylon sql stata tcl tslab typescript wolfram wolframlanguage xcpp xr xsqlite""".split()  # noqa: SIM905 - reads better
)


def is_python(kernel: str, language: str = "") -> bool:
    """Tell whether a kernel's name, or better its language where it is given, is Python's."""
    if language:
        return language.lower() in {"python", "python2", "python3", "ipython"}
    first = kernel.lower().replace("_", "-").split("-")[0]
    return _OTHER_LANGUAGES.isdisjoint((first, first.rstrip("0123456789.")))


class LemanKernelSpecManager(KernelSpecManager):
    """Knows the environments' kernels; any other Python name means the first of them."""

    default_kernel = Unicode(help="Kernel for names that nobody knows here.").tag(config=True)

    @default("kernel_dirs")
    def _only_ours(self) -> list[str]:
        return [self.user_kernel_dir]  # not those of leman's own Python, the user or the machine

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the kernel of that name, or the default one for a foreign Python name."""
        # Not by trying: for "python3" jupyter_client always finds the server's own Python.
        if kernel_name.lower() in self.find_kernel_specs():
            return super().get_kernel_spec(kernel_name)
        if not self.default_kernel or not is_python(kernel_name):
            raise NoSuchKernel(kernel_name)
        return super().get_kernel_spec(self.default_kernel)


class LemanContentsManager(AsyncLargeFileManager):
    """Serves notebooks with the name of a kernel that is here; saves them with their own."""

    default_kernel = Unicode(help="Kernel of notebooks that `kernels` does not name.").tag(
        config=True
    )
    kernels = Dict(help="Path of a notebook → its kernel.").tag(config=True)
    labels = Dict(help="Kernel → what the menu calls it.").tag(config=True)

    async def get(self, path: str, *args: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return a file's model; a Python notebook's names its environment's kernel."""
        model: dict[str, Any] = await super().get(path, *args, **options)  # type: ignore[no-untyped-call]
        if model["type"] == "notebook" and model.get("content"):
            self._exchange(model["content"]["metadata"], path.strip("/"))
        return model

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Save a file; a notebook goes to the disk with the kernel that its author named."""
        content = model.get("content")
        if model.get("type") == "notebook" and isinstance(content, dict):
            self._put_back(content.setdefault("metadata", {}), path.strip("/"))
        saved: dict[str, Any] = await super().save(model, path)  # type: ignore[no-untyped-call]
        return saved

    def _exchange(self, metadata: dict[str, Any], path: str) -> None:
        wanted = metadata.get("kernelspec") or {}
        language = wanted.get("language") or metadata.get("language_info", {}).get("name", "")
        if wanted.get("name") in self.labels or not is_python(wanted.get("name", ""), language):
            return
        kernel = self.kernels.get(path, self.default_kernel)
        metadata[_KEPT] = dict(wanted)
        metadata["kernelspec"] = {
            "name": kernel,
            "display_name": self.labels.get(kernel, kernel),
            "language": "python",
        }

    def _put_back(self, metadata: dict[str, Any], path: str) -> None:
        author = metadata.pop(_KEPT, None)
        used = (metadata.get("kernelspec") or {}).get("name", "")
        if used not in self.labels:
            return
        self.kernels = {**self.kernels, path: used}  # what was chosen stays chosen meanwhile
        if author == {}:
            del metadata["kernelspec"]
        else:
            metadata["kernelspec"] = author or dict(_NEUTRAL)
