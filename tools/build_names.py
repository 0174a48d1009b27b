# ruff: noqa: INP001, T201
"""Build the name tables that leman ships: modules to distributions, and the known distributions.

    python tools/build_names.py --ranks RANKS.tsv --pigar FILE --date 2026-11-23

RANKS.tsv is any list of distributions by download rank: tab separated, with a header that has the
columns ``name``, ``version``, ``summary`` and one whose title starts with ``rank`` (empty: not
ranked). FILE is the pigar wheel (BSD 3-Clause) or the SQLite file in it; without it the wheel is
downloaded with pip. The rules stand in tools/README.md.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "src" / "leman" / "environments" / "data"

# A summary counts 2 for a word of the first list and 1 for one of the second; 2 is scientific.
STRONG = re.compile(
    r"scien|statistic|bayes|physic|astro|cosmolog|galax|galac|stellar|interstellar|telescop|spectr"
    r"|chem|molecul|protein|enzym|genom|genet|\bgenes?\b|\bdna\b|\brna|omics|bioinf|biolog|biomed"
    r"|neuro|\bbrain|\beeg\b|\bmri\b|fmri|nifti|microscop|medical|clinical|epidemi|infecti|ecolog"
    r"|species|phylogen|climate|meteorol|ocean|atmospher|hydrolog|geolog|geophys|geosp|geograph"
    r"|seism|earthquake|satellite|remote sensing|raster|\bgis\b|numeric|scipy|numpy|pandas|xarray"
    r"|matplotlib|jupyter|ipython|seaborn|plotly|visuali[sz]ation|colou?rmap|machine learning"
    r"|deep learning|neural net|pytorch|tensorflow|keras|\bjax\b|scikit|regression|classif"
    r"|clustering|simulat|solver|differential eq|\bodes?\b|matrix|matrices|tensor|linear algebra"
    r"|topolog|time.?series|wavelet|fourier|quantum|particle|gravitation|econometr|causal"
    r"|monte.?carlo|mcmc|imput|dataframe|corpus|linguist|text mining|phonet|psycho|cognitive"
    r"|crystal|diffraction|thermodyn|fluid|finite.element|plasma|nuclear|x-ray|metabol"
    r"|single.cell|survival|probabilit|stochastic|markov|gaussian|hdf5|netcdf|\bfits\b|research"
    r"|mathemat|bootstrap|reinforcement|dimensionality|annotat.*plot|plot.*annotat|publication"
    r"|nonlinear|optimal transport|wavefront|sensitivity analysis|kalman|histogram|heatmap",
    re.IGNORECASE,
)
WEAK = re.compile(
    r"learning|\bgraphs?\b|network|plot|chart|colou?r|imag|model|kernel|sampling|dataset|\bdata\b"
    r"|optimi[sz]|finance|analy[sz]|estimat|predict|signal|weather|spatial|\bmesh|optic|photon"
    r"|laser|radio|material|embedding|algorithm|\bcell|notebook|inference|comput|distribution"
    r"|measure|experiment|detector|dynamic|interpolat|distance|metric|toolbox|forecast|filter",
    re.IGNORECASE,
)
NEVER = re.compile(
    r"dependency confusion|proof of concept|\bpoc\b|takeover|placeholder|reserved|squat|dummy"
    r"|example package|test package|hello world|my first|telegram|discord|whatsapp|crypto"
    r"|blockchain|trading bot|\bbot\b|hack|exploit|django|flask|odoo|wordpress|smart home"
    r"|home assistant"
    # Distributions of gaussians and binomials: the homework of one course.
    r"|gaussian.*binomial|binomial.*gaussian|gaussian distributions|udacity|malware"
    r"|nothing here|deprecated|do not (use|install)|homework|assignment|topsis",
    re.IGNORECASE,
)
AFFIXES = frozenset(
    {
        "python",
        "py",
        "python3",
        "lib",
        "core",
        "client",
        "sdk",
        "official",
        "api",
        "package",
        "wheel",
        "dev",
        "tools",
        "toolkit",
        "project",
        "cpu",
        "headless",
        "binary",
        "py3",
        "module",
        "framework",
        "apache",
        "google",
    }
)
# Stubs, and what runs elsewhere than on Linux or in a notebook.
ASIDE = ("types-", "pyobjc", "django-", "apache-airflow-", "edx-", "pytest-", "robotframework-")


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the rank list; `rank` is 0 for a distribution that is not ranked."""

    name: str
    version: str
    rank: int
    summary: str


def normalise(name: str) -> str:
    """Return the PEP 503 form of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_ranks(path: Path) -> dict[str, Listed]:
    """Read the rank list, keyed by normalised name."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        head = next(rows)
        rank_at = next(i for i, title in enumerate(head) if title.startswith("rank"))
        at = {title: i for i, title in enumerate(head)}
        listed = {}
        for cells in rows:
            row = [*cells, *[""] * (len(head) - len(cells))]
            name = normalise(row[at["name"]])
            listed[name] = Listed(
                name, row[at["version"]], int(row[rank_at] or 0), row[at["summary"]]
            )
    return listed


def read_providers(sqlite: Path) -> dict[str, set[str]]:
    """Return module → normalised names of the distributions that contain it."""
    query = (
        "select t.name, d.name from top_level_module_names t"
        " join distributions d on d.id = t.distribution_id"
    )
    providers: dict[str, set[str]] = defaultdict(set)
    with sqlite3.connect(sqlite) as connection:
        for module, distribution in connection.execute(query):
            providers[module].add(normalise(distribution))
    return providers


def sqlite_of(path: Path | None, into: Path) -> Path:
    """Return pigar's SQLite file, taken out of the wheel, which is downloaded where not given."""
    if path is None:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(into), "pigar"],
            check=True,
        )
        path = next(into.glob("pigar-*.whl"))
    if path.suffix != ".whl":
        return path
    with zipfile.ZipFile(path) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith(".sqlite3"))
        return Path(wheel.extract(member, into))


def read_words(path: Path) -> frozenset[str]:
    """Read a list of words, one a line, ``#`` for comments."""
    lines = (line.split("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return frozenset(line for line in lines if line)


def read_curated(path: Path) -> list[list[str]]:
    """Read names_curated.tsv: module, distribution, from, until, note."""
    lines = path.read_text("utf-8").splitlines()
    return [
        [*line.split("\t"), "", "", ""][:5] for line in lines if line and not line.startswith("#")
    ]


def score(listed: Listed) -> int:
    """Say how scientific a summary reads; below 2 is not."""
    if len(listed.summary) < 12 or NEVER.search(listed.summary):
        return 0
    if listed.version in {"0", "0.0", "0.0.0", "0.0.1"}:  # a single try, or a reserved name
        return 0
    strong = {match.group().lower() for match in STRONG.finditer(listed.summary)}
    weak = {match.group().lower() for match in WEAK.finditer(listed.summary)}
    return 2 * len(strong) + len(weak)


def deletes(name: str) -> Iterator[str]:
    """Yield `name` and all that is left of it when one letter is taken away."""
    yield name
    for i in range(len(name)):
        yield name[:i] + name[i + 1 :]


def lookalikes(popular: Iterable[str], names: Iterable[str]) -> set[str]:
    """Return the names that one slip of a finger makes of a popular one (typosquats live there)."""
    shapes = {shape for name in popular if len(name) > 3 for shape in deletes(name)}
    return {name for name in names if any(shape in shapes for shape in deletes(name))}


def alike(module: str, distribution: str) -> bool:
    """Say whether three letters in a row are in both names."""
    one, other = module.lower().replace("_", ""), distribution.replace("-", "")
    return any(one[i : i + 3] in other for i in range(max(1, len(one) - 2)))


def same_core(module: str, distribution: str) -> bool:
    """Say whether the two names are one name with the usual trimmings (python-, -client …)."""
    mine = [t for t in normalise(module).split("-") if t]
    theirs = [t for t in distribution.split("-") if t]
    core = [t for t in theirs if t not in AFFIXES] or theirs
    one, other = "".join(mine), "".join(core)
    trims = {other, other.removeprefix("py"), other.removesuffix("py"), "py" + other}
    trims |= {other.rstrip("0123456789"), other.removeprefix("scikit"), other.removeprefix("lib")}
    return one in trims or one == "".join(theirs)


def related(module: str, distribution: str) -> bool:
    """Say whether the names have one core, or all parts of the module's are in the other."""
    mine = {t for t in normalise(module).split("-") if t}
    return same_core(module, distribution) or mine <= set(distribution.split("-"))


def acceptable(module: str, deny: frozenset[str]) -> bool:
    """Say whether a module may be mapped by rule: an identifier that is no common local name."""
    tokens = [token for token in module.lower().split("_") if token]
    return (
        module.isidentifier()
        and not module.startswith("_")
        and module.lower() not in deny
        and not all(token in deny or token.isdigit() for token in tokens)
        and tokens[0] not in {"test", "tests"}
        and tokens[-1] not in {"test", "tests"}
    )


def counted(providers: dict[str, set[str]]) -> dict[str, int]:
    """Return distribution → number of its public top-level modules."""
    count: dict[str, int] = defaultdict(int)
    for module, names in providers.items():
        if not module.startswith("_") and "." not in module:
            for name in names:
                count[name] += 1
    return count


def differing(
    providers: dict[str, set[str]], listed: dict[str, Listed], deny: frozenset[str]
) -> dict[str, str]:
    """Choose a distribution for the modules that are not named like theirs, by rank."""
    chosen = {}
    modules_of = counted(providers)
    for module, names in providers.items():
        own = normalise(module)
        if not acceptable(module, deny) or (own in names and own in listed and listed[own].rank):
            continue
        candidates = sorted(
            (listed[name].rank, name)
            for name in names
            if name in listed and listed[name].rank and not name.startswith(ASIDE)
        )
        near = [name for _, name in candidates if related(module, name)]
        alone = [
            name
            for _, name in candidates
            if modules_of[name] <= 2 and own not in names and alike(module, name)
        ]
        if near:
            chosen[module] = near[0]
        elif len(candidates) == 1 and alone:
            chosen[module] = alone[0]
        elif not candidates and own not in names and len(names) == 1:
            (name,) = names
            # Nobody else on the index has this module, the names are akin, it reads as science.
            sole = name in listed and modules_of[name] <= 3 and len(module) > 3
            if sole and same_core(module, name) and score(listed[name]) >= 3:
                chosen[module] = name
    return chosen


def known_names(
    providers: dict[str, set[str]], listed: dict[str, Listed], deny: frozenset[str]
) -> dict[str, bool]:
    """Return known distribution → whether a module of the same name is in it."""
    own = {normalise(m) for m, names in providers.items() if normalise(m) in names}
    with_modules = set().union(*providers.values())
    ranked = {name for name, row in listed.items() if row.rank}
    # Without a record of its modules, a ranked distribution is trusted to be named as imported.
    known = {name: name in own or name not in with_modules for name in ranked}
    popular = [name for name in ranked if listed[name].rank <= 4000]
    unranked = [
        name
        for name in own
        if name in listed
        and name not in ranked
        and len(name) > 3
        and acceptable(name.replace("-", "_"), deny)
        and score(listed[name]) >= 2
    ]
    risky = lookalikes(popular, unranked)
    known.update(dict.fromkeys((name for name in unranked if name not in risky), True))
    return known


def named_elsewhere() -> set[str]:
    """Return the normalised names of the distributions that the tables kept by hand speak of."""
    names = set(read_words(DATA / "heavy.txt"))
    for file, column in (("conda.tsv", 1), ("implied.tsv", 2)):
        for line in (DATA / file).read_text("utf-8").splitlines()[1:]:
            cells = [*line.split("\t"), "", ""]
            names.update(word for word in cells[column].split() if word != "!" and ":" not in word)
    return {normalise(name) for name in names}


def write(
    out: Path, curated: list[list[str]], chosen: dict[str, str], known: dict[str, bool], date: str
) -> None:
    """Write modules.tsv.gz and known.txt.gz, byte for byte the same for the same input."""
    by_hand = {row[0] for row in curated}
    rows = [*curated, *([m, d, "", "", ""] for m, d in chosen.items() if m not in by_hand)]
    known |= {normalise(row[1]): known.get(normalise(row[1]), False) for row in rows}
    known |= {name: known.get(name, False) for name in named_elsewhere()}
    known.pop("-", None)
    known.pop("", None)
    lines = ["\t".join(row).rstrip("\t") for row in sorted(rows)]
    text = f"# built {date}; module, distribution, from, until, note\n" + "\n".join(lines) + "\n"
    (out / "modules.tsv.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    names = [name if equal else f"{name} -" for name, equal in sorted(known.items())]
    text = f"# built {date}; ' -': not imported under its own name\n" + "\n".join(names) + "\n"
    (out / "known.txt.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main() -> None:
    """Read, choose, write, and say how much."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ranks", type=Path, required=True, help="names by download rank (TSV)")
    parser.add_argument("--pigar", type=Path, help="pigar's wheel or SQLite file")
    parser.add_argument("--date", required=True, help="the date that the data files carry")
    parser.add_argument("--out", type=Path, default=DATA)
    options = parser.parse_args()
    listed = read_ranks(options.ranks)
    deny = read_words(DATA / "local.txt")
    curated = read_curated(HERE / "names_curated.tsv")
    for module, name, *_ in curated:
        if name != "-" and normalise(name) not in listed:
            sys.exit(f"names_curated.tsv: {name} (for {module}) is not on the rank list")
    with tempfile.TemporaryDirectory() as folder:
        providers = read_providers(sqlite_of(options.pigar, Path(folder)))
    chosen = differing(providers, listed, deny)
    known = known_names(providers, listed, deny)
    write(options.out, curated, chosen, known, options.date)
    print(f"{len(curated)} by hand, {len(chosen)} by rule, {len(known)} known distributions")
    for path in sorted(options.out.glob("*.gz")):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
