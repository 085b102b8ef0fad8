"""What is added to an experiment once its results were read: conditions derived from others, and further seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

Seed = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Reason = Annotated[str, Meta(min_length=1, max_length=1000)]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\+00:00|Z)$(?!\n)")]
Fingerprint = Annotated[str, Meta(pattern=r"^[0-9a-f]{0,64}$(?!\n)")]
ProfileNames = Annotated[tuple[str, ...], Meta(min_length=1)]


class Derivation(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a derived condition comes from; it belongs to no other profiles than these.

    Attributes:
        parent: the condition that it differs from.
        results: fingerprint of the results that were read before; "" if there were none.
        at: UTC, ISO 8601.
        by: ``user@machine``.
    """

    parent: str
    reason: Reason
    at: Time
    profiles: ProfileNames
    results: Fingerprint = ""
    by: str = ""


class AddedSeeds(Struct, frozen=True, forbid_unknown_fields=True):
    """Seeds added for every condition of ``profiles``; the other fields as in ``Derivation``."""

    seeds: Annotated[tuple[Seed, ...], Meta(min_length=1)]
    reason: Reason
    at: Time
    profiles: ProfileNames
    results: Fingerprint = ""
    by: str = ""


def derived_mistakes(
    conditions: Mapping[str, Derivation | None],
    added_seeds: Sequence[AddedSeeds],
    profile_seeds: Mapping[str, tuple[int, ...]],
) -> Iterator[tuple[str, str]]:
    """Field and message of each mistake in derived conditions and added seeds that the types do not rule out.

    Args:
        conditions: all of the experiment; None where one is not derived.
        profile_seeds: the seeds of each profile before any were added.
    """
    profiles = ", ".join(profile_seeds)
    named = [(f"conditions.{name}.derived", one.profiles) for name, one in conditions.items() if one is not None]
    named += [(f"added_seeds[{index}]", added.profiles) for index, added in enumerate(added_seeds)]
    for name in conditions:
        if problem := _parent_problem(conditions, name):
            yield f"conditions.{name}.derived.parent", problem
    for field, names in named:
        for profile in names:
            if profile not in profile_seeds:
                yield f"{field}.profiles", f"no profile {profile!r}; known: {profiles}"
    for profile, seeds in profile_seeds.items():
        known = set(seeds)
        for index, added in enumerate(added_seeds):
            for seed in added.seeds if profile in added.profiles else ():
                if seed in known:
                    yield f"added_seeds[{index}].seeds", f"profile {profile} has seed {seed} already"
                known.add(seed)


def _parent_problem(conditions: Mapping[str, Derivation | None], name: str) -> str:
    """Why the parents of condition ``name`` do not lead to one that is not derived; "" if they do."""
    seen = [name]
    while (derived := conditions[seen[-1]]) is not None:
        seen.append(derived.parent)
        if derived.parent not in conditions:
            return f"no condition {derived.parent!r}; known: {', '.join(conditions)}"
        if derived.parent in seen[:-1]:
            return f"{' from '.join(seen)}: a condition cannot be derived from itself"
    return ""
