"""Google's machine types: vCPUs, memory and boot disk. A table, and pure functions that choose from it.

Source: Google's page "General-purpose machine family" (docs.cloud.google.com/compute/docs/general-purpose-machines) of
late 2025. Google writes GB and means GiB. Shared-core, custom, bare-metal and local-SSD types are left out, and Arm
too, because the image is x86.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from epydrop.errors import BadInput, Problem
from epydrop.formats.orders import Resources

_PERSISTENT = "pd-balanced"
_HYPERDISK = "hyperdisk-balanced"  # n4, c4 and c4d cannot boot from a persistent disk

_MIB_PER_GIB = 1024

# family -> boot disk, and vCPUs:GiB of each size, ascending
_FAMILIES = {
    "e2-standard": (_PERSISTENT, "2:8 4:16 8:32 16:64 32:128"),
    "e2-highmem": (_PERSISTENT, "2:16 4:32 8:64 16:128"),
    "e2-highcpu": (_PERSISTENT, "2:2 4:4 8:8 16:16 32:32"),
    "n2-standard": (_PERSISTENT, "2:8 4:16 8:32 16:64 32:128 48:192 64:256 80:320 96:384 128:512"),
    "n2-highmem": (_PERSISTENT, "2:16 4:32 8:64 16:128 32:256 48:384 64:512 80:640 96:768 128:864"),
    "n2-highcpu": (_PERSISTENT, "2:2 4:4 8:8 16:16 32:32 48:48 64:64 80:80 96:96"),
    "n2d-standard": (_PERSISTENT, "2:8 4:16 8:32 16:64 32:128 48:192 64:256 80:320 96:384 128:512 224:896"),
    "n2d-highmem": (_PERSISTENT, "2:16 4:32 8:64 16:128 32:256 48:384 64:512 80:640 96:768"),
    "n2d-highcpu": (_PERSISTENT, "2:2 4:4 8:8 16:16 32:32 48:48 64:64 80:80 96:96 128:128 224:224"),
    "n4-standard": (_HYPERDISK, "2:8 4:16 8:32 16:64 32:128 48:192 64:256 80:320"),
    "n4-highmem": (_HYPERDISK, "2:16 4:32 8:64 16:128 32:256 48:384 64:512 80:640"),
    "n4-highcpu": (_HYPERDISK, "2:4 4:8 8:16 16:32 32:64 48:96 64:128 80:160"),
    "c4-standard": (_HYPERDISK, "2:7 4:15 8:30 16:60 24:90 32:120 48:180 96:360 144:540 192:720 288:1080"),
    "c4-highmem": (_HYPERDISK, "2:15 4:31 8:62 16:124 24:186 32:248 48:372 96:744 144:1116 192:1488 288:2232"),
    "c4-highcpu": (_HYPERDISK, "2:4 4:8 8:16 16:32 24:48 32:64 48:96 96:192 144:288 192:384 288:576"),
    "c4d-standard": (_HYPERDISK, "2:7 4:15 8:31 16:62 32:124 48:186 64:248 96:372 192:744 384:1488"),
    "c4d-highmem": (_HYPERDISK, "2:15 4:31 8:63 16:126 32:252 48:378 64:504 96:756 192:1512 384:3024"),
    "c4d-highcpu": (_HYPERDISK, "2:3 4:7 8:15 16:30 32:60 48:90 64:120 96:180 192:360 384:720"),
}


@dataclass(frozen=True)
class Machine:
    """One machine type. ``family`` is the name without the number of vCPUs; ``disk`` is the type of the boot disk."""

    name: str
    family: str
    vcpus: int
    memory_mib: int
    disk: str

    def holds(self, cpu_milli: int, memory_mib: int, tasks: int = 1) -> bool:
        """Whether this many tasks fit at the same time. Sizes per task, in thousandths of a vCPU and MiB."""
        return tasks * cpu_milli <= 1000 * self.vcpus and tasks * memory_mib <= self.memory_mib

    def __str__(self) -> str:
        return f"{self.name} ({self.vcpus} vCPUs, {self.memory_mib} MiB)"


def _machines() -> dict[str, Machine]:
    found = {}
    for family, (disk, sizes) in _FAMILIES.items():
        for size in sizes.split():
            vcpus, gib = map(int, size.split(":"))
            name = f"{family}-{vcpus}"
            found[name] = Machine(name, family, vcpus, gib * _MIB_PER_GIB, disk)
    return found


MACHINES = _machines()


def machine(name: str) -> Machine:
    """The machine type of this name. Raises BadInput with the most similar name if the table does not have it."""
    if name in MACHINES:
        return MACHINES[name]
    from difflib import get_close_matches  # noqa: PLC0415 - lazy: needed only for a mistake

    near = get_close_matches(name, MACHINES, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known families: {', '.join(_FAMILIES)}"
    raise BadInput(Problem(f"'{name}' is not a machine type that this version knows", hint=hint))


def next_size(name: str) -> Machine | None:
    """The machine of the same family with the next larger memory; None for the largest. Raises BadInput."""
    here = machine(name)
    bigger = (other for other in _family(here.family) if other.memory_mib > here.memory_mib)
    return next(bigger, None)


def smallest(family: str, cpu_milli: int, memory_mib: int, tasks: int = 1) -> Machine | None:
    """The smallest machine of a family that fits these tasks, or None."""
    return next((one for one in _family(family) if one.holds(cpu_milli, memory_mib, tasks)), None)


def fitted(resources: Resources) -> Resources:
    """The resources with a machine type that fits them: their own, or else the smallest of its family that does.

    If none fits, the machine type is left empty and Batch chooses one.
    """
    kind = resources.machine_type
    if not kind or machine(kind).holds(resources.cpu_milli, resources.memory_mib, resources.tasks_per_vm):
        return resources
    family = machine(kind).family
    bigger = smallest(family, resources.cpu_milli, resources.memory_mib, resources.tasks_per_vm)
    return replace(resources, machine_type=bigger.name if bigger else "")


def with_more_memory(resources: Resources) -> Resources | None:
    """The resources for another attempt of a task that ran out of memory; None if its limit is reached.

    Doubles the memory up to ``max_memory_mib``. If that does not fit on the machine type, takes the next size of its
    family, and gives the task at most its share of that machine.
    """
    wanted = min(2 * resources.memory_mib, resources.max_memory_mib)
    kind = resources.machine_type
    if kind and not machine(kind).holds(resources.cpu_milli, wanted, resources.tasks_per_vm):
        room = next_size(kind) or machine(kind)
        wanted = min(wanted, room.memory_mib // resources.tasks_per_vm)
        kind = room.name
    if wanted <= resources.memory_mib:
        return None
    return replace(resources, memory_mib=wanted, machine_type=kind)


def _family(family: str) -> list[Machine]:
    return [one for one in MACHINES.values() if one.family == family]
