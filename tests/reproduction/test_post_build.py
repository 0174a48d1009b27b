"""Prove that postBuild runs in a sandbox, within limits, and that notebooks get what it made."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from notebooks import LIMITS

from leman.environments.model import Declarations
from leman.reproduction.post_build import PostBuild, Setting, combined_home, post_build
from leman.reproduction.run import isolate
from leman.reproduction.start import exported, with_start

if TYPE_CHECKING:
    from leman.reproduction.model import Limits


class Made:
    """A virtual environment without packages."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.executable = folder / "bin" / "python"


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """Give an environment, a sandbox without network, and limits."""
    made = Made(tmp_path_factory.mktemp("made") / "environment")
    return Setting(made, isolate("sandbox", network=False), LIMITS, {"GREETING": "hello"})


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Give a work copy's folder."""
    folder = tmp_path / "holder" / "work"
    (folder / "binder").mkdir(parents=True)
    return folder


def run(work: Path, setting: Setting, text: str) -> PostBuild:
    """Run a text as binder/postBuild."""
    (work / "binder" / "postBuild").write_text(text)
    return post_build("binder/postBuild", work, setting)


def codes(done: PostBuild) -> list[str]:
    """Return the codes of the findings."""
    return [one.code for one in done.findings]


def test_it_runs_at_the_root_with_the_environment_first(work: Path, setting: Setting) -> None:
    """Working folder, PATH, variables and home are Binder's; what it writes stays."""
    text = "#!/bin/bash\nset -e\npwd > here\ncommand -v python > which\necho $GREETING > ~/said\n"
    done = run(work, setting, text)
    assert codes(done) == ["post-build-ran"]
    assert (work / "here").read_text().strip() == str(work)
    assert (work / "which").read_text().strip() == str(setting.environment.executable)
    assert done.home is not None
    assert (done.home / "said").read_text() == "hello\n"


@pytest.mark.parametrize(
    "first",
    ["#!/srv/conda/envs/kernel/bin/python3.6", "#!/usr/bin/env python", "#!/opt/python -u"],
)
def test_python_scripts_run_with_the_environments_own(
    work: Path, setting: Setting, first: str
) -> None:
    """A script in Python runs with the environment's, whatever place its first line names."""
    done = run(work, setting, f"{first}\nimport sys\nopen('prefix', 'w').write(sys.prefix)\n")
    assert codes(done) == ["post-build-ran"]
    assert (work / "prefix").read_text() == str(setting.environment.executable.parent.parent)
    assert done.home is None


def test_a_script_without_a_first_line_is_a_shells(work: Path, setting: Setting) -> None:
    """Without `#!` the script is the shell's, as when a user starts it."""
    assert codes(run(work, setting, "touch made\n")) == ["post-build-ran"]
    assert (work / "made").exists()


def test_installers_are_harmless(work: Path, setting: Setting) -> None:
    """What would install into the environment says that the lock has it, and succeeds."""
    text = """#!/bin/bash
set -e
pip install -r requirements.txt
python -m pip install emcee
python3 -m pip install --upgrade pip
conda env update -f environment.yml && conda clean -tipsy
sudo apt-get install -y gfortran
jupyter labextension install @jupyter-widgets/jupyterlab-manager
jupyter nbextension enable --py widgetsnbextension --sys-prefix
touch reached
"""
    assert codes(run(work, setting, text)) == ["post-build-ran"]
    assert (work / "reached").exists()


def test_a_failure_is_told_with_its_last_lines(work: Path, setting: Setting) -> None:
    """An exit code that is not 0 is a finding that ends with what the script said last."""
    done = run(work, setting, "#!/bin/bash\nseq 50000\necho no such data >&2\nexit 3\n")
    (only,) = done.findings
    assert only.code == "post-build-failed"
    assert "exit code 3" in only.message
    assert only.message.endswith("49999\n50000\nno such data")
    assert len(only.message) < 1000


def test_it_sees_nothing_of_this_machine(work: Path, setting: Setting) -> None:
    """Its home is private, the environment read-only, and nothing outside can be written."""
    prefix = setting.environment.executable.parent.parent
    text = f"#!/bin/bash\nls -A ~ > home\ntouch {prefix}/x {work.parent}/x {Path.home()}/x\n"
    done = run(work, setting, text)
    assert codes(done) == ["post-build-failed"]
    assert (work / "home").read_text() == ""
    assert not (prefix / "x").exists()
    assert not (work.parent / "x").exists()


def test_no_network_unless_allowed(work: Path, setting: Setting) -> None:
    """Without network only the loopback device is there."""
    run(work, setting, "#!/bin/sh\ncat /proc/net/dev > devices\n")
    names = [line.split(":")[0].strip() for line in (work / "devices").read_text().splitlines()]
    assert [name for name in names[2:] if name] == ["lo"]


@pytest.mark.parametrize(
    ("text", "limits", "words"),
    [
        ("sleep 60", replace(LIMITS, seconds=1), "longer than 1 s"),
        (":(){ :|:& };:; sleep 60", LIMITS, "more than 64 processes"),
        ("exec python -c 'x = bytearray(900_000_000); input()' < <(sleep 60)",
         replace(LIMITS, memory=300_000_000), "GB of memory"),
        ("exec yes", replace(LIMITS, seconds=2), "longer than 2 s"),
    ],
    ids=["time", "processes", "memory", "output"],
)  # fmt: skip
def test_limits_hold(work: Path, setting: Setting, text: str, limits: Limits, words: str) -> None:
    """A script that takes too much of anything is stopped, and the finding says of what."""
    done = run(work, replace(setting, limits=limits), f"#!/bin/bash\n{text}\n")
    assert codes(done) == ["post-build-failed"]
    assert words in done.findings[0].message


def test_its_home_can_be_copied(work: Path, setting: Setting, tmp_path: Path) -> None:
    """Pipes are removed, locked folders opened, links kept as links, and the warm home is there."""
    text = (
        "cd; mkfifo pipe; ln -s /etc/shadow link; mkdir shut; touch shut/in; chmod 0 shut/in shut"
    )
    done = run(work, setting, f"#!/bin/sh\n{text}\n")
    warm = tmp_path / "warm"
    warm.mkdir()
    (warm / "fonts").write_text("fonts")
    both = combined_home(warm, done.home, tmp_path / "homes" / "digest")
    assert both is not None
    assert sorted(path.name for path in both.rglob("*")) == ["fonts", "in", "link", "shut"]
    assert (both / "link").is_symlink()
    assert combined_home(warm, done.home, tmp_path / "homes" / "digest") == both
    assert combined_home(warm, None, tmp_path / "x") == warm
    assert combined_home(None, done.home, tmp_path / "x") == done.home


def test_never_without_a_sandbox(work: Path, setting: Setting) -> None:
    """Without a sandbox nothing is run, and the finding says what that means."""
    done = run(work, replace(setting, isolation=isolate("none")), "#!/bin/sh\ntouch made\n")
    assert codes(done) == ["post-build-not-run"]
    assert "missing" in done.findings[0].message
    assert not (work / "made").exists()


def test_start_is_read_for_plain_exports() -> None:
    """Plain values are taken; what a shell would have to compute, or is ours, is named."""
    text = """#!/bin/bash -l
# comment
set -euo pipefail
export DATA_DIR="/data/of run" # where
export EMPTY=
export COMPUTED=$(date)
export PATH=/opt/bin
service start
exec "$@"
"""
    found, rest = exported(text)
    assert found == {"DATA_DIR": "/data/of run", "EMPTY": ""}
    assert rest == ("export COMPUTED=$(date)", "export PATH=/opt/bin", "service start")


def test_start_adds_to_what_is_declared(tmp_path: Path) -> None:
    """Its exports join the declared variables; what is not followed is a finding."""
    (tmp_path / "start").write_text("export A=1\nwhoami\n")
    both = with_start(tmp_path, Declarations(start="start", environment_variables={"B": "2"}))
    assert both.environment_variables == {"A": "1", "B": "2"}
    assert [one.code for one in both.findings] == ["start-not-run"]
    assert with_start(tmp_path, Declarations()) == Declarations()
