"""`lockside audit`: the commands that read, verify, erase and archive audit records."""

import rich_click as click

from cli.commands.archives import archives
from cli.commands.audit_past import as_of, times
from cli.commands.audit_proof import erase, pin, verify
from cli.commands.audit_trail import anomalies, export_trail, trail
from cli.program.command import Group


@click.group(
    cls=Group,
    examples="""
    lockside audit trail --by asha --since 24h
    lockside audit as-of work-order 17 --at 2026-11-20T09:00Z
    lockside audit anomalies
    lockside audit verify --complete
    """,
)
def audit() -> None:
    """Read the records: who did what, what rows were, what is unusual; and prove them."""


for command in (trail, as_of, times, export_trail, anomalies, verify, pin, erase, archives):
    audit.add_command(command)
