"""Standard roles: what nobody has changed follows the machines, and leaves its record."""

import lockside
from engine.records.standard_roles import standard_permissions, update_standard_roles
from tests.engine.steps import Row, outbox, query


def role(site: lockside.Session, name: str) -> Row:
    statement = "SELECT id, version, permissions FROM role WHERE name = :name AND tenant_id = :t"
    (found,) = query(site, statement, name=name, t=site.actor.tenant_id)
    return found


def more_for(name: str) -> dict[str, tuple[str, ...]]:
    """Return the permissions of a release in which one role may do more."""
    today = standard_permissions()
    return today | {name: (*today[name], "vendor.delete")}


def test_without_a_change_nothing_is_written(site: lockside.Session) -> None:
    assert (update_standard_roles(site.platform), outbox(site)) == (0, [])


def test_a_role_gets_a_new_permission_and_each_tenant_a_record(site: lockside.Session) -> None:
    before = role(site, "viewer")

    updated = update_standard_roles(site.platform, more_for("viewer"))

    after = role(site, "viewer")
    assert (updated, after["version"]) == (2, 2)
    assert after["permissions"] == [*before["permissions"], "vendor.delete"]
    recorded = [(each["entity_ids"], each["versions"]) for each in outbox(site)]
    assert len(recorded) == 2
    assert ([after["id"]], [2]) in recorded


def test_it_goes_on_following_afterwards(site: lockside.Session) -> None:
    update_standard_roles(site.platform, more_for("viewer"))

    assert update_standard_roles(site.platform) == 2
    assert role(site, "viewer")["version"] == 3


def test_a_role_that_a_person_changed_stays(site: lockside.Session) -> None:
    own = role(site, "viewer")
    site.records("role").update(own["id"], permissions=["ticket.view"])

    assert update_standard_roles(site.platform, more_for("viewer")) == 1
    assert role(site, "viewer")["permissions"] == ["ticket.view"]


def test_an_older_releases_permissions_become_todays(site: lockside.Session) -> None:
    update_standard_roles(site.platform, dict.fromkeys(standard_permissions(), ("ticket.view",)))

    update_standard_roles(site.platform)

    held = {name: tuple(role(site, name)["permissions"]) for name in standard_permissions()}
    assert held == standard_permissions()
