"""The pages over a small organisation whose upcoming changes were scored, and people who look."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect, sync_playwright
from starlette.testclient import TestClient

from serving.board import Board
from serving.pages.session import COOKIE, issue, secret

HERE = "http://testserver"


@dataclass
class Person:
    """Somebody with a session, and a browser of their own."""

    client: TestClient
    role: str

    def get(self, path: str, **given: Any) -> Any:
        return self.client.get(path, follow_redirects=False, **given)

    def post(self, path: str, data: Any = None, **given: Any) -> Any:
        headers = {"Origin": HERE, **given.pop("headers", {})}
        return self.client.post(path, data=data, headers=headers, follow_redirects=False, **given)

    def text(self, path: str, **given: Any) -> str:
        """What a page says, without its markup."""
        response = self.get(path, **given)
        assert response.status_code == 200, response.text
        return words_of(response.text)


def words_of(html: str) -> str:
    body = html.partition("<main")[2].partition("</main>")[0] or html
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def key_ids(service: Any) -> dict[str, str]:
    return {row["role"]: row["key_id"] for row in service.store.keys.all()}


def signed_in(service: Any, role: str) -> Person:
    client = TestClient(service.client.app, base_url=HERE)
    key = secret(service.home)
    token = issue(key, key_ids(service)[role], "session", now=service.clock.now)
    client.cookies.set(COOKIE, token)
    return Person(client, role)


@pytest.fixture(scope="session")
def scored(
    begin: Callable[..., Any], loaded: type, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A service whose upcoming changes were all scored; for tests that only look."""
    service = begin(tmp_path_factory.mktemp("scored") / "home", kind=loaded)
    service.runtime.board = Board.from_environment({"CHANGERISK_OWN_VIEW": "off"})
    for line in (service.home / "upcoming.jsonl").read_bytes().splitlines():
        assert service.send(line).status_code == 200
    return service


@pytest.fixture
def desk_of(
    scored: Any, serve: Callable[..., Any], loaded: type, tmp_path: Path
) -> Callable[..., Any]:
    """Makes services over copies of the scored home, for tests that write."""

    def desk_of(own_view: str = "off", **given: Any) -> Any:
        home = tmp_path / "desk"
        home.mkdir()
        with (
            closing(sqlite3.connect(scored.home / "history.db")) as source,
            closing(sqlite3.connect(home / "history.db")) as copy,
        ):
            source.backup(copy)
        saved = scored.runtime.settings.indexes  # else each copy would build the same index again
        shutil.copytree(saved, home / saved.name)
        service = serve(home, kind=loaded, **given)
        service.runtime.board = Board.from_environment({"CHANGERISK_OWN_VIEW": own_view})
        return service

    return desk_of


@pytest.fixture
def approver(scored: Any) -> Person:
    """An approver who looks at the scored changes."""
    return signed_in(scored, "approver")


@pytest.fixture
def person() -> Callable[..., Person]:
    """Gives somebody of a role a session with a service."""
    return signed_in


@pytest.fixture
def said() -> Callable[[str], str]:
    """What a page says, without its markup."""
    return words_of


# a real browser ----------------------------------------------------------------------------------

CHROMIUM = Path("/usr/bin/chromium")

expect.set_options(timeout=20_000)

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


@dataclass
class Site:
    """A service at an address of its own, for browsers."""

    address: str
    service: Any


@contextmanager
def listening(service: Any) -> Iterator[Site]:
    """The service on a port of this machine, in a thread."""
    config = uvicorn.Config(
        service.client.app, host="127.0.0.1", port=0, log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Site(f"http://127.0.0.1:{port}", service)
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="session")
def site(scored: Any) -> Iterator[Site]:
    """The scored changes, to look at with a browser."""
    with listening(scored) as site:
        yield site


@pytest.fixture
def site_of(desk_of: Callable[..., Any]) -> Iterator[Callable[..., Site]]:
    """Makes sites over copies, for browsers that write."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(listening(desk_of(**given)))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; without one these tests are skipped, but never in CI."""
    if not CHROMIUM.exists():
        assert os.environ.get("CI") != "true", f"CI needs {CHROMIUM}"
        pytest.skip(f"needs a browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page of a browser whose complaints and outside requests are faults."""

    page: Any
    site: Site
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        # Whether a reader was quicker than the page to put the focus somewhere is no fault of it.
        if not message.text.startswith("Autofocus processing was blocked"):
            self.faults.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.site.address, "data:")):
            self.faults.append(f"asked for {request.url}")

    def open(self, path: str) -> Any:
        self.page.goto(self.site.address + path)
        return self.page


@pytest.fixture
def look(chromium: Any) -> Iterator[Callable[..., Tab]]:
    """Opens tabs for somebody of a role; whatever a tab complained of fails the test."""
    tabs: list[Tab] = []
    contexts = []

    def look(site: Site, role: str | None = "approver", **given: Any) -> Tab:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 860}, **given})
        contexts.append(context)
        if role is not None:
            service = site.service
            token = issue(
                secret(service.home), key_ids(service)[role], "session", now=service.clock.now
            )
            context.add_cookies([{"name": COOKIE, "value": token, "url": site.address}])
        tabs.append(Tab(context.new_page(), site))
        return tabs[-1]

    yield look
    for context in contexts:
        context.close()
    assert [fault for tab in tabs for fault in tab.faults] == []


AXE = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],
}

SEEN = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="session")
def violations() -> Callable[..., list[Any]]:
    """What axe finds in each look of a page, and whether it needs scrolling sideways at 320 px.

    Where only a part of a page differs from one that was looked at, that part is enough.
    """

    def violations(page: Any, part: str = "html") -> list[Any]:
        if page.evaluate("() => typeof axe === 'undefined'"):
            page.evaluate(AXE_SCRIPT)
        found: list[Any] = []
        for width, scheme in SEEN:
            page.set_viewport_size({"width": width, "height": 860})
            page.emulate_media(color_scheme=scheme)
            run = "([part, options]) => axe.run(part, options).then(found => found.violations)"
            for fault in page.evaluate(run, [part, AXE]):
                nodes = [(node["target"], node["failureSummary"]) for node in fault["nodes"]]
                found.append((width, scheme, fault["id"], nodes))
        page.set_viewport_size({"width": 320, "height": 860})
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        return found if wide <= 320 else [*found, f"{wide} px wide on 320"]

    return violations


WAYS = ("mouse", "keyboard", "no JavaScript")


@dataclass
class Hand:
    """Uses a page by mouse, by keyboard alone, or by mouse where no script runs."""

    tab: Tab
    way: str

    @property
    def page(self) -> Any:
        return self.tab.page

    @property
    def scripts(self) -> bool:
        return self.way != "no JavaScript"

    def press(self, target: Any) -> None:
        if self.way != "keyboard":
            target.click()
            return
        self.reach(target)
        self.page.keyboard.press("Enter")

    def tick(self, target: Any) -> None:
        """Tick a box, or choose a radio button of its group."""
        if self.way != "keyboard":
            target.check()
            return
        if target.get_attribute("type") == "checkbox":
            self.reach(target)
            self.page.keyboard.press("Space")
        else:
            group = self.page.locator(f"input[name={target.get_attribute('name')}]")
            self.reach(group)
            self.page.keyboard.press("Space")
            for _ in range(group.count()):
                if target.is_checked():
                    break
                self.page.keyboard.press("ArrowDown")
        assert target.is_checked()

    def choose(self, target: Any, option: str) -> None:
        if self.way != "keyboard":
            target.select_option(label=option)
            return
        self.reach(target)
        self.page.keyboard.type(option)

    def write(self, target: Any, text: str) -> None:
        if self.way != "keyboard":
            target.fill(text)
            return
        self.reach(target)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def reach(self, target: Any) -> None:
        """Go on with the Tab key until the focus is on the target, or on one of several."""
        target.first.wait_for()
        focused = "all => all.includes(document.activeElement)"
        for _ in range(200):
            if target.evaluate_all(focused):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the Tab key does not reach {target}")


@pytest.fixture(params=WAYS)
def hand_of(request: pytest.FixtureRequest, look: Callable[..., Tab]) -> Callable[..., Hand]:
    """Gives somebody with a page, once by mouse, once by keyboard, once without JavaScript."""

    def hand_of(site: Site, **given: Any) -> Hand:
        way = request.param
        return Hand(look(site, java_script_enabled=way != WAYS[2], **given), way)

    return hand_of
