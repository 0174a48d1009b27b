"""Which key signs, and what is said when it cannot."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from leman.errors import ToolError, UsageError
from leman.records import keys, ssh

if TYPE_CHECKING:
    from pathlib import Path


def _keygen(path: Path, *options: str, phrase: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["ssh-keygen", "-q", "-N", phrase, "-C", "ada@example.org", *options, "-f", str(path)]
    subprocess.run(command, check=True)


def test_the_users_own_key_comes_before_one_that_leman_makes(tmp_path: Path) -> None:
    """Ed25519 before ECDSA before RSA, and no key is made where there is one."""
    _keygen(tmp_path / "ssh/id_rsa", "-t", "rsa", "-b", "2048")
    _keygen(tmp_path / "ssh/id_ecdsa", "-t", "ecdsa")
    chosen = keys.choose(None, own=tmp_path / "ssh", home=tmp_path / "home")
    assert chosen.path.name == "id_ecdsa"
    assert not chosen.made
    assert not (tmp_path / "home").exists()


def test_a_made_key_is_kept(tmp_path: Path) -> None:
    """The second publication signs with the key of the first."""
    first = keys.choose(None, own=tmp_path / "ssh", home=tmp_path / "home")
    second = keys.choose(None, own=tmp_path / "ssh", home=tmp_path / "home")
    assert first.made
    assert not second.made
    assert first.fingerprint == second.fingerprint


def test_a_key_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    """A path that leads nowhere, and a file that holds no key."""
    with pytest.raises(UsageError, match="there is no key"):
        keys.choose(tmp_path / "none", own=tmp_path, home=tmp_path)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UsageError, match="there is no public key"):
        keys.choose(tmp_path / "text", own=tmp_path, home=tmp_path)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key_signs_and_is_shown(kind: str, tmp_path: Path) -> None:
    """The key inside a signature is the one that made it, by its fingerprint too."""
    _keygen(tmp_path / "key", "-t", kind)
    (tmp_path / "what").write_text("a tag manifest")
    armoured = ssh.sign(tmp_path / "what", key=tmp_path / "key", purpose="test@v1")
    (tmp_path / "a.sshsig").write_bytes(armoured)
    found = ssh.verify(tmp_path / "what", tmp_path / "a.sshsig", purpose="test@v1", trust=None)
    assert found.problem == ""
    assert found.key == " ".join((tmp_path / "key.pub").read_text().split()[:2])
    assert found.fingerprint == ssh.fingerprint(found.key)
    other = ssh.verify(tmp_path / "what", tmp_path / "a.sshsig", purpose="other@v1", trust=None)
    assert "does not fit" in other.problem


def test_a_key_with_a_passphrase_signs_by_its_agent_and_else_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked where nobody can answer: the message names ssh-add."""
    _keygen(tmp_path / "key", "-t", "ed25519", phrase="secret phrase")
    (tmp_path / "what").write_text("x")
    monkeypatch.setenv("SSH_AUTH_SOCK", "")
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    with pytest.raises(ToolError, match="could not sign") as caught:
        ssh.sign(tmp_path / "what", key=tmp_path / "key", purpose="test@v1")
    assert "ssh-add" in caught.value.hint
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL
    )
    try:
        (tmp_path / "answer").write_text("#!/bin/sh\necho secret phrase\n")
        (tmp_path / "answer").chmod(0o700)
        told = {"SSH_ASKPASS": str(tmp_path / "answer"), "SSH_ASKPASS_REQUIRE": "force"}
        told["SSH_AUTH_SOCK"] = str(tmp_path / "agent")
        for _ in range(100):
            if (tmp_path / "agent").exists():
                break
            subprocess.run(["sleep", "0.05"], check=True)
        subprocess.run(["ssh-add", tmp_path / "key"], env={**os.environ, **told}, check=True)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        public = tmp_path / "key.pub"
        assert ssh.sign(tmp_path / "what", key=public, purpose="test@v1")
    finally:
        agent.terminate()
        agent.wait()
