"""The expected IAM grants, read from ``grants.yaml``: which member has which role on which resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML


@dataclass(frozen=True, order=True)
class Grant:
    """One role of one member on one resource; ``only`` is the title of its IAM condition, if any."""

    member: str  # an email address
    resource: str  # "project", or a kind and a name: "topic epydrop-runs"
    role: str
    only: str = ""

    def __str__(self) -> str:
        narrowed = f" ({self.only})" if self.only else ""
        return f"{self.member}: {self.role}{narrowed} on {self.resource}"


def expected_grants(names: Mapping[str, str], *, github_token: bool) -> set[Grant]:
    """All expected grants; ``names``: project, number, trigger_bucket, data_bucket and source_bucket."""
    document = YAML(typ="safe").load(files(__package__).joinpath("grants.yaml").read_text())
    sections = ["always", "with github_token"] if github_token else ["always"]
    return {grant for section in sections for grant in _grants(document[section], names)}


def _grants(section: dict[str, Any], names: Mapping[str, str]) -> Iterator[Grant]:
    for account, resources in section.items():
        member = account.format(**names)
        if "@" not in member:
            member = f"{member}@{names['project']}.iam.gserviceaccount.com"
        for resource, roles in resources.items():
            for text in roles:
                role, _, only = text.partition(" ")
                yield Grant(member, resource.format(**names), role, only.strip("()"))
