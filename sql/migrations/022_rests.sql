-- When a provider is to be left alone, in all processes: it asked for that, or took nothing several times in a row.
create table campaign.rests (
    provider text primary key,
    rests_until timestamptz not null,
    reason text not null,                               -- asked, busy, unreached
    failures integer not null default 0                 -- rests in a row that nobody asked for; each is longer
);

-- unreached: there was no connection; certainly not accepted, and it counts as no try.
alter table campaign.attempts
drop constraint attempts_outcome_check,
add constraint attempts_outcome_check check (
    outcome in (
        'accepted', 'refused', 'busy', 'unreached', 'misconfigured', 'unanswered', 'not_started', 'returned'
    )
);
