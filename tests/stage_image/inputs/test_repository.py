"""The forecast repository: which commit a ref means, and the same files for every stage. All with real git."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tarfile

import pytest
import zstandard
from support.git_repository import GitRepository
from support.stage_run import records_in

from epydrop.errors import BadInput, ConfigurationError, IntegrityError, RetryableError
from epydrop.experiment.sections import Repository
from epydrop.formats.names import PINNED_COMMIT, REPOSITORY_ARCHIVE
from epydrop.stores.folder import FileObjectStore
from epydrop_stages.inputs.repository import check_out, unpack_repository
from epydrop_stages.inputs.repository.complaints import translated
from epydrop_stages.inputs.repository.git import Git, GitFailed, Remote
from epydrop_stages.inputs.repository.refs import commit_named, parse_listing


@pytest.fixture
def repository(tmp_path):
    return GitRepository.of(tmp_path / "forecasts")


@pytest.fixture
def take(tmp_path, repository):
    """Checks out a ref in a run of its own, or in the one given; the folder has the files."""

    def taken(ref="HEAD", run="run", url=None):
        store, folder = FileObjectStore(tmp_path / run), tmp_path / f"{run}-files"
        folder.mkdir(exist_ok=True)
        source = Repository(repo=url or repository.url, ref=ref)
        return check_out(source, Remote.of(source.repo), records_in(store), folder), store, folder

    return taken


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


# -- which commit ------------------------------------------------------------------------------


@pytest.fixture
def history(repository):
    """Three commits: the first one tagged twice, the second on a branch of its own, the third on main."""
    first = repository.commit({"data.csv": "1"})
    repository.git("tag", "light")
    repository.git("tag", "--annotate", "v1", "--message", "the first")
    repository.git("switch", "--quiet", "--create", "round/2")
    second = repository.commit({"data.csv": "2"})
    repository.git("switch", "--quiet", "main")
    third = repository.commit({"data.csv": "3"})
    return first, second, third


@pytest.mark.parametrize(
    ("ref", "content"),
    [
        ("HEAD", "3"),
        ("main", "3"),
        ("refs/heads/main", "3"),
        ("round/2", "2"),
        ("heads/round/2", "2"),
        ("light", "1"),
        ("v1", "1"),
        ("tags/v1", "1"),
    ],
)
def test_a_branch_or_a_tag_is_the_commit_it_is_on(take, history, ref, content):
    """Lightweight and annotated tags alike."""
    checkout, _, folder = take(ref)

    assert files_in(folder) == {"data.csv": content}
    assert checkout.commit == history[int(content) - 1]


@pytest.mark.parametrize("digits", [40, 12, 6])
def test_a_commit_is_found_though_no_branch_or_tag_ends_there(take, repository, history, digits):
    """In full, or by its first digits, in upper case too."""
    repository.commit({"data.csv": "4"})

    checkout, _, folder = take(history[2][:digits].upper())

    assert checkout.commit == history[2]
    assert files_in(folder) == {"data.csv": "3"}


def test_a_bare_repository_will_do(tmp_path, repository, take, history):
    """It is what servers have."""
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))

    assert take("v1", url=(tmp_path / "bare.git").as_uri())[0].commit == history[0]


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("mian", "has no branch, tag or commit 'mian' (did you mean main?)"),
        ("nothing-like-it", "there is light, main, round/2, v1"),
        ("abcdef0", "has no branch, tag or commit 'abcdef0'"),
        ("f" * 40, f"has no commit {'f' * 40}"),
    ],
)
def test_an_unknown_ref_is_reported_with_the_known_ones(take, history, ref, words):
    """The message leads to source.ref in the dropped file."""
    with pytest.raises(BadInput) as caught:
        take(ref)

    assert words in str(caught.value)
    assert str(caught.value).startswith("source: ref: ")


def test_a_branch_and_a_tag_of_one_name_are_not_guessed_between(take, repository, history):
    """Git itself would take one of them."""
    repository.git("tag", "round/2", history[0])

    with pytest.raises(BadInput, match="use refs/tags/round/2 or refs/heads/round/2"):
        take("round/2")
    assert take("refs/heads/round/2")[0].commit == history[1]


def test_a_repository_without_a_commit_is_refused(take, repository):
    """There is nothing to run."""
    with pytest.raises(BadInput, match="has no commit yet"):
        take("HEAD")


def test_a_folder_that_is_not_a_repository_is_refused(take, tmp_path):
    """So is one that is not there."""
    for name in ("empty", "absent"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(BadInput, match="source: there is no git repository"):
            take("HEAD", run=name, url=(tmp_path / name).as_uri())


def test_the_first_builder_decides_for_all(take, repository, history):
    """A retried builder stays with its commit, though the branch has moved on."""
    first, _, _ = take("main")
    repository.commit({"data.csv": "4"})

    again, store, folder = take("main")

    assert again == first
    assert files_in(folder) == {"data.csv": "3"}
    assert first.commit in store.read(PINNED_COMMIT).decode()


def test_a_commit_that_somebody_else_pinned_is_refused(take, repository, history):
    """GitHub serves the commits of every fork by their ids, so an unsigned one could be anybody's code."""
    _, store, _ = take("main")
    pinned = json.loads(store.read(PINNED_COMMIT))
    store.write(PINNED_COMMIT, json.dumps({**pinned, "commit": "0" * 40}).encode())

    with pytest.raises(IntegrityError, match="its signature does not fit"):
        take("main")


def test_a_builder_that_looked_at_the_same_time_gives_in(take, repository, history, tmp_path, monkeypatch):
    """Between looking and pinning, another one pinned an older commit."""
    other, _, _ = take("v1", run="other")
    pinned = FileObjectStore(tmp_path / "other").read(PINNED_COMMIT)
    looked = FileObjectStore.stat

    def pin_after_looking(self, name):
        found = looked(self, name)
        if name == PINNED_COMMIT and found is None and self.url.rstrip("/").endswith("run"):
            self.write(name, pinned)
        return found

    monkeypatch.setattr(FileObjectStore, "stat", pin_after_looking)

    assert take("main")[0].commit == other.commit


def test_a_listing_of_git_is_read_with_tags_peeled():
    """What ``ls-remote`` prints, the commit of an annotated tag after the tag."""
    named = parse_listing("a1\tHEAD\na1\trefs/heads/main\nb2\trefs/tags/v1\nc3\trefs/tags/v1^{}\n")

    assert named == {"HEAD": "a1", "refs/heads/main": "a1", "refs/tags/v1": "c3"}
    assert commit_named(named, "v1", "owner/name") == "c3"
    assert commit_named(named, "v2", "owner/name") is None


# -- which files -------------------------------------------------------------------------------

ODD_NAMES = ["with space.csv", "ümlaut/日本.csv", "-n", 'quote".csv', "line\nbreak.csv", ":magic", "deep/er/and/er"]


def test_odd_names_come_through(take, repository):
    """Names that a shell or a listing by lines would break on."""
    repository.commit(dict.fromkeys(ODD_NAMES, "x"))

    assert set(files_in(take()[2])) == set(ODD_NAMES)


def test_files_come_as_they_were_committed(take, repository):
    """No line ends are converted, no keyword filled in, nothing left out: attributes are for people's checkouts."""
    attributes = "*.csv text eol=crlf\n*.txt ident export-subst\nsecret export-ignore\n"
    contents = {".gitattributes": attributes, "a.csv": "1\n2\n", "b.txt": "$Id$ $Format:%H$", "secret": "x"}
    repository.commit(contents)
    (repository.folder / "run.sh").write_text("#!/bin/sh\n")
    (repository.folder / "run.sh").chmod(0o755)
    repository.commit()

    _, _, folder = take()

    assert files_in(folder) == {**contents, "run.sh": "#!/bin/sh\n"}
    assert os.access(folder / "run.sh", os.X_OK)
    assert not os.access(folder / "a.csv", os.X_OK)


def test_the_archive_is_the_same_bytes_every_time(take, repository):
    """Whenever and wherever it is made, so that its digest names it."""
    repository.commit({"a/b.csv": "1", "c.csv": "2" * 100_000})

    first, store, _ = take(run="one")
    second, _, _ = take(run="two")

    archive = store.read(REPOSITORY_ARCHIVE)
    assert first.sha256 == second.sha256 == hashlib.sha256(archive).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().stream_reader(archive).read())) as members:
        assert members.getnames() == ["a/b.csv", "c.csv"]
        assert {member.mtime for member in members} == {0}


def test_git_itself_stays_behind(take, repository):
    """Neither its folder nor the history is in the archive."""
    repository.commit({"password.txt": "swordfish"})
    (repository.folder / "password.txt").unlink()
    repository.commit({"a.csv": "1"})

    _, store, folder = take()

    assert files_in(folder) == {"a.csv": "1"}
    archive = zstandard.ZstdDecompressor().stream_reader(store.read(REPOSITORY_ARCHIVE)).read()
    assert b"swordfish" not in archive
    assert b".git" not in archive


def test_links_inside_the_repository_are_kept(take, repository):
    """They are followed as in a checkout."""
    repository.commit({"data/2026w47.csv": "47"})
    (repository.folder / "newest.csv").symlink_to("data/2026w47.csv")
    (repository.folder / "data" / "up").symlink_to("../data")
    repository.commit()

    _, _, folder = take()

    assert (folder / "newest.csv").read_text() == "47"
    assert (folder / "data" / "up" / "2026w47.csv").read_text() == "47"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "data/../../outside"])
def test_a_link_that_leaves_the_repository_is_refused(take, repository, tmp_path, target):
    """By its name alone, before it is stored; nothing outside is touched."""
    (tmp_path / "outside").write_text("untouched")
    (repository.folder / "link").symlink_to(target)
    repository.commit()

    with pytest.raises(BadInput, match=r"source: the repository's 'link' is a link that leads out of it, to '"):
        take()
    assert (tmp_path / "outside").read_text() == "untouched"


@pytest.mark.parametrize("hop", ["a-hop", "z-hop"])
def test_a_link_that_leaves_by_way_of_another_is_refused(take, repository, hop):
    """Its name leads inside and its path does not, whichever of the two is unpacked first."""
    (repository.folder / hop).symlink_to(".")
    (repository.folder / "link").symlink_to(f"{hop}/../outside")
    repository.commit()

    with pytest.raises(BadInput, match="source: the repository's 'link'"):
        take()


def test_links_in_a_circle_do_no_harm(take, repository):
    """Nobody can read them, and nobody has to."""
    (repository.folder / "a").symlink_to("b")
    (repository.folder / "b").symlink_to("a")
    repository.commit({"data.csv": "1"})

    assert files_in(take()[2]) == {"data.csv": "1"}


def test_a_submodule_is_left_out_with_a_warning(take, repository, caplog):
    """It is another repository, which nobody asked for."""
    commit = repository.commit({"a.csv": "1"})
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},other")
    repository.git("commit", "--quiet", "--message", "a submodule")

    with caplog.at_level(logging.WARNING, "epydrop.stages.repository"):
        _, _, folder = take()

    assert files_in(folder) == {"a.csv": "1"}
    assert "because they are submodules: other" in caplog.text


def test_a_pointer_to_a_large_file_is_reported(take, repository, caplog):
    """Its content lies on another server; whoever needs it will miss it."""
    repository.commit({"big.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"})

    with caplog.at_level(logging.WARNING, "epydrop.stages.repository"):
        take()

    assert "big.csv is a pointer to Git LFS" in caplog.text


def test_a_repository_beyond_the_limits_is_refused(take, repository, monkeypatch):
    """By count and by size, before any of it is stored."""
    repository.commit({"a.csv": "1", "b.csv": "2", "c.csv": "3" * 3_000_000})

    monkeypatch.setattr("epydrop_stages.inputs.repository.archive.MAX_FILES", 2)
    with pytest.raises(BadInput, match="the repository has 3 files, 2 MiB"):
        take(run="many")
    monkeypatch.undo()
    monkeypatch.setattr("epydrop_stages.inputs.repository.archive.MAX_BYTES", 1 << 20)
    with pytest.raises(BadInput, match="50000 files and 1 MiB in total"):
        take(run="large")


# -- the later stages --------------------------------------------------------------------------


def test_an_archive_that_is_not_the_builder_s_is_refused(take, repository, tmp_path):
    """Nothing of it is unpacked."""
    repository.commit({"a.csv": "1"})
    checkout, store, _ = take()
    store.write(REPOSITORY_ARCHIVE, store.read(REPOSITORY_ARCHIVE) + b"more")

    with pytest.raises(IntegrityError, match="not the archive listed in the manifest"):
        unpack_repository(store, checkout.sha256, tmp_path / "later")
    assert not (tmp_path / "later").exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside", ".git/config"])
def test_an_archive_whose_names_lead_elsewhere_is_refused(tmp_path, name):
    """Even if its digest is the one expected."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    packed = zstandard.ZstdCompressor().compress(plain.getvalue())
    store = FileObjectStore(tmp_path / "run")
    store.write(REPOSITORY_ARCHIVE, packed)

    with pytest.raises(IntegrityError, match="not a valid file name"):
        unpack_repository(store, hashlib.sha256(packed).hexdigest(), tmp_path / "later")


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_an_archive_with_other_things_than_files_is_refused(tmp_path, kind):
    """Even if its digest is the one expected."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        member = tarfile.TarInfo("odd")
        member.type, member.linkname = kind, "elsewhere"
        archive.addfile(member)
    packed = zstandard.ZstdCompressor().compress(plain.getvalue())
    store = FileObjectStore(tmp_path / "run")
    store.write(REPOSITORY_ARCHIVE, packed)

    with pytest.raises(IntegrityError, match="members other than files and links"):
        unpack_repository(store, hashlib.sha256(packed).hexdigest(), tmp_path / "later")


# -- what git says -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        ("fatal: unable to access 'https://github.com/o/n.git/': Could not resolve host: github.com", RetryableError),
        ("fatal: unable to access '...': Failed to connect to github.com port 443: Connection refused", RetryableError),
        ("fatal: unable to access '...': The requested URL returned error: 503", RetryableError),
        ("error: RPC failed; curl 18 transfer closed with outstanding read data remaining", RetryableError),
        ("fatal: unable to access '...': Operation too slow. Less than 1000 bytes/sec", RetryableError),
        ("fatal: unable to access '...': server certificate verification failed. CAfile: none", ConfigurationError),
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", BadInput),
        ("remote: Repository not found.\nfatal: repository 'https://github.com/o/n.git/' not found", BadInput),
        ("fatal: Authentication failed for 'https://github.com/o/n.git/'", BadInput),
        ("fatal: unable to access '...': The requested URL returned error: 403", BadInput),
        ("fatal: transport 'ext' not allowed", BadInput),
        ("fatal: something that nobody has seen", GitFailed),
    ],
)
def test_each_complaint_of_git_becomes_an_error_for_whoever_can_fix_it(complaint, kind):
    """The network's, the machine's, or that of whoever wrote the experiment; an unknown one passes as it is."""
    remote = Remote.of("o/n")

    error = translated(GitFailed(("fetch",), complaint, remote), "o/n", remote)

    assert type(error) is kind


@pytest.mark.parametrize(
    ("remote", "words"),
    [
        (Remote.of("o/n"), "private and needs a token (set the variable GITHUB_PAT to a token that may read it; in"),
        (Remote.of("o/n", "a-token"), "the token in GITHUB_PAT may not read it (it may have expired"),
        (Remote.of("https://else.org/o/n", "a-token"), "(GITHUB_PAT is sent to https://github.com and to no other"),
    ],
)
def test_a_refused_repository_is_reported_with_a_remedy(remote, words):
    """Private or absent: the server does not say which."""
    complaint = "fatal: could not read Username for 'https://...': terminal prompts disabled"

    assert words in str(translated(GitFailed(("ls-remote",), complaint, remote), "o/n", remote))


def test_a_machine_without_git_is_a_configuration_error(tmp_path):
    """The image has it; a laptop may not."""
    with pytest.raises(ConfigurationError, match="git is not installed"):
        Git(tmp_path, Remote.of("o/n"), {"PATH": str(tmp_path)})


def test_a_git_that_takes_too_long_is_tried_again(tmp_path, repository):
    """It is stopped first."""
    repository.commit()
    git = Git(tmp_path / "git", Remote.of(repository.url))

    with pytest.raises(RetryableError, match=r"git fetch of file://.* did not finish within 0 minutes"):
        git.run("fetch", "origin", minutes=0)
