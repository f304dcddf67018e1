"""From a Vagrantfile to a push: what is converted is pushed, to a real FTP server and by a script."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from cli.project import PUSH
from pushkit.testing import PyFtpd, ServerDirectory
from recorder.sitecustomize import recorded

VAGRANTFILE = """
Vagrant.configure("2") do |config|
  config.push.define "ftp" do |push|
    push.host = "{host}:{port}"
    push.username = "{user}"
    push.password = "{password}"
    push.destination = "{path}"
    push.exclude = "*.log"
  end

  config.push.define "local-exec" do |push|
    push.inline = <<-SCRIPT
      echo "of $PUSH_TARGET" > told
      exit 3
    SCRIPT
  end
end
"""


def test_a_vagrantfile_is_converted_and_pushed(
    pyftpd_server: PyFtpd, pyftpd_directory: ServerDirectory, tmp_path: Path
) -> None:
    root = tmp_path / "blog"
    root.mkdir()
    (root / "index.html").write_text("<h1>one</h1>\n")
    (root / "debug.log").write_text("not this\n")
    server = pyftpd_server
    values = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    text = VAGRANTFILE
    for name, value in {**values, "path": pyftpd_directory.path}.items():
        text = text.replace(f"{{{name}}}", str(value))
    (root / "Vagrantfile").write_text(text)
    environment = {**recorded(), "PATH": os.environ["PATH"], "HOME": str(tmp_path), "FTP_PASSWORD": server.password}

    def push(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PUSH, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    done = push("init", "--from", "Vagrantfile", "--json")
    assert done.returncode == 0, done.stderr
    assert server.password not in done.stdout + done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told, "a program is told what became of it"
    pushfile = root / "Pushfile"
    pushfile.write_text(pushfile.read_text().replace('"ftp"\n', f'"ftp"\nca_file = "{server.authority}"\n', 1))
    done = push("ftp")
    assert done.returncode == 0, done.stderr
    # The Vagrantfile may hold a password, and stays at home.
    assert [path.name for path in pyftpd_directory.local.iterdir() if path.name[0] != "."] == ["index.html"]
    done = push("local-exec")
    assert (done.returncode, (root / "told").read_text()) == (8, "of local-exec\n"), done.stderr
