"""From the bytes of an experiment file to an Experiment, or to all problems at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from epydrop.errors import BadInput, Problem
from epydrop.experiment.data_files import WhyMissing, name_fault, normal_name, references
from epydrop.experiment.schema import PLANNED, Experiment
from epydrop.experiment.text.problems import problems_of
from epydrop.experiment.text.source import Source, first_of, located, read_source


def read_experiment(
    text: bytes,
    file: str,
    default_exp_id: str,
    settings: Sequence[str] = (),
    why_missing: WhyMissing | None = None,
) -> Experiment:
    """The experiment in a YAML text, after settings such as ``run.spot=true``.

    ``file`` names the text in problems. ``why_missing`` says why a data file is not available, or '' if it is; without
    it only the names of data files are checked. Raises BadInput with all problems.
    """
    return experiment_of(read_source(text, file, settings), default_exp_id, why_missing)


def experiment_of(source: Source, default_exp_id: str, why_missing: WhyMissing | None = None) -> Experiment:
    """The experiment in a parsed file. Raises BadInput with all problems."""
    return validated(source, {"exp_id": default_exp_id, **source.plain()}, why_missing)


def validated(source: Source, document: dict[str, Any], why_missing: WhyMissing | None = None) -> Experiment:
    """The document as an Experiment; ``source`` is the file that problems are located in.

    Raises BadInput with all problems, in the order of their lines.
    """
    problems = [*source.problems, *_file_problems(source, document, why_missing)]
    experiment = None
    try:
        # Through JSON, because in pydantic's strict mode only JSON may give a list for a tuple, or text for a date.
        experiment = Experiment.model_validate_json(json.dumps(document))
    except ValidationError as error:
        problems.extend(problems_of(error, source, Experiment, PLANNED))
    if problems or experiment is None:
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
        raise BadInput(*first_of(problems))
    return experiment


def referenced_files(experiment: Experiment) -> dict[str, str]:
    """The data files that the experiment needs: dotted path in the experiment -> name in a bundle."""
    found = references(experiment.model_dump(mode="json"))
    return {".".join(map(str, path)): normal_name(name) for path, name in found}


def _file_problems(source: Source, document: dict[str, Any], why_missing: WhyMissing | None) -> Iterator[Problem]:
    if document.get("source") is not None:
        why_missing = None  # the file may be in the repository, which only the builder fetches
    for path, name in references(document):
        fault = name_fault(name) or (why_missing(normal_name(name)) if why_missing else "")
        if fault:
            yield located(Problem(fault, path=path), source)
