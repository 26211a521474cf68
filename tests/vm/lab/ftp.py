# SPDX-License-Identifier: GPL-2.0
"""vsftpd on a real server, and curl that fetches and stores by it."""

import contextlib
import pathlib
import re
import shutil
import socket
import tempfile

from .netns import wait_until

# Whom its clients are: a user with a home.
USER = "bin"
CONFIG = """
listen=NO
listen_ipv6=YES
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root={root}
write_enable=YES
anon_upload_enable=YES
anon_umask=022
ftp_username={user}
chown_uploads=NO
connect_from_port_20=YES
secure_chroot_dir={empty}
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
{more}
"""


class Server:
    """vsftpd in a real server: its folder `files` has what clients store."""

    def __init__(self, host, port=21, more=""):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ftp-"))
        self.home.chmod(0o755)
        root, empty, self.files = (self.home / name for name in ("root", "empty", "root/files"))
        for folder in (root, empty, self.files):
            folder.mkdir(mode=0o755)
        shutil.chown(self.files, USER)
        config = self.home / "vsftpd.conf"
        more = "\n".join([f"listen_port={port}", more])
        config.write_text(CONFIG.format(root=root, empty=empty, user=USER, more=more), encoding="ascii")
        self.host, self.port = host, port
        self.process = host.start("vsftpd", config)
        wait_until(self._listens, "vsftpd listens")

    def _listens(self):
        with self.host.inside(), socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        """Ends it, and removes what it served."""
        self.host.stop(self.process)
        shutil.rmtree(self.home)


def curl(client, vip, *args, names=("files/a", "files/b"), store=None, seconds=60):
    """What curl has fetched in one control connection, and what the server said to it."""
    address = f"[{vip}]" if ":" in vip else vip
    urls = [f"ftp://{address}/{name}" for name in names]
    if store:
        urls = ["-T", store, f"ftp://{address}/files/", "--next", "-sS", "-v", *args, *urls]
    done = client.run("curl", "-sS", "-v", "-m", seconds, "--no-ftp-skip-pasv-ip", *args, *urls)
    said = re.findall(r"^< (.*?)\r?$", done.stderr, re.M)
    return done.stdout, said


class Talk:
    """A control connection whose lines the test writes itself."""

    def __init__(self, client, vip, port=21):
        with client.inside():
            self.socket = socket.create_connection((vip, port), timeout=20)
        self.rest = b""
        self.answer()

    def say(self, line):
        """Sends a line, and returns what comes for it."""
        self.send(line + "\r\n")
        return self.answer()

    def send(self, text):
        """Sends a text as it is, in a segment of its own."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(text.encode())

    def answer(self):
        """The last line of the next answer."""
        while True:
            while b"\n" not in self.rest:
                got = self.socket.recv(4096)
                assert got, "the connection was closed"
                self.rest += got
            line, _, self.rest = self.rest.partition(b"\n")
            if re.match(rb"\d{3} ", line):
                return line.decode().strip()

    def log_in(self):
        """As everyone may."""
        assert self.say("USER anonymous")[:3] in ("331", "230")
        assert self.say("PASS x")[:3] in ("230", "202")

    def close(self):
        """Closes it."""
        with contextlib.suppress(OSError):
            self.socket.close()
