"""What a cancel between the claim and the change must not do to all or nothing."""

from dataclasses import replace
from uuid import UUID

import lockside
from domain.bulk import Counts, final_state
from domain.machines import operation as states
from engine.operations.run_chunk import run_chunk
from engine.ports.locks import row_key
from tests.checker import check_invariants
from tests.factories import work_orders
from tests.patience import PATIENCE_S


def test_all_or_nothing_that_is_cancelled_beside_a_busy_row_changes_nothing(
    site: lockside.Session,
) -> None:
    ids = work_orders(site, 3)
    key = row_key(site.actor.tenant_id, "work_order", ids[0])
    operation = site.transition("work_order", to="APPROVED", ids=ids, wait_s=0)

    def cancel_when_locked(step: str) -> None:
        if step == "locked":
            operation.cancel()

    with site.platform.locks.hold(
        [key], claim="somebody", operation="theirs", lease_s=30, all_or_none=True
    ):
        run_chunk(replace(site.platform, step=cancel_when_locked), UUID(operation.id), 0)

    assert site.states("work_order") == {"SUBMITTED": 3}
    assert operation.wait(PATIENCE_S)["state"] == "CANCELLED"
    check_invariants(site)


def test_a_failure_in_all_or_nothing_is_a_rollback_even_while_cancelling() -> None:
    counts = Counts(3, failed=1, cancelled=2)

    state = final_state(counts, atomic=True, cancelling=True, dead=0)

    assert state == states.ROLLED_BACK


def test_an_import_has_the_counts_of_its_result(site: lockside.Session) -> None:
    work_orders(site, 4)

    imported = site.operations(limit=1)[0]

    assert (imported["counts"]["succeeded"], imported["counts"]["pending"]) == (4, 0)
