"""requirements.txt in every form that people save under that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leman.environments.detect import declared

if TYPE_CHECKING:
    from pathlib import Path

    from leman.environments.model import Declarations


def read(root: Path, text: str | bytes, name: str = "requirements.txt") -> Declarations:
    """Declare one file and return what is read from the folder."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return declared(root)


def wishes(found: Declarations) -> dict[str, str]:
    """Return name → specifier."""
    return {one.name: one.specifier for one in found.requirements}


def codes(found: Declarations) -> list[str]:
    """Return the findings' codes in order."""
    return [one.code for one in found.findings]


@pytest.mark.parametrize(
    ("line", "name", "specifier"),
    [
        ("numpy", "numpy", ""),
        ("numpy==1.18.1", "numpy", "==1.18.1"),
        ("NumPy == 1.18.1  # fast", "numpy", "==1.18.1"),
        ("scikit_learn>=0.20,<0.24", "scikit-learn", "<0.24,>=0.20"),
        ("pandas (1.0.1)", "pandas", "==1.0.1"),
        ("pandas 1.0.1", "pandas", "==1.0.1"),
        ("pandas=1.0.1", "pandas", "==1.0.1"),
        ("pandas>=1.0.*", "pandas", ">=1.0"),
        ("pandas=>1.0", "pandas", ">=1.0"),
        ("- pandas==1.0", "pandas", "==1.0"),
        ('"pandas==1.0",', "pandas", "==1.0"),
        ("pip install pandas==1.0", "pandas", "==1.0"),
        ("torch==1.7.0+cu101", "torch", "==1.7.0"),
        ("numpy=1.18.1=py37h95a1406_0", "numpy", "==1.18.1"),
        ("numpy @ file:///tmp/build/80754af9c/numpy_1620655447/work", "numpy", ""),
        ("numpy @ file:///C:/ci/numpy_1634095647912/work", "numpy", ""),
        ("./wheels/foo_bar-1.2-py3-none-any.whl", "foo-bar", "==1.2"),
        ("https://example.org/foo-1.2.tar.gz", "foo", ""),
        ("pandas==1.0 --hash=sha256:abc --hash=sha256:def", "pandas", "==1.0"),
        ("pytz==2019c-bad", "pytz", ""),
    ],
)
def test_a_line_means_what_its_author_meant(
    tmp_path: Path, line: str, name: str, specifier: str
) -> None:
    """A line in pip's, conda's or a hurried author's form gives the name and the version."""
    assert wishes(read(tmp_path, f"# first\n{line}\n")) == {name: specifier}


def test_origins_are_file_and_line(tmp_path: Path) -> None:
    """A requirement tells where it stands, a continued one where it begins."""
    found = read(tmp_path, "\n# comment\nnumpy\npandas \\\n  >=1.0\nscipy\n")
    assert [one.origin for one in found.requirements] == [
        "requirements.txt:3",
        "requirements.txt:4",
        "requirements.txt:6",
    ]
    assert wishes(found)["pandas"] == ">=1.0"


@pytest.mark.parametrize(
    "data",
    [
        "numpy==1.18.1\r\npandas==1.0\r\n".encode("utf-16"),
        "numpy==1.18.1\r\npandas==1.0\r\n".encode("utf-16-le"),
        "numpy==1.18.1\npandas==1.0\n".encode("utf-8-sig"),
        b"numpy==1.18.1\r\npandas==1.0\r\n",
        b"numpy==1.18.1\rpandas==1.0\r",
        "# déjà\nnumpy==1.18.1\npandas==1.0\n".encode("cp1252"),
    ],
)
def test_any_encoding_is_read(tmp_path: Path, data: bytes) -> None:
    """PowerShell's UTF-16, byte order marks, foreign line ends and Latin text are no obstacle."""
    assert wishes(read(tmp_path, data)) == {"numpy": "==1.18.1", "pandas": "==1.0"}


def test_includes_are_followed_inside_the_repository_alone(tmp_path: Path) -> None:
    """-r is read relative to its file; outside, missing and circular ones are findings."""
    (tmp_path.parent / "outside.txt").write_text("evil==1.0\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.txt").write_text("-r ../requirements.txt\nscipy==1.4\n")
    found = read(
        tmp_path, "-r more/base.txt\n-r ../outside.txt\n-c missing.txt\n-r /etc/passwd\nnumpy\n"
    )
    assert wishes(found) == {"scipy": "==1.4", "numpy": ""}
    assert codes(found).count("include-outside") == 2
    assert {"include-cycle", "include-missing"} <= set(codes(found))
    assert "more/base.txt" in found.files


def test_addresses_and_local_folders(tmp_path: Path) -> None:
    """A VCS address keeps its URL, a folder of the repository is a local project."""
    (tmp_path / "src").mkdir()
    (tmp_path / "bare").mkdir()
    for folder in (tmp_path, tmp_path / "src"):
        (folder / "setup.py").write_text("setup(name='x')")
    found = read(
        tmp_path,
        "-e .\n-e ./src[all]\n-e git+https://example.org/a/tool.git@v1#egg=my_tool\n"
        "git+https://example.org/a/other.git\n./nowhere\n-e ./bare\n",
    )
    assert {one.name: one.url for one in found.requirements} == {
        "my-tool": "git+https://example.org/a/tool.git@v1",
        "other": "git+https://example.org/a/other.git",
    }
    assert found.local_projects == (".", "src")
    assert "direct-address" in codes(found)
    assert codes(found).count("local-file-missing") == 2


def test_what_cannot_be_used_is_a_finding(tmp_path: Path) -> None:
    """Options, broken lines and packages of other systems are reported with their line."""
    found = read(
        tmp_path,
        "--extra-index-url https://example.org\n--pre\n-umpy==1.0\n<<<<<<< HEAD\n"
        "pywin32==300\nmkl-fft==1.0.15\nnumpy\n",
    )
    assert wishes(found) == {"numpy": ""}
    assert codes(found).count("option-not-used") == 2
    invalid = [one.where for one in found.findings if one.code == "invalid-line"]
    assert invalid == ["requirements.txt:3", "requirements.txt:4"]
    assert {"platform-only", "conda-only"} <= set(codes(found))


def test_module_names_stand_for_their_distributions(tmp_path: Path) -> None:
    """Of sklearn scikit-learn is meant, and the stand-in's 0.0 nobody's; Debian's own go."""
    found = read(tmp_path, "sklearn==0.0\nPIL\ncv2==4.5.1.48\npkg-resources==0.0.0\n")
    assert wishes(found) == {"scikit-learn": "", "pillow": "", "opencv-python": "==4.5.1.48"}
    assert {"module-name", "platform-only"} <= set(codes(found))


def test_python_among_the_requirements_is_the_python(tmp_path: Path) -> None:
    """A converted conda list names Python itself: it decides the interpreter, not a package."""
    found = read(tmp_path, "python==3.7.4\nnumpy==1.18.1\npip==20.0\n")
    assert found.python == "==3.7.*"
    assert wishes(found) == {"numpy": "==1.18.1"}


def test_markers_keep_two_versions_apart(tmp_path: Path) -> None:
    """Two lines for two Pythons are both kept; of two lines without markers the exact one."""
    found = read(
        tmp_path,
        'numpy==1.16; python_version < "3.7"\nnumpy==1.19; python_version >= "3.7"\n'
        "scipy\nscipy==1.4\n",
    )
    assert [(one.specifier, bool(one.marker)) for one in found.requirements] == [
        ("==1.16", True),
        ("==1.19", True),
        ("==1.4", False),
    ]


def test_printed_lists_are_read(tmp_path: Path) -> None:
    """The tables of pip list and conda list, and conda's explicit list, give exact versions."""
    pip = "Package    Version\n---------- -------\nnumpy      1.18.1\npip        20.0\n"
    assert wishes(read(tmp_path / "a", pip)) == {"numpy": "==1.18.1"}
    conda = (
        "# packages in environment at /opt/x:\n#\n# Name   Version   Build  Channel\n"
        "numpy   1.18.1   py37_0\npython  3.7.6  h0\nfoo  2.0  pypi_0  pypi\nopenssl 1.1.1g h0\n"
    )
    found = read(tmp_path / "b", conda)
    assert wishes(found) == {"numpy": "==1.18.1", "foo": "==2.0"}
    assert found.python == "==3.7.*"
    explicit = "@EXPLICIT\nhttps://example.org/linux-64/numpy-1.18.1-py37_0.conda#abc\n"
    assert wishes(read(tmp_path / "c", explicit, "spec-file.txt")) == {"numpy": "==1.18.1"}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_content_raises(tmp_path: Path, data: bytes) -> None:
    """Whatever bytes stand in a declaring file, reading ends with an answer."""
    for name in ("requirements.txt", "environment.yml", "setup.py", "runtime.txt", "Pipfile.lock"):
        (tmp_path / name).write_bytes(data)
    declared(tmp_path)
