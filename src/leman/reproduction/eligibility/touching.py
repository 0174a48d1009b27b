"""What a call by its name does: reads a file, lists a folder, writes, asks the network, runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from leman.reproduction.eligibility.known import ANY, Named, each, joined, options, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Kind = Literal[
    "read",
    "list",
    "glob",
    "given",
    "address",
    "network",
    "write",
    "hand",
    "command",
    "unless",
    "blank",
]

_READERS = re.compile(
    r"^(?:read_\w+|load|loadtxt|genfromtxt|loadmat|open_dataset|open_mfdataset|open_dataarray"
    r"|imread|read|read_file|from_file|fromfile|load_workbook|open_zarr|open_rasterio|ExcelFile|File|Dataset"
    r"|open|load_npz|memmap|ascii|ZipFile|VideoCapture|from_csv|load_model|open_workbook)$"
)
_LISTERS = re.compile(r"^(?:os\.)?(?:listdir|scandir)$")
_PATTERNS = re.compile(r"^(?:glob\.)?i?glob$|^glob\.i?glob$")
_WRITERS = re.compile(
    r"^(?:to_\w+|(?:\w+_)?save\w*|(?:\w+_)?write\w*|dump|export\w*|imwrite|imsave|mimsave"
    r"|download\w*|urlretrieve|copy\w*|move|rename|replace|symlink|ExcelWriter|HDFStore"
    r"|extract\w*|create\w*|mkdir|makedirs|touch|generate\w*|make_\w+|run\w*|simulate\w*"
    r"|NamedTemporaryFile|retrieve|output_file|FileHandler|open_memmap|connect)$"
)
_FIRST = ("filepath_or_buffer", "path", "fname", "file", "io", "filename", "path_or_buf", "f")
_FIRST_OF = re.compile(r"^(?:filename_or_obj|file_name|filepath|file_path|paths|fp|path_or_\w+)$")
_OUTPUT = re.compile(r"out|dest|dst|file|path|fname|save|name|target|dir", re.IGNORECASE)
_MODE = re.compile(r"^[wax]|\+")
_ADDRESS = re.compile(r"^(?:https?|ftp|s3|gs)://")
_FILE = re.compile(r"\.\w{1,8}$|[\\/]")
_OUT = re.compile(r"out|dest|dst|save|target", re.IGNORECASE)
_DATA = re.compile(
    r"\.(?:csv|tsv|txt|dat|json|xlsx?|npy|npz|mat|h5|hdf5|h5ad|nc|nc4|pkl|pickle|parquet|feather|fits"
    r"|tiff?|root|wav|shp|geojson|gpkg|edf|fif|nii|vcf|bed|fasta|fa|pdb|rds|sav|dta|zip|gz|db)$",
    re.IGNORECASE,
)
_DATA_ADDRESS = re.compile(
    r"^(?:https?|ftp|s3|gs)://\S+\.(?:csv|zip|json|nc|xlsx?|txt|gz|fits|h5|hdf5|dat|shp|geojson|tiff?"
    r"|parquet|pkl|npy|npz|mat|tsv)(?:\?\S*)?$",
    re.IGNORECASE,
)
_HOME = re.compile(r"^(?:/Users/|/home/|[A-Z]:[\\/]{1,2}Users)\S*", re.IGNORECASE)
_IDLE = re.compile(
    r"(?:^|\.)(?:print|append|extend|insert|add|format|join|split|title|suptitle|display|log|info"
    r"|warning|error|debug|write|setdefault|get|startswith|endswith|replace|sub|match|exists|isfile"
    r"|isdir|add_argument|Markdown|HTML|Image|IFrame)$"
)
_TAKES_A_PATH = re.compile(r"read_\w+$|load\w*$|open\w*$|genfromtxt$|imread$|ExcelFile$")
_OWN_READERS = re.compile(
    r"(?:^|\.)(?:load|parse|import|process|get|open)_\w*(?:data|file|csv|set)\w*$"
)
_NETWORK = re.compile(
    r"^(?:requests|httpx|urllib3|[Ss]ession|s)(?:\.[\w()]+)*\.(?:get|post|put|request|urlopen)$"
    r"|(?:^|\.)(?:urlopen|urlretrieve|DataReader|get_data_(?:yahoo|fred))$|^wget\.download|^gdown\."
    r"|^yfinance\.|^yf\.|^ccxt\.|^tweepy\.|^fredapi\.|^wbdata\.|^wbgapi\.|^kaggle(?:hub)?\."
    r"|(?:^|\.)Entrez\.(?:e\w+|read)$|from_pretrained$|^transformers\.pipeline$"
    r"|fetch_(?:openml|20news\w*|california\w*|lfw\w*|covtype|kddcup\w*|rcv1|olivetti\w*|species\w*)$"
    r"|^(?:datasets|seaborn|sns)\.load_dataset$|^nilearn\.datasets\.fetch_|^mne\.datasets\..*data_path$"
    r"|^nltk\.download$|^nltk\.corpus\.|^stopwords\.words$|(?:^|\.)(?:word_tokenize|sent_tokenize)$"
    r"|^spacy\.load$|TimeSeries\.(?:fetch|get)|fetch_open_data|^boto3\.|storage\.Client"
    r"|\.coastlines$|^ee\.Initialize|^astroquery\.|(?:Simbad|Vizier|Gaia|Mast|Horizons)\.\w*(?:query|get)"
    r"|graph_from_(?:place|address|point|bbox|polygon)|^contextily\.add_basemap|^cx\.add_basemap"
    r"|SkyCoord\.from_name|EarthLocation\.of_(?:address|site)|astropy\..*download_file$|^download_file$"
    r"|(?:^|\.)keras\.datasets\.\w+\.load_data$|^torch\.hub\.(?:load|download)|^(?:tensorflow_datasets|tfds)\.load"
    r"|^gensim\.downloader\.load|^pooch\.retrieve|^s3fs\.|^gcsfs\.|^sunpy\..*Fido\.|^Fido\.(?:search|fetch)"
    r"|^googleapiclient\.|^gspread\.|^gseapy\.(?:enrichr|get_library\w*)$|^dipy\.data\.fetch_\w+$"
)
_DRAWN = re.compile(r"(?:^|\.)(?:cartopy\.feature|cfeature)\.[A-Z]\w*$")
_ASKED = re.compile(r"\b(?:wget|gdown|curl)\b|git\s+clone|\bkaggle\s")
_GUARDED = re.compile(r"\|\||\[\[?\s+!?\s*-[a-z]\s|\btest\s+!?\s*-[a-z]\s|^\s*if\s|\s-nc\b")
_HARMLESS = re.compile(
    r"^\s*(?:sudo\s+)?(?:pip|pip3|conda|mamba|ls|pwd|head|tail|cat|echo|nvidia-smi|mkdir|cd|rm|which"
    r"|whoami|uname|free|df|du|date|python3?\s+(?:--version|-V|-m\s+pip)|apt|apt-get|export|jupyter"
    r"|lscpu|wc|chmod|dir|grep|find|kill|open|convert)\b"
)
_RUNS = re.compile(
    r"^(?:os\.(?:system|popen)|subprocess\.\w+|get_ipython\(\)\.(?:system|getoutput|run_cell_magic)"
    r"|shutil\.unpack_archive|.*\bextractall|runpy\.\w+|papermill\.\w+|pm\.execute_notebook)$"
)


def effects(
    name: str, args: Sequence[Any], named: Mapping[str, Any]
) -> Iterator[tuple[Kind, object]]:
    """Yield what a call of `name` does, each with the value that says to what.

    A part of a name before ``()`` is a thing that a call gave: what it opens or reads lies inside
    of that, not in a folder.
    """
    last = name.rsplit(".", maxsplit=1)[-1]
    first = _first(args, named)
    if _RUNS.match(name):
        yield from _command(args, named, last)
    elif _LISTERS.match(name):
        yield "list", first if args or named else "."
    elif _PATTERNS.match(name):
        yield "glob", joined(named["root_dir"], first) if "root_dir" in named else first
    elif _asks(name, named) and not _on_disk(first):
        yield "network", name
        if last in {"urlretrieve", "download", "retrieve"}:
            yield from (("write", one) for one in [*args[1:2], *named.values()])
    elif _WRITERS.match(last):
        given = [*args, *(value for key, value in named.items() if _OUTPUT.search(key))]
        yield from (("write", one) for one in given if _is_file(one))
    elif _READERS.match(last):
        inside = re.search(r"\(\)\.(?:open|read)$", name) or name.startswith("webbrowser")
        yield from _read(name, last, first, args, named) if not inside else ()
    else:
        yield from _passed(name, args, named)


def _passed(
    name: str, args: Sequence[Any], named: Mapping[str, Any]
) -> Iterator[tuple[Kind, object]]:
    """Yield what a function that nothing is known of is given: it may write, and it may ask."""
    yield from (("write", one) for key, one in named.items() if _OUT.search(key) and _is_file(one))
    if _IDLE.search(name):
        return
    yield from (("hand", one) for one in (*args, *named.values()) if _is_folder(one))
    for one in (*args, *(value for key, value in named.items() if not _OUT.search(key))):
        texts = [name for name in options(one) if isinstance(name, str)]
        if len(texts) < len(options(one)) or len(max(texts, key=len)) > 1_000:
            continue
        if all(map(_DATA_ADDRESS.match, texts)):
            yield "address", one
        elif all(map(_HOME.match, texts)):
            yield "given", one
    first = _first(args, named)
    if _OWN_READERS.search(name) and all(
        isinstance(one, str) and _DATA.search(one) and "://" not in one for one in options(first)
    ):
        yield "read", first


def _first(args: Sequence[Any], named: Mapping[str, Any]) -> object:
    if args:
        return args[0]
    keys = [key for key in (*_FIRST, *named) if key in _FIRST or _FIRST_OF.match(key)]
    return next((named[key] for key in keys if key in named), Named())


def _read(
    name: str, last: str, first: object, args: Sequence[Any], named: Mapping[str, Any]
) -> Iterator[tuple[Kind, object]]:
    mode = named.get("mode", args[1] if len(args) > 1 else None)
    modes = [one for one in options(mode) if isinstance(one, str)]
    may_make = name.endswith(("h5py.File", "memmap")) and not modes
    if any(map(_MODE.search, modes)) and last in {"open", "File", "Dataset", "memmap", "ZipFile"}:
        yield "write", first
        return
    if isinstance(mode, Named) and last == "open" and len(args) > 1:
        return
    for value in first if isinstance(first, tuple) else (first,):
        texts = [one for one in options(value) if isinstance(one, str)]
        if len(texts) < len(options(value)) or may_make:
            continue
        if all(map(_ADDRESS.match, texts)):
            yield "address", value
        elif all(map(_is_file, texts)) and not any("://" in one or "\n" in one for one in texts):
            pattern = last.startswith(("read_", "open_mf")) and any("*" in one for one in texts)
            yield "glob" if pattern else "read", value
        elif texts and not any(texts) and _TAKES_A_PATH.match(last):
            yield "blank", value  # the author left the path for others to fill in


def _is_file(value: object) -> bool:
    if isinstance(value, tuple):
        return any(map(_is_file, value))
    return any(isinstance(one, str) and bool(_FILE.search(one)) for one in options(value))


def _is_folder(value: object) -> bool:
    """Tell whether a text may be a folder that a function fills."""
    if not isinstance(value, str) or "/" not in value or len(value) > 300:
        return False
    return not re.search(r"\.\w{1,8}$|://|\s/|/\s|\n", value)


def _asks(name: str, named: Mapping[str, Any]) -> bool:
    given = named.get("pretrained") is True and name.startswith(
        ("torchvision.", "models.", "timm.")
    )
    fetched = named.get("download") is True and re.match(r"(?:torchvision\.|datasets\.)", name)
    return bool(given or fetched or _NETWORK.search(name))


def _on_disk(value: object) -> bool:
    """Tell whether something that usually comes from the network is given as a folder here."""
    return isinstance(value, str) and value.startswith((".", "/"))


def drawn(name: str) -> bool:
    """Tell whether a name stands for a map's outlines, which are fetched when they are drawn."""
    return bool(_DRAWN.search(name))


def _command(
    args: Sequence[Any], named: Mapping[str, Any], last: str
) -> Iterator[tuple[Kind, object]]:
    if last in {"extractall", "unpack_archive"}:
        yield "command", last
        return
    words = [one for one in (*args, named.get("args")) if one is not None]
    lines = [
        " ".join(map(text, one)) if isinstance(one, tuple) else one
        for one in words
        if isinstance(one, tuple | str)
    ]
    yield from shell("\n".join(lines) if lines else ANY)


def shell(script: str) -> Iterator[tuple[Kind, object]]:
    """Yield what lines of a shell do: ask the network, or run what may write any file.

    "unless" is what asks the network where a test fails.
    """
    for line in script.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if re.match(r"^\s*(?:sudo\s+)?(?:pip3?|conda|mamba|python3?\s+-m\s+pip)\b", line):
            continue
        if _ASKED.search(line):
            yield "unless" if _GUARDED.search(line) else "network", line.strip()
        elif not _HARMLESS.match(line):
            yield "command", line.strip()


def guard(line: object) -> str:
    """Return the file without which a line of a shell asks the network; "" where none is told."""
    match = re.search(r"^\W*(?:\[\[?|test)\s+-[efs]\s+([\w./-]+)\s*(?:\]\]?)?\s*\|\|", str(line))
    return match[1] if match else ""


def addressed(value: object) -> bool:
    """Tell whether a value is surely an address of the network."""
    return all(isinstance(one, str) and bool(_ADDRESS.match(one)) for one in options(value))


def as_path(value: object) -> object:
    """Return a value as the path that a file function would take it for."""
    return each(lambda one: one if isinstance(one, str) else Named(), value)
