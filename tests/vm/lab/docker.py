# SPDX-License-Identifier: GPL-2.0
"""dockerd on a host, as Debian has it, spoken to by its socket, and an image that says who asks it."""

import http.client
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tarfile
import tempfile

from .netns import wait_until

PROGRAMS = "/rvs/clients/usr"
BUSYBOX = "/usr/bin/busybox"
WHO = "#!/bin/sh\necho Content-Type: text/plain\necho\necho $(hostname) $REMOTE_ADDR\n"


class _Socket(http.client.HTTPConnection):
    """HTTP over a socket that is a file."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def image():
    """A tar file of an image: busybox, and a page that names the container and its client."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(os.path.realpath(BUSYBOX), "bin/busybox")
        for name in ("sh", "hostname", "httpd", "sleep", "echo"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        page = tarfile.TarInfo("www/cgi-bin/who")
        page.size, page.mode = len(WHO), 0o755
        tar.addfile(page, io.BytesIO(WHO.encode()))
    return made.getvalue()


class Refused(AssertionError):
    """dockerd's answer to what it does not do."""


class Docker:
    """A dockerd of its own, in a host's namespace."""

    def __init__(self, host):
        self.host, self.home = host, pathlib.Path(tempfile.mkdtemp(prefix="docker-", dir="/run"))
        home = self.home
        self.socket = f"{home}/sock"
        self._log = open(f"{home}/log", "w", encoding="utf-8")
        path = f"{PROGRAMS}/bin:{PROGRAMS}/sbin:{os.environ['PATH']}"
        self._process = host.start(
            f"{PROGRAMS}/sbin/dockerd", "--data-root", f"{home}/data", "--exec-root", f"{home}/exec",
            "--pidfile", f"{home}/pid", "--host", f"unix://{self.socket}", "--storage-driver", "overlay2",
            "--exec-opt", "native.cgroupdriver=cgroupfs", "--userland-proxy=false",
            env={**os.environ, "PATH": path, "DOCKER_MIN_API_VERSION": "1.24"}, stdout=self._log,
            stderr=subprocess.STDOUT)
        wait_until(self._answers, f"dockerd answers\n{self.said()}", 240, 0.5)

    def _answers(self):
        assert self._process.poll() is None, self.said()
        try:
            return self.ask("GET", "/_ping") is not None
        except OSError:
            return False

    def said(self):
        """The end of its log."""
        return (self.home / "log").read_text(encoding="utf-8")[-6000:]

    def ask(self, method, path, body=None, data=None):
        """What it answers: JSON, or text."""
        connection = _Socket(self.socket, timeout=120)
        headers = {"Host": "docker", "Content-Type": "application/x-tar" if data else "application/json"}
        connection.request(method, path, data or (json.dumps(body) if body is not None else None), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status >= 400:
            raise Refused(f"{method} {path}: {answer.status} {text}")
        try:
            return json.loads(text)
        except ValueError:
            return text

    def begin(self, address):
        """Makes a swarm of this node, and the image."""
        self.ask("POST", "/swarm/init", {"ListenAddr": f"{address}:2377", "AdvertiseAddr": address})
        self._have_image()

    def join(self, address, manager):
        """Makes this node a worker of another's swarm."""
        swarm = manager.ask("GET", "/swarm")
        at = manager.ask("GET", "/info")["Swarm"]["NodeAddr"]
        self._have_image()
        self.ask("POST", "/swarm/join", {
            "ListenAddr": f"{address}:2377", "AdvertiseAddr": address, "RemoteAddrs": [f"{at}:2377"],
            "JoinToken": swarm["JoinTokens"]["Worker"]})

    def _have_image(self):
        self.ask("POST", "/images/create?fromSrc=-&repo=who&tag=1", data=image())

    def network(self, name, **options):
        """An overlay network."""
        self.ask("POST", "/networks/create", {"Name": name, "Driver": "overlay", "Options": options})

    def service(self, name, networks, replicas, command, ports=()):
        """A service of that many tasks on networks; ports are (published, target)."""
        self.ask("POST", "/services/create", {
            "Name": name, "Networks": [{"Target": network} for network in networks],
            "TaskTemplate": {"ContainerSpec": {"Image": "who:1", "Command": command}},
            "Mode": {"Replicated": {"Replicas": replicas}},
            "EndpointSpec": {"Mode": "vip", "Ports": [
                {"Protocol": "tcp", "PublishedPort": published, "TargetPort": target}
                for published, target in ports]}})

    def scale(self, name, replicas):
        """Another number of tasks."""
        service = self.ask("GET", f"/services/{name}")
        spec = service["Spec"]
        spec["Mode"]["Replicated"]["Replicas"] = replicas
        self.ask("POST", f"/services/{name}/update?version={service['Version']['Index']}", spec)

    def running(self, name):
        """Names of the running containers of a service."""
        return sorted(each["Names"][0] for each in self.ask("GET", "/containers/json")
                      if each["Names"][0].startswith(f"/{name}."))

    def wait_for(self, name, number):
        """Waits until so many containers of a service run."""
        try:
            wait_until(lambda: len(self.running(name)) == number, f"{number} of {name} run", 240, 1)
        except AssertionError as error:
            states = {(task["Status"]["State"], task["Status"].get("Err")) for task in self.ask("GET", "/tasks")}
            raise AssertionError(f"{error}: {states}\n{self.said()}") from error

    def address(self, name, network):
        """A service's virtual address on a network."""
        wanted = self.ask("GET", f"/networks/{network}")["Id"]
        for each in self.ask("GET", f"/services/{name}")["Endpoint"].get("VirtualIPs", ()):
            if each["NetworkID"] == wanted:
                return each["Addr"].split("/")[0]
        return None

    def inside(self, container):
        """The words before a program that runs in a container's network."""
        found = self.ask("GET", f"/containers/{container.strip('/')}/json")
        return ["nsenter", "-n", "-t", str(found["State"]["Pid"])]

    def end(self):
        """Leaves the swarm and ends; nothing of it stays."""
        try:
            self.ask("POST", "/swarm/leave?force=1")
        finally:
            self.host.stop(self._process)
            self._log.close()
            for mounted in reversed([line.split()[1] for line in open("/proc/mounts", encoding="utf-8")]):
                if mounted.startswith(str(self.home)):
                    subprocess.run(["umount", "-l", mounted], check=False)
            shutil.rmtree(self.home, ignore_errors=True)
