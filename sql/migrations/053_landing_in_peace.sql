-- A landing table lives for seconds and is analysed when it is filled. Autovacuum that came upon it in between held up
-- the end of a load by a second: a table that is being looked at is dropped only when its worker has been sent away.
create or replace function raw.open_landing(entity text, load_id bigint) returns text language plpgsql as $$
declare
    landing text := entity || '_' || load_id;
begin
    execute format(
        'create table raw.%I (like raw.%I including defaults including constraints) with (autovacuum_enabled = off)',
        landing, entity
    );
    execute format(
        'alter table raw.%I alter column load_id set default %s, add constraint of_load check (load_id = %s)',
        landing, load_id, load_id
    );
    return landing;
end
$$;
