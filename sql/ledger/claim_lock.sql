/*
Lock the next due rows of the ledger, at most one per person, for the claim that follows in the same transaction.

Rows and people that another worker holds are skipped. The person's lock makes caps and spacing exact: whoever holds
it sees every earlier claim of that person, because the claim is a statement of its own with a fresh view of the data.
The claim is told who was locked: whoever became somebody else in between is left to the next one.

Where caps leave room for one message, the campaign of higher priority has it: a row is left alone while the same person
has a due one of higher priority on whatever channel, be it another lane's. A channel that rests now holds up nobody.

Live, a row is decided at the database's clock. In a simulated database each row is decided at its own moment, as a
dispatch at every due or not_before instant would have done; what an earlier dispatch has seen and left is decided
at :at.

owner: engineering
grain: one row per locked send
params:
  campaigns: text[] - campaigns whose files could be read
  channels: text[] nullable - only what is planned for these; null: any channel
  resting: text[] - channels not to be used now
  contenders: text[] - campaigns that share the room under caps; empty: there are no caps
  at: timestamptz nullable - simulated moment; null: the database's clock
  batch: int - at most so many rows
returns:
  send_key: text unique - the row
  person_id: text - the person whose lock was taken
  moment: timestamptz nullable - decision clock of the row; null: the claim reads the database's clock
*/
with

clock as materialized (
    select
        cast(:at as timestamptz) is not null as is_simulated,
        coalesce(cast(:at as timestamptz), clock_timestamp()) as at
),

running as materialized (
    select loaded.campaign, coalesce(known.dispatched_at, '-infinity') as played_until
    from unnest(cast(:campaigns as text[])) as loaded (campaign)
    left join campaign.campaigns as known on known.campaign = loaded.campaign
    where
        coalesce(known.state, 'active') <> 'paused'
        and not exists (select from campaign.campaigns where campaign = '*' and state = 'paused')
        and not exists (select from campaign.holds where holds.campaign = loaded.campaign)
),

due as materialized (
    select send_key, customer_id, campaign, priority, not_before, planned_at
    from campaign.sends
    where
        state in ('planned', 'retry_wait')
        and not_before <= (select at from clock)
        and planned_at <= (select at from clock)
        and campaign = any(array(select campaign from running))
        and channel <> all(cast(:resting as text[]))
        and (cast(:channels as text[]) is null or channel = any(cast(:channels as text[])))
        -- Steps leave in order, one at a time (A2b).
        and not (
            cast(split_part(step, '.', 1) as int) > 1
            and exists (
                select from campaign.sends as earlier
                where
                    earlier.enrolment_id = sends.enrolment_id
                    and earlier.state in ('planned', 'retry_wait', 'in_flight')
                    and cast(split_part(earlier.step, '.', 1) as int) < cast(split_part(sends.step, '.', 1) as int)
            )
        )
        and not (
            campaign = any(cast(:contenders as text[]))
            and exists (
                select from campaign.person(sends.customer_id) as person
                inner join campaign.sends as rivals on rivals.customer_id = any(person.ids)
                cross join clock
                inner join running on running.campaign = sends.campaign
                where
                    rivals.priority > sends.priority
                    and rivals.state in ('planned', 'retry_wait')
                    and rivals.campaign = any(cast(:contenders as text[]))
                    and rivals.campaign in (select others.campaign from running as others)
                    and rivals.channel <> all(cast(:resting as text[]))
                    and greatest(rivals.not_before, rivals.planned_at) <= case
                        when clock.is_simulated and greatest(sends.not_before, sends.planned_at) > running.played_until
                            then greatest(sends.not_before, sends.planned_at)
                        else clock.at
                    end
                    and not (
                        cast(split_part(rivals.step, '.', 1) as int) > 1
                        and exists (
                            select from campaign.sends as before
                            where
                                before.enrolment_id = rivals.enrolment_id
                                and before.state in ('planned', 'retry_wait', 'in_flight')
                                and cast(split_part(before.step, '.', 1) as int)
                                < cast(split_part(rivals.step, '.', 1) as int)
                        )
                    )
            )
        )
    order by
        case when cast(:at as timestamptz) is not null then not_before end,
        priority desc,
        not_before
    limit cast(:batch as int)
    for update of sends skip locked
),

first_of_person as materialized (
    select distinct on (person.customer_id)
        due.send_key, person.customer_id as person_id,
        case
            when greatest(due.not_before, due.planned_at) > running.played_until
                then greatest(due.not_before, due.planned_at)
            else greatest(clock.at, running.played_until)
        end as moment
    from due
    inner join running on running.campaign = due.campaign
    cross join clock
    cross join lateral campaign.person(due.customer_id) as person
    order by
        person.customer_id,
        case when clock.is_simulated then due.not_before end,
        due.priority desc,
        due.not_before,
        due.send_key
),

held_alone as materialized (
    select
        send_key, person_id, moment,
        pg_try_advisory_xact_lock(7345002, hashtext(person_id)) as is_alone
    from first_of_person
)

select
    held_alone.send_key, held_alone.person_id,
    case when clock.is_simulated then held_alone.moment end as moment
from held_alone
cross join clock
where held_alone.is_alone
