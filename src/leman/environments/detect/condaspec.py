"""One conda package as conda writes it, turned into what the Python package index calls it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from leman.environments import names
from leman.environments.detect.codes import finding
from leman.environments.detect.reading import (
    Channel,
    CondaOnly,
    Dropped,
    PythonWanted,
)
from leman.environments.detect.specifiers import (
    conda_specifier,
    is_pin,
    python_specifier,
    requirement,
)
from leman.environments.model import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leman.environments.detect.reading import Item

# Their wheels have a fourth part that the conda package lacks: 4.5.1 is 4.5.1.48 on the index.
_MORE_PARTS = ("opencv-",)
# Conda packages of C libraries and tools: exports name dozens, and an equal name on the index is
# another thing (conda's attr, graphviz, snappy, tk).
_LIBRARIES_TEXT = (
    "alsa-lib atk attr binutils blas blosc brotli-bin bwidget bzip2 c-ares ca-certificates cairo "
    "ccache cfitsio compilers curl cyrus-sasl dbus double-conversion eigen elfutils esmf expat "
    "ffmpeg fftw flac fontconfig freeglut freetype freexl fribidi gcc gdk-pixbuf geos geotiff "
    "gettext gflags gfortran giflib git glib glib-tools glog gmp gnutls gobject-introspection "
    "graphite2 graphviz gsl gst-plugins-base gstreamer gtk2 gtk3 harfbuzz hdf4 hdf5 icc_rt icu "
    "imagemagick intel-openmp jasper jpeg json-c jxrlib kealib keyutils krb5 lame lapack lcms2 "
    "lerc llvm llvm-openmp lz4-c lzo make mesalib metis minizip mkl mkl-devel mkl-include mpc mpfr "
    "mpg123 mpi mpich msys2-conda-epoch mysql-common mysql-libs ncurses netcdf-fortran nettle "
    "nodejs nspr nss openblas openh264 openjdk openjpeg openldap openmpi openssl orc pandoc pango "
    "parallelio pcre pcre2 perl pixman pkg-config poppler poppler-data postgresql proj proj4 "
    "pthread-stubs pugixml pulseaudio python_abi python-gil qhull qt qt-main qt6-main rdma-core "
    "re2 readline ruby s2n sed snappy spdlog sqlite suitesparse tar tbb texlive-core tk tktable "
    "tzcode ucrt ucx uriparser vc vc14_runtime vs2015_runtime wayland x264 x265 xerces-c xz yaml "
    "zeromq zfp zlib zlib-ng zstd"
)
_MOST_SPEC = 1_000  # characters
_LIBRARIES = frozenset(_LIBRARIES_TEXT.split())
_LIBRARY_FORM = re.compile(
    r"^(?:_|lib(?!.*(?:rosa|tmux|sass|svm|archive-c|pysal))|xorg-|xcb-|font-|fonts-|aws-c-|m2w64-|m2-"
    r"|mingw-|perl-|gst-|ld_impl|lib\w+\+\+)|(?:-cpp|-devel|-headers|_linux-64|_win-64|_osx-64|-64"
    r"|-cos[67].*|proto)$"
)
_NAME = re.compile(r"^(?:([^\s\[\]=<>!~]+?)::?)?([A-Za-z0-9_][\w.-]*)\s*(.*)$", re.DOTALL)
_BRACKETS = re.compile(r"\[(.*)\]\s*$", re.DOTALL)


def conda_items(spec: str, origin: str) -> Iterator[Item]:
    """Yield what a conda match spec says (``channel::name=version=build``, ``name >=1``)."""
    if len(spec) > _MOST_SPEC:
        yield finding("invalid-line", origin, f"{spec[:80]!r}… is no conda package")
        return
    text = spec.split("#", maxsplit=1)[0].strip().strip("\"'")
    bracketed = ""
    if match := _BRACKETS.search(text):
        text = text[: match.start()].strip()
        inner = re.search(r"version\s*=\s*(['\"]?)([^'\"\]]+)\1", match[1])
        bracketed = inner[2] if inner else ""
    match = _NAME.match(text)
    if not match:
        yield finding("invalid-line", origin, f"{spec.strip()[:120]!r} is no conda package")
        return
    if match[1]:
        yield Channel(match[1].split("/")[0])
    version, exact = _version(bracketed or match[3])
    yield from conda_package(match[2], version, origin, exact=exact)


def _version(rest: str) -> tuple[str, bool]:
    """Split what follows the name into the version and whether a build or ``==`` fixes it."""
    rest = re.sub(r"\s*([<>=!~,|]+)\s*", r"\1", rest.strip())
    rest, _, build = rest.partition(" ")
    if re.match(r"^[0-9]", rest) and not build:
        bare = re.match(r"^([^=]+)(=.+)?$", rest)
        return (bare[1], "*" not in rest) if bare else (rest, False)
    if match := re.match(r"^(={1,2})([^=,|<>!~]+)=([^=].*)$", rest):
        return match[2], match[3] != "*"
    if rest.startswith("=="):
        return rest[2:], True
    return rest, bool(build) and re.match(r"^=?[0-9]", rest) is not None


def conda_package(
    name: str, version: str, origin: str, *, exact: bool = False, pypi: bool = False
) -> Iterator[Item]:
    """Yield the requirement of one conda package.

    `pypi`: conda says itself that pip installed it (build string ``pypi_0``).
    """
    name = name.lower()
    if name == "python":
        if wanted := python_specifier(_python(version)):
            yield PythonWanted(wanted, origin)
        return
    if pypi:
        yield from requirement(name, f"=={version}" if version else "", origin=origin)
        return
    if name.startswith(("r-", "bioconductor-")) or name in ("r", "rstudio"):
        yield Dropped("r-unsupported", name)
        return
    if name in _LIBRARIES or (_LIBRARY_FORM.search(name) and not names.is_known(name)):
        yield Dropped("conda-not-python", name)
        return
    found = names.distribution_for_conda(name)
    if found == ():
        yield Dropped("conda-not-python", name)
        return
    if found is None and not names.is_known(canonicalize_name(name)):
        yield CondaOnly(_conda_only(name, version, origin, exact=exact))
        return
    # Several distributions for one package: only the first shares its version numbers.
    for position, distribution in enumerate(found or (name,)):
        specifier = _specifier(distribution, version, exact=exact) if position == 0 else ""
        if specifier is None:
            yield Dropped("specifier-dropped", f"{name} {version}")
        yield from requirement(distribution, specifier or "", origin=origin)


def _specifier(distribution: str, version: str, *, exact: bool) -> str | None:
    more = distribution.startswith(_MORE_PARTS)
    specifier = conda_specifier(version, exact=exact, prefix=more)
    # tzdata's 2020a is 2020.1 on the index.
    return "" if re.search(r"=[0-9]{4}[a-z]$", specifier or "") else specifier


def _python(version: str) -> str:
    version = version.strip()
    return version.split("|")[0] if version.count("|") else version


def _conda_only(name: str, version: str, origin: str, *, exact: bool) -> Requirement:
    specifier = conda_specifier(version, exact=exact) or ""
    return Requirement(canonicalize_name(name), specifier, origin=origin, pinned=is_pin(specifier))
