-- What came of retargeting (R18 to R21): leads by how far they came, each retarget with what followed it.
--
-- A lead is one conversation (A5), so somebody who clicked on two ads is two leads. A retarget is one order (1st, 2nd,
-- 3rd) of a campaign's steps that was accepted for a lead at least once, at the moment of the first acceptance. What a
-- lead does strictly after a retarget, up to the next one of whatever campaign, is credited to it (A7).

-- What the figures keep of erased conversations: moments under a random name.
create table campaign.erased_conversations (
    conversation_id text primary key,             -- the random name and a number
    ad_id text,
    opened_at timestamptz not null,
    deep_at timestamptz,
    qualified_at timestamptz,
    said_at timestamptz[] not null,               -- the first message after each retarget
    enrolments bigint[] not null                  -- the episodes it is
);

create view campaign.measured_conversations as
select
    conversations.conversation_id,
    conversations.ad_id,
    conversations.opened_at,
    (
        select min(milestones.milestone_at)
        from core.milestones
        where milestones.conversation_id = conversations.conversation_id
            and milestones.milestone = 'deep_conversation'
    ) as deep_at,
    (
        select min(milestones.milestone_at)
        from core.milestones
        where milestones.conversation_id = conversations.conversation_id and milestones.milestone = 'qualified'
    ) as qualified_at
from core.conversations
union all
select conversation_id, ad_id, opened_at, deep_at, qualified_at from campaign.erased_conversations;

-- Moments at which the customer said something.
create view campaign.measured_silences as
select conversation_id, said_at from core.silences
union all
select erased.conversation_id, said.said_at
from campaign.erased_conversations as erased
cross join lateral unnest(erased.said_at) as said (said_at);

-- Which conversation an episode is.
create view campaign.measured_episodes as
select enrolments.enrolment_id, coalesce(erased.conversation_id, enrolments.episode) as conversation_id
from campaign.enrolments
left join (
    select named.enrolment_id, kept.conversation_id
    from campaign.erased_conversations as kept
    cross join lateral unnest(kept.enrolments) as named (enrolment_id)
) as erased on enrolments.enrolment_id = erased.enrolment_id;

-- Every lead once, so that the rows of a campaign add up to its leads.
create table evaluation.leads (
    campaign text not null,
    milestone text not null check (milestone in ('lead', 'deep_conversation', 'qualified')),   -- the furthest reached
    last_retarget integer not null,               -- highest order sent to it; 0: none
    qualified_after integer not null,             -- order its qualification is credited to; 0: none, or not qualified
    leads bigint not null,
    primary key (campaign, milestone, last_retarget, qualified_after)
);

-- Leads each retarget was sent to, by the milestone they were at when the next retarget left, or at as_of. A lead that
-- had qualified before the retarget left, which only became known later, is `qualified_before` and is credited to none.
create table evaluation.retargeted_leads (
    campaign text not null,
    retarget integer not null check (retarget between 1 and 3),
    milestone text not null check (milestone in ('lead', 'deep_conversation', 'qualified', 'qualified_before')),
    leads bigint not null,
    primary key (campaign, retarget, milestone)
);

-- The same retargets by when things happened. On the day when clocks go back, the hour that comes twice is one row.
create table evaluation.retargets_by_hour (
    campaign text not null,
    retarget integer not null check (retarget between 1 and 3),
    happened_on date not null,                    -- business zone
    hour integer not null check (hour between 0 and 23),
    retargeted bigint not null,                   -- leads it left for in this hour
    first_responses bigint not null,              -- leads whose first message after it came in this hour
    qualified bigint not null,                    -- leads whose qualification after it fell in this hour
    primary key (campaign, happened_on, hour, retarget)
);
