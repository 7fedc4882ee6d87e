"""The review page in a real browser: by keyboard alone, two people at once, and what it looks like."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from podcast_assets.catalog.tables import DECISIONS
from podcast_assets.review.accounts import issue_login_link
from podcast_assets_tests.review.app.conftest import Site
from podcast_assets_tests.review.conftest import make_user

if TYPE_CHECKING:
    from playwright.sync_api import Browser

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
PATIENCE = 120_000
"""Milliseconds: machines of tests are busy."""
PICTURES = os.environ.get("REVIEW_PICTURES")
"""Folder for screenshots, where somebody wants to look at them."""


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    arguments = ["--no-sandbox", "--disable-gpu", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Reviewer:
    """Somebody at a browser, who has a keyboard and nothing else."""

    def __init__(self, browser: "Browser", address: str, secret: str, **options: object) -> None:
        self.context = browser.new_context(**options)  # type: ignore[arg-type]
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.goto(f"{address}/login/link?secret={secret}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def item(self) -> str:
        return self.page.locator("#decision input[name=item]").get_attribute("value") or ""

    def save(self) -> None:
        """Save, and wait for what comes next."""
        before = self.page.locator("#decision input[name=token]").get_attribute("value")
        self.press("n")
        gone = "before => document.querySelector('#decision input[name=token]')?.value !== before"
        self.page.wait_for_function(gone, arg=before)


@pytest.fixture
def reviewer(site: Site, browser: "Browser", serve: Callable[[], str]) -> Callable[..., Reviewer]:
    address = serve()

    def add(name: str, **options: object) -> Reviewer:
        user = make_user(site.engine, name, "adjudicator")
        return Reviewer(browser, address, issue_login_link(site.engine, user), **options)

    return add


def test_ten_items_by_keyboard_alone_while_somebody_else_is_at_work(
    site: Site, reviewer: Callable[..., Reviewer]
) -> None:
    ada, bob = reviewer("ada"), reviewer("bob")
    seen: dict[str, list[str]] = {"ada": [], "bob": []}
    for person in (ada, bob):
        random = person.page.get_by_text("A random sample of segments").locator("xpath=ancestor::a")
        person.press(random.get_attribute("data-key") or "")
        person.page.locator("#decision").wait_for()
    for number in range(10):
        seen["ada"].append(ada.item)
        if number == 3:
            ada.press("e", "End")
            ada.page.keyboard.type(" and more")
            ada.press("Escape")
        if number == 4:
            ada.press("c", "m")
            ada.page.keyboard.type("by n and u: letters of a note are no keys")
            ada.press("Escape")
        ada.save()
        if number < 6:
            seen["bob"].append(bob.item)
            bob.save()
    assert len(set(seen["ada"])) == 10
    assert not set(seen["ada"]) & set(seen["bob"])
    with site.engine.connect() as connection:
        rows = connection.execute(select(DECISIONS).order_by(DECISIONS.c.decided_at)).mappings().all()
    assert {(r["decided_by"], r["item_id"]) for r in rows} == {(n, i) for n, items in seen.items() for i in items}
    own = [r for r in rows if r["decided_by"] == "ada"]
    assert own[3]["value"]["text"].endswith(" and more")
    assert [w["word"].strip() for w in own[3]["value"]["words"]][-2:] == ["and", "more"]
    assert (own[4]["confidence"], own[4]["note"]) == (1.0, "by n and u: letters of a note are no keys")
    assert all(r["seconds"] is not None for r in rows)
    ada.press("u")
    ada.page.get_by_text("Undone.").wait_for()
    assert ada.item == seen["ada"][-1]
    with site.engine.connect() as connection:
        assert connection.scalar(select(func.count()).where(DECISIONS.c.action == "undo")) == 1
    assert not ada.problems
    assert not bob.problems


def test_the_player_plays_seeks_and_lights_the_word(reviewer: Callable[..., Reviewer]) -> None:
    ada = reviewer("ada")
    page = ada.page
    ada.page.goto(re.sub(r"/$", "", page.url.split("?")[0]) + "/next?queue=low_confidence")
    page.wait_for_function("() => document.querySelector('#audio').readyState >= 1")
    start = 6.0
    page.wait_for_function("start => document.querySelector('#audio').currentTime >= start - 0.1", arg=start)
    page.locator(".segment:not(.context) .w.now").first.wait_for()
    page.wait_for_function("() => document.querySelector('#audio').paused")  # at the item's end
    assert page.evaluate("document.querySelector('#audio').currentTime") == pytest.approx(9.0, abs=1.5)
    ada.press("h", "ArrowLeft")
    page.wait_for_function("() => document.querySelector('#clock').textContent === '0:04.0'")
    ada.press("ArrowRight", ".")
    page.wait_for_function("() => document.querySelector('#clock').textContent === '0:06.5'")
    assert page.locator(".w.now").text_content() == "was"
    page.locator(".segment:not(.context) .w").nth(2).click()
    page.wait_for_function("() => document.querySelector('#clock').textContent === '0:07.0'")
    ada.press("]", "]")
    assert page.locator("#speed").inner_text().startswith("1.5")
    ada.press("o")
    assert page.locator("#loop").is_checked()
    ada.press("?")
    assert page.locator("#keys").is_visible()
    ada.press("Escape")
    assert page.locator("#keys").is_hidden()
    ada.press("Space")
    page.wait_for_function("() => !document.querySelector('#audio').paused")
    drawn = "document.querySelector('#waveform').getContext('2d').getImageData(0, 0, 200, 60).data.some(v => v)"
    assert page.evaluate(drawn)
    assert not ada.problems


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")])
def test_pages_fit_their_screen_and_are_labelled(
    reviewer: Callable[..., Reviewer], width: int, scheme: str, tmp_path: Path
) -> None:
    ada = reviewer("ada", viewport={"width": width, "height": 844}, color_scheme=scheme)
    root = ada.page.url.rstrip("/").split("?")[0]
    folder = Path(PICTURES) if PICTURES else tmp_path
    for name, path in (
        ("queues", "/"),
        ("window", "/next?queue=flagged"),
        ("segment", "/next?queue=disagreement"),
        ("failure", "/next?queue=failures"),
        ("search", "/search?words=said"),
        ("dashboard", "/dashboard"),
    ):
        ada.page.goto(f"{root}{path}")
        ada.page.wait_for_load_state("networkidle")
        assert ada.page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
        assert ada.page.locator("main").count() == ada.page.locator("h1").count() == 1
        assert ada.page.locator("nav[aria-label]").count() == 1
        assert not ada.page.evaluate(_UNLABELLED), name
        ada.page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
    assert not ada.problems


_UNLABELLED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a, [role=slider]")]
  .filter(e => !(e.labels?.length || e.textContent.trim() || e.ariaLabel || e.title)).map(e => e.outerHTML)"""
