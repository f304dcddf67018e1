"""Bundles: the kinds there are, and archives that somebody hostile made."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.codedeploy_machine import HEAD, Machine
from pushkit import TargetError
from pushkit_aws.appspec import AppSpecError
from pushkit_aws.local import bundle as bundles
from pushkit_aws.local.bundle import unpack

APPSPEC = HEAD + "files:\n  - {source: /, destination: /srv}\nhooks:\n  AfterInstall:\n    - location: bin/run\n"
CONTENT = {"appspec.yml": APPSPEC, "bin/run": "#!/bin/sh\necho ran\n", "a.txt": "a"}


def file(name: str, text: str = "x", **more: object) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    for key, value in more.items():
        setattr(member, key, value)
    return member, text.encode()


def other(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, b""


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return path


def zipped(path: Path, content: dict[str, str], modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(info, text)
    return path


def as_tar(path: Path, prefix: str = "") -> Path:
    return tar(path, *(file(prefix + name, text) for name, text in CONTENT.items()))


def as_tgz(path: Path, prefix: str = "") -> Path:
    return tar(path, *(file(prefix + name, text) for name, text in CONTENT.items()), mode="w:gz")


def as_zip(path: Path, prefix: str = "") -> Path:
    return zipped(path, {prefix + name: text for name, text in CONTENT.items()})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, grace=0.5)


@pytest.mark.parametrize("prefix", ["", "./", "shop-1.0/"])
@pytest.mark.parametrize(("kind", "make"), [("tar", as_tar), ("tgz", as_tgz), ("zip", as_zip)])
def test_archives_are_deployed_and_a_lone_directory_around_the_appspec_is_taken_away(
    machine: Machine, tmp_path: Path, kind: str, make: Callable[[Path, str], Path], prefix: str
) -> None:
    machine.deploy(location=make(tmp_path / "shop", prefix), kind=kind)
    assert machine.output == ["ran"]
    assert machine.files()["srv/a.txt"] == "a"


def test_links_and_modes_of_an_archive_are_kept_and_its_owners_and_high_bits_are_not(tmp_path: Path) -> None:
    members = (
        file("bin/run", mode=0o6755, uid=4242, gid=4242),
        file("secret", mode=0o600),
        other("bin/also", tarfile.SYMTYPE, "../secret"),
        other("hard", tarfile.LNKTYPE, "secret"),
        other("empty", tarfile.DIRTYPE),
    )
    top = tmp_path / "out"
    unpack(tar(tmp_path / "a.tar", *members), "tar", top, lambda: None)
    assert stat.S_IMODE((top / "bin/run").stat().st_mode) == 0o755
    assert (top / "bin/run").stat().st_uid == os.geteuid()
    assert stat.S_IMODE((top / "secret").stat().st_mode) == 0o600
    assert (top / "bin/also").readlink() == Path("../secret")
    assert (top / "hard").read_text() == "x"
    assert (top / "empty").is_dir()


SYM = tarfile.SYMTYPE

HOSTILE = {
    "absolute": ([file("/etc/evil")], "which would lie elsewhere"),
    "above": ([file("a/../../evil")], "which would lie elsewhere"),
    "link-absolute": ([other("l", SYM, "/etc/passwd")], "leads out of it: /etc/passwd"),
    "link-above": ([other("a/l", SYM, "../../evil")], "leads out of it"),
    "link-by-link": ([other("p/q/b", SYM, "../.."), other("p/q/c", SYM, "b/../evil")], "leads out of it"),
    "through-link": ([other("l", SYM, "/tmp"), file("l/evil")], "lies behind a link"),
    "through-link-inside": ([other("d", tarfile.DIRTYPE), other("l", SYM, "d"), file("l/x")], "lies behind a link"),
    "link-over-file": ([file("l"), other("l", SYM, "x")], "as a link and as something else"),
    "hard-link-out": ([other("l", tarfile.LNKTYPE, "/etc/passwd")], "and not what it leads to: /etc/passwd"),
    "hard-link-to-directory": (
        [other("d", tarfile.DIRTYPE), other("l", tarfile.LNKTYPE, "d")],
        "'l', which is no file",
    ),
    "device": ([other("d", tarfile.CHRTYPE)], "is no file, directory or link"),
    "block": ([other("d", tarfile.BLKTYPE)], "is no file, directory or link"),
    "pipe": ([other("d", tarfile.FIFOTYPE)], "is no file, directory or link"),
    "file-as-directory": ([file("a"), file("a/b")], "cannot be unpacked"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_of_a_hostile_tar_lies_outside(tmp_path: Path, name: str) -> None:
    members, told = HOSTILE[name]
    (tmp_path / "in").mkdir()
    with pytest.raises(TargetError, match=told):
        unpack(tar(tmp_path / "a.tar", *members), "tar", tmp_path / "in/out", lambda: None)
    assert not os.path.lexists(tmp_path / "in/evil")
    assert not os.path.lexists("/tmp/evil")
    assert os.listdir(tmp_path / "in") == ["out"]


@pytest.mark.parametrize(
    ("content", "modes", "told"),
    [
        ({"../evil": "x"}, {}, "which would lie elsewhere"),
        ({"/evil": "x"}, {}, "which would lie elsewhere"),
        ({"l": "/etc/passwd"}, {"l": stat.S_IFLNK | 0o777}, "leads out of it"),
        ({"l": "x" * 5000}, {"l": stat.S_IFLNK | 0o777}, "longer than any path"),
        ({"d": ""}, {"d": stat.S_IFCHR | 0o666}, "is no file, directory or link"),
    ],
)
def test_nothing_of_a_hostile_zip_lies_outside(
    tmp_path: Path, content: dict[str, str], modes: dict[str, int], told: str
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(TargetError, match=told):
        unpack(zipped(tmp_path / "a.zip", content, modes), "zip", tmp_path / "in/out", lambda: None)
    assert os.listdir(tmp_path / "in") == ["out"]


@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_an_archive_that_unpacks_to_more_than_the_limit_is_stopped_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(bundles, "MOST_BYTES", 3_000_000)
    path = tmp_path / "bomb"
    if kind == "tgz":
        tar(path, file("zeros", "\0" * 5_000_000), mode="w:gz")
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("zeros", "\0" * 5_000_000)
    with pytest.raises(TargetError, match="holds more than 3,000,000 bytes"):
        unpack(path, kind, tmp_path / "out", lambda: None)
    assert (tmp_path / "out/zeros").stat().st_size <= 3_000_000


def test_an_archive_of_too_many_members_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MOST_MEMBERS", 10)
    path = tar(tmp_path / "a.tar", *(file(str(number)) for number in range(11)))
    with pytest.raises(TargetError, match="more than 10 members"):
        unpack(path, "tar", tmp_path / "out", lambda: None)


@pytest.mark.parametrize("kind", ["tar", "tgz", "zip"])
@pytest.mark.parametrize("cut", [0, 10, 200])
def test_what_is_no_archive_or_cut_off_is_an_error_and_leaves_no_revision(
    machine: Machine, tmp_path: Path, kind: str, cut: int
) -> None:
    path = tmp_path / "bundle.x"
    make = {"tar": as_tar, "tgz": as_tgz, "zip": as_zip}[kind]
    path.write_bytes(make(tmp_path / "whole").read_bytes()[:cut])
    with pytest.raises((TargetError, AppSpecError)):
        machine.deploy(location=path, kind=kind)
    assert os.listdir(machine.state / "web") == []


def test_a_zip_with_a_password_is_an_error(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": "x" * 30})
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(TargetError, match="encrypted"):
        unpack(path, "zip", tmp_path / "out", lambda: None)


def test_an_appspec_that_lies_deeper_is_told_where(machine: Machine) -> None:
    machine.write("src/deep/appspec.yml", HEAD)
    machine.write("README")
    with pytest.raises(AppSpecError) as caught:
        machine.deploy()
    assert caught.value.problems[0].hint == "it is in src/deep/appspec.yml: bundle what is in that directory"


def test_an_appspec_of_another_name_is_used_where_it_is_asked_for(machine: Machine) -> None:
    machine.appspec("hooks:\n  AfterInstall:\n    - location: run\n", name="staging.yml")
    machine.appspec("hooks:\n  Nonsense:\n", name="appspec.yml")
    machine.script("run", "echo staging")
    machine.deploy(appspec="staging.yml")
    assert machine.output == ["staging"]


def test_an_appspec_yaml_is_found_too(machine: Machine) -> None:
    machine.appspec("hooks:\n  AfterInstall:\n    - location: run\n", name="appspec.yaml")
    machine.script("run", "echo yaml")
    machine.deploy()
    assert machine.output == ["yaml"]


def test_a_state_within_the_bundle_is_refused(machine: Machine) -> None:
    machine.appspec("files:\n  - {source: /, destination: /srv}\n")
    machine.state = machine.bundle / "state"
    with pytest.raises(TargetError, match="lies in the bundle itself"):
        machine.deploy()


def test_a_pipe_in_a_directory_is_told_and_not_waited_for(machine: Machine) -> None:
    machine.appspec("files:\n  - {source: /, destination: /srv}\n")
    os.mkfifo(machine.bundle / "pipe")
    with pytest.raises(TargetError, match="pipe"):
        machine.deploy()


def test_a_file_that_goes_while_its_directory_is_copied_is_told(machine: Machine) -> None:
    gone = machine.write("a.txt")
    with pytest.raises(TargetError, match=r"/bundle/a\.txt cannot be copied: .*No such file or directory"):
        unpack(machine.bundle, "directory", machine.scratch, lambda: gone.unlink(missing_ok=True))


def test_a_bundle_for_windows_is_refused(machine: Machine) -> None:
    (machine.bundle / "appspec.yml").write_text(
        "version: 0.0\nos: windows\nfiles:\n  - {source: a, destination: 'c:/a'}\n"
    )
    with pytest.raises(TargetError, match="is for windows"):
        machine.deploy()
