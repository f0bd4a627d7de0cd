"""Bulk transitions through a real worker."""

import lockside
from tests.factories import work_orders
from tests.workers import Worker


def test_continue_on_error_does_what_can_be_done(site: lockside.Site, worker: Worker) -> None:
    good = work_orders(site, 30)
    bad = work_orders(site, 2, vendor=False)

    outcome = site.transition("work_order", to="approved", ids=good + bad, atomic=False).wait(20)

    assert outcome["state"] == "COMPLETED_WITH_ERRORS"
    assert outcome["failure_codes"] == {"vendor_missing": 2}
    assert site.states("work_order") == {"APPROVED": 30, "SUBMITTED": 2}
