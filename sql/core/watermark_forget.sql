/*
Forget how far a source was read, so that it is read from its beginning; rows that are known add nothing.

owner: engineering
params:
  source: text - name of the source
*/
delete from raw.watermarks
where source = cast(:source as text)
