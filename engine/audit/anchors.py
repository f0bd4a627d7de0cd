"""Anchors: pin the newest seals outside the database, in a file and in the log."""

import json
import logging

from sqlalchemy import text

from domain.audit.verification import Anchor
from engine.ports.platform import Platform

_log = logging.getLogger(__name__)

PIN_SEALS = "audit.pin"

_CHAIN_HEADS = text("""
SELECT tenant_id, seal_no, digest, unsealed FROM audit_chain WHERE seal_no > 0 ORDER BY 1
""")


def pin_seals(platform: Platform) -> list[Anchor]:
    """Pin the newest seal of every tenant whose newest seal isn't pinned yet; return the anchors.

    Each anchor is logged as well: a copy that somebody who changes the file can't reach.

    Raises:
        Unavailable: The file can't be read or written.
        InvalidInput: A line of the file is no anchor.
    """
    pinned = {anchor.tenant_id: anchor.digest for anchor in platform.anchors.read()}
    with platform.database.connect() as db:
        now = platform.clock(db)
        heads = [
            Anchor(head.tenant_id, head.seal_no, bytes(head.digest), now, head.unsealed)
            for head in db.execute(_CHAIN_HEADS)
        ]
    new = [head for head in heads if pinned.get(head.tenant_id) != head.digest]
    lines = [
        {
            "tenant_id": anchor.tenant_id,
            "seal_no": anchor.seal_no,
            "digest": anchor.digest.hex(),
            "pinned_at": anchor.pinned_at.isoformat(),
            "unsealed": anchor.unsealed,
        }
        for anchor in new
    ]
    for line in lines:
        _log.info("seal pinned", extra=line)
    if lines:
        platform.anchors.add([json.dumps(line) for line in lines])
    return new
