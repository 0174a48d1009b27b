"""Reports with everything in them, for the tests of the report and for looking at the page."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from datetime import date
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw

from leman.environments.model import (
    Attempt,
    Environment,
    Interpreter,
    Lock,
    LockedPackage,
    Modification,
    Source,
)
from leman.findings import Finding
from leman.reproduction.model import (
    Comparison,
    Failure,
    Isolation,
    NotebookResult,
    OutputVerdict,
    Reason,
    Report,
    Same,
    Status,
    Verdict,
)

DIGEST = "3fe1" * 16


def picture(image: Image.Image) -> str:
    """Return an image as base64 PNG."""
    out = io.BytesIO()
    image.save(out, format="PNG")
    return base64.b64encode(out.getvalue()).decode()


def curve(shift: int) -> Image.Image:
    """Draw a curve, `shift` pixels higher than usual."""
    image = Image.new("RGB", (640, 400), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((50, 20, 620, 360), outline="black")
    points = [(50 + x, 330 - shift - int((x - 285) ** 2 / 300)) for x in range(0, 570, 3)]
    draw.line([(x, max(20, y)) for x, y in points], fill=(31, 119, 180), width=3)
    return image


def environment() -> Environment:
    """Return an environment of Python 3.8 as of 2020-05-01."""
    python = Interpreter("3.8.18", Path("python3.8"))
    packages = (
        LockedPackage("ipykernel", "5.2.1", "2020-04-20T11:12:13Z", origin="kernel", why="kernel"),
        LockedPackage(
            "matplotlib", "3.2.1", "2020-03-18T01:02:03Z", "wheel", "declared", "requirements.txt:3"
        ),
        LockedPackage(
            "numpy", "1.18.4", "2020-05-03T03:11:01Z", "wheel", "dependency", "pandas, scipy"
        ),
        LockedPackage(
            "pandas",
            "1.0.3",
            "2020-03-18T00:11:01Z",
            "wheel",
            "inferred",
            "import pandas in fits/redshift.ipynb",
        ),
        LockedPackage(
            "emcee", "3.0.2", "", "sdist", "repair", "ModuleNotFoundError: No module named 'emcee'"
        ),
    )
    lock = Lock(
        text='lock-version = "1.0"\n',
        digest=DIGEST,
        python=python,
        cutoff=date(2020, 5, 1),
        cutoff_reason="the last commit that changed a cell of its notebooks (9c41d0e, 2020-04-30)",
        packages=packages,
        attempts=(
            Attempt(
                "lock",
                "resolve 14 packages as declared",
                "requirements.txt",
                "no solution: scikit-learn==0.23 was uploaded later",
            ),
            Attempt(
                "lock",
                "unpin scikit-learn",
                "its pin is newer than the cut-off",
                "resolved, 61 packages",
            ),
            Attempt("build", "install 61 packages", "", "done in 2.1 s"),
        ),
        modifications=(Modification("unpin", "scikit-learn", "==0.23 → any version"),),
        findings=(
            Finding(
                "apt-not-installed",
                "warning",
                "apt.txt",
                "2 system packages are declared, libgmt6 is not on this machine",
                "Ask the administrator for: apt install libgmt6",
            ),
        ),
    )
    return Environment(DIGEST, Path("env"), python, date(2020, 5, 1), lock)


def _table(scale: str) -> str:
    lines = ["                            OLS Regression Results", "=" * 60]
    lines += [f"Covariate {n:<3}        {n * 0.173:.4f}      0.0{n}1     " for n in range(14)]
    lines[7] = f"Covariate 5          {scale}      0.051     significant"
    return "\n".join([*lines, "Durbin-Watson:      1.987", "Prob(Omnibus):      0.412"])


def differing() -> NotebookResult:
    """Return a notebook of which some outputs differ, in every way an output can."""
    old, new = curve(0), curve(22)
    shown = ImageChops.difference(old, new)
    outputs = (
        OutputVerdict(1, 0, "stream", Verdict.IDENTICAL),
        OutputVerdict(
            2,
            0,
            "text/plain",
            Verdict.NORMALISED,
            "memory addresses written alike",
            "<Axes at 0x7f11>",
            "<Axes at 0x7ffa>",
        ),
        OutputVerdict(
            4,
            0,
            "text/plain",
            Verdict.DIFFERENT,
            "1 of 42 numbers differs by more than 1e-9: 0.8650 → 0.9120",
            _table("0.8650"),
            _table("0.9120"),
        ),
        OutputVerdict(
            6,
            1,
            "image/png",
            Verdict.DIFFERENT,
            "12,401 of 256,000 pixels differ; a line has moved",
            stored_image=picture(old),
            new_image=picture(new),
            picture=picture(shown),
        ),
        OutputVerdict(
            8,
            0,
            "stream",
            Verdict.DIFFERENT,
            "the new output has 2 lines more",
            "converged after 112 steps\nchi2 = 41.22\n",
            "RuntimeWarning: overflow\nconverged after 118 steps\nchi2 = 41.22\nacceptance 0.44\n",
        ),
        OutputVerdict(
            9,
            0,
            "text/plain",
            Verdict.TOLERANT,
            "3 numbers differ by at most 2e-13",
            "0.30000000000000004",
            "0.3",
        ),
        OutputVerdict(
            10,
            0,
            "text/plain",
            Verdict.VOLATILE,
            "unseeded random numbers: our two runs differ too",
            "array([0.417, 0.720])",
            "array([0.113, 0.302])",
        ),
        OutputVerdict(
            12,
            0,
            "stream",
            Verdict.EXEMPT,
            "tagged leman-skip by the author",
            "took 12.1 s",
            "took 9.8 s",
        ),
        OutputVerdict(
            13,
            0,
            "application/vnd.jupyter.widget-view+json",
            Verdict.NOT_COMPARED,
            "widgets hold no comparable state",
        ),
    )
    return NotebookResult(
        path="fits/redshift.ipynb",
        status=Status.RAN,
        comparison=Comparison(outputs, Same.NO),
        environment=DIGEST,
        seconds=72.4,
        runs=2,
        executed="notebooks/fits/redshift.ipynb",
        attempts=(
            Attempt("run", "run all cells", "first try", "ModuleNotFoundError: emcee"),
            Attempt("run", "add emcee and run again", "missing module", "ran"),
        ),
        modifications=(Modification("folder", "output/", "made, the notebook writes into it"),),
    )


def failed(path: str = "fits/catalogue.ipynb") -> NotebookResult:
    """Return a notebook whose data were never published."""
    traceback = (
        "\x1b[0;31m---------------------------------------------------------------\x1b[0m\n"
        "\x1b[0;31mFileNotFoundError\x1b[0m        Traceback (most recent call last)\n"
        "\x1b[0;32m<ipython-input-3-1f2e>\x1b[0m in \x1b[0;36m<module>\x1b[0;34m\x1b[0m\n"
        "\x1b[0;32m----> 1\x1b[0m catalogue = Table.read('../data/desi_edr_zcat.fits')\n\n"
        "\x1b[0;31mFileNotFoundError\x1b[0m: [Errno 2] No such file: '../data/desi_edr_zcat.fits'"
    )
    failure = Failure(
        Reason.MISSING_FILE,
        "FileNotFoundError",
        "[Errno 2] No such file or directory: '../data/desi_edr_zcat.fits'",
        traceback,
        cell=3,
    )
    return NotebookResult(
        path=path,
        status=Status.FAILED,
        reason=Reason.MISSING_FILE,
        message="It reads data/desi_edr_zcat.fits, which the source does not hold;"
        f" tried /Users/ann/{'thesis_final_' * 9}data/desi_edr_zcat.fits",
        advice="Ask the authors for the file, or put it at data/desi_edr_zcat.fits and run again.",
        environment=DIGEST,
        seconds=4.2,
        runs=1,
        eligible=False,
        eligible_reason="the file is named in cell 4 and was never committed",
        failure=failure,
        executed="notebooks/fits/catalogue.ipynb",
    )


def ran(
    path: str, verdicts: tuple[Verdict, ...], same: Same, seconds: float = 8.0
) -> NotebookResult:
    """Return a notebook that ran, with outputs of these verdicts."""
    outputs = tuple(
        OutputVerdict(
            cell,
            0,
            "text/plain",
            verdict,
            "a rule applied" if verdict is not Verdict.IDENTICAL else "",
        )
        for cell, verdict in enumerate(verdicts)
    )
    return NotebookResult(
        path,
        Status.RAN,
        comparison=Comparison(outputs, same),
        environment=DIGEST,
        seconds=seconds,
        runs=2,
    )


def rich() -> Report:
    """Return a report with nine notebooks and every kind of thing in it."""
    same, norm, tol = Verdict.IDENTICAL, Verdict.NORMALISED, Verdict.TOLERANT
    notebooks = (
        ran("01_download.ipynb", (same,) * 9, Same.EXACT, 3.4),
        ran("02_clean.ipynb", (same,) * 14 + (norm,) * 3, Same.NORMALISED, 21.0),
        ran(
            "03_figures.ipynb", (same,) * 6 + (tol,) * 4 + (Verdict.VOLATILE,), Same.TOLERANT, 95.2
        ),
        differing(),
        failed(),
        ran("fits/appendix.ipynb", (same,) * 4, Same.EXACT, 1.2),
        ran("tables/table_1.ipynb", (same,) * 2 + (norm,), Same.NORMALISED, 2.7),
        ran("tables/no_outputs.ipynb", (Verdict.NOT_COMPARED,) * 2, Same.NOT_COMPARED, 0.9),
        NotebookResult(
            "legacy/plots.ipynb",
            Status.SKIPPED,
            Reason.OTHER_LANGUAGE,
            "Its kernel is R (ir).",
            "leman runs Python; run it with R 3.6.",
            eligible=False,
            eligible_reason="another language",
        ),
    )
    source = Source(
        url="https://user:secret-token@git.example.org/astro/redshift-fits",
        revision="9c41d0e2aa" * 4,
        path=Path("source"),
        content_id="git:" + "9c41d0e2aa" * 4,
        missing=("data/big/spectra.h5",),
        findings=(
            Finding(
                "lfs-pointer",
                "warning",
                "data/big/spectra.h5",
                "a file is a Git LFS pointer; its content could not be fetched",
                "Fetch it with git lfs pull, then name the folder.",
            ),
        ),
    )
    return Report(
        source=source,
        environments=(environment(),),
        notebooks=notebooks,
        isolation=Isolation(
            "sandbox",
            network=False,
            detail="bubblewrap: private home, read-only system, own processes",
        ),
        started="2026-11-23T07:48:12+00:00",
        seconds=312.4,
        leman="0.1.0",
        machine={
            "system": "Linux 6.1, x86_64",
            "processors": "2",
            "memory": "8 GB",
            "uv": "0.13.9",
        },
        findings=(
            Finding(
                "index-dates", "info", "", "the package index gives upload times for every file", ""
            ),
        ),
    )


def empty() -> Report:
    """Return a report of a source without notebooks."""
    return replace(
        rich(),
        notebooks=(),
        environments=(),
        findings=(),
        source=replace(rich().source, missing=(), findings=()),
    )
