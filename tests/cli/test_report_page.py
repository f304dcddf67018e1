"""The page of ``push report`` in a real browser: wide and narrow, by keyboard, and with a log that is hostile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from pushkit.model import Hold, LogEntry, Phase, Place, Release, Revision, Status
from pushkit.report.history import History
from pushkit.report.page import page

NOW = datetime(2026, 11, 29, 18, 0, tzinfo=UTC)
EVIL = (
    "</pre></style></title><script>document.title='taken'</script>"
    "<img src=x onerror=\"document.title='taken'\">\u202e\x1b[2J'\"&"
)
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
# Every text's contrast with what lies behind it, by WCAG 2, smallest first.
CONTRAST = """
const parts = (css) => { const c = css.match(/[0-9.]+/g).map(Number); return c.length > 3 ? c : [...c, 1]; };
const light = ([r, g, b]) => [r, g, b].map((x) => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
  .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (e) => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor);
  if (c[3] === 1) return c; } return parts(getComputedStyle(document.body).backgroundColor); };
const found = [];
for (const e of document.querySelectorAll("body *")) {
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility()) continue;
  const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))];
  found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.slice(0, 40)]);
}
return found.sort((x, y) => x[0] - y[0]);
"""


def history(pushes: int = 40, hosts: int = 0, evil: str = "") -> History:
    """A target's history, with a failure every ten pushes; all that came from the target says ``evil``."""
    names = [f"web{number}.example.com" for number in range(hosts)] or [""]
    log, releases = [], []
    for number in range(1, pushes + 1):
        time = NOW - timedelta(hours=9 * (pushes - number))
        release = f"{number:06d}-{time:%Y%m%dT%H%M%SZ}-4f2a91c"
        phases = [Phase("snapshot", 0.0, 0.1)]
        for at, host in enumerate(names):
            phases += [Phase("prepare", 0.3, 1 + number % 7 / 3, host), Phase(evil or "switch", 3 + at / 9, 0.2, host)]
        failed = number % 10 == 0
        log.append(
            LogEntry(
                number, time, evil or "ada@lovelace", "push", evil or release, "",
                f"failed: {evil or 'after_switch ended with exit code 3 (make up)'}" if failed else "good",
                tuple(phases), 8000, (f"after_switch: {evil or 'no such unit ' * 20}", "and") if failed else (),
            )
        )  # fmt: skip
        revision = Revision("", dirty=False, digest="d" * 64)
        releases.append(Release(evil or release, revision, time, evil or "ada@lovelace"))
    live = releases[-1].id
    status = Status(
        live, NOW, evil or "ada@lovelace", tuple(releases[-5:]),
        queue=(Place(99, "push", evil or "ci@runner", NOW, NOW, live, switching=False),),
        hold=Hold(evil or "ada@lovelace", evil or "now", evil or "a fair"),
        hosts={evil + name: live for name in names if name},
    )  # fmt: skip
    return History("blog", "production", "deploy@web1.example.com:/srv/blog", NOW, status, log)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A Chromium without a window."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium, "not installed: .ci/machine servers"
    assert driver, "not installed: .ci/machine servers"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield made
    finally:
        made.quit()


def show(browser: webdriver.Chrome, directory: Path, shown: History, width: int = 1200, scheme: str = "light") -> None:
    """Load the page of a history in a window that is so wide."""
    file = directory / "page.html"
    file.write_text(page(shown), encoding="utf-8")
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(f"file://{file}")


def test_it_loads_nothing_and_runs_nothing(browser: webdriver.Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, history())
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert not browser.find_elements(By.CSS_SELECTOR, "script, link, img, iframe, object, [onclick]")
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_a_hostile_log_is_text(browser: webdriver.Chrome, tmp_path: Path) -> None:
    plain = history(hosts=2)
    show(browser, tmp_path, plain)
    kinds = "return [...document.querySelectorAll('*')].map((e) => e.tagName).sort().join()"
    harmless = browser.execute_script(kinds)
    show(browser, tmp_path, history(hosts=2, evil=EVIL))
    assert browser.title == "production · blog: pushes"
    assert browser.execute_script(kinds) == harmless, "no element more or less than without"
    shown = browser.find_element(By.CSS_SELECTOR, "pre").text
    assert "<script>document.title='taken'</script>" in shown
    assert "\\u202e\\x1b[2J" in shown


@pytest.mark.parametrize("hosts", [0, 12])
def test_nothing_is_wider_than_the_screen_and_all_can_be_read(
    browser: webdriver.Chrome, tmp_path: Path, hosts: int
) -> None:
    for width in (1200, 700, 390, 320):
        for scheme in ("light", "dark") if width in {1200, 390} else ("light",):
            show(browser, tmp_path, history(hosts=hosts), width, scheme)
            assert browser.execute_script("return document.documentElement.scrollWidth") == width
            contrast, text = browser.execute_script(CONTRAST)[0]
            assert contrast >= 4.5, (scheme, text)
    behind = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    show(browser, tmp_path, history(hosts=hosts), 390, "dark")
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") != behind


def test_a_keyboard_goes_through_it(browser: webdriver.Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, history())

    def press(*keys: str) -> None:
        ActionChains(browser).send_keys(*keys).perform()

    press(Keys.TAB)
    here = browser.switch_to.active_element
    assert (here.text, here.is_displayed()) == ("To what is live", True)
    press(Keys.TAB)
    assert browser.switch_to.active_element.accessible_name == "Timeline of pushes"
    # The newest failed: it leads to what it printed, any other to its line in the table.
    press(Keys.TAB, Keys.ENTER)
    assert browser.execute_script("return location.hash") == "#failed-40"
    first, second, *_ = browser.find_elements(By.CSS_SELECTOR, "details.push")
    assert (first.get_attribute("open"), second.get_attribute("open")) == ("true", None)
    second.find_element(By.CSS_SELECTOR, "summary").send_keys(Keys.ENTER)
    assert second.get_attribute("open") == "true"
    # The time that a push took leads into what is closed yet.
    browser.find_element(By.CSS_SELECTOR, "a[href='#time-38']").send_keys(Keys.ENTER)
    assert browser.find_element(By.ID, "time-38").is_displayed()


def test_a_reader_of_screens_finds_its_way(browser: webdriver.Chrome, tmp_path: Path) -> None:
    show(browser, tmp_path, history(hosts=3))
    one = ("header", "main", "footer", "h1", "html[lang=en]")
    assert [len(browser.find_elements(By.CSS_SELECTOR, each)) for each in one] == [1] * len(one)
    names = [each.accessible_name for each in browser.find_elements(By.CSS_SELECTOR, "main > section")]
    assert names == ["What is live", "Timeline", "Where the time went", "What failed", "Every push"]
    tables = browser.find_elements(By.CSS_SELECTOR, "table")
    assert len(tables) == 14
    assert all(each.find_elements(By.CSS_SELECTOR, "caption") for each in tables)
    assert not browser.find_elements(By.CSS_SELECTOR, "th:not([scope])")
    caption = tables[1].find_element(By.CSS_SELECTOR, "caption").get_attribute("textContent")
    assert caption == "Where the 3.4 s of push 40 on 3 hosts went"
    row = tables[1].find_element(By.CSS_SELECTOR, "tbody tr:last-child")
    words = [each.get_attribute("textContent") for each in row.find_elements(By.CSS_SELECTOR, "th, .hidden")]
    assert words == ["web2", "prepare 2.7 s; switch 200 ms"]
    newest = browser.find_element(By.CSS_SELECTOR, ".bars a")
    assert newest.accessible_name == "push 40, failed, 3.4 s, 2026-11-29 18:00 UTC"
