"""The field task's machine, as in the contract; `task` at every interface."""

from domain.machines.machine import Machine, Reason, Rule, arrow, needs_comments, system_only

needs_assignee = Rule(
    Reason("assignee_missing", "Cannot start without an assignee: a person or a team"),
    lambda facts, _: bool(facts["assigned_to_user"] or facts["assigned_to_team"]),
    ("assigned_to_user", "assigned_to_team"),
    mark="assignee",
)
needs_readings = Rule(
    Reason("readings_missing", "Cannot complete without the readings that the job asks for"),
    lambda facts, _: not facts["readings_missing"],
    ("readings_missing",),
    mark="readings",
    lists="readings_missing",
)

DONE = ("COMPLETED", "PARTIALLYCOMPLETED")
"""The states in which the technician has finished."""

OPEN_STATES = ("ASSIGNED", "INPROGRESS", "WORKING", "STANDBY", "MAINTENANCE")

FIELD_TASK = Machine(
    kind="task",
    initial="ASSIGNED",
    final=("AUTOCLOSED",),
    transitions=(
        arrow("ASSIGNED", "INPROGRESS", "start", needs_assignee, undo=True),
        arrow("INPROGRESS", "WORKING", "work", undo=True),
        arrow("INPROGRESS", "STANDBY", "hold", needs_comments, undo=True),
        arrow("STANDBY", "INPROGRESS", "resume"),
        arrow("WORKING", "MAINTENANCE", "maintain", undo=True),
        arrow("MAINTENANCE", "WORKING", "work"),
        arrow("INPROGRESS", "COMPLETED", "complete", needs_readings, undo=True),
        arrow("WORKING", "COMPLETED", "complete", needs_readings, undo=True),
        # People take the first two of these, with comments; the system takes them all.
        arrow("WORKING", "PARTIALLYCOMPLETED", "partial", needs_comments, undo=True),
        arrow("COMPLETED", "PARTIALLYCOMPLETED", "partial", needs_comments, undo=True),
        *(
            arrow(source, "PARTIALLYCOMPLETED", "partial", system_only, undo=True)
            for source in OPEN_STATES
            if source != "WORKING"
        ),
        *(
            arrow(source, "AUTOCLOSED", "autoclose", system_only, needs_comments, undo=True)
            for source in (*OPEN_STATES, "COMPLETED", "PARTIALLYCOMPLETED")
        ),
    ),
)
