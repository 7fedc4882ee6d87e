"""Photograph the Dagster UI for the README and the documentation.

Needs a store with the sample batch (`make demo`), the extra `dev` for playwright, and Chromium. `make pictures` does all of it:

python -m tools.docs.pictures [ADDRESS]        writes docs/images/asset-graph.png and docs/images/materialization.png

ADDRESS is that of a UI that runs already, such as http://127.0.0.1:3000.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page, sync_playwright

from podcast_assets.demo import BATCH_NAME

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PATIENCE = 180
"""Seconds to wait for the UI, which a busy machine needs."""
COLORS = 128
"""Colours in the saved pictures: the UI has few, and files are a third of the size."""


def main() -> None:
    """Take the pictures, of a UI that runs already or of one that is started for them."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed (Debian: apt-get install chromium)")
    IMAGES.mkdir(parents=True, exist_ok=True)
    ui = contextlib.nullcontext(sys.argv[1]) if sys.argv[1:] else _dagster()
    with ui as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 800}, device_scale_factor=1.5)
        page.set_default_timeout(PATIENCE * 1000)
        _asset_graph(page, address)
        page.set_viewport_size({"width": 960, "height": 1000})
        _materialization(page, address)
        browser.close()


def _asset_graph(page: Page, address: str) -> None:
    page.goto(f"{address}/asset-groups")
    page.get_by_text("Hide navigation").click()
    page.get_by_text("Materialize all").wait_for()
    page.wait_for_timeout(SETTLE)
    page.get_by_placeholder("Jump to").locator("xpath=following::button[1]").click()  # closes the list of groups
    page.keyboard.press("Alt+e")  # opens the groups in the graph
    page.get_by_text("hf_dataset").first.wait_for()
    page.wait_for_timeout(SETTLE)
    left, top, right, bottom = page.evaluate(_GRAPH_BOX)
    _save(page, "asset-graph", {"x": left, "y": top, "width": right - left, "height": bottom - top})


def _materialization(page: Page, address: str) -> None:
    page.goto(f"{address}/assets/quality_scores?view=partitions&partition={BATCH_NAME}")
    page.get_by_text("reject_reasons").first.wait_for()
    page.wait_for_timeout(SETTLE)
    page.evaluate(_RELATIVE_PATHS)
    _save(page, "materialization")


SETTLE = 5000
"""Milliseconds for layout and animations."""
_RELATIVE_PATHS = r"""() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    texts.currentNode.nodeValue = texts.currentNode.nodeValue.replace(/\/\S*\/(?=store\/tables\/)/, "");
  }
}"""
"""Cuts the path of this machine off the addresses of tables."""


_GRAPH_BOX = r"""() => {
  for (const label of document.querySelectorAll("foreignObject *")) {
    if (label.children.length || !label.textContent.trim()) continue;
    label.style.fontSize = 1.2 * parseFloat(getComputedStyle(label).fontSize) + "px";
    label.style.overflow = "visible";
  }
  const boxes = [...document.querySelectorAll("foreignObject")].map(node => node.getBoundingClientRect());
  return [
    Math.min(...boxes.map(b => b.left)) - 2, Math.min(...boxes.map(b => b.top)) - 2,
    Math.max(...boxes.map(b => b.right)) + 2, Math.max(...boxes.map(b => b.bottom)) + 2,
  ];
}"""
"""Enlarges the labels of the graph, which would be too small in the width of a page, and returns the box around it."""


def _save(page: Page, name: str, clip: FloatRect | None = None) -> None:
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, clip=clip)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLORS).save(path, optimize=True)
    print(f"wrote {path} ({path.stat().st_size / 1000:.0f} kB)")


@contextlib.contextmanager
def _dagster() -> Iterator[str]:
    """Address of a Dagster UI on a free port, for as long as the context lasts."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "podcast_assets.cli", "dev", "--port", str(port)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"the Dagster UI ended with {process.returncode}: try `make dev`")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/server_info", timeout=5):
            return
        time.sleep(1)
    sys.exit(f"the Dagster UI did not answer within {PATIENCE} s")


if __name__ == "__main__":
    main()
