"""The page can be used by those who do not see it or hold no mouse: axe-core finds nothing serious in any state."""

from typing import Any

import pytest

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


def findings(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    return [f"{v['impact']} {v['id']}: {v['nodes'][0]['html'][:160]}" for v in Axe().run(page).response["violations"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_state_of_the_page_has_a_finding(browser: Any, served: Any, theme: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    explorer = ExplorerPage(page, served.url).open(f"?theme={theme}")
    found = {"empty": findings(page)}
    explorer.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    explorer.wait_status("^Exact")
    page.wait_for_timeout(300)
    found["explore"] = findings(page)
    for tab in page.get_by_role("tab").all():
        tab.click()
        page.wait_for_timeout(700)
        found[tab.inner_text()] = findings(page)
    page.get_by_role("tab").first.click()
    page.get_by_role("button", name="Sort, and filter").click()
    found["filters"] = findings(page)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_timeout(1000)
    found["large view"] = findings(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    found["keys"] = findings(page)
    page.close()
    assert not {state: said for state, said in found.items() if said}
    assert not explorer.troubles


def test_the_check_can_fail(browser: Any) -> None:
    page = browser.new_page()
    page.set_content("<html lang='en'><main><h1>x</h1><button></button></main></html>")
    assert any("button-name" in finding for finding in findings(page))
    page.close()
