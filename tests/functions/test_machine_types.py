"""Machine types: the table, the next size, and more memory for a task that ran out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epydrop import machine_types
from epydrop.errors import BadInput
from epydrop.formats.orders import Resources
from epydrop.machine_types import MACHINES, fitted, machine, next_size, smallest, with_more_memory


def resources(**changes) -> Resources:
    """A task of 2 vCPUs and 7000 MiB that may grow to 30000."""
    sizes = {"cpu_milli": 2000, "memory_mib": 7000, "max_run_duration": 3600, "max_memory_mib": 30_000}
    return Resources(**{**sizes, **changes})


@pytest.mark.parametrize(
    ("name", "vcpus", "gib", "disk"),
    [
        ("e2-highcpu-32", 32, 32, "pd-balanced"),
        ("n2-highmem-128", 128, 864, "pd-balanced"),
        ("n2d-standard-224", 224, 896, "pd-balanced"),
        ("n4-highcpu-2", 2, 4, "hyperdisk-balanced"),
        ("c4-standard-2", 2, 7, "hyperdisk-balanced"),
        ("c4d-standard-2", 2, 7, "hyperdisk-balanced"),
        ("c4d-highmem-384", 384, 3024, "hyperdisk-balanced"),
    ],
)
def test_the_table_has_what_google_publishes(name, vcpus, gib, disk):
    """Samples of every series against Google's pages."""
    found = machine(name)

    assert (found.vcpus, found.memory_mib, found.disk) == (vcpus, gib * 1024, disk)


def test_every_family_ascends():
    """The next size relies on the order of the table."""
    for family in machine_types._FAMILIES:
        sizes = [(one.vcpus, one.memory_mib) for one in MACHINES.values() if one.family == family]

        assert sizes == sorted(sizes)
        assert len(set(sizes)) == len(sizes)


def test_an_unknown_machine_type_is_refused_with_the_nearest_name():
    """A slip of the pen is the usual reason."""
    with pytest.raises(BadInput) as caught:
        machine("c4d-standart-2")

    assert str(caught.value) == (
        "'c4d-standart-2' is not a machine type that this version knows (did you mean 'c4d-standard-2'?)"
    )


def test_a_name_like_no_other_is_refused_with_the_known_families():
    """There is nothing near to suggest."""
    with pytest.raises(BadInput, match=r"known families: e2-standard, .*c4d-highcpu"):
        machine("zzz")


def test_the_next_size_is_the_next_of_the_same_family():
    """Sizes are not always doubles."""
    assert next_size("c4d-standard-32").name == "c4d-standard-48"
    assert next_size("c4d-standard-384") is None


def test_the_smallest_machine_holds_all_tasks_side_by_side():
    """Both processors and memory count."""
    assert smallest("c4d-standard", 2000, 7000).name == "c4d-standard-2"
    assert smallest("c4d-standard", 2000, 7000, tasks=2).name == "c4d-standard-4"
    assert smallest("c4d-standard", 2000, 8000).name == "c4d-standard-4"
    assert smallest("c4d-standard", 2000, 2_000_000) is None


def test_more_memory_without_a_machine_type_is_twice_as_much_up_to_the_limit():
    """Batch chooses a machine for it."""
    grown = with_more_memory(resources())

    assert (grown.memory_mib, grown.machine_type) == (14_000, "")
    assert with_more_memory(resources(memory_mib=20_000)).memory_mib == 30_000
    assert with_more_memory(resources(memory_mib=30_000)) is None


def test_more_memory_takes_the_next_size_of_the_family():
    """The machine grows with the task."""
    grown = with_more_memory(resources(machine_type="c4d-standard-2"))

    assert (grown.memory_mib, grown.machine_type) == (14_000, "c4d-standard-4")


def test_more_memory_stays_on_the_machine_while_it_has_room():
    """A bigger machine costs more."""
    grown = with_more_memory(resources(memory_mib=3000, machine_type="c4d-standard-2"))

    assert (grown.memory_mib, grown.machine_type) == (6000, "c4d-standard-2")


def test_more_memory_takes_the_rest_of_the_biggest_machine():
    """The family ends; what is left of its last machine is still more."""
    biggest = resources(memory_mib=900_000, max_memory_mib=4_000_000, machine_type="n2d-standard-224")

    assert with_more_memory(biggest).memory_mib == 896 * 1024
    assert (
        with_more_memory(resources(memory_mib=896 * 1024, max_memory_mib=10**7, machine_type="n2d-standard-224"))
        is None
    )


@given(
    kind=st.sampled_from(["", *MACHINES]),
    memory=st.integers(1, 4_000_000),
    limit=st.integers(1, 4_000_000),
    tasks=st.integers(1, 8),
)
def test_more_memory_is_more_and_fits_and_comes_to_an_end(kind, memory, limit, tasks):
    """Growing never shrinks, passes the limit or overloads the machine; it ends after a few steps."""
    now = resources(memory_mib=memory, max_memory_mib=limit, machine_type=kind, tasks_per_vm=tasks, cpu_milli=1)
    if kind and not machine(kind).holds(1, memory, tasks):
        return

    for _ in range(40):
        grown = with_more_memory(now)
        if grown is None:
            return
        assert now.memory_mib < grown.memory_mib <= limit
        assert not kind or machine(grown.machine_type).holds(1, grown.memory_mib, tasks)
        now = grown

    pytest.fail("it grows without end")


@pytest.mark.parametrize(
    ("kind", "memory_mib", "fitting"),
    [
        ("c4d-standard-2", 7000, "c4d-standard-2"),
        ("c4d-standard-2", 20_000, "c4d-standard-8"),
        ("c4d-standard-2", 9_000_000, ""),
        ("", 9_000_000, ""),
    ],
)
def test_resources_that_a_person_changed_get_a_machine_that_holds_them(
    kind: str, memory_mib: int, fitting: str
) -> None:
    """The one they had, a bigger one of its family, or none, so that Batch picks."""
    changed = resources(memory_mib=memory_mib, machine_type=kind)

    assert fitted(changed) == resources(memory_mib=memory_mib, machine_type=fitting)
