"""An HTTP server on loopback that gives files away as slowly as asked, with ranges: what jobs fetch from."""

import contextlib
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Origin:
    """Serves the files below `folder` at `rate` bytes a second. `served` counts the bytes that went out."""

    def __init__(self, folder, rate=None):
        self.folder, self.rate, self.served = Path(folder), rate, 0
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self):
                with contextlib.suppress(OSError):  # a service that is killed resets its connections
                    super().handle()

            def log_message(self, *_):
                pass

            def do_GET(self):
                data = (origin.folder / self.path.partition("?")[0].lstrip("/")).read_bytes()
                start, total = 0, len(data)
                wanted = self.headers.get("Range", "")
                if wanted.startswith("bytes=") and wanted.endswith("-"):
                    start = int(wanted[6:-1])
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
                self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()[:16]}"')
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Length", str(total - start))
                self.end_headers()
                piece = max(origin.rate // 50, 1) if origin.rate else 1 << 20
                try:
                    for offset in range(start, total, piece):
                        part = data[offset:offset + piece]
                        self.wfile.write(part)
                        origin.served += len(part)
                        if origin.rate:
                            time.sleep(0.02)
                except OSError:
                    self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}/{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
