"""A real Prometheus with the example configuration, scraping a page of our series: does it all load and evaluate?"""

import contextlib
import http.server
import json
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from . import series

DEADLINE_SECONDS = 60


class Page(http.server.BaseHTTPRequestHandler):
    """Serves the synthetic series; counters run since the server's start."""

    since = time.time()

    def do_GET(self):  # noqa: N802 (the name is the library's)
        body = series.as_page(time.time(), self.since).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    """A loopback port that was free a moment ago."""
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def quickened(text):
    """Every scrape and evaluation interval made one second."""
    return re.sub(r"interval: \w+", "interval: 1s", text)


class Prometheus:
    """A Prometheus of our own on a free port, stopped by its handle."""

    def __init__(self, root, folder):
        self.page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self.page.serve_forever, daemon=True).start()
        (folder / "deploy").mkdir()
        (folder / "rules").mkdir()
        # As shipped, but faster and at our page.
        config = quickened((root / "deploy" / "prometheus.yml").read_text(encoding="utf-8"))
        config = re.sub(r"targets: \[.*\]", f'targets: ["127.0.0.1:{self.page.server_port}"]', config)
        (folder / "deploy" / "prometheus.yml").write_text(config, encoding="utf-8")
        for path in (root / "rules").glob("*.yaml"):
            (folder / "rules" / path.name).write_text(quickened(path.read_text(encoding="utf-8")), encoding="utf-8")
        self.log = (folder / "prometheus.log").open("w", encoding="utf-8")
        self.port = free_port()
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder / 'deploy' / 'prometheus.yml'}",
             f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=self.log, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.page.shutdown()
        self.page.server_close()

    def api(self, path, **query):
        """The `data` of an API answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def wait(self, condition):
        """Asks until `condition(self)` holds; False when the deadline passes or Prometheus ends."""
        until = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                if condition(self):
                    return True
            time.sleep(0.2)
        return False


def rules_of(prometheus):
    """Every rule as Prometheus sees it."""
    return [r for g in prometheus.api("rules")["groups"] for r in g["rules"]]


def settled(prometheus):
    """Whether every rule has been evaluated with data behind it: the last links of the chains have values."""
    last = ("tenant:emissions_location_grams_per_hour:rate5m", "tenant:emissions_location_grams:increase1h",
            "datacenter:pue:ratio_increase1d")
    return all(prometheus.api("query", query=q)["result"] for q in last) and all(
        r["health"] != "unknown" for r in rules_of(prometheus))


def sick_rules(prometheus):
    """Rules whose evaluation failed, with the reason."""
    return [f'{r["name"]}: {r.get("lastError", r["health"])}' for r in rules_of(prometheus) if r["health"] != "ok"]


def refused(prometheus, queries):
    """Queries that Prometheus refuses over a range, with its reason."""
    now, found = time.time(), []
    for where, expression in queries:
        try:
            prometheus.api("query_range", query=expression, start=now - 60, end=now, step=15)
        except urllib.error.HTTPError as e:
            found.append(f"{where}: {json.load(e).get('error', e)}")
    return found
