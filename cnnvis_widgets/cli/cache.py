"""``cnnvis cache``: where finished pictures are kept."""

from __future__ import annotations

import argparse


def add(commands: argparse._SubParsersAction) -> None:
    one = commands.add_parser(
        "cache", help="say where finished pictures are kept, and how many bytes they take"
    )
    one.add_argument("--clear", action="store_true", help="remove them")
    one.set_defaults(command=_cache)


def _cache(given: argparse.Namespace) -> None:
    from cnnvis_widgets.jobs.cache import Cache

    kept = Cache()
    if kept.folder is None:
        print("Nothing is kept: CNNVIS_CACHE is off.")
    elif given.clear:
        print(f"{kept.folder}: {kept.clear() / 1e6:.1f} MB removed")
    else:
        print(f"{kept.folder}: {kept.size() / 1e6:.1f} MB of at most {kept.limit / 1e6:.0f} MB")
