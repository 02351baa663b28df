"""A token in an experiment file: refused, and not repeated in the message, because many people read replies."""

from __future__ import annotations

import pytest
from support.experiments import MODEL, problems, read

TOKEN = "ghp_0123456789swordfish0123456789"


@pytest.mark.parametrize(
    "repo",
    [
        f"https://{TOKEN}@github.com/owner/name",
        f"https://x-access-token:{TOKEN}@github.com/owner/name",
        f"HTTPS://x:{TOKEN}@github.com/owner/name",
        f"http://x:{TOKEN}@github.com/owner/name",
        f"ssh://x:{TOKEN}@github.com/owner/name",
        f"https://github.com/owner/name?access_token={TOKEN}",
        f"https://git.example.org/{TOKEN}/owner/name",
        "https://somebody:hush@git.example.org/owner/name",
    ],
)
def test_an_address_with_credentials_is_refused_without_a_word_of_them(repo):
    """In whatever scheme, spelling or place."""
    (problem,) = problems(f'{MODEL}source: {{repo: "{repo}"}}\n')

    assert "must not contain a user name or token" in problem
    assert "GITHUB_PAT" in problem
    assert not any(secret in problem for secret in (TOKEN, "hush", "somebody"))


@pytest.mark.parametrize(
    "line",
    [
        f"source: {{repo: owner/name, ref: 'https://x:{TOKEN}@github.com'}}",
        f"source: {{repo: '{TOKEN}'}}",
        f"source: {{repo: owner/name, {TOKEN}: 1}}",
        f"suite: {TOKEN}",
        f"exp_id: /{TOKEN}",
    ],
)
def test_no_other_message_quotes_one_either(line):
    """Whatever key it was given for by mistake."""
    found = problems(MODEL + line)

    assert TOKEN not in " ".join(found)
    assert "***" in " ".join(found) or "user name or token" in " ".join(found)


@pytest.mark.parametrize("repo", ["owner/weighs_0123456789abcdef0123", "https://git.example.org/~me@work/name"])
def test_an_address_without_credentials_is_none_of_them(repo):
    """Words that look a little like one."""
    assert read(f'{MODEL}source: {{repo: "{repo}"}}\n').source.repo == repo
