"""`vagrant push` as a peer: what it is told, and that without a machine that it would push beside."""

from __future__ import annotations

from pathlib import Path

from meter import Cost, measure

ENVIRONMENT = {"VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_DEFAULT_PROVIDER": "none"}
#: The strategy ``ftp`` of vagrant speaks SFTP where it is to be secure. The machine is one that is never made.
VAGRANTFILE = """\
class NoMachine < Vagrant.plugin("2", :provider)
  def self.usable?(raise_error = false) = true
  def state = Vagrant::MachineState.new(:not_created, "none", "none")
end
class NoMachinePlugin < Vagrant.plugin("2")
  name "none"
  provider("none") { NoMachine }
end
Vagrant.configure("2") do |config|
  config.vm.box = "none"
  config.push.define "ftp" do |push|
    push.host = "%(host)s:%(port)d"
    push.username = "%(user)s"
    push.password = "%(password)s"
    push.passive = true
    push.secure = %(secure)s
    push.destination = "%(target)s"
    push.dir = "%(top)s"
  end
end
"""


def push(home: Path, **known: object) -> Cost:
    """Push a directory ``top``; what else is known is as in `VAGRANTFILE`. What vagrant keeps goes to ``home``."""
    home.mkdir(exist_ok=True)
    (home / "Vagrantfile").write_text(VAGRANTFILE % known)
    return measure(["vagrant", "push"], environment={"HOME": str(home), **ENVIRONMENT}, directory=home)
