"""`misgen play` in a browser: playing, taking over, dragging, editing, being tested."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from misgen.envs.core.level_text.text import level_from_text
from misgen.envs.core.registry import make_world

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome")
                 if (p := shutil.which(name))), None)  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here"),
]
WAIT = 15_000
HTML = "<img src=x onerror=alert(1)><b>Ada</b>"


@dataclass
class Served:
    """A `misgen play` that runs, a browser, and what its console said."""

    address: str
    process: subprocess.Popen[str]
    browser: Any
    runs: Path
    faults: list[str] = field(default_factory=list)

    def open(self, width: int = 1280, height: int = 900, **options: Any) -> Any:
        size = {"width": width, "height": height}
        page = self.browser.new_context(viewport=size, **options).new_page()
        page.set_default_timeout(WAIT)
        page.on(
            "console", lambda said: self.faults.append(said.text) if said.type == "error" else 0
        )
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog {dialog.message}"))
        page.on("request", lambda one: self._note(one.url))
        page.goto(self.address)
        page.wait_for_selector("body[data-ready=true]")
        return page

    def _note(self, address: str) -> None:
        if not address.startswith((self.address, "data:")):
            self.faults.append(f"asked {address}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def served(browser, tmp_path) -> Iterator[Served]:
    code = (
        "import sys; from misgen.experiments.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    argv = ["play", "env=cheese_on_a_dish", "id=5", "agent=goal_seeker", "open=false"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *argv, f"runs={tmp_path}"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NUMBA_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/\S+/", first)
        found = Served(address, process, browser, tmp_path)
        yield found
        assert found.faults == []
    finally:
        process.kill()
        process.communicate()


def status(page: Any, text: str) -> None:
    api.expect(page.locator("#status")).to_contain_text(text, timeout=WAIT)


def cell(page: Any, x: int, y: int) -> tuple[float, float]:
    """Return where on the screen the middle of a cell of the 13 x 13 board is."""
    box = page.locator("#board").bounding_box()
    return box["x"] + (x + 0.5) / 13 * box["width"], box["y"] + (12.5 - y) / 13 * box["height"]


def drag(page: Any, origin: tuple[int, int], target: tuple[int, int]) -> None:
    page.mouse.move(*cell(page, *origin))
    page.mouse.down()
    page.mouse.move(*cell(page, *target), steps=6)
    page.mouse.up()


def test_play_by_keys_and_by_hand_and_take_over_and_hand_back(served):
    page = served.open()
    status(page, "Decision 0")
    page.click("#one")
    status(page, "Decision 1")
    page.keyboard.press("ArrowUp")
    status(page, "Decision 2")
    page.click("#pad button[aria-label=stay]")
    status(page, "Decision 3, you play")
    page.evaluate("document.querySelector('#speed').value = 3")
    page.click("#hand")
    api.expect(page.locator("#hand")).to_contain_text("Take over")
    status(page, "the agent plays")
    page.click("#hand")
    api.expect(page.locator("#hand")).to_contain_text("Let the agent play")
    page.keyboard.press("b")
    page.evaluate("document.querySelector('#speed').value = 30")
    page.keyboard.press("a")
    api.expect(page.locator("#outcome")).to_contain_text("The goal was reached", timeout=WAIT)
    page.evaluate("document.querySelector('#at').value = 2")
    page.dispatch_event("#at", "input")
    status(page, "Decision 2, you play")
    page.keyboard.press("ArrowUp")
    status(page, "Decision 3")
    assert page.locator("#count").text_content() == "3 of 3"
    page.click("#tab-episodes")
    api.expect(page.locator("#rows")).to_contain_text("you and goal_seeker")


def test_the_agent_shows_what_it_would_do(served):
    page = served.open()
    shares = page.locator("#pad small").all_text_contents()
    assert sorted(shares) == ["0%", "0%", "0%", "0%", "100%"]
    page.select_option("#agent", "random")
    api.expect(page.locator("#pad small").first).to_have_text("20%")
    page.select_option("#agent", "")
    api.expect(page.locator("#pad small").first).to_have_text("")
    assert page.locator("#hand").is_disabled()


def test_the_goal_is_dragged_and_the_agent_chooses_again(served):
    page = served.open()
    page.evaluate("document.querySelector('#speed').value = 30")
    drag(page, (3, 5), (4, 9))
    api.expect(page.locator("#outcome")).to_contain_text("The goal was reached", timeout=WAIT)
    status(page, "At decision 10 the goal is reached")
    page.click("#again-2")
    status(page, "Decision 0")


def test_a_level_is_edited_checked_saved_and_read_back(served):
    page = served.open()
    page.click("#one")
    status(page, "Decision 1")
    page.click("#tab-edit")
    status(page, "Decision 0")  # what is edited is the level as it begins
    page.click("#brushes button[data-sign='#']")
    page.mouse.move(*cell(page, 5, 9))
    page.mouse.down()
    page.mouse.move(*cell(page, 7, 9), steps=8)
    page.mouse.up()
    api.expect(page.locator("#checked")).to_contain_text("goal in reach")
    page.fill("#file", "walls")
    page.click("#save button")
    api.expect(page.locator("#saved")).to_contain_text("misgen levels check")
    (file,) = served.runs.glob("play/*/levels/walls.txt")
    level = level_from_text(file.read_text(), make_world("cheese_on_a_dish"))
    assert [int(level.tiles[9, x]) for x in (5, 6, 7)] == [int(level.tiles[0, 0])] * 3
    page.click("#undo")
    page.click("#as-text summary")
    api.expect(page.locator("#text")).to_have_value(re.compile("^misgen level 1\n"))
    page.fill("#text", file.read_text().replace("A", "?"))
    page.click("#read")
    api.expect(page.locator("#error")).to_contain_text("'?' at column")
    page.fill("#text", file.read_text())
    page.click("#read")
    api.expect(page.locator("#error")).to_be_hidden()
    assert page.locator("#id").input_value() == ""


def test_a_person_is_tested_and_names_are_text(served):
    page = served.open()
    page.click("#tab-test")
    page.fill("#called", HTML)
    page.fill("#levels", "1")
    page.click("#begin button")
    for number in (1, 2):
        api.expect(page.locator("#progress")).to_contain_text(f"Level {number} of 2")
        assert page.locator("#level").is_hidden()
        page.evaluate(
            """async () => {
                const { call } = await import('./api.js');
                for (let k = 0; k < 600; k += 1) {
                    const told = await call('act', { action: k % 5 });
                    if (!told.state.running) break;
                }
            }"""
        )
        page.click("#test-next")
    result = page.locator("#result")
    api.expect(result).to_contain_text("n too small: 1 pair of levels is too few", timeout=60_000)
    page.click("#tab-episodes")
    api.expect(page.locator("#rows")).to_contain_text(HTML)
    assert page.locator("#rows img, #rows b, #result img, #result b").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(served, scheme):
    page = served.open(390, 844, device_scale_factor=2, color_scheme=scheme)
    for tab in ("play", "edit", "test", "episodes"):
        page.click(f"#tab-{tab}")
        assert page.evaluate("document.documentElement.scrollWidth") == 390, tab
    assert page.locator("#board").bounding_box()["width"] > 340


def test_another_page_in_the_browser_cannot_drive_it(served, tmp_path):
    """One that even knows the address: of another origin, it reads and does nothing."""
    page = served.browser.new_context().new_page()
    page.route("http://elsewhere.example/*", lambda route: route.fulfill(body="<p>hello</p>"))
    page.goto("http://elsewhere.example/")
    told = page.evaluate(
        """async (address) => {
            const tries = [
                { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' },
                { method: 'POST', mode: 'no-cors', body: '{}' },
            ];
            const found = [];
            for (const options of tries) {
                try {
                    const answer = await fetch(address + 'do/let', options);
                    found.push(answer.type + answer.status);
                } catch (error) { found.push('refused'); }
            }
            return found;
        }""",
        served.address,
    )
    assert told in (["refused", "opaque0"], ["refused", "refused"])
    own = served.open()
    status(own, "Decision 0")
