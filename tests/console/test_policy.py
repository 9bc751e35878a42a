"""What its policy keeps a page from, should a text ever become more than text. Chromium is the judge."""

from playwright.sync_api import Page, expect

from tests.console.browsing import Server, Watch
from tests.console.conftest import OpenPage

ELSEWHERE = "http://elsewhere.test"

TRIES = {
    "a script in the page": (
        "() => { const it = document.createElement('script'); it.append('window.ran = true');"
        " document.body.append(it); }"
    ),
    "a script from elsewhere": (
        f"() => {{ const it = document.createElement('script'); it.src = '{ELSEWHERE}/x.js';"
        " document.body.append(it); }"
    ),
    "a handler in an attribute": (
        "() => { const it = document.createElement('p'); it.setAttribute('onclick', 'window.ran = true');"
        " document.body.append(it); it.click(); }"
    ),
    "HTML that nobody cleaned": (
        "() => { document.body.innerHTML += '<img src=x onerror=\"window.ran = true\">'; }"
    ),
    "a policy of one's own": "() => { trustedTypes.createPolicy('mine', { createHTML: (text) => text }); }",
    "text as code": "() => { setTimeout('window.ran = true'); }",
    "a style in an attribute": (
        "() => { const it = document.createElement('p'); it.setAttribute('style', 'color: red');"
        " document.body.append(it); }"
    ),
    "a picture from elsewhere": f"() => {{ new Image().src = '{ELSEWHERE}/x.png'; }}",
    "a request elsewhere": f"() => {{ fetch('{ELSEWHERE}/x', {{ mode: 'no-cors' }}).catch(() => 0); }}",
    "a frame": (
        "() => { const it = document.createElement('iframe'); it.src = '/docs'; document.body.append(it); }"
    ),
    "a form": (
        "() => { const it = document.createElement('form'); it.action = '/docs';"
        " document.body.append(it); it.submit(); }"
    ),
    "another base": (
        f"() => {{ const it = document.createElement('base'); it.href = '{ELSEWHERE}/';"
        " document.head.append(it); }"
    ),
}


def test_a_page_can_do_none_of_what_its_policy_forbids(
    open_page: OpenPage, watch: Watch, server: Server
) -> None:
    page = open_page("/", key=None)
    watch.allow(".")
    reached: list[str] = []
    page.route(f"{ELSEWHERE}/**", lambda route: reached.append(route.request.url))
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()

    stopped = {name: breach(page, deed) for name, deed in TRIES.items()}

    assert {name: bool(directive) for name, directive in stopped.items()} == dict.fromkeys(TRIES, True), (
        stopped
    )
    assert page.evaluate("() => window.ran") is None
    assert reached == []
    assert page.url == f"{server.url}/"


def breach(page: Page, deed: str) -> str:
    """The directive that a deed broke; waits until the browser tells of it."""
    tried = f"(() => {{ try {{ ({deed})(); }} catch (refusal) {{ void refusal; }} }})()"
    told: str = page.evaluate(
        f"""() => new Promise((resolve) => {{
          const heard = (event) => {{
            document.removeEventListener('securitypolicyviolation', heard);
            resolve(event.effectiveDirective);
          }};
          document.addEventListener('securitypolicyviolation', heard);
          setTimeout(() => resolve(''), 5000);
          {tried};
        }})"""
    )
    return told
