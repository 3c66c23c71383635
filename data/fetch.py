"""Fetches the pinned packages by name, version and sha256 from wherever the user's pip is set up to look.

unearth finds and downloads; nothing of a package is installed or run (`pip download` would run the setup.py of a
source distribution). What the archives hold is read by archives.py.
"""

import ast
import contextlib
import logging
import os
import re
import shlex
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data.corpus import CorpusError

SECONDS_TO_CONNECT = 10
PIP_SETTING = re.compile(r"^(?P<section>[^.\s]*)\.(?P<key>[\w-]+)=(?P<value>.*)$")


@dataclass
class PipSettings:
    """The part of pip's configuration that says where packages come from."""

    index_url: str | None = None
    extra_index_urls: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    trusted_hosts: list[str] = field(default_factory=list)
    cert: str | None = None
    proxy: str | None = None
    no_index: bool = False


def read_pip_settings() -> PipSettings:
    """What `pip config list` says; without a pip beside this Python, what the PIP_ variables say."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        return parse_pip_settings(listed.stdout)
    variables = (f":env:.{key[4:].lower()}={value!r}" for key, value in os.environ.items() if key.startswith("PIP_"))
    return parse_pip_settings("\n".join(variables))


def parse_pip_settings(listing: str) -> PipSettings:
    """Parse the lines of `pip config list`: `global.index-url='...'`; the environment is stronger than any file."""
    strength = {"global": 0, "install": 1, "download": 2, ":env:": 3}
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        setting = PIP_SETTING.match(line.strip())
        if setting and setting["section"] in strength:
            key, rank = setting["key"].replace("_", "-"), strength[setting["section"]]
            if rank >= found.get(key, (-1, ""))[0]:
                found[key] = rank, _unquoted(setting["value"])
    values = {key: value for key, (_, value) in found.items()}
    return PipSettings(
        index_url=values.get("index-url") or None,
        extra_index_urls=values.get("extra-index-url", "").split(),
        find_links=values.get("find-links", "").split(),
        trusted_hosts=values.get("trusted-host", "").split(),
        cert=values.get("cert") or None,
        proxy=values.get("proxy") or None,
        no_index=values.get("no-index", "").lower() in ("1", "true", "yes", "on"),
    )


def _unquoted(value: str) -> str:
    try:
        return str(ast.literal_eval(value))
    except (SyntaxError, ValueError):
        return " ".join(shlex.split(value))


@contextlib.contextmanager
def package_client(settings: PipSettings) -> Iterator["PackageClient"]:
    """The connection that several fetches share."""
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers.sync import PyPIClient

    logging.getLogger("unearth").setLevel(logging.CRITICAL)  # an index that is not there is no news: others follow
    verify = ssl.create_default_context(cafile=settings.cert) if settings.cert else True
    session = PyPIClient(
        trusted_hosts=settings.trusted_hosts, verify=verify, timeout=SECONDS_TO_CONNECT, follow_redirects=True,
        **({"proxy": settings.proxy} if settings.proxy else {}),
    )  # fmt: skip
    with session:
        client = PackageClient(session, settings)
        session.auth = MultiDomainBasicAuth(prompting=False, index_urls=client.index_urls)
        yield client


class PackageClient:
    """Fetches archives; the order of places is pip's: the folders of find-links, then the indexes."""

    def __init__(self, session, settings: PipSettings) -> None:
        from unearth import PackageFinder

        default_index = [source["url"] for source in PackageFinder().sources]
        self.session = session
        self.index_urls = [] if settings.no_index else [
            *([settings.index_url] if settings.index_url else default_index), *settings.extra_index_urls,
        ]  # fmt: skip
        self.find_links = [place for place in settings.find_links if "://" in place or Path(place).exists()]
        self.trusted_hosts = settings.trusted_hosts
        self.unreachable: dict[str, str] = {}  # places that did not answer are not asked again

    def fetch(self, pinned: dict, folder: Path) -> Path:
        """Download the pinned wheel or source distribution and return its path.

        Raises:
            CorpusError: it was not found, not reachable, or is not the file that the list names.
        """
        import httpx2
        from unearth.errors import UnpackError

        trouble = "none of the places that pip is set up with has the file of this version and sha256"
        hashes = {"sha256": [pinned["sha256"]]}
        places = [{"find_links": [place]} for place in self.find_links]
        places += [{"index_urls": [place]} for place in self.index_urls]
        for place in places:
            if str(place) in self.unreachable:
                trouble = self.unreachable[str(place)]
                continue
            try:
                finder = self._finder(pinned, place)
                for package in finder.find_matches(f"{pinned['name']}=={pinned['version']}", hashes=hashes):
                    return finder.download(package.link, folder, hashes=hashes)
            except httpx2.TransportError as error:
                trouble = self.unreachable[str(place)] = f"no network? {type(error).__name__}: {error or 'no answer'}"
            except (httpx2.HTTPError, httpx2.InvalidURL, UnpackError, OSError, ValueError) as error:
                trouble = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CorpusError(trouble)

    def _finder(self, pinned: dict, place: dict):
        from unearth import PackageFinder

        formats = {"only_binary" if pinned["kind"] == "wheel" else "no_binary": [pinned["name"]]}
        return PackageFinder(
            self.session, **place, **formats, trusted_hosts=self.trusted_hosts, ignore_compatibility=True
        )
