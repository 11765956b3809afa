"""Starts a program in an image's tree, without a container engine: not as root, on a read-only tree.

As root on Debian 12: in a root of its own, in a mount namespace where only /tmp can be written. Elsewhere:
on the machine's own root, with the tree's paths in place of the image's, and no write bit in the tree.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from tests.deploy import debian
from tests.deploy.debian import UID

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# $1: the root; then "source target mode" for each mount; then --, then the command.
_ENTER = """
root=$1; shift
mount --bind "$root" "$root"
mount --rbind /proc "$root/proc"
for device in null zero urandom; do mount --bind "/dev/$device" "$root/dev/$device"; done
mount -t tmpfs -o size=64m,mode=1777,noexec,nosuid,nodev tmpfs "$root/tmp"
while [ "$1" != -- ]; do
    mount --bind "$1" "$root$2"
    mount -o "remount,bind,$3" "$root$2"
    shift 3
done
shift
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec=65532:65532 "$root" "$@"
"""


@cache
def is_isolated():
    """Whether a root of its own can be had here."""
    if os.geteuid() != 0 or sys.version_info[:2] != (3, 11) or debian.packages() is None:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def describe():
    """Say how programs are started here."""
    if is_isolated():
        return f"uid {UID}, chroot of {debian.describe()}, read-only mount, /tmp in memory"
    who = f"uid {UID}" if os.geteuid() == 0 else "the current user"
    return f"{who}, no chroot (that takes root on Debian 12), {interpreter()}"


def in_container(image, command, environment, mounts=()):
    """Return what starts a command in the image: (words, keywords of Popen).

    A mount is (source, target, "ro" or "rw"); /tmp can be written always.
    """
    environment = {"PATH": PATH, **image.environment, **environment}
    if is_isolated():
        enter = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-euc",
            _ENTER,
            "enter",
            str(image.root),
        ]
        told = [str(word) for mount in mounts for word in mount]
        return [*enter, *told, "--", *command], {"env": environment}
    return _beside(image, command, environment, mounts)


def _beside(image, command, environment, mounts):
    """The same on this machine's root: every path of the image becomes one of the tree's, or of a mount's."""
    places = {target: str(source) for source, target, _ in mounts}
    places |= {f"/{top.name}/": f"{top}/" for top in image.root.iterdir()}

    def here(text):
        for there, place in places.items():
            text = text.replace(there, place)
        return text

    environment = {name: here(value) for name, value in environment.items()}
    words = [interpreter() if word == "python3" else here(word) for word in command]
    return words, {"env": environment, "cwd": "/", **_somebody()}


def _somebody():
    """Whom to become: nobody of this machine where we are root, else who we are."""
    return {"user": UID, "group": UID, "extra_groups": []} if os.geteuid() == 0 else {}


@cache
def interpreter():
    """Return a Python of the version that installs the image, which whoever runs it can start."""
    minor = f"python3.{sys.version_info.minor}"
    for path in (
        getattr(sys, "_base_executable", sys.executable),
        f"/usr/bin/{minor}",
        f"/usr/local/bin/{minor}",
    ):
        with suppress(OSError):
            subprocess.run([path, "-V"], capture_output=True, check=True, cwd="/", **_somebody())
            return path
    raise AssertionError(f"no {minor} that uid {UID} can start: root's own home is closed to others")


def run_in(image, command, environment=(), mounts=()):
    """Run a command to its end; returns what subprocess.run does."""
    words, keywords = in_container(image, command, dict(environment), mounts)
    return _run(words, keywords)


def build_in(image, command):
    """Run a step of the image's own build: as root, where the tree can still be written."""
    if not is_isolated():
        return run_in(image, command, {"PYTHONDONTWRITEBYTECODE": "1"})
    return _run(["chroot", str(image.root), *command], {"env": {"PATH": PATH, **image.environment}})


def _run(words, keywords):
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, **keywords)


@contextmanager
def open_folder(prefix):
    """Give a temporary folder that other users may pass through; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
