"""A browser's short name, from its User-Agent header."""

from __future__ import annotations

import re

BROWSERS = (
    ("Edg(?:e|A|iOS)?", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox|FxiOS", "Firefox"),
    ("(?:Headless)?Chrom(?:e|ium)|CriOS", "Chrome"),
    ("Safari", "Safari"),
)
"""By the words that only they say, in this order: most say those of others as well."""
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone|iPad|iPod", "iOS"),
    ("Windows", "Windows"),
    ("Mac OS X|Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux|X11", "Linux"),
)
NAME_MOST = 60


def browser_name(user_agent: str) -> str:
    """Browser and system, such as ``Firefox, Linux``; of what is no browser the first word; empty where nothing was said."""
    known = next((name for words, name in BROWSERS if re.search(rf"\b(?:{words})/\d", user_agent)), "")
    system = next((name for words, name in SYSTEMS if re.search(rf"\b(?:{words})\b", user_agent)), "")
    first = "".join(one for one in user_agent.split(" ")[0] if one.isprintable())[:NAME_MOST]
    return ", ".join(filter(None, (known or first, system)))
