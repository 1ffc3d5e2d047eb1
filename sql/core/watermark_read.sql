/*
How far a source was read.

owner: engineering
grain: one row
params:
  source: text - name of the source
returns:
  position: text - value of the cursor column, as the source reader wrote it
*/
select position
from raw.watermarks
where source = cast(:source as text)
