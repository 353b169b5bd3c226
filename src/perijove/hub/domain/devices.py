"""
Browsers and programs in words, from what they call themselves. For people who look through their sessions: it is
what the other side claims, and nothing is decided by it. Pure.
"""

from __future__ import annotations

from typing import Final

#: the first whose mark is in the text; browsers name those before them, too, so the order matters
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome without a window"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("python", "a Python program"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
UNKNOWN: Final = "An unknown browser"


def device_of(user_agent: str) -> str:
    """“Firefox on Linux”; what cannot be told is left out."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if not browser:
        return f"{UNKNOWN} on {system}" if system else UNKNOWN
    words = f"{browser} on {system}" if system else browser
    return words[0].upper() + words[1:]
