"""Submission: submit changes of many rows, each as an operation."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from domain.errors import InvalidInput
from engine.input.record_types import known_kind
from lockside.session.import_export import ImportExport, opened_load

if TYPE_CHECKING:
    from lockside.session.operation import Operation

_OF_FILES = ("file", "form", "delimiter", "columns", "ignore")


class Submit(ImportExport):
    """The part of a session that submits operations."""

    def transition(
        self, kind: str, *, to: str, ids: Iterable[int] | int | None = None, **options: Any
    ) -> "Operation":
        """Submit the transition of rows to a state; return at once.

        Args:
            kind: The kind of work, e.g. `work_order`.
            to: The target state, in any case.
            ids: The rows, or one of them; or `where` chooses them.
            options: As in `engine.operations.request.Submission`: where, expect_count, comments,
                metadata, approved_by, atomic, dry_run, idempotency_key, expected_versions,
                lease_s, wait_s, isolation_level, max_retries, reason, chunk_items, run_at,
                stop_at_first_failure, parallel, canary, rate. Or a row `file` names the rows, by
                `id` or `reference`, with values of their own: `comments`, the expected
                `version`, `reading:NAME` or `readings` for work that takes readings, and for
                assignments and updates the fields that are written; with `form`, `delimiter`,
                `columns` and `ignore` as in `load`.

        Raises:
            InvalidInput: A value is not what was expected; nothing was stored.
            NotFound: There is no person of the name in `approved_by`.
            IdempotencyMismatch: The key was used for a request with other content.
        """
        return self._submit(kind, ids, options | {"target": to})

    def perform(
        self, kind: str, verb: str, ids: Iterable[int] | int | None = None, **options: Any
    ) -> "Operation":
        """Submit a transition by its verb, such as `approve` or `lock`.

        Arguments and errors are those of `transition`; an unknown verb is an InvalidInput.
        """
        verbs = known_kind(kind).machine.verbs
        if verb not in verbs:
            raise InvalidInput(field="verb", got=verb, expected=f"one of {', '.join(verbs)}")
        return self.transition(kind, to=verbs[verb], ids=ids, **options)

    def assign(
        self,
        kind: str,
        ids: Iterable[int] | int | None = None,
        *,
        user: int | str | None = None,
        team: int | str | None = None,
        **options: Any,
    ) -> "Operation":
        """Submit the assignment of rows to a person, a team or both, by id or by name.

        Without *user*, or without *team*, that one isn't changed. Options and errors are those of
        `transition`.

        Raises:
            NotFound: There is no such person or team.
        """
        assignees = {"assigned_to_user": user, "assigned_to_team": team}
        values = {name: value for name, value in assignees.items() if value is not None} or None
        return self._submit(kind, ids, options | {"verb": "assign", "values": values})

    def update(
        self,
        kind: str,
        ids: Iterable[int] | int | None = None,
        values: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> "Operation":
        """Submit the same new values for many rows, by field; None empties a field.

        Options and errors are those of `transition`. To update one row immediately, without an
        operation to wait for, use `records(kind).update`.
        """
        return self._submit(kind, ids, options | {"verb": "update", "values": values})

    def _submit(
        self, kind: str, ids: Iterable[int] | int | None, options: dict[str, Any]
    ) -> "Operation":
        from engine.operations.request import Submission
        from engine.operations.submit import submit
        from lockside.session.operation import Operation

        rows: Any = [ids] if isinstance(ids, int) else ids
        file_options = {name: options.pop(name) for name in _OF_FILES if name in options}
        names = Submission.__dataclass_fields__.keys()
        unknown = options.keys() - names
        if unknown:
            raise InvalidInput(
                field=min(unknown),
                got=options[min(unknown)],
                expected=f"an option among {', '.join(sorted({*names, *_OF_FILES}))}",
            )
        submission = Submission(kind=kind, ids=rows, **options)
        with (
            opened_load(kind, **file_options)
            if file_options.get("file")
            else nullcontext() as row_file
        ):
            operation_id = submit(self.platform, self.actor, submission, row_file=row_file)
        return Operation(self.platform, self.actor, operation_id, is_own=True)
