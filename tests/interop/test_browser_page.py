"""The pages in a real browser: searched, filtered, sorted, on a phone; nothing is loaded, nothing hostile runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fixtures.browser import Browser
    from tests.interop.served_page import Site

TABLES = ["/index.html", "/linux-64/index.html"]
PAGES = [*TABLES, "/packages/avocet.html", "/packages/evil.html"]
ROWS = "[...document.querySelectorAll('tbody tr')]"
NAMES = f"{ROWS}.filter(row => row.offsetHeight).map(row => row.cells[0].textContent.slice(0, 4))"


def type_in(browser: Browser, text: str) -> None:
    browser.run("document.querySelector('input').focus()")
    browser.ask("Input.insertText", text=text)


def click(browser: Browser, what: str) -> None:
    browser.run(f"[...document.querySelectorAll('th button')].find(b => b.textContent === {what!r}).click()")


def choose(browser: Browser, column: str, value: str) -> None:
    browser.run(
        f"""(() => {{
          const label = [...document.querySelectorAll('label')].find(l => l.firstChild.textContent === {column!r});
          const select = label.querySelector('select');
          select.value = {value!r};
          select.dispatchEvent(new Event('change'));
        }})()"""
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_only_itself_and_logs_no_error(chromium: Browser, site: Site, page: str) -> None:
    site.requests.clear()
    chromium.open(site.url + page)
    if page in TABLES:
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


def test_filters_narrow_the_rows_and_are_kept_in_the_address(chromium: Browser, site: Site) -> None:
    chromium.open(site.url + PAGES[0])
    choose(chromium, "Platforms", "noarch")
    assert "bitt" not in chromium.run(NAMES)
    choose(chromium, "License", "Apache-2.0")
    assert chromium.run(NAMES) == ["curl"]
    address = chromium.run("location.href")
    assert address.endswith("#platforms=noarch&license=Apache-2.0")
    chromium.open("about:blank")
    chromium.open(address)
    assert chromium.run(NAMES) == ["curl"]
    assert chromium.run("document.querySelector('output').textContent") == "1 of 5"
    choose(chromium, "License", "")
    choose(chromium, "Platforms", "")
    assert len(chromium.run(NAMES)) == 5
    assert chromium.run("location.href") == site.url + PAGES[0]


@pytest.mark.parametrize("hash", ["#%", "#platforms=nowhere", "#search=<img src=x onerror=alert(1)>", "#p-avocet"])
def test_an_odd_address_shows_the_table_and_runs_nothing(chromium: Browser, site: Site, hash: str) -> None:
    chromium.open("about:blank")
    chromium.open(site.url + PAGES[0] + hash)
    assert chromium.run("document.querySelectorAll('tbody tr').length") == 5
    assert chromium.run("document.querySelectorAll('img').length") == 0
    assert chromium.of("Runtime.exceptionThrown", "Log.entryAdded") == []


@pytest.mark.parametrize(("column", "first", "last"), [("Package", "avoc", "evil"), ("Updated", "bitt", "evil")])
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


@pytest.mark.parametrize(
    ("column", "cell", "shown"),
    [
        ("Version", 2, ["10.0", "3.1.4", "3.1.4", "3.1.3", "0.9"]),
        ("Size", 4, ["81.0 kB", "33.8 kB", "27.0 kB", "9.0 kB", "3.0 kB"]),
    ],
)
def test_versions_and_sizes_are_sorted_by_their_order(
    chromium: Browser, site: Site, column: str, cell: int, shown: list[str]
) -> None:
    chromium.open(f"{site.url}/linux-64/index.html")
    click(chromium, column)
    rows = chromium.run(f"{ROWS}.map(row => [row.cells[1], row.cells[{cell}]].map(c => c.textContent))")
    assert [text for name, text in rows if name in {"avocet", "bittern"}] == shown


def test_a_package_is_found_and_its_commands_name_the_channel(chromium: Browser, site: Site) -> None:
    chromium.open(site.url + PAGES[0])
    address = chromium.run("[...document.links].find(a => a.textContent === 'avocet').href")
    assert address == f"{site.url}/packages/avocet.html"
    chromium.open(address)
    lines = chromium.run("[...document.querySelectorAll('pre')].map(pre => pre.textContent)")
    assert lines[:3] == [
        f"pixi workspace channel add {site.url}\npixi add avocet==10.0",
        f"conda install -c {site.url} avocet==10.0",
        "pixi add avocet==3.1.4",
    ]
    assert chromium.run("document.querySelectorAll('.command button').length") == len(lines)


def test_a_command_is_copied_by_a_click(chromium: Browser, site: Site) -> None:
    chromium.open(f"{site.url}/packages/avocet.html")
    chromium.run("document.querySelector('.command button').click(); new Promise(done => setTimeout(done, 50))")
    done = chromium.run("document.querySelector('.command button').textContent")
    assert done in {"Copied", "Selected"}  # a browser without a person may refuse the clipboard
    if done == "Selected":
        assert chromium.run("getSelection().toString()").startswith("pixi workspace channel add")


def test_a_hostile_version_is_in_no_command(chromium: Browser, site: Site) -> None:
    chromium.open(f"{site.url}/packages/evil.html")
    lines = chromium.run("[...document.querySelectorAll('pre')].map(pre => pre.textContent)")
    assert lines == [f"pixi workspace channel add {site.url}\npixi add evil", f"conda install -c {site.url} evil"]


def test_each_link_between_pages_leads_to_a_page(chromium: Browser, site: Site) -> None:
    beside = f"[...document.links].map(a => a.href).filter(a => a.startsWith({site.url!r}) && a.endsWith('.html'))"
    for page in PAGES:
        chromium.open(site.url + page)
        for address in set(chromium.run(beside)):
            assert chromium.run(f"location.assign({address!r})") is None
            chromium.wait("Page.loadEventFired")
            assert chromium.run("document.querySelector('h1') && document.title.includes('reed-bed')"), address
            chromium.open(site.url + page)


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
    for selector in ("body", "td p", "td a", "small", "pre", "th", "label", "select"):
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
    for selected in ("Platforms", "License"):
        press(chromium, "Tab")
        assert chromium.run("document.activeElement.labels[0].firstChild.textContent") == selected
    press(chromium, "Tab")
    assert chromium.run("document.activeElement.textContent") == "Package"
    assert chromium.run("document.querySelector('input').labels[0].textContent") == "Search"


def press(browser: Browser, key: str) -> None:
    code = {"/": 191, "Tab": 9}[key]
    text = {"text": key} if len(key) == 1 else {}
    for kind in ("keyDown", "keyUp"):
        browser.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)
