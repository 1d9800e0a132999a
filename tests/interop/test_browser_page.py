"""The pages in a real browser: searched, sorted, on a phone; they ask for nothing, and nothing hostile in them runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fixtures.browser import Browser
    from tests.interop.served_page import Site

PAGES = ["/index.html", "/linux-64/index.html"]
NAMES = "[...document.querySelectorAll('tbody tr')].filter(r => r.offsetHeight).map(r => r.dataset.spec.slice(0, 4))"


def type_in(browser: Browser, text: str) -> None:
    browser.run("document.querySelector('input').focus()")
    browser.ask("Input.insertText", text=text)


def click(browser: Browser, what: str) -> None:
    browser.run(f"[...document.querySelectorAll('th button')].find(b => b.textContent === {what!r}).click()")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_only_itself_and_logs_no_error(chromium: Browser, site: Site, page: str) -> None:
    site.requests.clear()
    chromium.open(site.url + page)
    type_in(chromium, "b")
    assert chromium.run("document.querySelectorAll('tbody tr').length") >= 5
    assert [path for path in site.requests if path != "/favicon.ico"] == [page]
    assert [item["request"]["url"] for item in chromium.of("Network.requestWillBeSent")] == [site.url + page]
    assert chromium.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    assert chromium.of("Page.javascriptDialogOpening") == []


@pytest.mark.parametrize("page", PAGES)
def test_nothing_that_a_package_says_becomes_an_element(chromium: Browser, site: Site, page: str) -> None:
    chromium.open(site.url + page)
    assert chromium.run("document.querySelectorAll('img, iframe, object').length") == 0
    assert chromium.run("document.scripts.length") == 1
    links = chromium.run("[...document.links].map(a => new URL(a.href).protocol)")
    assert set(links) <= {"http:", "https:"}


def test_the_policy_stops_a_script_that_is_not_ours(chromium: Browser, site: Site) -> None:
    chromium.open(site.url + PAGES[0])
    chromium.run("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    assert chromium.run("window.ran") is None


def test_search_narrows_the_rows_as_one_types(chromium: Browser, site: Site) -> None:
    chromium.open(site.url + PAGES[0])
    assert len(chromium.run(NAMES)) == 5
    type_in(chromium, "DUSK mit")
    assert chromium.run(NAMES) == ["bitt"]
    assert chromium.run("document.querySelector('output').textContent") == "1 of 5"
    type_in(chromium, " nowhere")
    assert chromium.run(NAMES) == []


@pytest.mark.parametrize(
    ("column", "first", "last"), [("Package", "avoc", "evil"), ("Size", "evil", "bitt"), ("Updated", "bitt", "evil")]
)
def test_a_click_on_a_column_sorts_by_it_and_another_one_turns_it_around(
    chromium: Browser, site: Site, column: str, first: str, last: str
) -> None:
    chromium.open(site.url + PAGES[0])
    click(chromium, column)
    result = chromium.run(NAMES)
    assert (result[0], result[-1]) == (first, last)
    click(chromium, column)
    assert chromium.run(NAMES)[0] == last
    assert chromium.run("document.querySelectorAll('th[aria-sort]').length") == 1


def test_versions_are_sorted_as_conda_sorts_them(chromium: Browser, site: Site) -> None:
    chromium.open(f"{site.url}/linux-64/index.html")
    click(chromium, "Version")
    specs = chromium.run("[...document.querySelectorAll('tbody tr')].map(r => r.dataset.spec)")
    order = [spec.split("=")[1] for spec in specs if spec.startswith(("avocet", "bittern"))]
    assert order == ["10.0", "3.1.4", "3.1.3", "0.9"]


def test_the_commands_name_the_channel_and_the_package_that_was_picked(chromium: Browser, site: Site) -> None:
    chromium.open(site.url + PAGES[0])
    chromium.run("document.querySelector('a[href=\"#p-avocet\"]').click(); new Promise(done => setTimeout(done, 0))")
    chromium.run("new Promise(done => requestAnimationFrame(done))")
    lines = chromium.run("[...document.querySelectorAll('pre')].map(pre => pre.textContent)")
    assert lines == [
        f"pixi workspace channel add {site.url}\npixi add avocet",
        f"conda install -c {site.url} avocet",
        f"mamba install -c {site.url} avocet",
    ]
    assert chromium.run("document.querySelector('details').open")


@pytest.mark.parametrize("page", ["/index.html#p-evil", "/index.html#p-nothing", "/index.html#%"])
def test_nobody_can_smuggle_anything_into_the_commands(chromium: Browser, site: Site, page: str) -> None:
    chromium.open("about:blank")
    chromium.open(site.url + page)
    name = chromium.run("document.querySelector('.name').textContent")
    assert name in {"NAME", "evil"}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("script", [True, False])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(
    chromium: Browser,
    site: Site,
    page: str,
    script: bool,  # noqa: FBT001  a parameter
) -> None:
    chromium.open(site.url + page, width=360, height=780, script=script)
    assert chromium.run("[document.documentElement.scrollWidth, innerWidth]") == [360, 360]


def test_without_scripts_the_page_is_readable_and_hides_dead_controls(chromium: Browser, site: Site) -> None:
    chromium.open(site.url + PAGES[0], script=False)
    assert len(chromium.run(NAMES)) == 5
    assert chromium.run("document.querySelectorAll('button').length") == 0
    assert chromium.run("document.querySelector('.find').offsetHeight") == 0


@pytest.mark.parametrize("dark", [True, False])
def test_text_stands_out_from_its_background(chromium: Browser, site: Site, dark: bool) -> None:  # noqa: FBT001  a parameter
    chromium.open(site.url + PAGES[0], dark=dark)
    for selector in ("body", "td p", "td a", "small", "pre", "th"):
        front, back = chromium.run(
            f"""(() => {{
              const parse = color => color.match(/[\\d.]+/g).map(Number);
              let at = document.querySelector({selector!r});
              const front = parse(getComputedStyle(at).color);
              while (/, 0\\)$/.test(getComputedStyle(at).backgroundColor)) at = at.parentElement;
              return [front, parse(getComputedStyle(at).backgroundColor)];
            }})()"""
        )
        assert contrast(front, back) >= 4.5, selector  # WCAG 2, AA


def contrast(one: list[float], other: list[float]) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def luminance(color: list[float]) -> float:
    parts = [part / 255 for part in color[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_keyboard_reaches_search_and_columns(chromium: Browser, site: Site) -> None:
    chromium.open(site.url + PAGES[0])
    press(chromium, "/")
    assert chromium.run("document.activeElement.tagName") == "INPUT"
    for _ in range(2):
        press(chromium, "Tab")
    assert chromium.run("document.activeElement.textContent") == "Version"
    assert chromium.run("document.querySelector('input').labels[0].textContent") == "Search"


def press(browser: Browser, key: str) -> None:
    code = {"/": 191, "Tab": 9}[key]
    text = {"text": key} if len(key) == 1 else {}
    for kind in ("keyDown", "keyUp"):
        browser.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)
