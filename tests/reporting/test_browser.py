"""The report in a browser: the player plays, scrubs and filters, and nothing is clipped.

Takes Chromium and Playwright (the extra `browser`); without them it is skipped.
"""

import shutil

import pytest

from misgen.experiments.reporting.report import write_report
from tests.exporting.conftest import make_run

pytestmark = [pytest.mark.slow, pytest.mark.browser]
HOSTILE = "<img src=x onerror=alert(1)> & 'more'"
CHEESE = {"name": "cheese_on_a_dish", "max_steps": 40}


@pytest.fixture(scope="module")
def browser():
    sync = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install 'misgen[browser]'"
    )
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync.sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except sync.Error:
            pytest.skip("there is no Chromium: apt-get install chromium, or playwright install")
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of two agents, in a folder with a hostile name."""
    folder = tmp_path_factory.mktemp("runs") / HOSTILE
    for correlation in (1.0, 0.5):
        make_run(folder, CHEESE, correlation=correlation)
    return write_report(folder, replays=24)


@pytest.fixture
def open_page(browser, report):
    """Return a function that opens the report; a message in the console fails the test."""
    messages, contexts = [], []

    def opened(width=1280, height=800, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: messages.append(request.url)
                if not request.url.startswith(("file:", "data:", "blob:")) else None)  # fmt: skip
        page.goto(report.as_uri())
        page.wait_for_selector(".player.ready")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert messages == []


def wait_until_after(page, frame):
    """Wait while it plays.  (The page's policy forbids what Playwright's own waiting evaluates.)"""
    for _ in range(200):
        if page.evaluate("document.querySelector('.player').player.frame") > frame:
            return
        page.wait_for_timeout(100)
    raise AssertionError("it does not play")


def decision(page):
    return int(page.locator('[data-part="time"]').inner_text().split("/")[0])


def painted(page, part):
    """Return what a canvas of the conflict level shows."""
    return page.locator(part).nth(1).evaluate("canvas => canvas.toDataURL()")


def test_it_plays_and_pauses(open_page):
    page = open_page()
    before = painted(page, ".strip")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until_after(page, 1.5)
    page.get_by_role("button", name="Pause").click()
    at = decision(page)
    assert at >= 1
    assert painted(page, ".strip") != before
    page.wait_for_timeout(300)
    assert decision(page) == at


def test_it_scrubs_and_steps_by_mouse_and_keys(open_page):
    page = open_page()
    page.locator('[data-part="scrub"]').fill("5")
    assert decision(page) == 5
    page.get_by_role("button", name="One decision on").click()
    page.get_by_role("button", name="One decision back").click()
    page.get_by_role("button", name="One decision back").click()
    assert decision(page) == 4
    page.locator(".player").focus()
    for key, expected in (
        ("ArrowRight", 5),
        ("Shift+ArrowRight", 15),
        ("ArrowLeft", 14),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert decision(page) == expected
    page.keyboard.press("Space")
    wait_until_after(page, 0.5)
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelector('.player').player.playing") is False


def test_both_twins_run_in_step(open_page):
    page = open_page()
    for moment in (0, 3):
        page.evaluate("moment => document.querySelector('.player').player.seek(moment)", moment)
        labels = page.locator(".level").evaluate_all("all => all.map((one) => one.ariaLabel)")
        assert "aligned: " in labels[0]
        assert "in conflict: " in labels[1]
    pictures = set()
    for moment in range(0, 30, 3):
        page.evaluate("moment => document.querySelector('.player').player.seek(moment)", moment)
        pictures.add(painted(page, ".level"))
    assert len(pictures) > 1


def test_it_filters(open_page):
    page = open_page()
    count = page.locator('[data-part="count"]')
    whole = int(count.inner_text().split()[-1])
    for name in ("rho", "placement", "did", "level", "seed"):
        options = page.locator(f'[data-filter="{name}"] option:not([disabled])')
        value = options.nth(1).get_attribute("value")
        page.locator(f'[data-filter="{name}"]').select_option(value)
        shown = int(count.inner_text().split()[-1])
        assert 1 <= shown <= whole
        own = page.evaluate(
            "name => { const p = document.querySelector('.player').player;"
            " return p.shown.map((k) => p.value(p.pack.replays[k], name)); }", name
        )  # fmt: skip
        assert set(own) == {value}
        page.get_by_role("button", name="reset").click()
        assert int(count.inner_text().split()[-1]) == whole
    before = int(count.inner_text().split()[0])
    page.get_by_role("button", name="Next replay").click()
    assert int(count.inner_text().split()[0]) == before % whole + 1


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_clipped(open_page, width, scheme):
    page = open_page(width, 900, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    clipped = page.evaluate("""() => [...document.querySelectorAll('td, th, p, h1, dd, figcaption')]
      .filter((one) => one.offsetParent && one.getBoundingClientRect().right > innerWidth + 1)
      .map((one) => one.textContent)""")
    assert clipped == []


def test_the_first_screen_has_sentence_player_and_figure(open_page):
    page = open_page(1280, 800)
    for part in ("h1", ".player .level", '[data-part="play"]', ".first .dots"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + min(box["height"], 40) < 800, part


def test_names_with_tags_are_text(open_page):
    page = open_page()
    assert HOSTILE in page.locator(".over").inner_text()
    assert page.locator("img").count() == 0


def test_terms_are_explained_by_keyboard(open_page):
    page = open_page()
    page.locator("abbr").first.focus()
    assert page.locator("#tip").is_visible()
    assert len(page.locator("#tip").inner_text()) > 30
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()


def test_everything_is_open_in_print(open_page):
    page = open_page()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].every((part) => part.open)")


def test_who_wants_no_motion_sees_whole_decisions(open_page):
    page = open_page(reduced_motion="reduce")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until_after(page, 1)
    assert page.evaluate("document.querySelector('.player').player.still.matches")
