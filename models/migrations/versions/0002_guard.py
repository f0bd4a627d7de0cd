"""The database's own guard: only declared arrows, each as a new version, under an operation.

The last line of defence against raw SQL, not the first judge: rules and permissions are the
machines' business. The arrows stand in `machine_arrow`, written by `models.schema_upgrade.upgrade`.

A change made without an operation needs `SET LOCAL lockside.override = '<why>'`; the guard
then writes the change into the outbox itself, so that it is never unrecorded.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REFUSE = """
CREATE FUNCTION lockside_refuse(what text, how text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'LS001', MESSAGE = 'lockside: ' || what, HINT = how;
END $$
"""

# Who changes: the operation named by the transaction, or nobody but an override.
# An operation must be executing, so its id can't be borrowed later.
_OPERATION = """
CREATE FUNCTION lockside_current_operation() RETURNS operation LANGUAGE plpgsql STABLE AS $$
DECLARE
  named text := nullif(current_setting('lockside.operation_id', true), '');
  found operation;
BEGIN
  IF named IS NOT NULL THEN
    SELECT * INTO found FROM operation
     WHERE id = named::uuid AND state IN ('RUNNING', 'CANCELLING');
    IF found.id IS NULL THEN
      PERFORM lockside_refuse('operation ' || named || ' is not executing',
                              'Submit a new operation.');
    END IF;
  ELSIF nullif(current_setting('lockside.override', true), '') IS NULL THEN
    PERFORM lockside_refuse('a change of work needs an operation',
      'Use `lockside submit`, or SET LOCAL lockside.override = ''<why>'' to have it recorded.');
  END IF;
  RETURN found;
END $$
"""

# enable_nestloop off: the planner knows nothing of transition tables and would join a
# thousand rows to a thousand rows one by one.
_UPDATE = """
CREATE FUNCTION lockside_guard_update() RETURNS trigger LANGUAGE plpgsql
SET enable_nestloop = off AS $$
DECLARE
  work text := TG_ARGV[0];
  doer operation;
  step record;
BEGIN
  IF NOT EXISTS (SELECT FROM new_rows) THEN
    RETURN NULL;
  END IF;
  doer := lockside_current_operation();
  FOR step IN
    SELECT o.state AS source, n.state AS target, n.tenant_id AS tenant,
           bool_and(o.tenant_id = n.tenant_id AND o.uuid = n.uuid) AS same_row,
           bool_and(n.version = o.version + 1) AS next_version
      FROM new_rows n LEFT JOIN old_rows o ON o.id = n.id
     GROUP BY o.state, n.state, n.tenant_id
  LOOP
    IF step.same_row IS NOT TRUE THEN
      PERFORM lockside_refuse('id, uuid and tenant_id of a ' || work || ' never change',
                              'Leave them out of the SET list.');
    END IF;
    IF NOT step.next_version THEN
      PERFORM lockside_refuse('every change of a ' || work || ' is its next version',
                              'SET version = version + 1.');
    END IF;
    IF doer.id IS NOT NULL AND (doer.tenant_id <> step.tenant OR doer.kind <> work) THEN
      PERFORM lockside_refuse('the operation is of another tenant or kind of work',
                              'Submit one for these rows.');
    END IF;
    IF step.source <> step.target AND NOT EXISTS (
      SELECT FROM machine_arrow a
       WHERE a.kind = work
         AND ((a.source = step.source AND a.target = step.target)
           OR (a.undo AND doer.verb = 'undo'
               AND a.source = step.target AND a.target = step.source))
    ) THEN
      PERFORM lockside_refuse(
        format('no transition of a %s from %s to %s', work, step.source, step.target),
        'See `lockside check-machines` for the legal ones.');
    END IF;
  END LOOP;
  IF doer.id IS NULL THEN
    INSERT INTO outbox (tenant_id, event_id, record, occurred_at, body, entity_ids, versions,
                        from_states, states_since)
    SELECT n.tenant_id, gen_random_uuid(), 'state_transition', clock_timestamp(),
           jsonb_build_object('kind', work, 'to_state', n.state, 'reason', 'override',
                              'comments', current_setting('lockside.override')),
           array_agg(n.id), array_agg(n.version), array_agg(o.state), array_agg(o.state_since)
      FROM new_rows n JOIN old_rows o ON o.id = n.id
     GROUP BY n.tenant_id, n.state;
  END IF;
  RETURN NULL;
END $$
"""

_INSERT = """
CREATE FUNCTION lockside_guard_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  work text := TG_ARGV[0];
  doer operation := lockside_current_operation();
BEGIN
  IF doer.id IS NULL THEN
    PERFORM lockside_refuse('a new ' || work || ' needs an operation', 'Import it.');
  END IF;
  IF doer.kind <> work THEN
    PERFORM lockside_refuse('the operation is of another kind of work', 'Submit one for it.');
  END IF;
  IF EXISTS (SELECT FROM new_rows WHERE version <> 1) THEN
    PERFORM lockside_refuse('a new ' || work || ' has version 1', 'Leave version out.');
  END IF;
  IF EXISTS (SELECT FROM new_rows WHERE tenant_id <> doer.tenant_id) THEN
    PERFORM lockside_refuse('the operation is of another tenant', 'Submit one for these rows.');
  END IF;
  IF EXISTS (
    SELECT FROM (SELECT DISTINCT state FROM new_rows) n
     WHERE NOT EXISTS (
       SELECT FROM machine_arrow a
        WHERE a.kind = work AND a.target = n.state AND (a.source = '' OR doer.verb = 'import'))
  ) THEN
    PERFORM lockside_refuse('a new ' || work || ' begins in its initial state',
                            'Import it to let it begin elsewhere.');
  END IF;
  RETURN NULL;
END $$
"""

_DELETE = """
CREATE FUNCTION lockside_guard_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM lockside_refuse('work is never deleted from the database',
                          'Cancel it, or delete it through lockside.');
END $$
"""

_OPERATION_LIFE = """
CREATE FUNCTION lockside_guard_operation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM machine_arrow
                  WHERE kind = 'operation' AND source = OLD.state AND target = NEW.state) THEN
    PERFORM lockside_refuse(format('no operation goes from %s to %s', OLD.state, NEW.state),
                            'See the machine in domain/machines/operation.py.');
  END IF;
  RETURN NEW;
END $$
"""

# A kind of work is protected by one call in the migration that makes its table.
_PROTECT = """
CREATE FUNCTION lockside_protect(work_table regclass, work text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER guard_update AFTER UPDATE ON %s
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION lockside_guard_update(%L)', work_table, work);
  EXECUTE format('CREATE TRIGGER guard_insert AFTER INSERT ON %s
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION lockside_guard_insert(%L)', work_table, work);
  EXECUTE format('CREATE TRIGGER guard_delete BEFORE DELETE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION lockside_guard_delete()', work_table);
  EXECUTE format('CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION lockside_guard_delete()', work_table);
END $$
"""

# Months are made ahead: one that already has rows in the default partition can't be made, and
# stays there.
_PARTITIONS = """
CREATE FUNCTION lockside_make_partitions(months_ahead int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  record_table text;
  month date;
  taken boolean;
BEGIN
  FOREACH record_table IN ARRAY ARRAY['state_transition_audit', 'bulk_operation_audit'] LOOP
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I DEFAULT',
                   record_table || '_default', record_table);
    FOR month IN
      SELECT generate_series(date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC'),
                             date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')
                               + make_interval(months => months_ahead), '1 month')
    LOOP
      EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE occurred_at >= $1 AND occurred_at < $2)',
                     record_table || '_default')
        INTO taken
        USING month::timestamp AT TIME ZONE 'UTC',
              (month + interval '1 month')::timestamp AT TIME ZONE 'UTC';
      CONTINUE WHEN taken;
      EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
        record_table || to_char(month, '_YYYY_MM'), record_table,
        month::timestamp AT TIME ZONE 'UTC',
        (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END LOOP;
  END LOOP;
END $$
"""


def upgrade() -> None:
    """Make the guard's functions and protect the tables that are there."""
    for function in (
        _REFUSE,
        _OPERATION,
        _UPDATE,
        _INSERT,
        _DELETE,
        _OPERATION_LIFE,
        _PROTECT,
        _PARTITIONS,
    ):
        op.execute(function)
    op.execute("SELECT lockside_protect('work_order', 'work_order')")
    op.execute("SELECT lockside_protect('ticket', 'ticket')")
    op.execute(
        "CREATE TRIGGER guard_life BEFORE UPDATE ON operation FOR EACH ROW"
        " WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION lockside_guard_operation()"
    )
