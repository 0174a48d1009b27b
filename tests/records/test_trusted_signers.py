"""Whom a reader trusts, for what, and until when: OpenSSH's own list of allowed signers."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from signed_records import WHO, Lab, lab, run, signers

from leman.errors import UsageError
from leman.records import signing
from leman.records.layout import SIGNATURES, STAMPS, TAG_MANIFEST
from leman.records.model import Question, Value
from leman.records.verify import Trust, verify

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Make a good record, and what a forger has, once."""
    return lab(tmp_path_factory.mktemp("lab"))


def ends(when: datetime) -> str:
    """Return the option with which a key is good until then."""
    return f'valid-before="{when:%Y%m%d%H%M%S}Z"'


def signed(root: Path, trust: Trust) -> tuple[Value, str]:
    """Return the answer to who signed, with its reason."""
    answer = verify(root, trust=trust).answer(Question.SIGNED)
    return answer.value, answer.reason


def test_the_name_comes_from_the_list_not_from_the_record(laboratory: Lab, tmp_path: Path) -> None:
    """A signer is called as the reader's list calls the key, whatever the file is named."""
    who = signers(tmp_path / "who", ("carol@example.org", laboratory.alice))
    value, reason = signed(laboratory.record, Trust(who))
    assert value is Value.YES
    assert "carol@example.org" in reason


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ('namespaces="leman-record@v1"', Value.YES),
        ('namespaces="git,file"', Value.NO),
        (ends(datetime(2099, 1, 1, tzinfo=UTC)), Value.YES),
        (ends(datetime(2020, 1, 1, tzinfo=UTC)), Value.NO),
        ('valid-after="20990101000000Z"', Value.NO),
    ],
)
def test_what_an_entry_demands_is_demanded(
    options: str, value: Value, laboratory: Lab, tmp_path: Path
) -> None:
    """Purposes and dates in the reader's list hold."""
    who = signers(tmp_path / "who", (WHO, laboratory.alice), options=options)
    assert signed(laboratory.record, Trust(who))[0] is value


def test_a_key_that_ended_counts_as_of_a_trusted_time_stamp(
    laboratory: Lab, tmp_path: Path
) -> None:
    """A signature stamped before its key ended holds for ever, to who trusts the authority."""
    end = datetime.now(UTC) + timedelta(seconds=1)
    who = signers(tmp_path / "who", (WHO, laboratory.alice), options=ends(end))
    root = tmp_path / "record"
    shutil.copytree(laboratory.record, root)
    _wait_until(end + timedelta(seconds=1))
    authority = laboratory.trust.authorities
    assert signed(root, Trust(who, authority))[0] is Value.YES
    forger = laboratory.home / "forger" / "ca.pem"
    laboratory.sign(root, whose="forger")
    assert signed(root, Trust(who, authority))[0] is Value.NO
    assert signed(root, Trust(who, forger))[0] is Value.NO, "it was stamped after the end"


def _wait_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def test_a_key_that_is_no_longer_listed_is_no_longer_trusted(
    laboratory: Lab, tmp_path: Path
) -> None:
    """To revoke a key is to take it off the list: the time stamp does not help it."""
    who = signers(tmp_path / "who", (WHO, laboratory.mallory))
    value, reason = signed(laboratory.record, Trust(who, laboratory.trust.authorities))
    assert value is Value.NO
    assert laboratory.alice.fingerprint in reason


def test_an_authority_of_keys_is_not_a_key(laboratory: Lab, tmp_path: Path) -> None:
    """An entry for certificates (cert-authority) does not trust the authority's bare key."""
    who = signers(tmp_path / "who", (WHO, laboratory.alice), options="cert-authority")
    assert signed(laboratory.record, Trust(who))[0] is Value.NO


@pytest.mark.parametrize(("principal", "value"), [(WHO, Value.YES), ("bob@example.org", Value.NO)])
def test_a_certificate_counts_for_whom_it_names(
    principal: str, value: Value, laboratory: Lab, tmp_path: Path
) -> None:
    """A key that a trusted authority of keys certified is trusted under the names it certified."""
    for name in ("alice", "alice.pub"):
        shutil.copy(laboratory.home / name, tmp_path)
    authority = laboratory.mallory.path
    run(
        ["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-n", principal, "alice.pub"],
        tmp_path,
    )
    root = tmp_path / "record"
    shutil.copytree(laboratory.record, root)
    shutil.rmtree(root / STAMPS)
    shutil.rmtree(root / SIGNATURES)
    (root / SIGNATURES).mkdir()
    signature = root / SIGNATURES / "alice.sshsig"
    shutil.copy(root / TAG_MANIFEST, tmp_path / "what")
    (tmp_path / "alice.pub").unlink()
    certificate = tmp_path / "alice-cert.pub"
    command = ["ssh-keygen", "-Y", "sign", "-n", "leman-record@v1", "-f", str(certificate), "what"]
    run(_with_agent(command, tmp_path / "alice"), tmp_path)
    shutil.copy(tmp_path / "what.sig", signature)
    shutil.copy(certificate, signature.with_suffix(".pub"))
    who = signers(tmp_path / "who", (WHO, laboratory.mallory), options="cert-authority")
    check = verify(root, trust=Trust(who))
    assert check.findings == ()
    assert check.answer(Question.SIGNED).value is value


def _with_agent(command: list[str], key: Path) -> list[str]:
    script = 'ssh-add -q "$0" && exec "$@"'
    return ["ssh-agent", "sh", "-c", script, str(key), *command]


def test_a_list_that_is_not_there_is_a_wrong_call(laboratory: Lab, tmp_path: Path) -> None:
    """A reader who names a list that cannot be read is told so, rather than "no"."""
    with pytest.raises(UsageError, match="cannot be read"):
        verify(laboratory.record, trust=Trust(tmp_path / "none"))


def test_a_list_of_rubbish_trusts_nobody(laboratory: Lab, tmp_path: Path) -> None:
    """What OpenSSH cannot read in a list gives trust to no key."""
    (tmp_path / "who").write_bytes(b"\0\xff rubbish\n" * 10)
    assert signed(laboratory.record, Trust(tmp_path / "who"))[0] is Value.NO


def test_a_second_signature_takes_nothing_from_the_first(laboratory: Lab, tmp_path: Path) -> None:
    """What a stranger adds under another name is shown, and changes no answer of the list."""
    root = tmp_path / "record"
    shutil.copytree(laboratory.record, root)
    signing.add_signature(root, laboratory.mallory, name="alice2", stamping=None)
    check = verify(root, trust=laboratory.trust)
    assert check.answer(Question.SIGNED).value is Value.YES
    assert [(one.name, one.trusted) for one in check.signatures] == [
        ("alice", (WHO,)),
        ("alice2", ()),
    ]
