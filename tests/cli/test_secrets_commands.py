"""``push secrets``, typed by people and by CI."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.project import PUSH, Project
from cli.terminal import Terminal
from pushkit.cli.secrets import memory
from pushkit.errors import SecretError
from pushkit.secrets import age
from pushkit.secrets.name import Name
from pushkit.secrets.secrets_file import SecretsFile, locked

SECRET = "hunter-two-hunter"
ECHO = 'strategy = "script"\nrun = "printenv T"\nenvironment = { T = "${secret:token}" }'


@pytest.fixture
def team(project: Project, tmp_path: Path) -> Project:
    """A project whose secrets are alice's, and a git repository."""
    project.environment |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}
    project.write(production=ECHO)
    git(project.root, "init", "-q", "-b", "main")
    done = project.push("secrets", "init", "--name", "alice")
    assert done.returncode == 0, done.stderr
    git(project.root, "add", "-A")
    git(project.root, "commit", "-qm", "begin")
    return project


def git(directory: Path, *arguments: str) -> str:
    person = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(["git", *person, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ok(project: Project, *arguments: str, given: str = "", **environment: str) -> str:
    done = project.push(*arguments, given=given, stdout=subprocess.PIPE, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def failing(code: int, project: Project, *arguments: str, given: str = "", **environment: str) -> str:
    done = project.push(*arguments, given=given, stdout=subprocess.PIPE, **environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_secret_is_kept_used_changed_and_removed(team: Project) -> None:
    ok(team, "secrets", "set", "token", given=f"{SECRET}\n")
    assert SECRET not in (team.root / "push.secrets.toml").read_text()
    assert ok(team, "secrets", "list") == "token  every target\n"
    assert ok(team, "secrets", "get", "token", "--yes") == f"{SECRET}\n"
    done = team.push("-v")
    assert (done.returncode, "[secret:token]" in done.stderr, SECRET in done.stderr) == (0, True, False)
    ok(team, "secrets", "set", "token", "-t", "production", given="only-production")
    assert ok(team, "secrets", "get", "token", "-t", "production", "--yes") == "only-production\n"
    ok(team, "secrets", "rm", "token", "-t", "production")
    ok(team, "secrets", "rm", "token")
    assert "push.secrets.toml has no secret token for production" in failing(3, team, "production")


def test_vim_keeps_no_copy_in_the_home_directory(team: Project) -> None:
    """With the settings that many have: swap files, backups, undo and registers at home."""
    ok(team, "secrets", "set", "token", given=SECRET)
    home = Path(team.environment["HOME"])
    for name in ("swap", "backup", "undo"):
        (home / name).mkdir()
    (home / ".vimrc").write_text(
        "set directory=~/swap// backup backupdir=~/backup undofile undodir=~/undo viminfo='100,<50 updatecount=1\n"
    )
    environment = team.environment | {"EDITOR": "vim", "VISUAL": ""}
    with Terminal([PUSH, "secrets", "edit"], team.root, environment, whole=True) as terminal:
        terminal.wait_for("hunter")
        terminal.type("\x03")
        terminal.wait_for("exit Vim")  # Ctrl-C is vim's
        while "%--" not in terminal.seen:  # what is typed while it is being interrupted is thrown away
            terminal.type("\x07")  # where the cursor is
            terminal.look(0.3)
        # A deleted line is in a register.
        terminal.type("/hunter\rddu:s/two/three/\r")
        terminal.wait_for("hree-hunter")  # what it shows anew
        terminal.type("yy:wq\r")
        assert terminal.end()[0] == 0
        assert "1 secret changed" in terminal.seen
    assert ok(team, "secrets", "get", "token", "--yes") == "hunter-three-hunter\n"
    for path in home.rglob("*"):
        assert not path.is_file() or b"hunter" not in path.read_bytes(), path


def test_nothing_that_push_starts_inherits_the_identity(team: Project) -> None:
    """Neither git nor the command of a secret, an observer, a hook."""
    ok(team, "secrets", "set", "token", given=SECRET)
    key = (Path(team.environment["HOME"]) / ".config/pushkit/age.key").read_text().splitlines()[1]
    record = team.root.parent / "environments"
    seen = f"sh -c 'env >>{record}; cat >/dev/null; echo value'"
    table = 'strategy = "script"\nrun = "RUN"\nenvironment = { T = "${secret:token}", C = "${command:RUN}" }'
    team.write(production=table.replace("RUN", seen))
    file = team.root / "Pushfile"
    file.write_text(f'{file.read_text()}\n[notify.team]\nobserver = "command"\nrun = "{seen}"\nevents = ["finished"]\n')
    wrapper = team.root.parent / "bin/git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nenv >>{record}\nPATH=${{PATH#*:}} exec git "$@"\n')
    wrapper.chmod(0o755)
    found = {"PATH": f"{wrapper.parent}:{os.environ['PATH']}", "PUSH_AGE_KEY": key, "PUSH_AGE_KEY_COMMAND": "false"}
    ok(team, "production", **found, HOME="/none")
    text = record.read_text()
    assert text.count("PATH=") >= 4
    assert "PUSH_AGE" not in text
    record.unlink()
    ok(team, "secrets", "edit", **found, **editor(team, f"env >{record}"))
    assert "PUSH_AGE" not in record.read_text()


def test_no_process_leaves_a_core_file_and_a_key_is_its_owners_alone(team: Project) -> None:
    own = Path(team.environment["HOME"]) / ".config/pushkit"
    assert [path.stat().st_mode & 0o777 for path in (own, own / "age.key")] == [0o700, 0o600]
    ok(team, "secrets", "set", "token", given=SECRET)
    team.write(production='strategy = "script"\nrun = "grep core /proc/self/limits"')
    limit = r"Max core file size +[01] "  # bytes: 1 is too few for one
    assert re.search(limit, team.push("-v").stderr)
    record = team.root.parent / "limits"
    ok(team, "secrets", "edit", **editor(team, f"grep core /proc/self/limits >{record}"))
    assert re.search(limit, record.read_text())


def test_init_takes_the_first_identity_that_is_found(project: Project, tmp_path: Path) -> None:
    project.environment |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}
    keys = [age.generate() for _ in range(3)]
    (tmp_path / "key").write_text(f"# mine\n{keys[1][0]}\n")
    found = {"PUSH_AGE_KEY_COMMAND": f"echo {keys[2][0]}"}
    for number in (2, 1, 0):
        found |= {2: {}, 1: {"PUSH_AGE_KEY_FILE": str(tmp_path / "key")}, 0: {"PUSH_AGE_KEY": keys[0][0]}}[number]
        ok(project, "secrets", "init", "--name", "me", **found)
        assert keys[number][1] in ok(project, "secrets", "recipients", "list")
        (project.root / "push.secrets.toml").unlink()
    assert not (tmp_path / ".config").exists(), "none is made"
    assert "PUSH_AGE_KEY: this is no private key" in failing(3, project, "secrets", "init", PUSH_AGE_KEY="nonsense")


def test_where_init_cannot_keep_a_key_or_call_you_so_is_told(project: Project, tmp_path: Path) -> None:
    project.environment |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}
    said = failing(3, project, "secrets", "init", "--name", "a b", PUSH_AGE_KEY=age.generate()[0])
    assert "your key cannot be used: a recipient's name has letters, digits," in said
    assert "hint: name another one: --key age1..." in said
    (tmp_path / "config").write_text("")
    said = failing(3, project, "secrets", "init", XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert f"{tmp_path}/config/pushkit/age.key cannot be written: Not a directory\n  hint: name a public key" in said
    said = failing(3, project, "secrets", "init", HOME="~", XDG_CONFIG_HOME="")
    assert "you have no home directory for a key\n  hint: name a public key: --key age1..." in said
    assert not (project.root / "push.secrets.toml").exists()


def test_what_git_could_not_be_told_of_merges_is_a_line_to_add(project: Project, tmp_path: Path) -> None:
    project.environment |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}
    git(project.root, "init", "-q")
    (project.root / ".gitattributes").mkdir()
    said = failing(3, project, "secrets", "init", "--name", "alice")
    assert f"{project.root}/.gitattributes cannot be written: Is a directory; push.secrets.toml is there" in said
    assert "hint: add this line to it: push.secrets.toml merge=union" in said
    assert (project.root / "push.secrets.toml").exists()


def test_a_colleague_prints_their_key_and_ci_gets_a_new_one(team: Project, tmp_path: Path) -> None:
    ok(team, "secrets", "set", "token", given=SECRET)
    bob = {"HOME": str(tmp_path / "bob")}
    public = ok(team, "secrets", "key", **bob).strip()
    assert public == ok(team, "secrets", "key", **bob).strip(), "it is made once"
    ok(team, "secrets", "recipients", "add", "bob", public)
    assert ok(team, "secrets", "get", "token", "--yes", **bob) == f"{SECRET}\n"
    private = ok(team, "secrets", "recipients", "add", "ci", "--new").strip()
    assert ok(team, "secrets", "get", "token", "--yes", HOME="/none", PUSH_AGE_KEY=private) == f"{SECRET}\n"
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert private.encode() not in path.read_bytes(), path
    line = json.loads(ok(team, "secrets", "recipients", "add", "other", "--new", "--json"))
    assert line["identity"].startswith("AGE-SECRET-KEY-1")
    # As a shell makes several words of it.
    (tmp_path / "bob/.ssh").mkdir()
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "bob/.ssh/id_ed25519")]
    subprocess.run(make, check=True)
    words = (tmp_path / "bob/.ssh/id_ed25519.pub").read_text().split()
    ok(team, "secrets", "recipients", "add", "laptop", *words)
    for wrong in ((), ("--new", public)):
        assert "which key?" in failing(2, team, "secrets", "recipients", "add", "eve", *wrong)


def test_a_mistyped_key_is_no_recipient(team: Project) -> None:
    public = age.generate()[1]
    other = public[:-1] + ("q" if public[-1] != "q" else "p")
    assert "bob: age does not take one of the recipients" in failing(
        2, team, "secrets", "recipients", "add", "bob", other
    )
    assert "bob" not in ok(team, "secrets", "recipients", "list")


def test_a_recipient_has_one_name_and_one_key(team: Project) -> None:
    bob, other = (age.generate()[1] for _ in range(2))
    ok(team, "secrets", "recipients", "add", "bob", bob)
    for words, name, key in [
        ("bob is a recipient already, with another key", "bob", other),
        ("this key is bob's already", "eve", bob),
        ("eve: expected one public key, found several lines", "eve", "Pushfile"),
        ("/nowhere is neither a public key nor a file that can be read: No such file", "eve", "/nowhere"),
    ]:
        assert words in failing(2, team, "secrets", "recipients", "add", name, key)
    listed = ok(team, "secrets", "recipients", "list")
    assert bob in listed
    assert "eve" not in listed


def test_the_doctor_tells_of_files_that_are_referred_to_and_of_what_commits_say(team: Project) -> None:
    ok(team, "secrets", "set", "token", given=SECRET)
    ok(team, "secrets", "set", "lines", given="ab\ncd\nef\ngh")
    (team.root / "word.txt").write_text("a word")
    team.write(production='strategy = "script"\nrun = "true"\nenvironment = { T = "${file:word.txt}" }')
    git(team.root, "add", "-A")
    git(team.root, "commit", "-qm", f"the password is {SECRET}")
    commit = git(team.root, "rev-parse", "HEAD").strip()[:7]
    found = failing(3, team, "secrets", "doctor")
    assert f"error    token: it stands in the clear in the history of the message of the commit ({commit})" in found
    assert "error    word.txt: git has this file, and a secret is read from it" in found
    assert "warning  word.txt: others on this machine can read this secret" in found
    assert "lines: it stands" not in found, "two letters stand everywhere"
    assert SECRET not in found


def test_the_doctor_goes_on_where_there_is_nobody_to_ask_for_a_passphrase(team: Project, tmp_path: Path) -> None:
    ssh = tmp_path / "bob/.ssh"
    ssh.mkdir(parents=True)
    line = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", str(ssh / "id_ed25519")]
    subprocess.run(line, check=True)
    ok(team, "secrets", "recipients", "add", "bob", str(ssh / "id_ed25519.pub"))
    ok(team, "secrets", "set", "token", given=SECRET)
    found = failing(3, team, "secrets", "doctor", HOME=str(tmp_path / "bob"))
    assert "error    token: there is nobody to ask: passphrase of" in found
    assert "1 secret, 0 of them decrypted and looked for" in found


def test_a_file_that_projects_share_by_a_link_stays_one(team: Project) -> None:
    file = team.root / "push.secrets.toml"
    shared = team.root.parent / "shared.toml"
    file.rename(shared)
    file.symlink_to(shared)
    ok(team, "secrets", "set", "token", given=SECRET)
    assert file.is_symlink()
    assert "token" in shared.read_text()


def test_what_the_command_line_asks_that_cannot_be(team: Project) -> None:
    assert "can be seen by others" in failing(2, team, "secrets", "set", "token", SECRET)
    assert "standard input is empty" in failing(2, team, "secrets", "set", "token")
    assert 'there is no target "prod"' in failing(2, team, "secrets", "set", "token", "-t", "prod", given=SECRET)
    for short in ("abc\n", "    x   \n"):
        assert "fewer than 4" in failing(3, team, "secrets", "set", "token", given=short)
    assert "is no name" in failing(2, team, "secrets", "set", "a b", given=SECRET)
    assert "has no secret token" in failing(3, team, "secrets", "get", "token", "--yes")
    assert "is there already" in failing(6, team, "secrets", "init")
    ok(team, "secrets", "set", "token", given=SECRET)
    assert "this needs a yes" in failing(6, team, "secrets", "get", "token")


def test_two_people_and_a_machine_share_the_secrets(team: Project) -> None:
    keys = {name: age.generate() for name in ("bob", "ci")}
    ok(team, "secrets", "set", "token", given=SECRET)
    for name, (_, public) in keys.items():
        ok(team, "secrets", "recipients", "add", name, public)
    assert [line.split()[0] for line in ok(team, "secrets", "recipients", "list").splitlines()] == [
        "alice",
        "bob",
        "ci",
    ]
    for private, _ in keys.values():
        assert ok(team, "secrets", "get", "token", "--yes", PUSH_AGE_KEY=private, HOME="/none") == f"{SECRET}\n"
    said = failing(2, team, "secrets", "recipients", "rm", "bib")
    assert 'did you mean "bob"?' in said
    done = team.push("secrets", "recipients", "rm", "bob")
    assert "for bob knows them: token" in done.stderr
    bob = {"PUSH_AGE_KEY": keys["bob"][0], "HOME": "/none"}
    assert "it is not encrypted for PUSH_AGE_KEY" in failing(3, team, "production", **bob)
    found = ok(team, "secrets", "doctor")
    assert "token: bob knows it, and is no recipient any more" in found
    ok(team, "secrets", "rekey", "--all")
    assert "bob knows it" in ok(team, "secrets", "doctor"), "the value is still the same"
    ok(team, "secrets", "set", "token", given="another-one")
    assert "bob" not in ok(team, "secrets", "doctor")


def test_who_can_read_nothing_can_set_and_the_last_recipient_stays(team: Project) -> None:
    nobody = {"HOME": "/none"}
    ok(team, "secrets", "set", "token", given=SECRET, **nobody)
    assert "there is no identity here" in failing(3, team, "secrets", "get", "token", "--yes", **nobody)
    assert "is the last recipient" in failing(6, team, "secrets", "recipients", "rm", "alice")
    assert ok(team, "secrets", "get", "token", "--yes") == f"{SECRET}\n"
    private = age.generate()[0]
    said = failing(2, team, "secrets", "recipients", "add", "eve", "-", given=private)
    assert "that is a private key" in said
    assert private not in said


def test_two_branches_merge_and_the_doctor_says_what_is_left_to_do(team: Project) -> None:
    ok(team, "secrets", "set", "token", given=SECRET)
    git(team.root, "commit", "-qam", "token")
    git(team.root, "switch", "-qc", "bob")
    private, public = age.generate()
    ok(team, "secrets", "recipients", "add", "bob", public)
    ok(team, "secrets", "set", "db.password", given="of the database")
    ok(team, "secrets", "set", "db.user", "-t", "production", given="database user")
    git(team.root, "commit", "-qam", "bob")
    git(team.root, "switch", "-q", "main")
    ok(team, "secrets", "set", "db.name", given="name of the database")
    ok(team, "secrets", "set", "smtp.password", given="of the mail server")
    git(team.root, "commit", "-qam", "more")
    git(team.root, "merge", "-q", "-m", "both", "bob")
    names = ok(team, "secrets", "list")
    assert [line.split()[0] for line in names.splitlines()] == [
        "db.name",
        "db.password",
        "smtp.password",
        "token",
        "db.user",
    ]
    found = ok(team, "secrets", "doctor")
    assert "db.name: bob cannot read it" in found
    assert "smtp.password: bob cannot read it" in found
    assert "token: bob" not in found
    before = SecretsFile.read(team.root).secrets
    ok(team, "secrets", "rekey")
    after = SecretsFile.read(team.root).secrets
    changed = {str(name) for name in before if before[name] != after[name]}
    assert changed == {"db.name", "smtp.password"}, "nothing else is touched"
    bob = {"PUSH_AGE_KEY": private, "HOME": "/none"}
    assert ok(team, "secrets", "get", "smtp.password", "--yes", **bob) == "of the mail server\n"
    assert "cannot read" not in ok(team, "secrets", "doctor")


def test_two_branches_that_each_add_a_recipient_merge_and_one_rekey_makes_it_whole(team: Project) -> None:
    for name in ("one", "two", "three"):
        ok(team, "secrets", "set", name, given=f"the value {name}")
    git(team.root, "commit", "-qam", "values")
    keys = {name: age.generate() for name in ("bob", "carol")}
    git(team.root, "branch", "carol")
    ok(team, "secrets", "recipients", "add", "bob", keys["bob"][1])
    git(team.root, "commit", "-qam", "bob")
    git(team.root, "switch", "-q", "carol")
    ok(team, "secrets", "recipients", "add", "carol", keys["carol"][1])
    ok(team, "secrets", "set", "three", given="a new value")
    git(team.root, "commit", "-qam", "carol")
    git(team.root, "merge", "-q", "-m", "both", "main")
    assert ok(team, "secrets", "get", "one", "--yes") == "the value one\n"
    said = failing(3, team, "secrets", "rekey")
    assert "the secret three" in said
    assert "two branches gave it different values" in said
    ok(team, "secrets", "set", "three", given="a new value")
    ok(team, "secrets", "rekey")
    for private, _ in keys.values():
        for name, value in (("one", "the value one"), ("two", "the value two"), ("three", "a new value")):
            given = ok(team, "secrets", "get", name, "--yes", PUSH_AGE_KEY=private, HOME="/none")
            assert given == f"{value}\n"


def test_the_doctor_finds_plaintext_in_files_and_in_history_and_open_keys(team: Project) -> None:
    ok(team, "secrets", "set", "token", given=f"{SECRET}\n")
    ok(team, "secrets", "set", "twice", given="in history twice")
    (team.root / "old.txt").write_bytes(b"\0" * (1 << 20) + b"in history twice" + b"\0" * 9)
    (team.root / ".env").write_text("A=b\n")
    (team.root / ".env.example").write_text("A=\n")
    git(team.root, "add", "-A")
    git(team.root, "commit", "-qm", "a mistake")
    commit = git(team.root, "rev-parse", "--short", "HEAD").strip()
    (team.root / "old.txt").unlink()
    (team.root / "config.ini").write_text(f"token = {SECRET}\n")
    key = Path(team.environment["HOME"]) / ".config/pushkit/age.key"
    key.chmod(0o644)
    team.write(
        production=ECHO,
        ftp='strategy = "ftp"\nhost = "h"\nuser = "u"\npassword = "in the Pushfile"\npath = "/"',
        lost='strategy = "script"\nrun = "true"\nenvironment = { T = "${secret:lost}" }',
    )
    found = failing(3, team, "secrets", "doctor")
    for line in (
        "error    token: it stands in the clear in config.ini",
        f"error    twice: it stands in the clear in the history of old.txt ({commit})",
        f"error    {key}: others on this machine can read this private key",
        "error    target.ftp.password: it is written in the Pushfile",
        "error    lost: [target.lost] refers to it",
        "warning  .env: git has this file",
        "5 errors in how secrets are kept",
    ):
        assert line in found, found
    assert ".env.example" not in found
    assert SECRET not in found
    lines = [
        json.loads(line) for line in failing(3, team, "secrets", "doctor", "--json").splitlines() if line[0] == "{"
    ]
    assert {line["event"] for line in lines} == {"finding", "error"}


def test_a_env_file_is_imported_whole_or_not_at_all(team: Project) -> None:
    file = team.root / "old.env"
    file.write_text("# comment\nexport DB_PASSWORD='it is $long #not a comment'\nEMPTY=\nKEY=\"two\\nlines\"\n")
    done = team.push("secrets", "import", "old.env")
    assert done.returncode == 0, done.stderr
    assert "2 secrets of old.env kept" in done.stderr
    assert ok(team, "secrets", "get", "DB_PASSWORD", "--yes") == "it is $long #not a comment\n"
    assert ok(team, "secrets", "get", "KEY", "--yes") == "two\nlines\n"
    before = (team.root / "push.secrets.toml").read_bytes()
    assert "DB_PASSWORD" in failing(6, team, "secrets", "import", "old.env")
    file.write_text("GOOD=long enough\nBAD=abc\n")
    assert "the value of BAD has fewer" in failing(3, team, "secrets", "import", "old.env")
    file.write_text("GOOD=long enough\nno equals sign here\n")
    assert "old.env, line 2: expected NAME=value" in failing(2, team, "secrets", "import", "old.env")
    assert (team.root / "push.secrets.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "old.env cannot be read: No such file or directory"),
        (b"KEY=\xff\n", "old.env is not UTF-8 text"),
        (b"# nothing\n\nEMPTY=\n", "old.env has no NAME=value"),
    ],
)
def test_what_is_no_env_file_is_told(team: Project, content: bytes | None, words: str) -> None:
    if content is not None:
        (team.root / "old.env").write_bytes(content)
    assert words in failing(2, team, "secrets", "import", "old.env")


def test_a_secret_to_remove_that_is_none_is_told_with_what_may_be_meant(team: Project) -> None:
    ok(team, "secrets", "set", "token", given=SECRET)
    for name, hint in (("tokn", 'did you mean "token"?'), ("xyz", "see which there are: push secrets list")):
        said = failing(2, team, "secrets", "rm", name)
        assert f"push: push.secrets.toml has no secret {name}\n  hint: {hint}" in said


def test_a_value_that_is_no_text_is_not_kept(team: Project) -> None:
    assert "standard input is not UTF-8 text" in failing(2, team, "secrets", "set", "token", given="\udcff" * 8)


@pytest.mark.parametrize(
    ("editor", "words"), [("/nowhere/editor", "No such file or directory"), ("vi 'a", "No closing quotation")]
)
def test_an_editor_that_is_none_is_told(team: Project, editor: str, words: str) -> None:
    assert f"the editor {editor} cannot be started: {words}" in failing(3, team, "secrets", "edit", EDITOR=editor)


# ---- on a terminal


def test_who_says_no_sees_nothing_and_imports_nothing(team: Project) -> None:
    ok(team, "secrets", "set", "token", given=SECRET)
    (team.root / "old.env").write_text("token=another-one\n")
    for line, question, words in [
        (("get", "token"), "Show token on this screen?", "token was not shown"),
        (("import", "old.env"), "These are secrets already: token. Change them?", "nothing was imported"),
    ]:
        with Terminal([PUSH, "secrets", *line], team.root, team.environment) as terminal:
            terminal.wait_for(question)
            terminal.type("n\n")
            assert terminal.end()[0] == 6
            assert words in terminal.seen
            assert SECRET not in terminal.seen
    assert ok(team, "secrets", "get", "token", "--yes") == f"{SECRET}\n"


def test_a_value_is_typed_without_echo(team: Project) -> None:
    with Terminal([PUSH, "secrets", "set", "token"], team.root, team.environment) as terminal:
        terminal.wait_for("value of token: ")
        assert not terminal.echoes
        terminal.type(f"{SECRET}\n")
        assert terminal.end()[0] == 0
        assert SECRET not in terminal.seen
    assert ok(team, "secrets", "get", "token", "--yes") == f"{SECRET}\n"


def editor(team: Project, script: str) -> dict[str, str]:
    path = team.root.parent / "editor"
    path.write_text(f'#!/bin/sh\necho "$1" >{team.root.parent}/edited\n{script}\n')
    path.chmod(0o755)
    return {"VISUAL": "", "EDITOR": str(path)}


def edited(team: Project) -> Path:
    return Path((team.root.parent / "edited").read_text().strip())


def test_an_editor_changes_adds_and_removes(team: Project) -> None:
    for name in ("token", "other", "gone"):
        ok(team, "secrets", "set", name, given=f'old {name} \x7f ö\n"quoted"')
    before = SecretsFile.read(team.root).secrets
    script = """
    stat -c %a "$1" "$(dirname "$1")" >modes
    sed -i -e 's/^"token" = .*/"token" = "changed now"/' -e '/^"gone"/d' "$1"
    echo '"production/new" = "added now"' >>"$1"
    """
    ok(team, "secrets", "edit", "--yes", **editor(team, script))
    assert (team.root / "modes").read_text() == "600\n700\n"
    assert not edited(team).parent.exists()
    after = SecretsFile.read(team.root).secrets
    assert set(map(str, after)) == {"token", "other", "production/new"}
    assert after[Name("", "other")] == before[Name("", "other")], "what was not changed is not encrypted anew"
    assert ok(team, "secrets", "get", "token", "--yes") == "changed now\n"
    assert ok(team, "secrets", "get", "other", "--yes") == 'old other \x7f ö\n"quoted"\n'


def test_what_others_do_during_an_edit_is_kept_and_never_undone(team: Project) -> None:
    for name in ("token", "other"):
        ok(team, "secrets", "set", name, given=f"the old {name}")
    meanwhile = f"printf 'set meanwhile' | {PUSH} secrets set other"
    change = 'sed -i \'s/^"token".*/"token" = "changed now"/\' "$1"'
    ok(team, "secrets", "edit", **editor(team, f"{meanwhile}\n{change}"))
    assert ok(team, "secrets", "get", "token", "--yes") == "changed now\n"
    assert ok(team, "secrets", "get", "other", "--yes") == "set meanwhile\n"
    both = 'sed -i \'s/^"other".*/"other" = "changed here"/\' "$1"'
    meanwhile = meanwhile.replace("set meanwhile", "set once more")
    said = failing(6, team, "secrets", "edit", **editor(team, f"{meanwhile}\n{both}"))
    assert "other was changed by somebody else meanwhile" in said
    assert ok(team, "secrets", "get", "other", "--yes") == "set once more\n"


def test_who_does_not_want_to_remove_what_was_edited_away_keeps_all(team: Project) -> None:
    ok(team, "secrets", "set", "token", given=SECRET)
    before = (team.root / "push.secrets.toml").read_bytes()
    environment = team.environment | editor(team, 'sed -i /token/d "$1"')
    with Terminal([PUSH, "secrets", "edit"], team.root, environment) as terminal:
        terminal.wait_for("Remove token?")
        terminal.type("n\n")
        assert terminal.end()[0] == 6
        assert "push: nothing was changed" in terminal.seen
    assert (team.root / "push.secrets.toml").read_bytes() == before


def test_secrets_are_edited_in_memory_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PLACES", ("", "/proc", "/nowhere"))
    with pytest.raises(SecretError) as caught, memory.in_memory():
        pytest.fail("there is no such place")
    assert caught.value.message == "there is no file system in memory here, and secrets must not lie on a disk"
    assert caught.value.hint == "change one at a time: push secrets set NAME"


def test_a_command_that_finds_another_at_work_says_so(team: Project) -> None:
    with locked(team.root):
        assert "another push secrets is at work" in failing(9, team, "secrets", "set", "token", given=SECRET)
    ok(team, "secrets", "set", "token", given=SECRET)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 3", 3),
        ('rm "$1"', 3),
        ("echo 'not toml' >\"$1\"", 2),
        ('echo \'"a" = 1\' >"$1"', 2),
        ('echo \'"a" = "x"\' >"$1"', 6),
    ],
)
def test_an_edit_that_fails_changes_nothing_and_leaves_nothing(team: Project, script: str, code: int) -> None:
    ok(team, "secrets", "set", "token", given=SECRET)
    before = (team.root / "push.secrets.toml").read_bytes()
    assert SECRET not in failing(code, team, "secrets", "edit", **editor(team, script))
    assert (team.root / "push.secrets.toml").read_bytes() == before
    assert not edited(team).parent.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_in_the_middle_of_an_edit_leaves_no_plaintext(team: Project, number: signal.Signals) -> None:
    ok(team, "secrets", "set", "token", given=SECRET)
    os.mkfifo(team.root.parent / "begun")
    script = f"echo >{team.root.parent}/begun; exec sleep 60"
    with subprocess.Popen(
        [PUSH, "secrets", "edit"],
        cwd=team.root,
        env=team.environment | editor(team, script),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        restore_signals=True,
    ) as process:
        (team.root.parent / "begun").read_text()
        directory = edited(team).parent
        assert SECRET in (directory / "secrets.toml").read_text()
        process.send_signal(number)
        process.wait(20)
        end = time.monotonic() + 20
        while directory.exists():
            assert time.monotonic() < end, "the plaintext is still there"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL) if number == signal.SIGKILL else None
    assert process.returncode in {130, -signal.SIGKILL}


# ---- nothing is decrypted that nobody asked for


def test_a_dry_run_and_a_look_resolve_nothing_that_they_do_not_need(project: Project) -> None:
    asked = project.root.parent / "asked"
    project.write(
        hook=f'strategy = "script"\nrun = "true"\nenvironment = {{ T = "${{command:touch {asked}}}long" }}',
        other=f'strategy = "script"\nrun = "true"\nenvironment = {{ T = "${{command:touch {asked}}}" }}',
        plain='strategy = "dir"\npath = "../live"',
    )
    for arguments in (("--dry-run", "hook"), ("plan", "hook"), ("plain",), ("files", "hook")):
        ok(project, *arguments)
        assert not asked.exists(), arguments
    assert "stands for is empty" in failing(3, project, "other")
    assert asked.exists()
    assert not (project.root / "live").exists()


def test_references_of_a_target_are_resolved_at_the_same_time(project: Project) -> None:
    os.mkfifo(project.root.parent / "a")
    there = project.root.parent / "a"
    # One writes what the other reads: neither ends unless both run.
    project.write(
        hook='strategy = "script"\nrun = "true"\nenvironment = { '
        f'A = "${{command:cat {there}}}", B = "${{command:sh -c \'echo hello >{there}; echo done\'}}" }}'
    )
    assert project.push("hook").returncode == 0


def test_a_password_of_the_keyring_is_asked_for_by_service_and_user(project: Project, tmp_path: Path) -> None:
    # A real keyring in a file; a desktop's is not to be had everywhere.
    project.environment |= {
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "XDG_DATA_HOME": str(tmp_path),
    }
    project.write(hook=ECHO.replace("secret:token", "keyring:ftp.example.com/blog"))
    said = failing(3, project, "hook")
    assert "target.hook.environment.T: the keyring has no password of blog for ftp.example.com" in said
    line = [sys.executable, "-m", "keyring", "set", "ftp.example.com", "blog"]
    subprocess.run(line, env=project.environment, input=SECRET, text=True, check=True, capture_output=True)
    done = project.push("hook", "-v")
    assert (done.returncode, "[secret:keyring:ftp.example.com/blog]" in done.stderr) == (0, True), done.stderr
    project.environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    said = failing(3, project, "hook")
    assert "the keyring did not give the password of blog for ftp.example.com: NoKeyringError" in said
    assert "is it unlocked, and is there one for this session?" in said
    project.write(hook=ECHO.replace("secret:token", "keyring:no-user"))
    assert "write ${keyring:SERVICE/USER}" in failing(3, project, "hook")


def test_without_the_library_the_keyring_is_told_how_to_install_it(project: Project, tmp_path: Path) -> None:
    (tmp_path / "site/keyring.py").write_text("raise ImportError('not there')\n")
    project.write(
        hook=ECHO.replace("secret:token", "keyring:ftp.example.com/blog"), plain='strategy = "dir"\npath = "../x"'
    )
    assert "pip install 'pushkit[keyring]'" in failing(4, project, "hook")
    assert project.push("plain").returncode == 0
