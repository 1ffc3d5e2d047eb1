-- What pages over all campaigns ask: why open messages wait, and why lines of deliveries were set aside.

create view evaluation.waiting as
select campaign, channel, state, reason, count(*) as sends
from campaign.sends
where state in ('planned', 'retry_wait')
    and reason is not null
group by campaign, channel, state, reason;

-- Lines that nobody has mended yet. The moment is that of the run, not of a line.
create view evaluation.quarantined as
select
    line.source,
    line.entity,
    line.reason,
    coalesce(line.column_name, '') as column_name,
    count(*) as lines,
    max(load.as_of) as last_as_of
from raw.quarantine as line
inner join raw.loads as load on load.load_id = line.load_id
where line.replayed_at is null
group by line.source, line.entity, line.reason, coalesce(line.column_name, '');
