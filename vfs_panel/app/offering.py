"""What an offer says: what an entry shows and needs, and how far its building is. Pure functions."""

from typing import Any

from vfs_panel.app.builds import Build
from vfs_panel.app.sources import ABOUT, Source
from vfs_panel.app.state import Offer
from vfs_panel.catalog import CatalogEntry, Needs, NetworkEntry
from vfs_panel.plots.text import count_text
from vfs_panel.words import size_words

STAGES = {"fetch": "Downloading", "pictures": "Preparing the pictures", "features": "Extracting features"}
BUILD = "Its features are not on this server yet. Searches go on while they are extracted."
_SHORT = 10  # of what is counted, a second: below, tenths are said


def mark(needs: Needs, build: Build | None) -> str:
    """Say in a few words, for a menu, what an entry needs; "" if nothing."""
    if build is not None and build.is_active:
        return "being built" if build.phase != "waiting" else "waits to be built"
    match needs.step:
        case "build":
            return "not built"
        case "fetch" if needs.download_bytes:
            return f"needs {size_words(needs.download_bytes)} download"
        case "fetch":
            return "needs unpacking" if needs.download_bytes == 0 else "needs a download"
        case "by hand":
            return "needs files by hand"
    return ""


def offer_view(
    source: Source, offer: Offer, needs: Needs, *, pictures: int, allowed: bool, back: str
) -> dict[str, Any]:
    """Return what the panel of an offer says, but for its progress.

    Parameters
    ----------
    source : what is offered.
    needs : of its entry.
    pictures : how many it has; 0 while that is not known.
    allowed : whether pages may build on this server.
    back : title of what is open beside it; "" for nothing.
    """
    entry = source.entry
    assert entry is not None
    networks = [each for each in entry.networks if offer.network in ("", each.name)]
    if not offer.again and not offer.network and source.ready and source.unbuilt:
        networks = [each for each in networks if each.name in source.unbuilt]
    facts = [
        ("Pictures", f"{pictures:,}" if pictures else ""),
        ("Download", size_words(needs.download_bytes) if needs.download_bytes else ""),
        ("Network" if len(networks) == 1 else "Networks", "; ".join(_seen_by(each) for each in networks)),
    ]
    credits_ = [(name.capitalize(), source.about.get(name, "")) for name in ABOUT if name != "description"]
    by_hand = needs.step == "by hand"
    button = "Build again" if offer.again else "Build"
    if needs.step == "fetch":
        button = "Unpack and build" if needs.download_bytes == 0 else "Download and build"
    return {
        "name": source.name,
        "title": source.title + (f" by {offer.network}" if offer.network else ""),
        "state": "cannot be searched by today’s network" if offer.again else mark(needs, None) or "not built",
        "description": " ".join(source.about.get("description", "").split()),
        "reason": offer.reason,
        "facts": [[name, words] for name, words in facts if words],
        "credits": [[name, " ".join(words.split())] for name, words in credits_ if words],
        "needs": "" if offer.again else BUILD if needs.step == "build" else _text(needs),
        "place": str(needs.place) if by_hand and needs.place is not None else "",
        "command": _command(entry, needs, offer),
        "button": "" if by_hand or not allowed else button,
        "again": "Look again" if by_hand or not allowed else "",
        "off": not allowed and not by_hand,
        "back": back,
    }


def _seen_by(network: NetworkEntry) -> str:
    return f"{network.name} ({'layer' if len(network.layers) == 1 else 'layers'} {', '.join(network.layers)})"


def _text(needs: Needs) -> str:
    """Return what is needed without the command, which the panel shows by itself."""
    return needs.text.removesuffix(f" Then run: {needs.command}")


def _command(entry: CatalogEntry, needs: Needs, offer: Offer) -> str:
    """Return what does it in a terminal: for all networks at once, where none was chosen."""
    build = entry.command("build", offer.network or None) + (" --again" if offer.again else "")
    if needs.step == "build" or offer.again:
        return build
    fetched_whole = entry.network(offer.network or None).features is not None
    return needs.command if fetched_whole or needs.command == build else f"{needs.command} && {build}"


def progress_view(build: Build | None, owner: str, ahead: int) -> dict[str, Any] | None:
    """Return what a page says of a build; None where there is none.

    Parameters
    ----------
    owner : of the page.
    ahead : how many builds come first, where it waits.
    """
    if build is None:
        return None
    return {
        "phase": build.phase,
        "mine": build.owner == owner,
        "title": build.title,
        "stage": _stage(build, ahead),
        "share": build.done / build.total if build.total else 0.0,
        "known": bool(build.total),
        "amount": _amount(build),
        "left": _left(build),
        "error": build.error,
    }


def _stage(build: Build, ahead: int) -> str:
    if build.phase == "waiting":
        return f"Waits for {'another build' if ahead == 1 else f'{ahead} other builds'}"
    if build.phase == "stopping":
        return "Stopping"
    words = STAGES.get(build.stage, "Starting")
    if build.stage != "features":
        return words
    several = len(build.networks) > 1 and build.network in build.networks
    place = f" ({build.networks.index(build.network) + 1} of {len(build.networks)})" if several else ""
    return f"{words} with {build.network}{place}"


def _amount(build: Build) -> str:
    """Say how much is done, and how fast: "412 of 1,500 pictures, 48 a second"."""
    if not build.total:
        return ""
    if build.stage == "fetch":
        rate = f", {size_words(build.rate)} a second" if build.rate else ""
        return f"{size_words(build.done)} of {size_words(build.total)}{rate}"
    rate = f", {build.rate:.{0 if build.rate >= _SHORT else 1}f} a second" if build.rate else ""
    return f"{build.done:,} of {count_text(build.total, 'picture')}{rate}"


def _left(build: Build) -> str:
    left_s = build.left_s
    if build.phase != "running" or left_s is None:
        return ""
    if left_s < 90:
        return f"{max(1, round(left_s))} s left"
    return f"{round(left_s / 60)} min left" if left_s < 5400 else f"{left_s / 3600:.1f} h left"
