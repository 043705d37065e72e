#!/usr/bin/env python3
"""aarch64_system.py SHARED_DATA MODEL.edge EDGE WORK: deployment to a Linux board, which QEMU emulates.

The board is a Cortex-A72 with Debian's arm64 kernel, systemd as PID 1, an ssh server and a disk. What is tested:
- `deploy` installs EDGE, the device program for aarch64, as a service;
- a head that is trained there over an encrypted connection is the same, byte for byte, as one trained on this machine;
- after a power cut while samples arrive, the service starts and has the head and the samples;
- an upgrade that does not start is rolled back; after one that starts, and after a restart, head and samples are there.
Needs root (the files of the disk belong to root) and apt's package lists for arm64. Exit code 77: something is missing.
"""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

PACKAGES = (
    "base-files coreutils dash dropbear-bin grep hostname libpam-modules login passwd sed systemd util-linux "
    "busybox-static"
).split()
KERNEL = "linux-image-cloud-arm64"
# Each needs those before it.
MODULES = "virtio_ring virtio virtio_mmio virtio_blk failover net_failover virtio_net".split()
TOOLS = "qemu-system-aarch64 apt-get dpkg-deb mke2fs busybox ssh ssh-keygen aarch64-linux-gnu-strip".split()
# Pictures of each class.
EACH = 6
# The power is cut after this many pictures of the second training.
CUT_AFTER = 3
# Limits in seconds. The emulated processor is about twenty times slower than this machine's.
BOOT = 180
ANSWER = 60
MISSING = 77

INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /dev /disk
/bin/busybox mount -t devtmpfs dev /dev
for module in {" ".join(MODULES)}; do /bin/busybox insmod /$module.ko; done
n=0
until [ -b /dev/vda ] || [ $n = 50 ]; do n=$((n + 1)); /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /disk
/bin/busybox ip link set lo up
/bin/busybox ip address add 10.0.2.15/24 dev eth0
/bin/busybox ip link set eth0 up
/bin/busybox umount /dev
exec /bin/busybox switch_root /disk /lib/systemd/systemd
"""

FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shadow": "root:*:1::::::\n",
    "etc/gshadow": "root:*::\n",
    "etc/hostname": "board\n",
    # Empty, so that systemd makes one without asking.
    "etc/machine-id": "",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\n",
    # What Debian's scripts would generate, as far as root needs it to become another user.
    "etc/pam.d/su": "auth sufficient pam_rootok.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
    "etc/pam.d/other": "".join(f"{kind} required pam_deny.so\n" for kind in ["auth", "account", "password", "session"]),
    "etc/systemd/system/dropbear.service": "[Service]\nExecStart=/usr/sbin/dropbear -F -E -R -s\n",
}


def run(*command, **more):
    return subprocess.run(list(map(str, command)), check=True, **more)


def apt(work):
    """Options of apt: arm64 packages with all that they depend on, whatever is installed on this machine."""
    state = work / "apt"
    (state / "archives/partial").mkdir(parents=True)
    (state / "status").touch()
    options = {
        "Dir::State::status": state / "status",
        "Dir::Cache::archives": state / "archives",
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    return [f"-o{key}={value}" for key, value in options.items()]


def unpack(package, root):
    archive = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    # /bin, /lib and the like are links, as on every system that is installed today.
    run("tar", "-x", "--keep-directory-symlink", "-C", root, stdin=archive.stdout)
    if archive.wait() != 0:
        sys.exit(f"failed: cannot unpack {package}")


def make_board(work):
    """Makes kernel, initial file system and disk in WORK."""
    options = apt(work)
    run("apt-get", *options, "-qq", "-y", "--download-only", "install", *PACKAGES, stdout=subprocess.DEVNULL)
    depends = run("apt-cache", *options, "depends", "--important", KERNEL, stdout=subprocess.PIPE, text=True)
    image = next(line.split()[-1] for line in depends.stdout.splitlines() if "Depends: linux-image-" in line)
    run("apt-get", *options, "-qq", "download", image, cwd=work)

    root = work / "root"
    for folder in ["bin", "sbin", "lib"]:
        (root / "usr" / folder).mkdir(parents=True)
        (root / folder).symlink_to(f"usr/{folder}")
    for package in sorted((work / "apt/archives").glob("*.deb")):
        unpack(package, root)
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "etc/shadow").chmod(0o600)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / "dropbear.service").symlink_to("/etc/systemd/system/dropbear.service")
    # There is no udev, so nothing would tell systemd that there is a console.
    (root / "etc/systemd/system/serial-getty@.service").symlink_to("/dev/null")
    (root / "etc/systemd/system/default.target").symlink_to("/lib/systemd/system/multi-user.target")
    (root / "etc/dropbear").mkdir(exist_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / "login")
    keys = root / "root/.ssh"
    keys.mkdir(parents=True, mode=0o700)
    (root / "root").chmod(0o700)
    shutil.copy(work / "login.pub", keys / "authorized_keys")
    run("mke2fs", "-q", "-t", "ext4", "-d", root, work / "disk", "1G")

    (work / "kernel").mkdir()
    unpack(next(work.glob("linux-image-*.deb")), work / "kernel")
    start = work / "start"
    (start / "bin").mkdir(parents=True)
    shutil.copy(root / "bin/busybox", start / "bin/busybox")
    for module in MODULES:
        shutil.copy(next((work / "kernel/lib/modules").glob(f"**/{module}.ko")), start)
    (start / "init").write_text(INIT)
    (start / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(start)) for path in sorted(start.rglob("*")))
    with open(work / "initrd", "wb") as file:
        run("busybox", "cpio", "-o", "-H", "newc", cwd=start, input=names.encode(), stdout=file)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Board:
    """The board. QEMU runs while its power is on."""

    def __init__(self, work):
        self.work = work
        self.ssh_port, self.port = free_port(), free_port()
        self.qemu = None

    def power_on(self):
        forward = f"hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22,hostfwd=tcp:127.0.0.1:{self.port}-:4700"
        kernel = next((self.work / "kernel/boot").glob("vmlinuz-*"))
        begin = time.monotonic()
        self.qemu = subprocess.Popen(
            ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1G"]
            + ["-kernel", kernel, "-initrd", self.work / "initrd", "-append", "console=ttyAMA0 panic=-1"]
            + ["-drive", f"if=none,id=disk,format=raw,file={self.work}/disk"]
            + ["-device", "virtio-blk-device,drive=disk", "-netdev", f"user,id=net,restrict=on,{forward}"]
            + ["-device", "virtio-net-device,netdev=net", "-display", "none", "-monitor", "none", "-no-reboot"]
            + ["-serial", f"file:{self.work}/console.log"],
            stdin=subprocess.DEVNULL,
        )
        while self.ssh("true", check=False).returncode != 0:
            if self.qemu.poll() is not None or time.monotonic() - begin > BOOT:
                self.fail("the board does not start")
            time.sleep(1)
        print(f"the board is up after {time.monotonic() - begin:.0f} s")

    def cut_power(self):
        if self.qemu:
            self.qemu.kill()
            self.qemu.wait()
            self.qemu = None

    def address(self):
        return f"tcp:127.0.0.1:{self.port}"

    def ssh_options(self):
        known = f"UserKnownHostsFile={self.work}/known"
        return ["StrictHostKeyChecking=no", known, "ConnectTimeout=10", "LogLevel=ERROR"]

    def ssh(self, command, check=True):
        options = [f"-o{option}" for option in self.ssh_options()]
        to = ["-i", self.work / "login", "-p", str(self.ssh_port), "root@127.0.0.1"]
        done = subprocess.run(["ssh", *options, *to, command], stdin=subprocess.DEVNULL, capture_output=True)
        if check and done.returncode != 0:
            self.fail(f"{command}: {done.stderr.decode()}")
        return done

    def fail(self, why):
        console = self.work / "console.log"
        if console.exists():
            print("\n".join(console.read_text(errors="replace").splitlines()[-40:]))
        sys.exit(f"failed: {why}")


def xtask(*args, succeeds=True):
    out = subprocess.run(["cargo", "xtask", *map(str, args), "--json"], stdout=subprocess.PIPE, text=True)
    if (out.returncode == 0) != succeeds:
        sys.exit(f"{'failed' if succeeds else 'did not fail'}: cargo xtask {' '.join(map(str, args))}")
    return json.loads(out.stdout)


def deploy(board, model, program, *more, succeeds=True):
    options = [f"--ssh-option={option}" for option in board.ssh_options()]
    to = ["--host", "root@127.0.0.1", "-p", board.ssh_port, "-i", board.work / "login", *options]
    return xtask("deploy", "--board", "raspberry-pi-4", *to, "--program", program, *more, model, succeeds=succeeds)


def wait_for_answer(board):
    """Waits until the program listens: the service counts as started before that."""
    command = ["target/debug/graft", "device", "--port", board.address(), "--key", board.work / "edge.key", "info"]
    begin = time.monotonic()
    while subprocess.run(command, capture_output=True).returncode != 0:
        if time.monotonic() - begin > ANSWER:
            board.fail("the program does not answer")
        time.sleep(1)


def same(what, found, expected):
    if found != expected:
        sys.exit(f"failed: {what}: {found}, not {expected}")
    print(f"{what}: {found}")


def session(board, work, model, data, edge):
    old, new = work / "edge", work / "edge-stripped"
    shutil.copy(edge, old)
    run("aarch64-linux-gnu-strip", old, "-o", new)

    first = deploy(board, model, old, "--listen", "0.0.0.0:4700", "--make-key")
    same("service, started, key made", (first["service"], first["started"], first["key_made"]), ("systemd", True, True))
    user = board.ssh("stat -c %U /proc/$(systemctl show -P MainPID graft-edge)").stdout
    same("the service's user", user.decode().strip(), "graft")
    key = board.ssh("cat /etc/graft/key").stdout
    with open(os.open(work / "edge.key", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(key)
    line = ["device", "--port", board.address(), "--key", work / "edge.key"]

    begin = time.monotonic()
    trained = xtask(*line, "retrain-head", "--data", data)
    samples = trained["samples"] + trained["held_out"]
    print(f"trained on {samples} pictures in {time.monotonic() - begin:.0f} s")
    same("committed", trained["committed"], True)
    xtask(*line, "export-head", work / "board.head")
    at = f"unix:{work}/host.sock"
    own = ["--model", model, "--state", work / "host", "--listen", at]
    host = subprocess.Popen(["target/debug/edge", "serve", *own], stdout=subprocess.PIPE)
    try:
        host.stdout.readline()
        xtask("device", "--port", at, "retrain-head", "--data", data)
        xtask("device", "--port", at, "export-head", work / "host.head")
    finally:
        host.kill()
    head = (work / "host.head").read_bytes()
    same("the board's head is the host's", (work / "board.head").read_bytes() == head, True)

    # The host prints a line for each picture that the board has stored.
    again = ["--connect", f"127.0.0.1:{board.port}", "--key", work / "edge.key", "--data", data, "--force"]
    more = subprocess.Popen(["target/debug/edge", "retrain-head", *again], stderr=subprocess.PIPE, text=True)
    acknowledged = 0
    while acknowledged < CUT_AFTER:
        told = re.match(r"features of picture (\d+) of", more.stderr.readline())
        if not told:
            board.fail("the next training does not go on")
        acknowledged = int(told[1])
    board.cut_power()
    more.kill()
    more.wait()
    board.power_on()
    wait_for_answer(board)
    info = xtask(*line, "info")
    stored = info["samples"]["stored"]
    same("head after the power cut", info["head"]["sequence"], trained["head_sequence"])
    least = samples + acknowledged
    same(f"{stored} samples after the power cut, at least {least}", least <= stored < 2 * samples, True)

    # The board does not have this address, so the program cannot listen.
    broken = deploy(board, model, new, "--listen", "192.0.2.1:4700", "--wait", "10", succeeds=False)
    same("broken upgrade started, rolled back", (broken["started"], broken["rolled_back"]), (False, True))
    same(f"it says why: {broken['why']}", broken["why"].startswith("error: cannot listen on 192.0.2.1:4700"), True)
    second = deploy(board, model, new)
    same("upgraded", (second["started"], second["previous"]), (True, first["release"]))
    xtask(*line, "reset")
    wait_for_answer(board)
    same("samples after upgrade and restart", xtask(*line, "info")["samples"]["stored"], stored)
    xtask(*line, "export-head", work / "after.head")
    same("the head is still the host's", (work / "after.head").read_bytes() == head, True)


def main():
    data, model, edge, work = [pathlib.Path(argument).absolute() for argument in sys.argv[1:5]]
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if os.getuid() != 0:
        missing.append("root")
    architectures = ["dpkg", "--print-foreign-architectures"]
    if not missing and "arm64" not in run(*architectures, capture_output=True, text=True).stdout.split():
        missing.append("arm64 (dpkg --add-architecture arm64; apt-get update)")
    if missing:
        print(f"missing: {', '.join(missing)}")
        sys.exit(MISSING)
    pictures = work / "pictures"
    for folder in sorted((data / "flowers/train").iterdir()):
        (pictures / folder.name).mkdir(parents=True)
        for picture in sorted(folder.iterdir())[:EACH]:
            shutil.copy(picture, pictures / folder.name)
    begin = time.monotonic()
    make_board(work)
    print(f"made in {time.monotonic() - begin:.0f} s")
    board = Board(work)
    try:
        board.power_on()
        session(board, work, model, pictures, edge)
    finally:
        board.cut_power()


main()
