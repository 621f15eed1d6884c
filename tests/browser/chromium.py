"""Find a Chromium for the browser tests, or install one: `python tests/browser/chromium.py`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
DEBIAN_PACKAGES = ("chromium", "fonts-liberation")


def find() -> str | None:
    """Return the path of a Chromium: VFS_CHROMIUM, the system's, or Playwright's own; None if there is none."""
    chosen = os.environ.get("VFS_CHROMIUM")
    if chosen:
        return chosen
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install() -> None:
    """Install Debian's package where we are root on Debian, Playwright's own Chromium elsewhere."""
    release = Path("/etc/os-release")
    on_debian = release.exists() and "ID=debian" in release.read_text().splitlines()
    if on_debian and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-q"], check=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-y", "-q", *DEBIAN_PACKAGES], check=True, env=environment)
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def main() -> int:
    """Find or install; a failure counts only where CI=true, elsewhere the browser tests are skipped."""
    if find() is None:
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"No Chromium could be installed: {error}", file=sys.stderr)
    found = find()
    print(f"Browser tests use {found}." if found else "Browser tests are skipped: there is no Chromium.")
    return 1 if found is None and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
