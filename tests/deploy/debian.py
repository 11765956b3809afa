"""A root file system like the image's base: what the same Debian packages hold, and nothing else.

The base (distroless, Debian 12) is these packages unpacked: no shell, no package manager, no bytecode. On a
Debian 12 they are taken from the machine itself.
"""

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

NEEDED = [
    "libc6", "libssl3", "libgcc-s1", "libstdc++6", "zlib1g", "libbz2-1.0", "libexpat1",
    "libffi8", "liblzma5", "libsqlite3-0", "libuuid1", "libcrypt1",
    "libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal", "tzdata", "netbase",
]  # fmt: skip
LEFT_OUT = ("/usr/share/doc", "/usr/share/man", "/usr/share/lintian", "/usr/share/bug", "/usr/share/binfmts")
UID = 65532


@cache
def packages():
    """Return the packages' files; None where this machine is no Debian 12 with all of them."""
    release = Path("/etc/os-release")
    if not release.exists() or 'VERSION_ID="12"' not in release.read_text() or not shutil.which("dpkg"):
        return None
    listed = subprocess.run(["dpkg", "-L", *NEEDED], capture_output=True, text=True, check=False)
    return listed.stdout.splitlines() if listed.returncode == 0 else None


def make_base(root):
    """Fill the folder."""
    for folder in ("usr/lib", "usr/lib64", "usr/bin", "etc", "proc", "dev", "tmp", "run/secrets"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in ("lib", "lib64", "bin"):
        (root / name).symlink_to(f"usr/{name}")
    for path in map(Path, packages()):
        if path.is_dir() or str(path).startswith(LEFT_OUT) or not (path.exists() or path.is_symlink()):
            continue
        target = root / Path(os.path.realpath(path.parent)).relative_to("/") / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_symlink() and not target.exists():
            shutil.copy2(path, target, follow_symlinks=False)
    (root / "usr/bin/python3").symlink_to("python3.11")
    (root / "etc/passwd").write_text(
        f"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:{UID}:{UID}::/home/nonroot:/\n"
    )
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    for device in ("null", "zero", "urandom"):
        (root / "dev" / device).touch()


def describe():
    """Say what the root was made of."""
    return f"Debian 12's own packages with Python 3.11.2 on {platform.machine()}"
