/*
Objects of a source that were taken before.

owner: engineering
grain: one row per object and content
params:
  source: text - name of the source
returns:
  key: text - file or bucket key
  etag: text - what tells one content from another
*/
select key, etag
from raw.objects
where source = cast(:source as text)
