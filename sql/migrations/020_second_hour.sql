-- A literal in raw.is_plain_instant was broken over a line end, so times from 02:00 on, written with a blank and neither
-- in UTC nor without fractions, took the slow way to the same answer. The function as it is, with this literal mended.
do $$
begin
    execute regexp_replace(pg_get_functiondef('raw.is_plain_instant(text)'::regprocedure), '''\s+02:''', ''' 02:''');
end
$$;
