"""Which RSEs a rule chooses.

As Rucio's ``rse_selector`` does: enough RSEs, enough quota, enough space, RSEs that hold the data
already first. Unlike there nothing is drawn by lot: the same question has the same answer.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leman.lake.model import Grouping, LakeError, ReplicaState
from leman.lake.rules.expressions import evaluate
from leman.lake.rules.interface import FAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leman.lake.model import DID, RSE, Lock, Replica, Rule
    from leman.lake.rules.interface import File, State


class InsufficientTargetRSEs(LakeError):  # noqa: N818 - Rucio's name of it
    """Fewer RSEs can take the data than copies are wanted."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("InsufficientTargetRSEs", message, hint=hint)


class InsufficientAccountLimit(LakeError):  # noqa: N818 - Rucio's name of it
    """The account's quota leaves too few RSEs."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("InsufficientAccountLimit", message, hint=hint)


class RSEOverQuota(LakeError):  # noqa: N818 - Rucio's name of it
    """The free space leaves too few RSEs."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("RSEOverQuota", message, hint=hint)


@dataclass
class Ledger:
    """What is left to give away while rules choose one after the other."""

    state: State
    used: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    filled: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    replicas: dict[DID, dict[str, Replica]] = field(default_factory=lambda: defaultdict(dict))
    coming: set[tuple[DID, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Open the accounts from the state."""
        self.used.update(self.state.used)
        self.filled.update(self.state.filled)
        for replica in self.state.replicas:
            self.replicas[replica.did][replica.rse] = replica

    def is_good(self, did: DID, rse: str) -> bool:
        """Tell whether an AVAILABLE replica is there."""
        replica = self.replicas.get(did, {}).get(rse)
        return replica is not None and replica.state is ReplicaState.AVAILABLE

    def has_room(self, did: DID, rse: str) -> bool:
        """Tell whether the bytes of a file are counted at an RSE already."""
        return rse in self.replicas.get(did, {}) or (did, rse) in self.coming


def groups(rule: Rule, files: Iterable[File]) -> list[tuple[File, ...]]:
    """Return what must lie together, in a fixed order; a file is in one group only."""
    found: dict[tuple[str, str], dict[DID, File]] = {}
    for file in sorted(files, key=lambda one: (one.did, str(one.dataset or ""))):
        match rule.grouping:
            case Grouping.ALL:
                key = ("", "")
            case Grouping.DATASET:
                key = ("", str(file.dataset or ""))
            case Grouping.NONE:
                key = (file.did.scope, file.did.name)
        found.setdefault(key, {})[file.did] = file
    seen: set[DID] = set()
    result = []
    for key in sorted(found):
        own = tuple(file for did, file in found[key].items() if did not in seen)
        seen.update(found[key])
        if own:
            result.append(own)
    return result


def select(state: State, rule: Rule) -> dict[DID, tuple[str, ...]]:
    """Return for each file of a rule the RSEs that it shall be at: what a new rule must pass.

    Raises InvalidRSEExpression, InsufficientTargetRSEs, InsufficientAccountLimit, RSEOverQuota.
    """
    ledger = Ledger(state)
    fitting = evaluate(rule.expression, state.rses)
    locks = [lock for lock in state.locks if lock.rule == rule.id]
    chosen: dict[DID, tuple[str, ...]] = {}
    for group in groups(rule, state.files.get(rule.did, ())):
        names, problem = choose(ledger, rule, group, fitting, held_by(locks))
        if problem is not None:
            raise problem
        chosen.update((file.did, names) for file in group)
    return chosen


def held_by(locks: Iterable[Lock]) -> Mapping[DID, frozenset[str]]:
    """Return the RSEs where each file is locked."""
    held: dict[DID, set[str]] = defaultdict(set)
    for lock in locks:
        held[lock.did].add(lock.rse)
    return {did: frozenset(rses) for did, rses in held.items()}


def choose(
    ledger: Ledger,
    rule: Rule,
    group: tuple[File, ...],
    fitting: Iterable[RSE],
    held: Mapping[DID, frozenset[str]],
) -> tuple[tuple[str, ...], LakeError | None]:
    """Return up to `rule.copies` RSEs for a group, and why they are fewer, if they are.

    First come RSEs that this rule holds files of the group at, so that a choice stands; then those
    with the fewest bytes to bring, then the nearest to a source, then the first by name. The
    ledger is charged with what was chosen.
    """
    fitting = list(fitting)
    standing = _standing(ledger, rule, group, fitting, held)
    if standing:
        for name in standing:
            _charge(ledger, rule, group, name, held)
        return standing, None
    if len(fitting) < rule.copies:
        problem: LakeError | None = InsufficientTargetRSEs(
            f"{rule.copies} copies are wanted, and {rule.expression!r} fits {len(fitting)} RSE(s):"
            f" {', '.join(rse.name for rse in fitting)}",
            hint="No RSE keeps two copies: widen the expression, or ask for fewer copies.",
        )
    else:
        problem = None
    reasons: dict[str, tuple[str, str]] = {}
    able: list[tuple[tuple[int, int, int, str], str]] = []
    for rse in fitting:
        kept = sum(file.size + 1 for file in group if rse.name in held.get(file.did, ())) and any(
            ledger.is_good(file.did, rse.name) or rse.writable
            for file in group
            if rse.name in held.get(file.did, ())
        )
        missing = [file for file in group if not ledger.is_good(file.did, rse.name)]
        reason = None if kept else _against(ledger, rule, group, rse, held)
        if reason:
            reasons[rse.name] = reason
            continue
        stays = -sum(file.size + 1 for file in group if rse.name in held.get(file.did, ()))
        bring = sum(file.size for file in missing)
        able.append(((stays, bring, _distance(ledger, missing, rse.name), rse.name), rse.name))
    names = tuple(name for _, name in sorted(able)[: rule.copies])
    for name in names:
        _charge(ledger, rule, group, name, held)
    if len(names) < rule.copies and problem is None:
        problem = _problem(rule, len(names), reasons)
    return names, problem


def _standing(
    ledger: Ledger,
    rule: Rule,
    group: tuple[File, ...],
    fitting: list[RSE],
    held: Mapping[DID, frozenset[str]],
) -> tuple[str, ...]:
    """Return the RSEs where the whole group is held already, if nothing else could come first."""
    names = held.get(group[0].did, frozenset())
    able = {rse.name for rse in fitting if rse.writable or ledger.is_good(group[0].did, rse.name)}
    if len(names) != rule.copies or not names <= able:
        return ()
    if any(held.get(file.did) != names for file in group):
        return ()
    return tuple(sorted(names))


def _against(
    ledger: Ledger,
    rule: Rule,
    group: tuple[File, ...],
    rse: RSE,
    held: Mapping[DID, frozenset[str]],
) -> tuple[str, str] | None:
    if not rse.writable and not all(ledger.is_good(file.did, rse.name) for file in group):
        return "target", f"{rse.name} is not writable"
    claims = sum(file.size for file in group if rse.name not in held.get(file.did, ()))
    limit = ledger.state.limits.get((rule.account, rse.name))
    if limit is not None and claims and claims + ledger.used[rule.account, rse.name] > limit:
        used = ledger.used[rule.account, rse.name]
        return "account", (
            f"{rule.account} uses {used} of {limit} bytes at {rse.name}, {claims} more are needed"
        )
    bring = sum(file.size for file in group if not ledger.has_room(file.did, rse.name))
    if rse.limit and bring and bring + ledger.filled[rse.name] > rse.limit:
        return "space", (
            f"{rse.name} holds {ledger.filled[rse.name]} of {rse.limit} bytes,"
            f" {bring} more are needed"
        )
    return None


def _problem(rule: Rule, found: int, reasons: Mapping[str, tuple[str, str]]) -> LakeError:
    kinds = {kind for kind, _ in reasons.values()}
    said = "; ".join(text for _, text in (reasons[name] for name in sorted(reasons)))
    message = f"{rule.copies} copies are wanted, {found} can be placed: {said}"
    if "account" in kinds:
        return InsufficientAccountLimit(message, hint="Ask for a larger limit, or remove rules.")
    if "space" in kinds:
        return RSEOverQuota(message, hint="Remove rules on that RSE, or give it more space.")
    return InsufficientTargetRSEs(message, hint="Widen the expression, or wait for the RSEs.")


def _distance(ledger: Ledger, missing: list[File], rse: str) -> int:
    """Return the sum of the ways to an RSE, each from the file's nearest source."""
    distances = ledger.state.distances
    return sum(
        min(
            (
                distances.get((source, rse), FAR)
                for source in ledger.replicas.get(file.did, {})
                if source != rse and ledger.is_good(file.did, source)
            ),
            default=FAR,
        )
        for file in missing
    )


def _charge(
    ledger: Ledger,
    rule: Rule,
    group: tuple[File, ...],
    rse: str,
    held: Mapping[DID, frozenset[str]],
) -> None:
    for file in group:
        if rse not in held.get(file.did, ()):
            ledger.used[rule.account, rse] += file.size
        if not ledger.has_room(file.did, rse):
            ledger.filled[rse] += file.size
            ledger.coming.add((file.did, rse))
