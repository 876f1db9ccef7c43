"""examples/django, clicked in a browser.

The application runs under six processes of gunicorn, and a headless Chromium
has its page. Skipped where gunicorn or Chromium with chromedriver is missing.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import help

SERVE = os.path.join(help.HERE, "..", "..", "..", "examples", "django", "serve")
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
MISSING = [
    name
    for name, found in [
        ("gunicorn", importlib.util.find_spec("gunicorn")),
        ("chromedriver", shutil.which("chromedriver")),
        ("Chromium", any(map(shutil.which, BROWSERS))),
        ("examples/django", os.path.exists(SERVE)),
    ]
    if not found
]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(what, seconds=60):
    """Return what(), once that is true."""
    end = time.monotonic() + seconds
    while True:
        try:
            result = what()
            if result:
                return result
            error = None
        except OSError as caught:
            error = caught
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} seconds") from error
        time.sleep(0.05)


def request(url, data=None, method=None):
    body = None if data is None else json.dumps(data).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=60) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.read().decode()}") from error


class Browser:
    """A page, by the WebDriver protocol."""

    def __init__(self, port):
        self.session = f"http://127.0.0.1:{port}/session"
        options = {
            "binary": next(filter(None, map(shutil.which, BROWSERS))),
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        }
        answer = self.call("", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
        self.session += "/" + answer["sessionId"]

    def call(self, path, data=None, method=None):
        return json.loads(request(self.session + path, data, method))["value"]

    def find(self, selector):
        [reference] = self.call("/element", {"using": "css selector", "value": selector}).values()
        return f"/element/{reference}"

    def text(self, selector):
        return self.call(self.find(selector) + "/text")

    def click(self, form):
        """Press the button of a form, and wait until all requests are answered."""
        button = self.find(f"{form} button")
        self.call(button + "/click", {})
        wait_for(lambda: self.call(button + "/enabled"))

    def write(self, selector, text):
        field = self.find(selector)
        self.call(field + "/clear", {})
        self.call(field + "/value", {"text": text})


@unittest.skipIf(MISSING, f"missing: {', '.join(MISSING)}")
class Web(unittest.TestCase):
    def start(self, *command, **environment):
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
        )

        def stop():
            process.terminate()
            process.wait(30)

        self.addCleanup(stop)
        return process

    def setUp(self):
        help.make_database(help.NAME)
        home = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        port = free_port()
        self.page = f"http://127.0.0.1:{port}/"
        self.start(SERVE, f"127.0.0.1:{port}", PGDATABASE=help.NAME, PYTHON=sys.executable)
        wait_for(lambda: request(self.page))
        port = free_port()
        self.start("chromedriver", f"--port={port}", HOME=home, TMPDIR=home)
        wait_for(lambda: request(f"http://127.0.0.1:{port}/status"))
        self.browser = Browser(port)
        self.addCleanup(self.browser.call, "", method="DELETE")
        self.browser.call("/url", {"url": self.page})

    def count(self, side, name):
        return float(self.browser.text(f"#{side}-{name}"))

    def click_until_wrong(self, form, name, text=None):
        """Click until Django's own way has gone wrong; return how often that was."""
        for n in range(1, 101):
            if text:
                self.browser.write("#text", f"{text} {n}")
            self.browser.click(form)
            self.assertEqual(0, self.count("racefree", name))
            if self.count("django", name) != 0:
                return n
        raise AssertionError("Django's own way has not gone wrong: it was not at once")

    def test_get_or_create(self):
        clicks = self.click_until_wrong("#create", "duplicates", "blah")
        self.assertEqual(clicks, self.count("racefree", "rows"))
        self.assertEqual(1, len(set(self.browser.text("#racefree-answers").split(", "))))
        self.assertGreater(self.count("django", "rows"), clicks)
        # Again for the same text.
        self.browser.click("#create")
        self.assertEqual(clicks, self.count("racefree", "rows"))
        self.assertIn("error", self.browser.text("#django-answers"))

    def test_transfer_money(self):
        self.click_until_wrong("#transfer", "off_by")
        self.assertEqual("1000.00 and 1000.00", self.browser.text("#racefree-balances"))


if __name__ == "__main__":
    help.main()
