/*
Write down where the lines of a load of reports went.

owner: engineering
params:
  load_id: bigint - the load
  accepted: bigint - lines with at least one report that was not known
  duplicate: bigint - lines of known reports only
  quarantined: bigint - lines that could not be read, whole or in part
  erased: bigint - lines about people who asked to be forgotten
*/
update raw.loads
set
    lines_in = cast(:accepted as bigint) + cast(:duplicate as bigint) + cast(:quarantined as bigint)
    + cast(:erased as bigint),
    accepted = cast(:accepted as bigint),
    duplicate = cast(:duplicate as bigint),
    quarantined = cast(:quarantined as bigint),
    erased = cast(:erased as bigint)
where load_id = cast(:load_id as bigint)
