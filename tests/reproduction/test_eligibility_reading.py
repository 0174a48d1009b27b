"""What code surely does with files and addresses is told without running it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leman.reproduction.eligibility.known import ANY, ROOT
from leman.reproduction.eligibility.reading import Touch, touches

HERE = f"{ROOT}/nb"


def reads(*cells: str, kind: str = "read", **given: object) -> list[str]:
    """Return the paths that cells in the folder ``nb`` surely read, below that folder."""
    found = touches(cells, folder="nb", **given)  # type: ignore[arg-type]
    names = [" | ".join(one.names) for one in found if one.kind == kind]
    return [name.replace(f"{HERE}/", "").replace(ANY, "…") for name in names]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("D = 'data'\npd.read_csv(D + '/a.csv')", "data/a.csv"),
        ("np.load('x_%02d.npy' % 3)", "x_03.npy"),
        ("np.load('%(a)s.npy' % {'a': 'k'})", "k.npy"),
        ("n = 7\nnp.load(f'x_{n:03}.npy')", "x_007.npy"),
        ("np.load('{}/{name}.npy'.format('d', name='e'))", "d/e.npy"),
        ("np.load('{1}{0}.npy'.format('b', 'a'))", "ab.npy"),
        ("import os\nnp.load(os.path.join('d', 'e', 'x.npy'))", "d/e/x.npy"),
        ("from os.path import join\nnp.load(join('d', 'x.npy'))", "d/x.npy"),
        ("np.load(os.getcwd() + '/x.npy')", "x.npy"),
        ("np.load(os.path.abspath('x.npy'))", "x.npy"),
        ("np.load(os.path.dirname('d/e.txt') + '/x.npy')", "d/x.npy"),
        ("(Path('d') / 'e' / 'x.txt').read_text()", "d/e/x.txt"),
        ("p = Path('d').joinpath('x.txt')\nwith p.open() as f: pass", "d/x.txt"),
        ("open(str(Path('d/x.txt').with_suffix('.dat')))", "d/x.dat"),
        ("b = {'k': 'x.csv'}\npd.read_csv(b['k'])", "x.csv"),
        ("pd.read_csv(filepath_or_buffer='x.csv')", "x.csv"),
        ("pd.read_excel(io='x.xlsx')", "x.xlsx"),
        ("def f(name, base='d'):\n    return pd.read_csv(f'{base}/{name}')\nf('x.csv')", "d/x.csv"),
        ("def p(n): return 'd/' + n\npd.read_csv(p('x.csv'))", "d/x.csv"),
        (
            "class A:\n  def __init__(s, p): s.p = p\n  def go(s): open(s.p)\nA('x.txt').go()",
            "x.txt",
        ),
        ("import os\nos.chdir('sub')\nopen('x.txt')", "sub/x.txt"),
        ("%cd sub\nopen('x.txt')", "sub/x.txt"),
        ("if 1 + 1 == 2:\n    open('x.txt')", "x.txt"),
        ("if q: p = '1.txt'\nelse: p = '2.txt'\nopen(p)", "1.txt | 2.txt"),
        ("with open('x.txt') as f: pass", "x.txt"),
        ("open('d/' + unknown + '/x.txt')", "d/…/x.txt"),
        ("%time d = pd.read_csv('x.csv')", "x.csv"),
    ],
)
def test_names_that_code_puts_together(code: str, expected: str) -> None:
    """Constants, formats, joins, paths, functions of the notebook and its folder are followed."""
    assert reads(code) == [expected]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("for n in ['a', 'b']:\n    open(f'{n}.txt')", ["a.txt", "b.txt"]),
        ("for i in range(2):\n    open('x%d.txt' % i)", ["x0.txt", "x1.txt"]),
        ("for i, n in enumerate(['a']):\n    open(f'{i}{n}.txt')", ["0a.txt"]),
        ("for a, b in zip(['x'], ['y']):\n    open(f'{a}{b}.txt')", ["xy.txt"]),
        ("[open(f'{n}.txt') for n in ('a', 'b') if n != 'a']", ["b.txt"]),
        ("d = {k: k + '.txt' for k in 'ab'}\nopen(d['b'])", ["b.txt"]),
        ("l = []\nfor n in 'ab': l.append(n + '.txt')\nfor n in l: open(n)", ["a.txt", "b.txt"]),
        ("open_mfdataset(['a.nc', 'b.nc'])", ["a.nc", "b.nc"]),
        ("p = 'a'\np += '.txt'\nopen(p)", ["a.txt"]),
    ],
)
def test_loops_over_what_is_known(code: str, expected: list[str]) -> None:
    """Each turn of a loop or a comprehension reads its own file."""
    assert reads(code) == expected


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    open('x.txt')\nexcept OSError: pass",
        "if os.path.exists('x.txt'):\n    open('x.txt')",
        "if Path('x.txt').exists():\n    open('x.txt')",
        "if unknown:\n    open('x.txt')",
        "def f():\n    open('x.txt')",
        "def f():\n    if unknown: return\n    open('x.txt')\nf()",
        "for n in unknown:\n    if n: continue\n    open('x.txt')",
        "x = open('x.txt') if unknown else None",
        "unknown and open('x.txt')",
        "from contextlib import suppress\nwith suppress(OSError):\n    open('x.txt')",
        "if False:\n    open('x.txt')",
        "lambda: open('x.txt')",
        "open(unknown)",
        "for p in unknown: open(p)",
        "open('x.txt', 'w')",
        "open('x.txt', mode='a')",
        "h5py.File('x.h5', 'w')",
        "h5py.File('x.h5')",  # older releases make it
        "np.load('iris')",
        "z = zipfile.ZipFile(unknown)\nz.open('inner.csv')",
        "import configparser\nc = configparser.ConfigParser()\nc.read('x.ini')",
        "pd.read_csv(None)",
        "%%bash\ncat x.txt",
        "x = (",
    ],
)
def test_what_is_not_sure_is_not_said(code: str) -> None:
    """Code under a handler, a test, a return that may happen, or that writes, reads nothing."""
    assert reads(code) == []


def test_a_cell_that_no_python_reads_makes_all_unknown() -> None:
    """It may have bound any name."""
    assert reads("p = 'x.txt'", "x = (", "open(p)") == []


def test_what_is_written_is_told_though_it_is_not_sure() -> None:
    """Whatever a run may make can be there."""
    code = "if unknown:\n    df.to_csv('a.csv')\nplt.savefig('b.png')\nnp.save(f'{q}.npy', x)"
    assert reads(code, kind="write") == ["a.csv", "b.png", "….npy"]


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        (
            "u = 'https://example.org/'\npd.read_csv(u + 'a.csv')",
            "address",
            "https://example.org/a.csv",
        ),
        ("xr.open_zarr('gs://bucket/a.zarr')", "address", "gs://bucket/a.zarr"),
        ("fetch('https://example.org/a.csv')", "address", "https://example.org/a.csv"),
        ("import requests as r\nr.get(unknown)", "network", "requests.get"),
        ("from urllib.request import urlopen\nurlopen(u)", "network", "urllib.request.urlopen"),
        ("import gseapy as gp\ngp.enrichr(gene_list=g)", "network", "gseapy.enrichr"),
        ("from dipy.data import fetch_ivim\nfetch_ivim()", "network", "dipy.data.fetch_ivim"),
        ("!wget https://example.org", "network", "wget https://example.org"),
        ("os.system('curl -O https://example.org')", "network", "curl -O https://example.org"),
        ("%%bash\ngit clone https://example.org/a", "network", "git clone https://example.org/a"),
        ("glob.glob(os.path.join('d', '*.csv'))", "glob", "d/*.csv"),
        ("Path('d').glob('*.csv')", "glob", "d/*.csv"),
        ("xr.open_mfdataset('d/*.nc')", "glob", "d/*.nc"),
        ("os.listdir('d')", "list", "d"),
        ("import nope\nnope.load('/home/me/x')", "read", "/home/me/x"),
        ("nope('/home/me/x')", "given", "/home/me/x"),
        ("!make all", "command", "make all"),
    ],
)
def test_folders_addresses_and_commands(code: str, kind: str, expected: str) -> None:
    """Each is told by its kind."""
    assert reads(code, kind=kind) == [expected]


@pytest.mark.parametrize(
    "code",
    [
        "# requests.get(u)",
        "def f():\n    requests.get(u)",
        "if not os.path.exists(unknown):\n    urlretrieve(u, unknown)",
        "try:\n    requests.get(u)\nexcept Exception: pass",
        "print('https://example.org/a.csv')",
        "!test -e x.csv || curl -O https://example.org/x.csv",
        "!pip install git+https://example.org/wget",
        "import cartopy.feature",
        "AutoModel.from_pretrained('./model')",
        "for f in glob.glob('tmp/*.png'):\n    os.remove(f)",
        "if glob.glob('*.csv'): pass",
    ],
)
def test_what_asks_nothing(code: str) -> None:
    """Comments, functions that nobody calls, fallbacks, texts and installs ask no network."""
    found = touches([code])
    assert not [one for one in found if one.kind in {"network", "address", "glob", "list"}]


def test_a_test_of_existence_is_answered_from_the_source() -> None:
    """What is surely not there is surely downloaded; what a run may make decides nothing."""
    code = "if os.path.exists('x.csv'):\n    open('y.txt')\nelse:\n    open('z.txt')"
    assert reads(code, exists=lambda *_: False) == ["z.txt"]
    assert reads(code, exists=lambda *_: True) == ["y.txt"]
    assert reads(code, exists=lambda *_: None) == []
    line = "[ -e x.csv ] || curl -O https://example.org/x.csv"
    assert reads(f"!{line}", kind="network", exists=lambda *_: False) == [line]
    assert reads(f"!{line}", kind="network", exists=lambda *_: True) == []


def test_modules_of_the_source_are_followed() -> None:
    """Their constants and functions are known; one that imports itself ends."""
    text = "import own\nfrom pathlib import Path\nD = 'd'\ndef get(n): return open(D + '/' + n)"
    modules = {"own": ("own.py", text)}
    assert reads("from own import *\nopen(D + '/x.txt')", modules=modules.get) == ["d/x.txt"]
    assert reads("import own\nown.get('y.txt')", modules=modules.get) == ["d/y.txt"]
    assert reads("from own import get as g\ng('z.txt')", modules=modules.get) == ["d/z.txt"]


def test_a_command_that_ran_before_is_remembered() -> None:
    """It may have written what is read."""
    first, _, second = touches(["open('a.txt')\n!./simulate\nopen('b.txt')"])
    assert first == Touch("read", (f"{ROOT}/a.txt",))
    assert second == Touch("read", (f"{ROOT}/b.txt",), after_command=True)


@pytest.mark.parametrize(
    "code",
    [
        "'%999999999d' % 1",
        "'{:>999999999}'.format(1)",
        "f'{1:999999999}'",
        "'x'.zfill(10**12)",
        "x = 'a'\nfor i in range(10**9): x += x",
        "x = [0] * 10**9",
        "x = list(range(10**12))",
        "def f(): f()\nf()",
        "def f(): f(); f(); f(); f()\nf()",
        "for a in range(64):\n for b in range(64):\n  for c in range(64): g(a)",
        "x = " + "-" * 5000 + "1",
        "x = " + "(" * 2000,
        "while True:\n    while True: pass",
        "'%s %s' % ('a',)\n'{} {}'.format('a')\n'{'.format()\n'{0.x[1]}'.format(1)",
        "x = 1\nx.y.z = 2\nx[0][1] = 3\ndel x[0], x.y\n(a, *b), [c] = 1, 2",
        "a = 5 // 0\nb = 5 % 0\nc = 'a' / 1\nd = [] < 1\ne = 1 < 'a'\nf = 'a'[9]\ng = {}[1]",
        "return 1\nbreak\nyield 2",
        "glob.glob('" + "*a" * 500 + "')",
    ],
)
def test_hostile_code_is_bounded(code: str) -> None:
    """No width, loop, recursion or nesting takes long or raises."""
    began = time.process_time()
    touches([code, "open('x.txt')"])
    assert time.process_time() - began < 5


def test_a_huge_notebook_is_bounded() -> None:
    """Five megabytes of code are not looked at in full."""
    began = time.process_time()
    touches(["x = open('a.txt')\n" * 5_000] * 60)
    assert time.process_time() - began < 10


PIECES = st.sampled_from(
    [
        "open(",
        ")",
        "'x.csv'",
        '"a"',
        "for",
        "x",
        "in",
        "[",
        "]",
        ":",
        "\n",
        "if",
        "else",
        "try",
        "except",
        "def",
        "f",
        "(",
        "return",
        "+",
        "%",
        "/",
        ".",
        ",",
        "=",
        "{x}",
        "f'",
        "os.path.join",
        "Path",
        "glob.glob",
        "**",
        "*",
        "lambda",
        "while",
        "with",
        "as",
        "import",
        "class",
        "1",
        "0",
        "-1",
        "None",
        "\t",
        "\x00",
        "!ls",
        "%cd",
        "del",
        "global",
        "yield",
        "await",
        "match",
        "case",
        "_",
        ";",
        "\\",
        "#",
        "range",
        "zip",
        "format",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=80), st.lists(PIECES).map(" ".join)), max_size=3))
def test_no_text_raises(cells: list[str]) -> None:
    """Whatever cells hold, there is an answer."""
    assert isinstance(touches(cells), tuple)


# "~" stands for the end of a line.
STATEMENTS = """\
p = 'a'
p = p + '.csv'
open(p)
p = [p, 'b']
p = {'k': p}
p = p['k']
p = p[0]
p.append(1)
p = f'{p:>3}{p}'
p = '%s-%d' % (p, 1)
p = Path(p) / p
p = p.parent
p = os.path.join(p, 'x')
p = p.split('a')
p = p * 3
p = -p
p = p if p else 'c'
p = p and q or 1
p = [n for n in p]
p = {n: n for n in p}
def p(q=p): return q
p = p(p)
class p: q = p
p = p.q
p.q = p
p = p in p
if p: p = 'd'
while p: p = 1
for p in p: break
for p, q in p: continue
p = p.format(p, q=p)
p = sorted(p)
p = len(p)
p = dict(p)
p = zip(p, p)
p = glob.glob(p)
os.chdir(p)
p = open(p, p)
p = os.path.exists(p)
del p
try: p = p.x~except E: p = 2
with p as p: p
p += p
p = not p
p = p < p
p = p[1:p]
p = p.replace(p, p)
p = range(p)
p = os.path.splitext(p)[0]"""


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(STATEMENTS.splitlines()), max_size=12).map("\n".join))
def test_no_program_raises(code: str) -> None:
    """Whatever values meet, there is an answer."""
    assert isinstance(touches([code.replace("~", "\n")]), tuple)
