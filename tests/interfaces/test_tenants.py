"""A tenant is opened with its people; the next call acts in it."""

from uuid import uuid4

import lockside
from tests.interfaces.commands import call
from worker.settings import Settings


def test_who_was_named_acts_in_the_new_tenant(settings: Settings) -> None:
    name = uuid4().hex

    people = ("--person", "asha=admin,manager", "--person", "tomas=technician")
    opened = call(settings, "tenants", "open", name, *people)
    create = ("records", "create", "vendor", "name=Lifts", "--tenant", name)
    acting = [call(settings, *create, "--actor", who) for who in ("asha", "tomas")]

    assert (opened.code, name in opened.out) == (0, True)
    assert [answer.code for answer in acting] == [0, 4]


def test_opening_again_adds_people_and_takes_nothing_away(
    site: lockside.Session, settings: Settings
) -> None:
    name = uuid4().hex
    call(settings, "tenants", "open", name, "--person", "asha=admin")

    own = ("--tenant", name, "--actor", "asha")
    again = call(settings, "tenants", "open", name, "--person", "dora=viewer", *own, "--json")

    assert (again.code, again.json["people"]) == (0, {"dora": ["viewer"]})
    site.act_as(name, "asha")
    assert [each["name"] for each in site.records("person").list()] == ["asha", "dora"]


def test_a_new_tenant_needs_an_admin(site: lockside.Session, settings: Settings) -> None:
    name = uuid4().hex

    answer = call(settings, "tenants", "open", name, "--person", "asha=viewer")

    assert (answer.code, "--person: got 'asha'" in answer.err) == (2, True)
    assert "at least one admin" in answer.err
    assert name not in [each["name"] for each in site.tenants()]


def test_how_to_act_in_it_can_be_pasted_into_a_shell(settings: Settings) -> None:
    name = f"a b/{uuid4().hex}"

    answer = call(settings, "tenants", "open", name, "--person", "o'neil=admin")

    assert f"--tenant '{name}' --actor 'o'\"'\"'neil'" in answer.err


def test_tenants_are_listed_with_how_many_people_they_have(settings: Settings) -> None:
    name = uuid4().hex
    call(settings, "tenants", "open", name, "--person", "asha=admin", "--person", "tomas=viewer")

    shown = call(settings, "tenants", "list")
    told = call(settings, "tenants", "list", "--json")

    assert [name, "2"] in [line.split() for line in shown.out.splitlines()]
    assert [each["people"] for each in told.json if each["name"] == name] == [2]


def test_only_an_administrator_sees_the_tenants(settings: Settings) -> None:
    answer = call(settings, "tenants", "list", "--actor", "asha")

    assert (answer.code, "tenant.create" in answer.err) == (4, True)


def test_only_an_administrator_opens_one(settings: Settings) -> None:
    answer = call(settings, "tenants", "open", "harbor", "--person", "a=admin", "--actor", "asha")

    assert answer.code == 4
    assert "tenant.create" in answer.err
