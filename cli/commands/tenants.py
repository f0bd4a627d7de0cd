"""`lockside tenants`: open and list tenants."""

from collections.abc import Sequence
from shlex import quote

import rich_click as click

from cli.input.name_value_pairs import read_pairs
from cli.printing.output import table
from cli.program.command import Group, Invocation
from domain.errors import InvalidInput
from domain.permissions import ROLES

_EXPECTED = f"NAME=ROLE, or several roles with commas, of {', '.join(ROLES)}"


@click.group(
    cls=Group,
    examples="""
    lockside tenants open harbor --person asha=admin,manager
    lockside tenants list
    """,
)
def tenants() -> None:
    """Look after tenants: each sees only what is its own."""


@tenants.command(
    "open",
    examples="""
    lockside tenants open harbor --person asha=admin,manager --person tomas=technician
    """,
)
@click.argument("name")
@click.option(
    "--person",
    "people",
    multiple=True,
    required=True,
    metavar="NAME=ROLE",
    help="Somebody who works there, with a role, or several with commas; for each once.",
)
@click.pass_obj
def open_one(invocation: Invocation, *, name: str, people: Sequence[str]) -> None:
    """Open a tenant with its standard roles and these people; again adds what is new.

    A new one needs an admin among them. Roles are added, never taken away. Only an
    administrator may.
    """
    if not name.strip():
        raise InvalidInput(field="name", got=name, expected="the tenant's name")
    pairs = read_pairs(people, where="--person", expected=_EXPECTED)
    roles = {person: _roles(person, text) for person, text in pairs.items()}
    invocation.names["people"] = "--person"
    with invocation.connect() as site:
        tenant_id = site.open_tenant(name, roles)
    if invocation.output.as_json:
        invocation.output.json({"id": tenant_id, "name": name, "people": roles})
        return
    invocation.output.say(f"Tenant {name} is open.")
    tenant, actor = quote(name), quote(next(iter(roles)))
    invocation.output.note(f"Act in it with `--tenant {tenant} --actor {actor}`.")


@tenants.command(
    "list",
    examples="""
    lockside tenants list
    """,
)
@click.pass_obj
def list_all(invocation: Invocation) -> None:
    """List all tenants by name, with how many people each has.

    Only an administrator may.
    """
    with invocation.connect() as site:
        listed = site.tenants()
    if invocation.output.as_json:
        invocation.output.json(listed)
        return
    shown = table("tenant", "people", right=("people",))
    for tenant in listed:
        shown.add_row(tenant["name"], f"{tenant['people']:,}")
    invocation.output.say_table(shown)


def _roles(person: str, text: str) -> list[str]:
    roles = [role.strip().lower() for role in text.split(",")]
    if not set(roles) <= set(ROLES):
        raise InvalidInput(field="--person", got=f"{person}={text}", expected=_EXPECTED)
    return roles
