"""The sections of an experiment file. Each key has its limits, its checks and its description beside it."""

from epydrop.experiment.sections.inputs import Config, Data, Repository, Window
from epydrop.experiment.sections.outputs import Hub, Outputs
from epydrop.experiment.sections.run import RunSection
from epydrop.experiment.sections.section import Section
from epydrop.experiment.sections.tasks import Lhs, Tasks

__all__ = ["Config", "Data", "Hub", "Lhs", "Outputs", "Repository", "RunSection", "Section", "Tasks", "Window"]
