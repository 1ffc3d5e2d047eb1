-- Several calls in flight, and providers that limit how fast.

-- When each provider may be called next, over all processes: a call moves it on by what the call costs.
create table campaign.rates (
    provider text primary key,
    free_at timestamptz not null
);

-- returned: the call was refused for the sake of another message in it; this one was certainly not accepted and goes
-- again in a call of its own.
alter table campaign.attempts
drop constraint attempts_outcome_check,
add constraint attempts_outcome_check check (
    outcome in ('accepted', 'refused', 'busy', 'misconfigured', 'unanswered', 'not_started', 'returned')
),
add column template_version text;

-- Every message changes its row a few times, and a page that is full has no room for that.
alter table campaign.sends set (fillfactor = 80);
alter table campaign.decisions set (fillfactor = 90);
