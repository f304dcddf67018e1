"""A deployment on this machine: order, revisions, files, permissions, and what becomes of it when something fails."""

# ruff: noqa: E501  (tables, a row a line)

from __future__ import annotations

import fcntl
import grp
import json
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugins.codedeploy_machine import GROUP, Machine
from pushkit import Busy, Interrupted, PushFailed, PushRefused, TargetError, UsageError
from pushkit_aws.appspec import AppSpecError, Behavior
from pushkit_aws.local.order import DEFAULT, ordered

FILES = "files:\n  - {source: /, destination: /srv/app}\n"
TELL = "echo $LIFECYCLE_EVENT\n"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, grace=0.5)


def scripts(*events: str, text: str = TELL) -> str:
    return "hooks:\n" + "".join(
        f"  {event}:\n    - location: bin/{text.split(maxsplit=1)[0]}-{event}\n" for event in events
    )


def hooked(machine: Machine, *events: str, more: str = FILES) -> None:
    """A bundle with a script for each event that tells its name."""
    machine.appspec(more + scripts(*events))
    for event in events:
        machine.script(f"bin/echo-{event}", TELL)


# The sample applications of AWS.

WORDPRESS = """\
files:
  - source: /
    destination: /var/www/html/WordPress
hooks:
  BeforeInstall:
    - location: scripts/install_dependencies.sh
      timeout: 300
      runas: root
  AfterInstall:
    - location: scripts/change_permissions.sh
      timeout: 300
      runas: root
  ApplicationStart:
    - location: scripts/start_server.sh
    - location: scripts/create_test_db.sh
      timeout: 300
      runas: root
  ApplicationStop:
    - location: scripts/stop_server.sh
      timeout: 300
      runas: root
"""

APACHE = """\
files:
  - source: /index.html
    destination: /var/www/html/
hooks:
  BeforeInstall:
    - {location: scripts/install_dependencies, timeout: 300, runas: root}
    - {location: scripts/start_server, timeout: 300, runas: root}
  ApplicationStop:
    - {location: scripts/stop_server, timeout: 300, runas: root}
"""


@needs_root
def test_wordpress_as_in_the_tutorial_is_deployed_twice(machine: Machine) -> None:
    machine.appspec(WORDPRESS)
    machine.write("wp-config.php", "one")
    for name in ("install_dependencies", "change_permissions", "start_server", "create_test_db", "stop_server"):
        machine.script(f"scripts/{name}.sh", f"echo {name}")
    machine.script("scripts/change_permissions.sh", "chmod -R 777 $PUSH_ROOT/var/www/html/WordPress")
    first = machine.deploy()
    assert machine.output == ["install_dependencies", "start_server", "create_test_db"]
    assert machine.files()["var/www/html/WordPress/wp-config.php"] == "one"
    assert (machine.root / "var/www/html/WordPress/wp-config.php").stat().st_mode & 0o777 == 0o777
    machine.write("wp-config.php", "two")
    second = machine.deploy()
    assert machine.output == ["stop_server", "install_dependencies", "start_server", "create_test_db"]
    assert machine.files()["var/www/html/WordPress/wp-config.php"] == "two"
    assert machine.log(first)[-3:] == [
        "LifecycleEvent - ApplicationStop",
        "Script - scripts/stop_server.sh",
        "[stdout]stop_server",
    ]
    assert machine.log(second)[0] == "LifecycleEvent - BeforeInstall"


@needs_root
def test_apache_as_in_the_tutorial_installs_one_file_and_its_directory(machine: Machine) -> None:
    machine.appspec(APACHE)
    machine.write("index.html", "hello")
    for name in ("install_dependencies", "start_server", "stop_server"):
        machine.script(f"scripts/{name}", f"echo {name} 2>&1")
    machine.deploy()
    assert machine.files() == {"var/": "", "var/www/": "", "var/www/html/": "", "var/www/html/index.html": "hello"}


# Order and revisions.


def test_the_first_deployment_leaves_out_what_runs_from_the_last_and_the_second_runs_it_first(machine: Machine) -> None:
    hooked(machine, *(event for event in DEFAULT if event not in {"DownloadBundle", "Install"}))
    later = [
        "BeforeInstall",
        "AfterInstall",
        "ApplicationStart",
        "ValidateService",
        "BeforeAllowTraffic",
        "AfterAllowTraffic",
    ]
    machine.deploy()
    assert machine.output == later
    machine.deploy()
    assert machine.output == ["BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", *later]


def test_application_stop_is_of_the_revision_that_was_installed_last_and_not_of_one_that_failed_before(
    machine: Machine,
) -> None:
    hooked(machine, "ApplicationStop", "BeforeInstall")
    machine.script("bin/echo-ApplicationStop", "echo stop of one")
    machine.deploy()
    machine.script("bin/echo-ApplicationStop", "echo stop of two")
    machine.script("bin/echo-BeforeInstall", "exit 1")
    with pytest.raises(PushFailed):
        machine.deploy()
    machine.script("bin/echo-ApplicationStop", "echo stop of three")
    machine.script("bin/echo-BeforeInstall", "true")
    machine.deploy()
    assert machine.output == ["stop of one"]
    machine.deploy()
    assert machine.output == ["stop of three"]


def test_a_last_revision_that_is_gone_is_a_warning_and_the_deployment_goes_on(machine: Machine) -> None:
    hooked(machine, "ApplicationStop")
    first = machine.deploy()
    shutil.rmtree(machine.archive(first))
    machine.deploy()
    assert any("ApplicationStop is left out" in warning for warning in machine.warnings)


def test_scripts_find_in_their_environment_what_the_agent_gives_them_and_no_input(machine: Machine) -> None:
    machine.appspec("hooks:\n  AfterInstall:\n    - location: env\n")
    names = "LIFECYCLE_EVENT DEPLOYMENT_ID APPLICATION_NAME DEPLOYMENT_GROUP_NAME DEPLOYMENT_GROUP_ID PUSH_ROOT"
    machine.script(
        "env", f"for each in {names}; do eval echo \\$$each; done; cat; ps -o pgid= $$ | tr -d ' '; echo $$\n"
    )
    name = machine.deploy()
    *values, group, pid = machine.output
    assert values == ["AfterInstall", name, "shop", "LocalFleet", GROUP, str(machine.root)]
    assert group == pid


def test_five_revisions_are_kept_and_the_one_that_was_installed_last_is_among_them(machine: Machine) -> None:
    hooked(machine, "BeforeInstall")
    good = machine.deploy()
    machine.script("bin/echo-BeforeInstall", "exit 1")
    for _ in range(7):
        with pytest.raises(PushFailed):
            machine.deploy()
    kept = os.listdir(machine.state / GROUP)
    assert len(kept) == 6  # five, and the good one, which is older than all of them
    assert good in kept


def test_events_may_be_chosen_and_ones_own_added(machine: Machine) -> None:
    hooked(machine, "BeforeInstall", "ApplicationStart", "Warm")
    machine.deploy(events=("ApplicationStart", "Warm"))
    assert machine.output == ["ApplicationStart", "Warm"]
    with pytest.raises(AppSpecError):
        machine.deploy()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["ApplicationStart"], "DownloadBundle Install ApplicationStart"),
        (["ApplicationStop", "BeforeInstall", "Own"], "ApplicationStop DownloadBundle BeforeInstall Install Own"),
        (["DownloadBundle", "Install", "AfterInstall"], "DownloadBundle Install AfterInstall"),
    ],
)
def test_no_deployment_does_without_bundle_and_install(given: list[str], expected: str) -> None:
    assert " ".join(ordered(given)) == expected


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["ApplicationStart", "Install"], "ApplicationStart cannot stand before Install"),
        (["Own", "DownloadBundle", "Install"], "Own cannot stand before Install"),
        (["Install", "DownloadBundle"], "DownloadBundle cannot stand after Install"),
        (["BeforeInstall", "DownloadBundle"], "BeforeInstall cannot stand before DownloadBundle"),
        (["A", "A"], "is there twice"),
        (["../x"], "is no name of an event"),
    ],
)
def test_an_order_that_cannot_be_is_refused(given: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ordered(given)


# Files.


def test_a_directory_gives_its_contents_a_file_goes_below_its_destination_and_dotfiles_are_not_left_out(
    machine: Machine,
) -> None:
    machine.appspec("files:\n  - {source: web, destination: /srv/web}\n  - {source: /one.txt, destination: /etc/app}\n")
    machine.write("web/.htaccess", "deny")
    machine.write("web/css/a.css", "a")
    (machine.bundle / "web/empty").mkdir()
    machine.write("one.txt", "1", 0o755)
    machine.deploy()
    files = {path: text for path, text in machine.files().items() if not path.endswith("/")}
    assert files == {"srv/web/.htaccess": "deny", "srv/web/css/a.css": "a", "etc/app/one.txt": "1"}
    assert (machine.root / "srv/web/empty").is_dir()
    assert (machine.root / "etc/app/one.txt").stat().st_mode & 0o777 == 0o755


def test_everything_is_installed_with_the_appspec_itself(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.deploy()
    assert "srv/app/appspec.yml" in machine.files()


def test_links_to_files_are_kept_and_links_to_directories_are_expanded(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.write("lib/a.txt", "a")
    (machine.bundle / "link.txt").symlink_to("lib/a.txt")
    (machine.bundle / "dangling").symlink_to("nowhere")
    (machine.bundle / "current").symlink_to("lib")
    machine.deploy()
    files = machine.files()
    assert (files["srv/app/link.txt"], files["srv/app/dangling"]) == ("-> lib/a.txt", "-> nowhere")
    assert files["srv/app/current/a.txt"] == "a"
    assert "srv/app/current/" in files


@pytest.mark.parametrize("target", ["/etc", "..", "lib/../.."])
def test_a_link_to_a_directory_out_of_the_bundle_is_refused(machine: Machine, target: str) -> None:
    machine.appspec(FILES)
    (machine.bundle / "lib").mkdir()
    (machine.bundle / "out").symlink_to(target)
    with pytest.raises(TargetError, match="out is a link that leads out of the bundle"):
        machine.deploy()
    assert machine.files() == {}


def test_what_the_last_deployment_put_there_goes_and_what_somebody_else_did_stays(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.write("old/a.txt")
    machine.write("kept/b.txt")
    machine.deploy()
    (machine.root / "srv/app/kept/upload.jpg").write_text("mine")
    (machine.root / "srv/app/mine.txt").write_text("mine")
    shutil.rmtree(machine.bundle / "old")
    shutil.rmtree(machine.bundle / "kept")
    machine.deploy()
    files = machine.files()
    assert "srv/app/old/" not in files
    assert (files["srv/app/kept/upload.jpg"], files["srv/app/mine.txt"]) == ("mine", "mine")
    assert "srv/app/kept/b.txt" not in files


def test_a_file_in_the_way_is_told_before_and_the_last_deployment_is_not_deleted_for_it(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.write("a.txt", "one")
    machine.deploy()
    (machine.root / "srv/app/new.txt").write_text("mine")
    machine.write("a.txt", "two")
    machine.write("new.txt", "theirs")
    with pytest.raises(PushRefused, match=r"/srv/app/new\.txt already exists, and no .* nothing was changed") as caught:
        machine.deploy()
    assert "OVERWRITE" in caught.value.hint
    assert any("Install will fail, and the last deployment stays" in warning for warning in machine.warnings)
    assert machine.files()["srv/app/a.txt"] == "one"
    assert machine.files()["srv/app/new.txt"] == "mine"


def test_a_file_in_the_way_that_before_install_takes_away_is_none(machine: Machine) -> None:
    hooked(machine, "BeforeInstall")
    machine.write("a.txt", "theirs")
    (machine.root / "srv/app").mkdir(parents=True)
    (machine.root / "srv/app/a.txt").write_text("mine")
    machine.script("bin/echo-BeforeInstall", "rm $PUSH_ROOT/srv/app/a.txt")
    machine.deploy()
    assert any("unless BeforeInstall takes them away" in warning for warning in machine.warnings)
    assert machine.files()["srv/app/a.txt"] == "theirs"


def test_a_file_in_the_way_after_scripts_have_run_is_a_failed_push(machine: Machine) -> None:
    hooked(machine, "BeforeInstall")
    (machine.root / "srv/app").mkdir(parents=True)
    (machine.root / "srv/app/appspec.yml").write_text("mine")
    with pytest.raises(PushFailed, match="scripts have run, no file was touched"):
        machine.deploy()


@pytest.mark.parametrize("where", ["option", "appspec"])
@pytest.mark.parametrize("behavior", [Behavior.OVERWRITE, Behavior.RETAIN])
def test_a_file_in_the_way_is_overwritten_or_retained_as_asked(
    machine: Machine, behavior: Behavior, where: str
) -> None:
    machine.appspec(FILES + (f"file_exists_behavior: {behavior}\n" if where == "appspec" else ""))
    machine.write("a.txt", "theirs")
    (machine.root / "srv/app").mkdir(parents=True)
    (machine.root / "srv/app/a.txt").write_text("mine")
    option = behavior if where == "option" else Behavior.DISALLOW
    machine.deploy(behavior=option)
    assert machine.files()["srv/app/a.txt"] == ("theirs" if behavior is Behavior.OVERWRITE else "mine")
    # What was retained is still nobody's, and stays.
    (machine.bundle / "a.txt").unlink()
    machine.deploy(behavior=option)
    assert ("srv/app/a.txt" in machine.files()) == (behavior is Behavior.RETAIN)


def test_overwriting_a_link_replaces_the_link_and_not_what_it_leads_to(machine: Machine, tmp_path: Path) -> None:
    machine.appspec(FILES)
    machine.write("a.txt", "theirs")
    (machine.root / "srv/app").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (machine.root / "srv/app/a.txt").symlink_to(outside)
    machine.deploy(behavior=Behavior.OVERWRITE)
    assert machine.files()["srv/app/a.txt"] == "theirs"
    assert outside.read_text() == "precious"


def test_a_directory_where_a_file_is_to_be_is_never_overwritten(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.write("a", "theirs")
    (machine.root / "srv/app/a").mkdir(parents=True)
    with pytest.raises(PushRefused):
        machine.deploy(behavior=Behavior.OVERWRITE)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ("  - {source: gone, destination: /srv}\n", "gone is not in the bundle"),
        ("  - {source: a.txt, destination: /srv}\n  - {source: d/a.txt, destination: /srv}\n", "two files of the bundle go to /srv/a.txt"),
        ("  - {source: a.txt, destination: /srv}\n  - {source: d, destination: /srv/a.txt}\n", "a file and a directory of the bundle go to /srv/a.txt"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_installed_are_told_before_anything_runs(machine: Machine, files: str, told: str) -> None:
    machine.appspec(f"files:\n{files}" + scripts("BeforeInstall"))
    machine.script("bin/echo-BeforeInstall", TELL)
    machine.write("a.txt")
    machine.write("d/a.txt")
    with pytest.raises(TargetError, match=told):
        machine.deploy()
    assert machine.output == []
    assert os.listdir(machine.state / GROUP) == []


@pytest.mark.parametrize("text", ["/etc", "../../../../../../etc", "/../../etc"])
def test_no_link_in_the_root_leads_out_of_it(machine: Machine, text: str) -> None:
    machine.appspec("files:\n  - {source: a.txt, destination: /srv/app}\n")
    machine.write("a.txt", "theirs")
    (machine.root / "srv").mkdir()
    (machine.root / "srv/app").symlink_to(text)
    (machine.root / "etc").mkdir()
    machine.deploy()
    assert machine.files() == {"etc/": "", "etc/a.txt": "theirs", "srv/": "", "srv/app": f"-> {text}"}
    assert not os.path.lexists("/etc/a.txt")
    (machine.bundle / "a.txt").rename(machine.bundle / "b.txt")
    machine.appspec("files:\n  - {source: b.txt, destination: /srv/app/../app}\n")
    machine.deploy()
    assert machine.files() == {"etc/": "", "etc/b.txt": "theirs", "srv/": "", "srv/app": f"-> {text}"}


def test_links_in_circles_are_an_error(machine: Machine) -> None:
    machine.appspec("files:\n  - {source: a.txt, destination: /loop/x}\n")
    machine.write("a.txt")
    (machine.root / "loop").symlink_to("loop")
    with pytest.raises(TargetError, match="lead in circles"):
        machine.deploy()


def test_without_a_root_paths_are_those_of_this_machine(machine: Machine, tmp_path: Path) -> None:
    there = tmp_path / "there"
    machine.appspec(f"files:\n  - {{source: a.txt, destination: {there}/sub}}\n")
    machine.write("a.txt", "theirs")
    machine.deploy(root=Path("/"))
    assert (there / "sub/a.txt").read_text() == "theirs"
    with pytest.raises(TargetError, match="was installed into / before"):
        machine.deploy()


def test_the_memory_of_an_install_is_in_the_formats_of_the_agent(machine: Machine) -> None:
    machine.appspec(
        "files:\n  - {source: a.txt, destination: /srv}\npermissions:\n  - {object: /srv/a.txt, mode: 640}\n"
    )
    machine.write("a.txt")
    name = machine.deploy()
    notes = machine.state / "deployment-instructions"
    assert (notes / f"{GROUP}-cleanup").read_text() == "/srv\n/srv/a.txt\n"
    assert json.loads((notes / f"{GROUP}-install.json").read_text())["instructions"] == [
        {"type": "mkdir", "directory": "/srv"},
        {"type": "copy", "source": str(machine.archive(name) / "a.txt"), "destination": "/srv/a.txt"},
        {"type": "chmod", "mode": "640", "file": "/srv/a.txt"},
    ]
    for note in ("last_successful_install", "most_recent_install"):
        assert (notes / f"{GROUP}_{note}").read_text() == f"{machine.state / GROUP / name}\n"


def test_a_cleanup_file_that_was_cut_off_is_obeyed_as_far_as_it_is_whole(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.deploy()
    (machine.root / "srv/precious").write_text("mine")
    with open(machine.state / f"deployment-instructions/{GROUP}-cleanup", "a") as file:
        file.write("/srv/precious")
    machine.deploy()
    assert machine.files()["srv/precious"] == "mine"


# Permissions.


def modes(machine: Machine) -> dict[str, str]:
    return {
        path.relative_to(machine.root).as_posix(): f"{path.stat().st_mode & 0o7777:o}"
        for path in sorted((machine.root / "srv").rglob("*"))
    }


def test_permissions_are_for_what_was_made_below_the_object_by_pattern_exception_and_type(machine: Machine) -> None:
    machine.appspec(
        """\
        files:
          - {source: web, destination: /srv}
        permissions:
          - {object: /srv, pattern: "*.sh", except: [secret.sh], mode: 755, type: [file]}
          - {object: /srv/deep, pattern: "**", mode: "604", type: [file]}
          - {object: /srv, pattern: "d*", mode: "2711", type: [directory]}
        """
    )
    for name in ("run.sh", "secret.sh", "deep/run.sh", "deep/er/x.txt", "plain.txt"):
        machine.write(f"web/{name}", mode=0o600)
    (machine.root / "srv").mkdir()
    (machine.root / "srv/foreign.sh").write_text("")
    (machine.root / "srv/foreign.sh").chmod(0o600)
    before = (machine.root / "srv").stat().st_mode
    machine.deploy()
    found = modes(machine)
    assert found.pop("srv/deep/er") == f"{0o777 & ~umask():o}"
    assert found == {
        "srv/deep": "2711",
        "srv/deep/er/x.txt": "604",
        "srv/deep/run.sh": "604",
        "srv/foreign.sh": "600",
        "srv/plain.txt": "600",
        "srv/run.sh": "755",
        "srv/secret.sh": "600",
    }
    assert (machine.root / "srv").stat().st_mode == before


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@needs_root
def test_owners_are_given_and_the_set_user_id_bit_survives_them(machine: Machine) -> None:
    machine.appspec(
        "files:\n  - {source: a, destination: /srv}\n"
        'permissions:\n  - {object: /srv/a, owner: nobody, group: daemon, mode: "4750", type: [file]}\n'
    )
    machine.write("a", mode=0o600)
    machine.deploy()
    status = (machine.root / "srv/a").stat()
    assert (status.st_uid, status.st_gid) == (pwd.getpwnam("nobody").pw_uid, grp.getgrnam("daemon").gr_gid)
    assert stat.S_IMODE(status.st_mode) == 0o4750


def test_a_mode_is_never_given_through_a_link(machine: Machine, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    machine.appspec(FILES + "permissions:\n  - {object: /srv/app, mode: 777}\n")
    (machine.bundle / "link").symlink_to(outside)
    machine.deploy()
    assert outside.stat().st_mode & 0o777 == 0o600


def acls(path: Path) -> list[str]:
    done = subprocess.run(["getfacl", "-cpE", str(path)], capture_output=True, text=True, check=True)
    return sorted(done.stdout.split())


@pytest.mark.skipif(shutil.which("getfacl") is None, reason="the package acl is not installed")
def test_access_control_lists_are_set_with_the_base_that_setfacl_asks_for(machine: Machine) -> None:
    machine.appspec(
        """\
        files:
          - {source: web, destination: /srv}
        permissions:
          - {object: /srv, mode: 640, acls: ["u:daemon:rw", "nobody:4"], type: [file]}
          - {object: /srv, acls: ["d:u:daemon:rwx", "m:5"], pattern: "sub", type: [directory]}
        """
    )
    machine.write("web/a.txt")
    machine.write("web/sub/b.txt")
    machine.deploy()
    expected = ["group::r--", "mask::r--", "other::---", "user::rw-", "user:daemon:rw-", "user:nobody:r--"]
    assert acls(machine.root / "srv/a.txt") == sorted(expected)
    assert acls(machine.root / "srv/sub/b.txt") == sorted(expected)
    assert {"default:user:daemon:rwx", "default:mask::r-x", "mask::r-x"} <= set(acls(machine.root / "srv/sub"))


@pytest.mark.parametrize(
    ("permissions", "told"),
    [
        ("  - {object: /srv/app, mode: 644, type: [file]}\n  - {object: /srv/app/a.txt, mode: 600}\n", r"permissions\[1\] is for /srv/app/a.txt, and so is one before it"),
        ("  - {object: /srv/app/a.txt, pattern: '*', mode: 644}\n", "is for the file /srv/app/a.txt, and a pattern"),
        ("  - {object: /srv/app/a.txt, except: [b], mode: 644}\n", "is for the file /srv/app/a.txt, and a pattern"),
        ("  - {object: /srv/app/a.txt, acls: ['d:u:daemon:r']}\n", "is for directories, and /srv/app/a.txt is a file"),
    ],
)  # fmt: skip
def test_permissions_that_cannot_be_given_are_told_before_anything_is_touched(
    machine: Machine, permissions: str, told: str
) -> None:
    machine.appspec(FILES + "permissions:\n" + permissions)
    machine.write("a.txt")
    with pytest.raises(TargetError, match=told):
        machine.deploy()
    assert machine.files() == {}


def test_an_unknown_owner_fails_on_a_machine_and_is_left_out_in_a_directory(machine: Machine, tmp_path: Path) -> None:
    machine.appspec(
        "files:\n  - {source: a, destination: /srv}\npermissions:\n  - {object: /srv/a, owner: nobody-here}\n"
    )
    machine.write("a")
    machine.deploy()
    assert any("the owner nobody-here of /srv/a is left out" in warning for warning in machine.warnings)
    other = tmp_path / "other"
    other.mkdir()
    second = Machine(other)
    second.appspec(f"files:\n  - {{source: a, destination: {other}/x}}\npermissions:\n  - {{object: {other}/x/a, owner: nobody-here}}\n")  # fmt: skip
    second.write("a")
    with pytest.raises(TargetError, match="there is no user nobody-here"):
        second.deploy(root=Path("/"))
    assert not (other / "x").exists()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("#!/no/such/shell\n", r"setfacl for \S+/srv/a did not run: No such file or directory"),
        ("#!/bin/sh\necho no room >&2; exit 3\n", r"setfacl --set \S+ for \S+/srv/a ended with exit code 3: no room"),
    ],
)
def test_a_program_that_gives_no_permission_fails_the_install(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    (tmp_path / "setfacl").write_text(script)
    (tmp_path / "setfacl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    machine.appspec(
        'files:\n  - {source: a, destination: /srv}\npermissions:\n  - {object: /srv/a, acls: ["u:daemon:r"]}\n'
    )
    machine.write("a")
    with pytest.raises(PushFailed, match=f"Install: {told}") as caught:
        machine.deploy()
    assert "the next deployment removes it" in caught.value.hint


@contextmanager
def unprivileged(*paths: Path) -> Iterator[None]:
    """Be the user nobody for a while, to whom ``paths`` belong."""
    user = pwd.getpwnam("nobody")
    for path in paths:
        for each in (path, *path.rglob("*")):
            os.chown(each, user.pw_uid, user.pw_gid, follow_symlinks=False)
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.fixture
def open_machine() -> Iterator[Machine]:
    """A machine in a directory that every user may enter."""
    top = Path(tempfile.mkdtemp(prefix="push-machine-"))
    top.chmod(0o755)
    yield Machine(top, grace=0.5)
    shutil.rmtree(top)


@needs_root
def test_a_directory_is_installed_into_without_root_and_owners_are_left_out_with_a_warning(
    open_machine: Machine,
) -> None:
    machine = open_machine
    machine.appspec(
        FILES + 'permissions:\n  - {object: /srv/app, owner: root, group: daemon, mode: "640", type: [file]}\n'
    )
    machine.write("a.txt")
    top = machine.root.parent
    with unprivileged(top):
        machine.deploy()
    status = (machine.root / "srv/app/a.txt").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (pwd.getpwnam("nobody").pw_uid, 0o640)
    assert [warning.partition(" is left out")[0] for warning in machine.warnings] == [
        "the owner root of /srv/app",
        "the group daemon of /srv/app",
    ]


@needs_root
def test_what_only_root_can_do_is_told_before_anything_is_touched(open_machine: Machine) -> None:
    machine = open_machine
    top = machine.root.parent
    closed = top / "closed"
    closed.mkdir(mode=0o755)
    machine.appspec(
        f"files:\n  - {{source: a.txt, destination: {machine.root}/app}}\n  - {{source: a.txt, destination: {closed}/x}}\n"
        f"permissions:\n  - {{object: {machine.root}/app, owner: root}}\n"
        "hooks:\n  AfterInstall:\n    - {location: a.txt, runas: root}\n"
    )
    machine.write("a.txt")
    with unprivileged(top):
        os.seteuid(0)
        os.chown(closed, 0, 0)
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
        with pytest.raises(TargetError) as caught:
            machine.deploy(root=Path("/"))
    assert caught.value.message.split("; ") == [
        f"{closed} is not ours to write to",
        "only root gives files the owner root",
        "a.txt runs as root, which only root can do, and this is nobody",
    ]
    assert list(machine.root.iterdir()) == []


# Plans, locks, interruptions.


def test_a_plan_says_all_steps_with_their_reasons_and_changes_nothing(machine: Machine) -> None:
    hooked(machine, "ApplicationStop", "AfterInstall")
    machine.deploy()
    shutil.rmtree(machine.scratch)
    before = machine.files(), sorted(map(str, machine.state.rglob("*")))
    (machine.bundle / "new.txt").write_text("new")
    plan = machine.deployment().plan()
    assert (machine.files(), sorted(map(str, machine.state.rglob("*")))) == before
    steps = [f"{step.action} {step.subject}" for step in plan.steps]
    assert steps[0] == "run ApplicationStop: bin/echo-ApplicationStop"
    assert steps[-1] == "run AfterInstall: bin/echo-AfterInstall"
    assert steps.index("remove /srv/app/appspec.yml") < steps.index("add /srv/app/appspec.yml")
    assert "add /srv/app/new.txt" in steps


def test_a_second_deployment_at_the_same_time_is_refused(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.deploy()
    with open(machine.state / f"deployment-instructions/{GROUP}-lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="another deployment to the group web is under way"):
            machine.deploy()


def test_ctrl_c_in_a_script_ends_its_group_and_the_deployment(machine: Machine) -> None:
    hooked(machine, "AfterInstall")
    machine.script("bin/echo-AfterInstall", "trap 'echo bye; exit' TERM; echo up; sleep 300 & wait")
    on_line = machine.events.append

    def emit(event: object) -> None:
        on_line(event)  # type: ignore[arg-type]
        if machine.output == ["up"]:
            threading.Timer(0.05, machine.cancelled.set).start()

    deployment = machine.deployment()
    deployment._run.emit = emit
    with pytest.raises(Interrupted):
        deployment.carry_out()
    assert machine.output[-1] == "bye"


def test_a_failing_install_is_cleaned_up_by_the_next(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.write("a.txt")
    machine.write("z.txt")
    deployment = machine.deployment()
    plan = deployment._installer.prepare

    def meddled(*arguments: object) -> object:
        prepared = plan(*arguments)  # type: ignore[arg-type]
        (machine.archive(os.listdir(machine.state / GROUP)[0]) / "z.txt").unlink()
        return prepared

    deployment._installer.prepare = lambda *given: meddled(*given) if machine.events else plan(*given)  # type: ignore[method-assign,assignment]
    with pytest.raises(PushFailed, match=r"Install: .*z\.txt"):
        deployment.carry_out()
    assert "srv/app/a.txt" in machine.files()
    machine.deploy()
    assert "srv/app/z.txt" in machine.files()


def test_a_file_that_comes_while_others_are_installed_is_not_overwritten(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.write("a.txt", "theirs")
    machine.write("z.txt", "theirs")
    deployment = machine.deployment()
    emit = deployment._run.emit

    def come(event: object) -> None:
        emit(event)  # type: ignore[arg-type]
        if "add /srv/app/a.txt" in machine.finished:
            (machine.root / "srv/app/z.txt").write_text("mine")

    deployment._run.emit = come
    with pytest.raises(PushFailed, match=r"Install: /srv/app/z\.txt already exists, and no deployment put it there"):
        deployment.carry_out()
    assert machine.files()["srv/app/z.txt"] == "mine"


def test_a_memory_that_cannot_be_read_is_told_before_anything_is_touched(machine: Machine) -> None:
    machine.appspec(FILES)
    machine.deploy()
    before = machine.files()
    cleanup = machine.state / "deployment-instructions" / f"{GROUP}-cleanup"
    cleanup.unlink()
    cleanup.mkdir()
    with pytest.raises(TargetError) as caught:
        machine.deploy()
    assert caught.value.message == f"{cleanup}: Is a directory; nothing was changed"
    assert machine.files() == before


def test_a_memory_that_cannot_be_written_ends_a_deployment(machine: Machine) -> None:
    machine.appspec(FILES)
    (machine.state / "deployment-instructions" / f"{GROUP}_most_recent_install.new").mkdir(parents=True)
    with pytest.raises(PushFailed) as caught:
        machine.deploy()
    assert caught.value.message.endswith(f"{GROUP}_most_recent_install.new: Is a directory; some of it was done")
    assert machine.files() == {}
