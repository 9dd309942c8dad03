"""From what a job calls its dataset to the one bundle it means."""

from __future__ import annotations

import re

from segsweep.errors import DatasetError, Problem
from segsweep.storage import layout
from segsweep.storage.opening import open_store


def resolve_bundle(uri: str) -> str:
    """The URI of the bundle that `uri` means.

    Args:
        uri: A bundle, `build/bundles/feralcat-0123456789ab`, or one without its digest, `build/bundles/feralcat`, if
            there is only one of that name.

    Returns:
        The bundle's URI, digest and all.

    Raises:
        DatasetError: There is no such bundle, or several.
        StorageError: The place cannot be read.
    """
    store = open_store(uri)
    if store.exists(layout.MANIFEST):
        return store.uri
    parent, _, name = store.uri.rpartition("/")
    if not name or parent in ("", "s3:", "s3:/"):
        raise DatasetError(Problem(uri, "must name a bundle, <folder>/<name>"))
    pattern = re.compile(re.escape(name) + r"-[0-9a-f]{12}/" + re.escape(layout.MANIFEST))
    found = [info.key.partition("/")[0] for info in open_store(parent).list(f"{name}-") if pattern.fullmatch(info.key)]
    if len(found) == 1:
        return f"{parent}/{found[0]}"
    if found:
        rule = f"several bundles have this name: {', '.join(found)}"
        raise DatasetError(Problem(store.uri, rule, fix="name the one you mean with its digest"))
    fix = f"write one with `segsweep prepare SRC --to {parent}`"
    raise DatasetError(Problem(store.uri, "no bundle is here", fix=fix))
