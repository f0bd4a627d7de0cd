"""The guard knows the new kinds of work, and that a row in a final state changes no more.

`machine_arrow` holds an arrow from each state to itself unless it is final: values may change
there.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UPDATE = """
CREATE OR REPLACE FUNCTION lockside_guard_update() RETURNS trigger LANGUAGE plpgsql
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
    IF NOT EXISTS (
      SELECT FROM machine_arrow a
       WHERE a.kind = work
         AND ((a.source = step.source AND a.target = step.target)
           OR (a.undo AND doer.verb = 'undo'
               AND a.source = step.target AND a.target = step.source))
    ) THEN
      PERFORM lockside_refuse(
        CASE WHEN step.source = step.target
             THEN format('a %s that is %s changes no more', work, step.source)
             ELSE format('no transition of a %s from %s to %s', work, step.source, step.target)
        END, 'See `lockside check-machines` for the legal ones.');
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

_PARTITIONS = """
CREATE OR REPLACE FUNCTION lockside_make_partitions(months_ahead int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  record_table text;
  month date;
  taken boolean;
BEGIN
  FOREACH record_table IN ARRAY ARRAY[
    'state_transition_audit', 'bulk_operation_audit', 'audit_log', 'permission_denial_audit'
  ] LOOP
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
    """Replace the functions and protect the new tables."""
    op.execute(_UPDATE)
    op.execute(_PARTITIONS)
    op.execute("SELECT lockside_protect('field_task', 'task')")
    op.execute("SELECT lockside_protect('attendance', 'attendance')")
