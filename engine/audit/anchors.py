"""Pinning: the newest seals go where the database can't reach, to a file and to the log."""

import json
import logging

from sqlalchemy import text

from domain.audit.verification import Anchor
from engine.ports.platform import Platform

_log = logging.getLogger(__name__)

PIN_SEALS = "audit.pin"

_HEADS = text("""
SELECT tenant_id, seal_no, digest, unsealed FROM audit_chain WHERE seal_no > 0 ORDER BY 1
""")


def pin_seals(platform: Platform) -> list[Anchor]:
    """Pin the newest seal of every tenant that has one that isn't pinned yet; return these.

    The log gets each as well: a copy that whoever changes the file doesn't reach.

    Raises:
        Unavailable: The file can't be written.
        InvalidInput: The file isn't one of anchors.
    """
    pinned = {each.tenant_id: each.digest for each in platform.anchors.read()}
    with platform.database.connect() as db:
        now = platform.clock(db)
        heads = [
            Anchor(each.tenant_id, each.seal_no, bytes(each.digest), now, each.unsealed)
            for each in db.execute(_HEADS)
        ]
    new = [each for each in heads if pinned.get(each.tenant_id) != each.digest]
    told = [
        {
            "tenant_id": each.tenant_id,
            "seal_no": each.seal_no,
            "digest": each.digest.hex(),
            "pinned_at": each.pinned_at.isoformat(),
            "unsealed": each.unsealed,
        }
        for each in new
    ]
    for each in told:
        _log.info("seal pinned", extra=each)
    if told:
        platform.anchors.add([json.dumps(each) for each in told])
    return new
