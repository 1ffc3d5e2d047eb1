/*
Let the table that a load was copied into become a partition of its entity's landing table.

owner: engineering
params:
  entity: text - entity of the input contract
  load_id: bigint - the load
returns:
  landing: text - name of the table, without its schema
*/
select raw.close_landing(cast(:entity as text), cast(:load_id as bigint)) as landing
