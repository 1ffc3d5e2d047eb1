/*
Delete notes of changed consents and contacts that no sync asks for any more.

owner: engineering
params:
  before: timestamptz - of the database's clock; a look that is older looks at everybody
*/
with old as (
    select ctid as place
    from core.ways_changed
    where changed_at < cast(:before as timestamptz)
    for update skip locked
)

delete from core.ways_changed
using old
where ways_changed.ctid = old.place
