"""The experiment file: its sections and keys, how it is read, and the bundle around it and its data files.

Pure over bytes: nothing here opens a file. ``sections`` holds the keys, ``schema`` the whole, ``reading`` the way from
text to an Experiment, ``text`` the YAML, ``bundle`` the zip.
"""

from epydrop.experiment.data_files import no_files
from epydrop.experiment.output_config import with_output_config
from epydrop.experiment.reading import read_experiment, referenced_files
from epydrop.experiment.schema import Experiment
from epydrop.experiment.sections import RunSection

__all__ = ["Experiment", "RunSection", "no_files", "read_experiment", "referenced_files", "with_output_config"]
