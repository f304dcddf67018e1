"""``push init --from Vagrantfile``: what is converted, what is told, and that nothing is executed."""

from __future__ import annotations

import os
import tomllib
from typing import Any

import pytest

from cli.project import Project
from pushkit import pushfile

VAGRANTFILE = """
# -*- mode: ruby -*-
system("touch executed")
Vagrant.configure("2") do |config|
  config.vm.box = "debian/bookworm64"

  config.push.define "ftp" do |push|   # the old server
    push.host = "ftp.company.com"
    push.username = "blog"
    push.password = 'hunter2 # secret'
    push.destination = "/var/www"
    push.exclude "*.log"
    push.exclude = %q(tmp/)
    push.excludes = [
      "*.psd",  # large
      '*.ai',
    ]
    push.passive = false
  end

  config.push.define "web", strategy: "ftp" do |push|
    push.host = "web1.company.com:2222"
    push.username = "deploy"
    push.password = ENV["WEB_PW"]
    push.secure = true
    push.destination = "/srv/blog"
    push.include "dist"
  end

  config.push.define("app", :strategy => "heroku") do |push|
    push.app = "my_application"
    push.dir = "public"
    push.remote = "heroku"
  end

  config.push.define "local-exec" do |push|
    push.inline = <<-'SCRIPT'
      echo "${HOME}" # not a comment of Ruby's
      scp -r . server:/var/www
    SCRIPT
  end

  config.push.define "status", strategy: "local-exec" do |push|
    push.script = "bin/deploy.sh"
    push.args = ["--all", "a b"]
    if ENV["CI"]
      push.args = ["--ci"]
    end
  end

  config.push.define "atlas" do |push|
    push.app = "ann/blog"
    push.token = "t0k3n-#{USER}"
  end

  config.push.define "odd", strategy: "carrier-pigeon" do |push|
    push.host = File.read("host")
  end
  config.push.define name do |push|
  end
end
"""


def converted(project: Project, text: str = VAGRANTFILE) -> tuple[dict[str, Any], str, str]:
    """The tables of the targets, the text of the Pushfile and what was told."""
    (project.root / "Pushfile").unlink()
    (project.root / "Vagrantfile").write_text(text)
    done = project.push("init", "--from", "Vagrantfile")
    assert done.returncode == 0, done.stderr
    written = (project.root / "Pushfile").read_text()
    tables = tomllib.loads(written)
    assert tables["project"] == {"name": "blog"}
    return tables["target"], written, done.stderr


def test_the_four_pushes_become_targets(project: Project) -> None:
    targets, _, _ = converted(project)
    assert targets["ftp"] == {
        "strategy": "ftp",
        "host": "ftp.company.com",
        "user": "blog",
        "password": "${env:FTP_PASSWORD}",
        "path": "/var/www",
        "mode": "active",
        "ignore": ["Vagrantfile", "*.log", "tmp/", "*.psd", "*.ai"],
    }
    assert targets["web"] == {
        "strategy": "sftp",
        "host": "web1.company.com:2222",
        "user": "deploy",
        "password": "${env:WEB_PW}",
        "path": "/srv/blog",
        "ignore": ["Vagrantfile"],
        "include": ["dist"],
        "layout": "mirror",
    }
    assert targets["app"] == {"strategy": "heroku", "app": "my_application", "dir": "public"}
    assert targets["local-exec"]["run"].split("\n") == [
        '      echo "$${HOME}" # not a comment of Ruby\'s',
        "      scp -r . server:/var/www",
    ]
    assert (targets["local-exec"]["shell"], targets["local-exec"]["where"]) == (True, "project")
    assert targets["status-push"] == {
        "strategy": "script",
        "script": "bin/deploy.sh",
        "args": ["--all", "a b"],
        "where": "project",
    }
    assert targets["atlas"] == {
        "strategy": "http",
        "url": "https://builds.example.com/ann/blog/{revision}.tar.gz",
        "token": "${env:ATLAS_TOKEN}",
    }
    assert set(targets) == {"ftp", "web", "app", "local-exec", "status-push", "atlas"}


def test_nothing_is_executed_and_no_secret_is_copied_or_shown(project: Project) -> None:
    _, written, told = converted(project)
    assert not (project.root / "executed").exists()
    for secret in ("hunter2", "t0k3n"):
        assert secret not in written + told


def test_what_could_not_be_converted_is_told(project: Project) -> None:
    _, _, told = converted(project)
    for words in (
        "web: what git ignores is not pushed here",
        "status: line 46 is left out, since only Ruby can read it: if ENV[",
        "status: line 47 is left out",
        "atlas: line 53 is left out",
        "atlas: Atlas is no more",
        "ftp: `password` is not copied: put it into the environment as FTP_PASSWORD",
        "odd: there is no strategy for 'carrier-pigeon' here",
        "line 59 is left out",
    ):
        assert words in told


def test_the_targets_of_installed_strategies_are_valid(project: Project) -> None:
    converted(project)
    done = project.push("plan", "local-exec")
    assert done.returncode == 0, done.stderr


def test_every_target_of_a_strategy_that_is_there_loads(project: Project) -> None:
    text = """
config.push.define "plain", strategy: "ftp" do |p|
  p.host = "ftp.company.com:2121"
  p.username = "ann"
  p.password = "x"
end
config.push.define "safe", { strategy: "ftp" } do |p|
  p.host = "ftp.company.com"
  p.username = "ann"
  p.secure = true
end
config.push.define :heroku do |p|
  p.app = "blog-of-ann"
  p.remote = "production"
end
config.push.define "app", strategy: :heroku do |p|
  p.app = "blog-of-ann"
  p.dir = "css"
end
config.push.define "atlas" do |p|
  p.app = "ann/blog"
end
config.push.define "local-exec" do |p|
  p.script = "bin/deploy"
end
"""
    targets, _, told = converted(project, text)
    assert len(targets) == 6
    assert targets["heroku"] == {
        "strategy": "heroku",
        "app": "blog-of-ann",
        "what": "commit",
        "branch": "master",
    }
    loaded = pushfile.load(project.root / "Pushfile", select=list(targets))
    assert set(loaded.targets) == set(targets)
    assert "target." not in told


@pytest.mark.parametrize("first", ["#!/usr/bin/env bash", "#!/bin/bash -e"])
def test_an_inline_script_runs_in_the_shell_of_its_first_line(project: Project, first: str) -> None:
    text = f"""config.push.define "local-exec" do |p|
  p.inline = <<~'DONE'
    {first}
    them=(one "it's two")
    echo "${{them[1]}}" > told
  DONE
end
"""
    converted(project, text)
    done = project.push("local-exec")
    assert done.returncode == 0, done.stderr
    assert (project.root / "told").read_text() == "it's two\n"


def test_a_script_of_another_language_is_told(project: Project) -> None:
    text = 'config.push.define "local-exec" do |p|\n p.inline = "#!/usr/bin/ruby\\nputs 1"\nend\n'
    targets, _, told = converted(project, text)
    assert "run" not in targets["local-exec"]
    assert "the script is not of a shell (#!/usr/bin/ruby)" in told


def test_a_push_whose_name_only_ruby_knows_is_told(project: Project) -> None:
    text = 'c.push.define "a-#{b}" do |p|\nend\nc.push.define "local-exec" do |p|\n p.inline = "make"\nend\n'
    targets, _, told = converted(project, text)
    assert list(targets) == ["local-exec"]
    assert "line 1 is left out, since only Ruby can read it" in told


def test_a_directory_that_all_pushes_share_is_the_source(project: Project) -> None:
    (project.root / "Pushfile").unlink()
    text = 'config.push.define "atlas" do |p|\np.app = "a/b"\np.dir = "css"\nend\n'
    (project.root / "Vagrantfile").write_text(text)
    assert project.push("init", "--from", "Vagrantfile").returncode == 0
    assert tomllib.loads((project.root / "Pushfile").read_text())["project"]["source"] == "css"


def test_directories_that_differ_are_told(project: Project) -> None:
    text = "".join(
        f'c.push.define "{name}", strategy: "atlas" do |p|\np.app = "a/b"\np.dir = "{name}"\nend\n'
        for name in ("css", "js")
    )
    _, _, told = converted(project, text)
    for name in ("css", "js"):
        assert f"{name}: Vagrant pushed {name} alone, and a Pushfile has one `source`, which is all here" in told


@pytest.mark.parametrize(
    ("text", "words"), [(None, "cannot be read"), ("Vagrant.configure\n", "has no push"), ("\xff", "not UTF-8")]
)
def test_a_vagrantfile_without_pushes_writes_nothing(project: Project, text: str | None, words: str) -> None:
    (project.root / "Pushfile").unlink()
    if text is not None:
        (project.root / "Vagrantfile").write_bytes(text.encode("latin-1"))
    done = project.push("init", "--from", "Vagrantfile")
    assert (done.returncode, words in done.stderr) == (2, True)
    assert "Pushfile" not in os.listdir(project.root)
    assert project.push("init", "--from", "Vagrantfile", "--strategy", "dir").returncode == 2
