"""The experiment file: what it may say, how it is read, what comes with it in a bundle.

``schema`` holds the keys, ``source`` the text with its lines, ``bundle`` and ``pack`` the zip around both.
"""

from epydrop.experiment.bundle.data_files import no_files
from epydrop.experiment.output_config import with_output_config
from epydrop.experiment.schema import Experiment, RunSection, read_experiment, referenced_files

__all__ = ["Experiment", "RunSection", "no_files", "read_experiment", "referenced_files", "with_output_config"]
