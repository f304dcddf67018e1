"""The whole command, against git's own http-backend over HTTPS, a real sshd and bare repositories."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pushkit.testing import CertificateAuthority, GitHttpServer, HttpsServer, Reply, ServerDirectory, Sshd
from servers.git_site import GitSite, git, state

TOKEN = "s3cr3t-t0ken-of-ann"
READER = "t0ken-that-may-0nly-read"
# Says that it is there, and goes on when it is told to.
PATIENT = """#!/bin/sh
echo "-----> building"
touch "{there}"
while ! test -e "{go}"; do sleep 0.02; done
echo "-----> {word}"
exit {code}
"""


class Served:
    """The HTTPS server, and the authority that vouches for it."""

    def __init__(self, base: Path) -> None:
        self.authority = CertificateAuthority(base)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.authority.issue("server", "localhost"))
        self.server = GitHttpServer(base, self.context)
        self.server.tokens = {TOKEN: True, READER: False}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("git"))
    with served.server:
        yield served


@pytest.fixture
def site(served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[GitSite]:
    """A project whose target is a fresh repository on the HTTPS server."""
    name = f"{abs(hash(request.node.nodeid)):x}.git"
    bare = served.server.create(name)
    made = GitSite(
        tmp_path, bare, f"{served.server.url}/{name}", token="${env:TOKEN}", ca_file=str(served.authority.file)
    )
    made.environment["TOKEN"] = TOKEN
    yield made
    served.server.answers.clear()


@pytest.fixture
def local(tmp_path: Path) -> GitSite:
    """A project whose target is a bare repository on this machine."""
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    return GitSite(tmp_path, bare, str(bare))


def hook(site: GitSite, text: str, name: str = "pre-receive") -> None:
    file = site.bare / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def patient(site: GitSite, base: Path, *, word: str = "done", code: int = 0) -> tuple[Path, Path]:
    """Let the server's hook wait; the file that says that it runs, and the one that lets it go on."""
    there, go = base / "there", base / "go"
    hook(site, PATIENT.format(there=there, go=go, word=word, code=code))
    return there, go


def wait_for(said: Callable[[], bool], within: float = 30) -> None:
    end = time.monotonic() + within
    while not said():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


# ---- a commit of the snapshot


def test_what_is_pushed_is_what_lies_there_with_odd_names_and_a_second_push_makes_no_commit(site: GitSite) -> None:
    odd = ["a b", 'quo"te', "back\\slash", "line\nend", "ünïcode", "-dash", "tab\there"]
    for name in odd:
        (site.root / name).write_text(name)
    (site.root / "run.sh").write_text("#!/bin/sh\n")
    (site.root / "run.sh").chmod(0o755)
    (site.root / "empty").touch()
    (site.root / "link").symlink_to("css/site.css")
    (site.root / "nothing-in-it").mkdir()
    first = site.good()
    assert first == site.tip
    assert site.tree() == {
        **{name: ("100644", name.strip()) for name in odd},
        "run.sh": ("100755", "#!/bin/sh"),
        "empty": ("100644", ""),
        "link": ("120000", "css/site.css"),
        "index.html": ("100644", "<h1>one</h1>"),
        "css/site.css": ("100644", "h1 { color: red }"),
    }
    git(site.bare, "fsck", "--strict")
    assert site.good() == first
    assert site.tip == first


def test_history_goes_on_and_only_what_changed_is_sent_also_from_a_new_machine(site: GitSite, tmp_path: Path) -> None:
    git(site.bare, "config", "uploadpack.allowFilter", "true")
    git(site.bare, "config", "receive.unpackLimit", "1000")
    for number in range(50):
        (site.root / f"page-{number}.html").write_text(f"page {number}\n" * 50)
    first = site.good()
    before = loose(site.bare)
    (site.root / "page-7.html").write_text("changed\n")
    (site.root / "css/site.css").unlink()
    # Another machine: nothing is known there.
    site.environment["HOME"] = str(tmp_path / "elsewhere")
    Path(site.environment["HOME"]).mkdir()
    plan = site.push("--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert [line.split()[:2] for line in plan.stdout.splitlines()[:3]] == [
        ["remove", "css/site.css"],
        ["replace", "page-7.html"],
        ["switch", "main"],
    ]
    (kept,) = Path(site.environment["HOME"], ".cache/pushkit/git").iterdir()
    missing = [
        line[1:] for line in git(kept, "rev-list", "--objects", "--missing=print", first).split("\n") if line[0] == "?"
    ]
    contents = git(
        site.bare, "ls-tree", "-r", "--format=%(objectname)", first, "--", "page-7.html", "css/site.css"
    ).split()
    assert set(missing) == set(contents), "it fetched contents"
    second = site.good()
    assert git(site.bare, "rev-list", "main").split() == [second, first]
    # One blob, one tree, one commit.
    assert loose(site.bare) - before == 3


def loose(repository: Path) -> int:
    return int(git(repository, "count-objects").split()[0])


def test_a_server_without_filters_is_pushed_to_from_a_new_machine_too(site: GitSite, tmp_path: Path) -> None:
    first = site.good()
    site.environment["HOME"] = str(tmp_path)
    (site.root / "new").write_text("new\n")
    second = site.good()
    assert git(site.bare, "rev-list", "main").split() == [second, first]


def test_packs_over_three_megabytes_arrive(site: GitSite) -> None:
    content = os.urandom(4 << 20)
    (site.root / "large.bin").write_bytes(content)
    done = site.push()
    assert done.returncode == 0, done.stderr
    assert "web: git | Writing objects: 100%" in done.stderr
    shown = subprocess.run(["git", "-C", str(site.bare), "show", "main:large.bin"], capture_output=True, check=True)
    assert shown.stdout == content


def test_a_branch_that_somebody_committed_to_is_refused_until_it_is_adopted(local: GitSite, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(local.bare), "clone")
    (tmp_path / "clone/README").write_text("by hand\n")
    git(tmp_path / "clone", "add", "README")
    git(tmp_path / "clone", "commit", "--quiet", "-m", "by hand")
    git(tmp_path / "clone", "push", "--quiet", "origin", "HEAD:refs/heads/main")
    theirs = local.tip
    done = local.push()
    assert (done.returncode, local.tip) == (6, theirs)
    assert "which Ann committed and no push made: this push would undo it" in done.stderr
    assert "push --adopt" in done.stderr
    ours = local.good("--adopt", "--yes")
    assert git(local.bare, "rev-list", "main").split() == [ours, theirs]
    (local.root / "more").touch()
    local.good()


def test_force_replaces_the_history_by_one_commit(local: GitSite) -> None:
    local.good()
    (local.root / "more").touch()
    last = local.good(force=True)
    assert git(local.bare, "rev-list", "main").split() == [last]
    assert set(local.tree()) == {"index.html", "css/site.css", "more"}


def test_a_directory_is_pushed_as_if_it_were_all(local: GitSite) -> None:
    local.good(dir="css", branch="gh-pages")
    assert git(local.bare, "ls-tree", "-r", "--name-only", "gh-pages") == "site.css"
    done = local.push(dir="nowhere")
    assert (done.returncode, "there is no file in nowhere" in done.stderr) == (6, True)


def test_rollback_brings_back_the_push_before_and_that_before_it(local: GitSite, tmp_path: Path) -> None:
    site = local
    pushed = []
    for number in range(3):
        (site.root / "index.html").write_text(f"{number}\n")
        pushed.append(site.good())
    # From a machine that has nothing of it.
    site.environment["HOME"] = str(tmp_path)
    back = site.good("rollback")
    assert site.tree()["index.html"][1] == "1"
    again = site.good("rollback")
    assert site.tree()["index.html"][1] == "0"
    done = site.push("rollback")
    assert (done.returncode, "no push before the live one" in done.stderr) == (6, True)
    forward = site.good("rollback", "web", pushed[2][:10])
    assert site.tree()["index.html"][1] == "2"
    assert git(site.bare, "rev-list", "main").split() == [forward, again, back, *reversed(pushed)]
    status = site.push("status", "--json")
    said = json.loads(status.stdout)
    assert (said["live"], len(said["releases"]), said["who"].partition("@")[2] != "") == (forward, 6, True)
    log = [json.loads(line) for line in site.push("log", "--json").stdout.splitlines()]
    assert [(line["number"], line["why"], line["release"]) for line in log] == [
        *((number, "push", commit) for number, commit in enumerate(pushed, 1)),
        (4, "rollback", back),
        (5, "rollback", again),
        (6, "rollback", forward),
    ]


def test_what_push_keeps_is_made_anew_when_it_is_damaged(local: GitSite) -> None:
    first = local.good()
    (kept,) = (local.home / ".cache/pushkit/git").iterdir()
    for file in kept.rglob("*"):
        if (file.is_file() and file.name.endswith((".pack", ".idx"))) or file.parent.parent.name == "objects":
            file.unlink()
    (local.root / "more").touch()
    done = local.push()
    assert done.returncode == 0, done.stderr
    assert git(local.bare, "rev-list", "main").split()[1] == first
    git(local.bare, "fsck", "--strict")


# ---- a commit of the project's own


def test_the_commit_travels_with_its_history_from_a_worktree_with_a_detached_head(local: GitSite) -> None:
    local.repository()
    first = git(local.root, "rev-parse", "HEAD")
    (local.root / "more").touch()
    second = local.commit("two")
    assert local.good(what="commit", source="git:HEAD") == second
    assert git(local.bare, "rev-list", "main").split() == [second, first]
    worktree = local.root.parent / "worktree"
    git(local.root, "worktree", "add", "--quiet", "--detach", str(worktree))
    local.root = worktree
    local.write(what="commit")
    third = local.commit("three")
    done = local.push(what="commit")
    assert done.returncode == 0, done.stderr
    assert local.tip == third
    done = local.push(what="commit")
    assert "nothing to do" in done.stderr


def test_files_that_differ_from_the_commit_are_a_reason_to_refuse(local: GitSite) -> None:
    local.repository()
    local.write(what="commit")
    commit = local.commit("the Pushfile")
    (local.root / "index.html").write_text("two\n")
    done = local.push(what="commit")
    assert (done.returncode, local.tip) == (6, "")
    assert f"files differ from the commit {commit[:7]}" in done.stderr
    assert local.good(what="commit", allow_dirty=True) == commit


def test_without_a_repository_a_commit_is_asked_for_in_words(local: GitSite) -> None:
    done = local.push(what="commit")
    assert (done.returncode, "in no git repository" in done.stderr, 'what = "snapshot"' in done.stderr) == (
        6,
        True,
        True,
    )


def test_a_branch_with_other_commits_is_refused_and_replaced_when_asked(local: GitSite) -> None:
    local.good()
    theirs = local.tip
    local.repository()
    done = local.push(what="commit", source="git:HEAD")
    assert (done.returncode, local.tip) == (6, theirs)
    assert "has commits that yours lacks" in done.stderr
    assert local.good(what="commit", source="git:HEAD", force=True) == git(local.root, "rev-parse", "HEAD")


def test_a_shallow_clone_is_told_how_to_get_what_it_lacks(local: GitSite, tmp_path: Path) -> None:
    local.repository()
    (local.root / "more").touch()
    local.commit("two")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{local.root}", "shallow")
    local.root = tmp_path / "shallow"
    done = local.push(what="commit", source="git:HEAD")
    assert (done.returncode, local.tip) == (6, ""), done.stderr
    assert "is a shallow clone" in done.stderr
    assert "git fetch --unshallow" in done.stderr
    local.good(source="git:HEAD")
    assert set(local.tree()) == {"index.html", "css/site.css", "more"}


@pytest.mark.parametrize("what", ["snapshot", "commit"])
def test_the_repository_of_the_project_is_bit_for_bit_the_same_and_its_hooks_do_not_run(
    local: GitSite, tmp_path: Path, what: str
) -> None:
    local.repository()
    (local.root / "index.html").write_text("stashed\n")
    git(local.root, "stash")
    (local.root / "css/site.css").write_text("staged\n")
    git(local.root, "add", "css/site.css")
    ours, everybodys = local.root / ".git/hooks", tmp_path / "hooks"
    everybodys.mkdir()
    files = [ours / "pre-push", ours / "pre-commit", ours / "reference-transaction", everybodys / "pre-push"]
    for file in files:
        file.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        file.chmod(0o755)
    (local.home / ".gitconfig").write_text(f"[core]\nhooksPath = {everybodys}\n[push]\nfollowTags = true\n")
    local.write(what=what, source="git:HEAD")
    before = state(local.root / ".git")
    local.good(what=what, source="git:HEAD")
    (local.root / "index.html").write_text("two\n")
    local.good(source=".", adopt=None) if what == "snapshot" else local.push("status", what=what, source="git:HEAD")
    assert state(local.root / ".git") == before
    assert not (tmp_path / "ran").exists()
    assert git(local.bare, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_remote_of_the_projects_own_goes_by_its_name(local: GitSite) -> None:
    local.repository()
    done = local.push(remote="origin")
    assert (done.returncode, "has no remote origin" in done.stderr) == (6, True)
    git(local.root, "remote", "add", "origin", str(local.bare))
    local.good(remote="origin", source="git:HEAD")
    assert local.tip
    git(local.root, "remote", "set-url", "origin", "https://ann:pass-w0rd@localhost/x.git")
    done = local.push(remote="origin", source="git:HEAD")
    assert (done.returncode, "pass-w0rd" in done.stderr + done.stdout) == (6, False)


# ---- the server


def test_what_the_servers_hook_prints_is_passed_on_as_it_comes(site: GitSite, tmp_path: Path) -> None:
    _there, go = patient(site, tmp_path)
    process = site.start()
    assert process.stderr
    line = next(line for line in process.stderr if "building" in line)
    assert not go.exists()
    assert line == "web: remote | -----> building\n"
    go.touch()
    _out, err = process.communicate(timeout=60)
    assert (process.returncode, "-----> done" in err) == (0, True)


def test_a_push_that_the_servers_hook_declines_changed_nothing(site: GitSite, tmp_path: Path) -> None:
    _there, go = patient(site, tmp_path, word="this does not build", code=1)
    go.touch()
    done = site.push()
    assert (done.returncode, site.tip) == (6, "")
    assert "this does not build" in done.stderr
    assert "the server's hook declined the push (pre-receive hook declined)" in done.stderr


@pytest.mark.parametrize(
    ("token", "said"),
    [("n0t-the-t0ken", "refused the credentials"), (READER, "does not let you do that"), ("", "asks who you are")],
)
def test_a_token_that_does_not_let_in_is_told_and_not_shown(site: GitSite, token: str, said: str) -> None:
    site.environment["TOKEN"] = token
    done = site.push("-v", token="${env:TOKEN}" if token else None)
    assert (done.returncode, site.tip) == (7, ""), done.stderr
    assert said in done.stderr
    assert not token or token not in done.stderr + done.stdout
    check = site.push("check", token="${env:TOKEN}" if token else None)
    assert (check.returncode != 0, said in check.stdout + check.stderr) == (True, True)


def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_token_is_sent(
    served: Served, site: GitSite
) -> None:
    (site.home / ".gitconfig").write_text("[http]\nsslVerify = false\n")
    before = len(served.server.requests)
    done = site.push(ca_file=None)
    assert (done.returncode, "is not trusted" in done.stderr) == (7, True), done.stderr
    assert len(served.server.requests) == before


def test_the_token_follows_no_redirect_to_another_host(served: Served, site: GitSite) -> None:
    (site.home / ".gitconfig").write_text(f'[credential]\nhelper = "!f() {{ cat >> {site.home}/heard; }}; f"\n')
    with HttpsServer(served.context) as other, HttpsServer(served.context) as first:
        there = f"{other.url}/blog.git/info/refs?service=git-upload-pack"
        for path in ("/blog.git/info/refs?service=git-upload-pack",):
            first.reply("GET", path, *[Reply(302, {"Location": there})] * 4)
            other.reply("GET", path, *[Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})] * 4)
        for auth in ("basic", "bearer"):
            done = site.push(remote=f"{first.url}/blog.git", auth=auth)
            assert done.returncode == 7, done.stderr
        assert first.received
        assert other.received
        assert not [each for each in other.received if "authorization" in each.headers]
        assert [each for each in first.received if each.headers.get("authorization") == f"Bearer {TOKEN}"]
    assert TOKEN not in (site.home / "heard").read_text() if (site.home / "heard").exists() else True


def test_the_token_is_nowhere_but_in_the_environment_of_git(site: GitSite, tmp_path: Path) -> None:
    there, go = patient(site, tmp_path)
    (site.home / ".gitconfig").write_text(f"[credential]\nhelper = store --file {site.home}/stored\n")
    process = site.start("--json", "-v")
    wait_for(there.exists)
    family = descendants(process.pid)
    assert len(family) >= 3, "push, git push, git remote-https"
    for pid in family:
        assert TOKEN.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert [line.split()[4] for line in limits.splitlines() if line.startswith("Max core")] == ["1"]
    holders = [pid for pid in family if TOKEN.encode() in Path(f"/proc/{pid}/environ").read_bytes()]
    assert holders
    assert {Path(f"/proc/{pid}/environ").stat().st_mode & 0o077 for pid in holders} == {0}
    go.touch()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "building" in out
    assert TOKEN not in out + err
    files = [file for base in (site.home, site.root, site.bare) for file in base.rglob("*") if file.is_file()]
    assert len(files) > 20
    assert not [file for file in files if TOKEN.encode() in file.read_bytes()]


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [pid, *(each for child in children for each in descendants(child))]


def test_after_a_client_was_killed_the_branch_is_whole_and_the_next_push_goes_on(site: GitSite, tmp_path: Path) -> None:
    first = site.good()
    there, go = patient(site, tmp_path)
    (site.root / "more").touch()
    process = site.start()
    wait_for(there.exists)
    os.killpg(process.pid, signal.SIGKILL)
    for pid in descendants(process.pid)[1:]:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert site.tip == first
    go.touch()
    site.good()
    assert set(site.tree()) == {"index.html", "css/site.css", "more"}
    git(site.bare, "fsck", "--strict")


def test_ctrl_c_says_that_the_server_may_go_on_and_how_to_look(site: GitSite, tmp_path: Path) -> None:
    there, go = patient(site, tmp_path)
    process = site.start()
    wait_for(there.exists)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=60)
    go.touch()
    assert process.returncode == 130, err
    assert "it may still take" in err
    assert f"git ls-remote {site.options['remote']} main" in err


def test_a_connection_that_is_lost_behind_the_switch_ends_well_and_before_it_changed_nothing(local: GitSite) -> None:
    hook(local, "#!/bin/sh\nkill -9 $PPID\n", "post-receive")
    done = local.push()
    assert done.returncode == 0, done.stderr
    assert f"main is at {local.tip[:7]} all the same" in done.stderr
    (local.root / "more").touch()
    hook(local, "#!/bin/sh\nkill -9 $PPID\n", "pre-receive")
    before = local.tip
    done = local.push()
    assert (done.returncode, local.tip) == (7, before), done.stderr


def test_who_cannot_look_after_a_push_that_failed_says_that_nobody_knows(local: GitSite) -> None:
    hook(local, f"#!/bin/sh\nmv {local.bare} {local.bare}.gone\nkill -9 $PPID\n", "pre-receive")
    done = local.push()
    assert done.returncode == 8, done.stderr
    assert "; it is not known whether main was moved\n  hint: look with push status before you push" in done.stderr


def test_a_server_that_takes_too_long_may_still_take_what_it_was_sent(local: GitSite) -> None:
    hook(local, "#!/bin/sh\nexec sleep 20\n", "pre-receive")
    done = local.push(timeout=1.5)
    assert done.returncode == 8, done.stderr
    assert "was ended after 1.5 seconds; what the server was sent, it may still take\n" in done.stderr
    assert f"hint: look: git ls-remote {local.options['remote']} main" in done.stderr


def test_a_git_that_cannot_keep_a_commit_is_told_in_its_words(local: GitSite, tmp_path: Path) -> None:
    wrapper = tmp_path / "bin/git"
    wrapper.parent.mkdir()
    real = git(local.root.parent, "--exec-path") + "/git"
    wrapper.write_text(
        '#!/bin/sh\ncase " $* " in *" fast-import "*) cat >/dev/null; echo fatal: no room >&2; exit 128;; esac\n'
        f'exec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    local.environment["PATH"] = f"{wrapper.parent}:{local.environment['PATH']}"
    done = local.push()
    assert (done.returncode, local.tip) == (7, ""), done.stderr
    assert "push: git fast-import failed: no room\n" in done.stderr


def test_a_repository_whose_place_git_does_not_tell_is_refused(local: GitSite, tmp_path: Path) -> None:
    (odd := tmp_path / "a\nb").mkdir()
    git(odd, "init", "--quiet", "--initial-branch=main")
    git(odd, "commit", "--quiet", "--allow-empty", "--message", "one")
    top = tmp_path / "worktree"
    git(odd, "worktree", "add", "--quiet", str(top))
    (top / "index.html").write_text("x")
    local.root = top
    local.write(what="commit")
    local.commit("two")
    done = local.push(what="commit")
    assert done.returncode == 7, done.stderr
    assert "push: the repository of the project cannot be read\n  hint: look at it with: git status" in done.stderr


def test_a_branch_that_moved_since_it_was_looked_at_is_not_overwritten(local: GitSite, tmp_path: Path) -> None:
    first = local.good()
    (local.root / "more").touch()
    # What comes between is a commit of somebody's, made while our push waits for its own pack to be made.
    moved = git(local.bare, "commit-tree", "-p", first, "-m", "between", f"{first}^{{tree}}")
    wrapper = tmp_path / "bin/git"
    wrapper.parent.mkdir()
    real = git(local.root.parent, "--exec-path") + "/git"
    wrapper.write_text(
        f'#!/bin/sh\ncase " $* " in *" push --porcelain "*)\n'
        f"{real} -C {local.bare} update-ref refs/heads/main {moved}\n"
        f';; esac\nexec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    local.environment["PATH"] = f"{wrapper.parent}:{local.environment['PATH']}"
    for force in (False, True):
        git(local.bare, "update-ref", "refs/heads/main", first)
        done = local.push(force=force)
        assert (done.returncode, local.tip) == (6, moved), done.stderr
        assert "main" in done.stderr


def test_an_address_of_a_remote_helper_is_left_to_it(local: GitSite, tmp_path: Path) -> None:
    done = local.push(remote="codecommit::eu-west-1://blog")
    assert (done.returncode, "git has no helper for codecommit::eu-west-1://blog" in done.stderr) == (7, True), (
        done.stderr
    )
    with GitHttpServer(tmp_path) as server:
        server.create("served.git")
        helper = tmp_path / "bin/git-remote-codecommit"
        helper.parent.mkdir()
        helper.write_text(
            f'#!/bin/sh\ntest "$2" = eu-west-1://blog && exec git remote-http "$1" {server.url}/served.git\n'
        )
        helper.chmod(0o755)
        local.environment["PATH"] = f"{helper.parent}:{local.environment['PATH']}"
        commit = local.good(remote="codecommit::eu-west-1://blog", what="snapshot")
        assert git(tmp_path / "served.git", "rev-parse", "main") == commit


# ---- over SSH


def test_a_bare_repository_over_ssh(ssh_server: Sshd, ssh_directory: ServerDirectory, tmp_path: Path) -> None:
    bare = ssh_directory.local / "blog.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    subprocess.run(["chown", "-R", "--reference", str(ssh_directory.local), str(bare)], check=True)

    remote = f"ssh://{ssh_server.user}@{ssh_server.host}:{ssh_server.port}{ssh_directory.path}/blog.git"
    site = GitSite(tmp_path, bare, remote, key=str(ssh_server.key), known_hosts=str(ssh_server.known_hosts))
    commit = site.good()
    assert (bare / "refs/heads/main").read_text().strip() == commit
    assert "is let in to push" in site.push("check").stdout
    nobody = tmp_path / "nobody"
    nobody.touch()
    (tmp_path / "home/.ssh").mkdir()
    (tmp_path / "home/.ssh/config").write_text("Host *\nStrictHostKeyChecking no\n")
    done = site.push(known_hosts=str(nobody))
    assert (done.returncode, nobody.read_text()) == (7, ""), done.stderr
    assert f"push trust {ssh_server.host}:{ssh_server.port}" in done.stderr
    done = site.push(remote=remote.replace("blog.git", "none.git"))
    assert (done.returncode, "there is no repository" in done.stderr) == (7, True), done.stderr
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    done = site.push(key=str(tmp_path / "other"))
    assert (done.returncode, "refused the login" in done.stderr) == (7, True), done.stderr
