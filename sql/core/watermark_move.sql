/*
Remember how far a source was read, in the transaction that stores the rows (I6).

owner: engineering
params:
  source: text - name of the source
  position: text - value of the cursor column, as the source reader writes it
  load_id: bigint - the load that came so far
*/
insert into raw.watermarks (source, position, load_id)
values (cast(:source as text), cast(:position as text), cast(:load_id as bigint))
on conflict (source) do update
set position = excluded.position, load_id = excluded.load_id, moved_at = clock_timestamp()
