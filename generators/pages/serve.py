"""The site on localhost: pages are rendered again, and the browser reloads, on every change."""

import functools
import http.server
import threading
from pathlib import Path

from watchfiles import watch

from generators.errors import AuthorError
from generators.project import open_project, status
from generators.publishing import pages_are_fresh, publish_pages

WATCHED = ("content", "templates", "generators")
RELOAD = b"""<script>new EventSource("/changes").onmessage = () => location.reload();</script>"""


class Changes:
    """Lets every open page wait for the next change."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.count = 0

    def announce(self) -> None:
        with self.condition:
            self.count += 1
            self.condition.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Return the number of changes, once it is no longer `seen` or the time is up."""
        with self.condition:
            self.condition.wait_for(lambda: self.count != seen, seconds)
            return self.count


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, adds the reloading script to pages, and streams changes as events."""

    changes: Changes

    def do_GET(self) -> None:
        if self.path == "/changes":
            self.stream()
            return
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if path.suffix == ".html" and path.is_file():
            self.respond(path.read_bytes().replace(b"</body>", RELOAD + b"</body>"))
        else:
            super().do_GET()

    def respond(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        seen = self.changes.count
        try:
            while True:
                now = self.changes.wait(seen, 15)
                self.wfile.write(b"data: changed\n\n" if now != seen else b": still here\n\n")
                self.wfile.flush()
                seen = now
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests."""


def serve(root: Path, out: Path, draft: bool, port: int, model: str | None = None) -> int:
    """Serve the site until interrupted; render pages, run nothing, on every change."""
    changes = Changes()
    handler = type("SiteHandler", (Handler,), {"changes": changes})
    serving = functools.partial(handler, directory=str(out))
    try:
        server = http.server.ThreadingHTTPServer(("localhost", port), serving)
    except (OSError, OverflowError) as error:
        raise AuthorError(f"--port {port}: {error}") from None
    with server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        folders = [root / folder for folder in WATCHED]
        # The first item comes without a change: from then on none is missed.
        watching = watch(*folders, debounce=50, step=10, rust_timeout=200, yield_on_timeout=True)
        next(watching)
        render(root, out, draft, model)
        print(f"http://localhost:{server.server_port}/ (Ctrl+C stops)", flush=True)
        for found in watching:
            if found and render(root, out, draft, model):
                changes.announce()
        server.shutdown()
    return 0


def render(root: Path, out: Path, draft: bool, model: str | None) -> bool:
    """Render what changed, printing what is wrong with it; return whether anything was written."""
    try:
        project = open_project(root, out, draft, model)
        statuses = [status(project, section) for section in project.site.sections]
        if pages_are_fresh(project, statuses):
            return False
        findings = publish_pages(project, statuses)
    except Exception as error:  # Half an edit is no reason to stop serving.
        findings = [f"{type(error).__name__}: {error}"]
    for finding in findings:
        print(finding, flush=True)
    return True
