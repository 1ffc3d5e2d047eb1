/*
Remember an object as taken, in the transaction that stores its rows.

owner: engineering
params:
  source: text - name of the source
  key: text - file or bucket key
  etag: text - what tells this content from another
  load_id: bigint - the load that took it
*/
insert into raw.objects (source, key, etag, load_id)
values (cast(:source as text), cast(:key as text), cast(:etag as text), cast(:load_id as bigint))
on conflict do nothing
