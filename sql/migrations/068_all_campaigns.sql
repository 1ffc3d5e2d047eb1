-- People of all campaigns together, each counted once: nobody may add up the campaigns' own numbers, since one person can
-- be in several.

create table evaluation.all_people (
    what text not null check (what in ('enrolled', 'reached', 'converted')),
    hours integer not null default 0,
    people bigint not null,
    primary key (what, hours)
);

comment on table evaluation.all_people is
'People of all campaigns together, each counted once, whatever number of campaigns they are in.';
comment on column evaluation.all_people.what is
'enrolled: in at least one campaign; reached: by at least one accepted message; converted: with a goal credited to a message.';
comment on column evaluation.all_people.hours is
'Of converted: whole hours of the shortest way from a message to a goal, over all campaigns; a window of W hours is the sum over hours < W. Otherwise 0.';
comment on column evaluation.all_people.people is 'People, each counted once over all campaigns.';
