"""What a browser calls itself."""

import pytest

from dynolab.hub.pages.user_agents import browser_name

MOZILLA = "Mozilla/5.0 "
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko) "


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (f"{MOZILLA}(X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        (
            f"{MOZILLA}(Windows NT 10.0; Win64; x64) {WEBKIT}Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
            "Edge, Windows",
        ),
        (f"{MOZILLA}(Linux; Android 10; K) {WEBKIT}Chrome/141.0.0.0 Mobile Safari/537.36", "Chrome, Android"),
        (f"{MOZILLA}(X11; CrOS x86_64 14541.0.0) {WEBKIT}Chrome/141.0.0.0 Safari/537.36", "Chrome, ChromeOS"),
        (f"{MOZILLA}(X11; Linux x86_64) {WEBKIT}HeadlessChrome/141.0.0.0 Safari/537.36", "Chrome, Linux"),
        (f"{MOZILLA}(Macintosh; Intel Mac OS X 10_15_7) {WEBKIT}Version/18.6 Safari/605.1.15", "Safari, macOS"),
        (f"{MOZILLA}(iPhone; CPU iPhone OS 18_6 like Mac OS X) {WEBKIT}FxiOS/143.0 Mobile/15E148", "Firefox, iOS"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
        ("\x1b[31m<script>" + "x" * 1000, "[31m<script>" + "x" * 48),
    ],
)
def test_a_browser_is_named_with_its_system(said: str, name: str) -> None:
    assert browser_name(said) == name
