/*
Make the table that a load's lines are copied into.

owner: engineering
params:
  entity: text - entity of the input contract
  load_id: bigint - the load
returns:
  landing: text - name of the table, without its schema
*/
select raw.open_landing(cast(:entity as text), cast(:load_id as bigint)) as landing
