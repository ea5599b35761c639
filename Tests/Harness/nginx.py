"""An nginx of one's own on a loopback port, without root and without the system's configuration."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

#: Everything that nginx writes goes below `folder`.
FRAME = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
}}
"""

#: Gives files away from `root` and takes them with PUT.
FILES = """
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port};
    root {root};
    client_max_body_size 0;
    location /incoming/ {{ dav_methods PUT; create_full_put_path on; }}
  }}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Nginx:
    """nginx with `http` as the content of its http block; a server of plain files in `root` unless told."""

    def __init__(self, folder, http=FILES, **values):
        self.folder = Path(folder)
        self.root = self.folder / "root"
        self.root.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.port = values.pop("port", None) or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        text = http.format(port=self.port, root=self.root, **values) if http is FILES else http
        self.config = self.folder / "nginx.conf"
        user = "user root;\n" if os.getuid() == 0 else ""
        self.config.write_text(user + FRAME.format(folder=self.folder, http=text))

    def __enter__(self):
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        assert program, "nginx is missing; scripts/setup.sh installs it"
        error = self.folder / "error.log"
        self.process = subprocess.Popen([program, "-c", self.config, "-p", self.folder, "-e", error])
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                alive = self.process.poll() is None and time.monotonic() < deadline
                assert alive, f"nginx does not start: {error.read_text()}"
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
