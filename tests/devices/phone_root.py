"""A file tree that looks like a phone's: no /lib and no C library at its usual place, but toybox, mksh, getprop, and Debian's real adbd.

What adbd and toybox need lies in /apex, with the loader that they name; whatever else runs there has to bring its own. It is kept in the
user's cache folder by the digest of this program.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from .debian import Archive, unpack
from .missing import Missing

RELEASE = "trixie"
"""The first with adbd's package whose shell has exit statuses (the shell protocol's second version)."""
PACKAGES = ("adbd", "mksh", "patchelf", "toybox")
APEX = "apex/lib64"
SHELL_ID = 2000
"""The user ``shell``, as whom adb's commands run (Android's android_filesystem_config.h)."""
READPROC_ID = 3009
"""Who is in this group sees other users' processes."""
COMMANDS = [
    "basename",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "dirname",
    "du",
    "env",
    "expr",
    "false",
    "find",
    "getconf",
    "grep",
    "gunzip",
    "head",
    "id",
    "kill",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mktemp",
    "mount",
    "mv",
    "nice",
    "nohup",
    "nproc",
    "od",
    "paste",
    "pgrep",
    "pidof",
    "pkill",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setsid",
    "sha256sum",
    "sleep",
    "sort",
    "split",
    "stat",
    "sync",
    "tail",
    "tar",
    "taskset",
    "tee",
    "test",
    "time",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "tty",
    "uname",
    "uniq",
    "uptime",
    "wc",
    "which",
    "xargs",
    "yes",
    "zcat",
]
PROPERTIES = {
    "ro.board.platform": "pineapple",
    "ro.build.characteristics": "phone",
    "ro.build.fingerprint": "samsung/e1sxeea/e1s:14/UP1A.231005.007/S921BXXU1AWM9:user/release-keys",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.hardware": "qcom",
    "ro.product.brand": "samsung",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a,armeabi",
    "ro.product.device": "e1s",
    "ro.product.manufacturer": "samsung",
    "ro.product.model": "SM-S921B",
    "ro.serialno": "R5CX0000000",
    "ro.soc.manufacturer": "QTI",
    "ro.soc.model": "SM8650",
}
"""What the phone says of itself. Its processor is this machine's all the same: the tests' programs run at their own speed."""
GETPROP = """\
#!/system/bin/sh
if [ -n "$1" ]; then
  sed -n "s/^$1=//p" /system/build.prop
else
  sed 's/\\([^=]*\\)=\\(.*\\)/[\\1]: [\\2]/' /system/build.prop
fi
"""
DUMPSYS = """\
#!/system/bin/sh
# In the form of Android's own sources: BatteryService.java and ThermalManagerService.java.
case $1 in
battery) cat /system/etc/dumpsys/battery ;;
thermalservice) cat /system/etc/dumpsys/thermalservice ;;
*) echo "Can't find service: $1" >&2 && exit 1 ;;
esac
"""
BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Dock powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 3120000
  status: 2
  health: 2
  present: true
  level: 81
  scale: 100
  voltage: 4215
  temperature: 287
  technology: Li-ion
"""
THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
\tkilled: false
\tbroadcasts count: -1
ThermalStatusListeners:
\tcallbacks: 4
\tkilled: false
\tbroadcasts count: -1
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=31.2, mType=3, mName=SKIN, mStatus=0}
HAL Ready: true
HAL connection:
\tThermalHAL AIDL 1  connected: yes
Current temperatures from HAL:
\tTemperature{mValue=44.1, mType=0, mName=CPU0, mStatus=0}
\tTemperature{mValue=31.4, mType=3, mName=SKIN, mStatus=0}
Current cooling devices from HAL:
"""
PASSWD = f"root:x:0:0::/:/system/bin/sh\nshell:x:{SHELL_ID}:{SHELL_ID}::/:/system/bin/sh\n"
GROUP = f"root:x:0:\nshell:x:{SHELL_ID}:\nreadproc:x:{READPROC_ID}:shell\n"


def phone_root() -> Path:
    """The tree, made now if there is none of this program's yet. Raises :class:`Missing` where it cannot be made."""
    if platform.machine() != "x86_64":
        raise Missing("the phone of the tests has this machine's processor, and is made for x86_64 only")
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    kept = platformdirs.user_cache_path("dynolab-tests") / f"phone-{digest}"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{kept.name}.", dir=kept.parent) as name:
        making = Path(name)
        archive = Archive(making / "apt", RELEASE, "amd64")
        for package in archive.download(*PACKAGES):
            unpack(package, making / "packages")
        _make(making / "root", making / "packages")
        if not kept.exists():
            (making / "root").rename(kept)
    return kept


def _make(root: Path, packages: Path) -> None:
    for name in ("data/local/tmp", "dev", "proc", "sys", "system/bin", "system/etc/dumpsys", "etc", APEX):
        (root / name).mkdir(parents=True)
    (root / "bin").symlink_to("system/bin")
    for library in (packages / "usr/lib/x86_64-linux-gnu").rglob("*.so*"):
        if library.is_file() and library.parent.name in ("x86_64-linux-gnu", "android"):
            shutil.copy(library, root / APEX)
    adbd = next(packages.rglob("platform-tools/adbd"))
    for source, target in ((adbd, "apex/adbd"), (packages / "usr/bin/toybox", "system/bin/toybox")):
        _rehome(packages, root, source, target)
    shutil.copy(packages / "usr/lib/x86_64-linux-musl/bin/mksh", root / "system/bin/sh")
    for command in COMMANDS:
        (root / "system/bin" / command).symlink_to("toybox")
    written = {
        "system/build.prop": "".join(f"{name}={value}\n" for name, value in PROPERTIES.items()),
        "system/bin/getprop": GETPROP,
        "system/bin/dumpsys": DUMPSYS,
        "system/etc/dumpsys/battery": BATTERY,
        "system/etc/dumpsys/thermalservice": THERMAL,
        "etc/passwd": PASSWD,
        "etc/group": GROUP,
    }
    for name, text in written.items():
        (root / name).write_text(text, encoding="utf-8")
        (root / name).chmod(0o755 if "/bin/" in name else 0o644)


def _rehome(packages: Path, root: Path, program: Path, target: str) -> None:
    """A program whose loader and libraries lie in /apex. patchelf runs through its own package's loader: nothing is installed."""
    loader = f"{APEX}/ld-linux-x86-64.so.2"
    patchelf: Sequence[str] = (
        str(root / loader),
        "--library-path",
        str(root / APEX),
        str(packages / "usr/bin/patchelf"),
    )
    changes = (
        "--set-interpreter",
        f"/{loader}",
        "--force-rpath",
        "--set-rpath",
        f"/{APEX}",
        "--output",
        str(root / target),
    )
    subprocess.run([*patchelf, *changes, str(program)], check=True, capture_output=True)
    (root / target).chmod(0o755)
