"""``epydrop demo``: the example that is shipped with the package, from file to report."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from epydrop.errors import ConfigurationError
from epydrop_workstation.cli.options import DEFAULT_ROOT, AsJson, Parallelism, Root
from epydrop_workstation.cli.run import run

EXAMPLE = "boarding-school-1978"


def demo(root: Root = DEFAULT_ROOT, parallelism: Parallelism = None, as_json: AsJson = False) -> None:
    """Run the shipped example: influenza in an English boarding school, in half a minute.

    Example:
      epydrop demo --root demo
    """
    experiment = example_folder() / EXAMPLE / "experiment.yaml"
    if not as_json:
        print(f"Running {experiment}: copy its folder to try changes.")
    run(experiment, root=root, parallelism=parallelism, as_json=as_json)


def example_folder() -> Path:
    """The folder of the examples: inside an installed package, or beside the code in a checkout."""
    package = Path(str(resources.files("epydrop_workstation")))
    for folder in (package / "examples", package.parents[1] / "examples"):
        if (folder / EXAMPLE).is_dir():
            return folder
    raise ConfigurationError(f"the examples are not installed beside {package}; take them from the repository")
