"""All or nothing with a row that stays contended."""

from dataclasses import replace
from uuid import UUID

import lockside
from engine.operations.run_chunk import run_chunk
from engine.ports.locks import row_key
from tests.factories import work_orders
from tests.patience import PATIENCE_S


def test_all_or_nothing_lists_every_failure_beside_the_busy_row(site: lockside.Session) -> None:
    (contended,) = work_orders(site, 1)
    (good,) = work_orders(site, 1)
    (bad,) = work_orders(site, 1, vendor=False)
    key = row_key(site.actor.tenant_id, "work_order", contended)

    with site.platform.locks.hold(
        [key], claim="somebody", operation="theirs", lease_s=30, all_or_none=True
    ):
        quiet = replace(site.platform, publish=lambda *_, **__: True)
        operation = site.transition(
            "work_order", to="APPROVED", ids=[contended, good, bad], wait_s=0
        )
        run_chunk(quiet, UUID(operation.id), 0)
        outcome = operation.wait(PATIENCE_S)

    assert outcome["failure_codes"] == {"locked": 1, "vendor_missing": 1}
    assert outcome["cancelled_items"] == 1
    assert site.states("work_order") == {"SUBMITTED": 3}
