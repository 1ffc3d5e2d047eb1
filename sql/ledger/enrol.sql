/*
Enrol everyone chosen whose episode is not enrolled yet, under any id they ever had, and assign arm and variant by
the published formula (reliability, "Formulas that are part of the contract"; tasks/rules/assignment.py).

The arm is fixed at a person's first enrolment in an experiment version and kept; that first one is the experiment
unit.

owner: engineering
grain: one row per arm and variant
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  run_id: bigint - the run
  salt: text - salt of the formula
  holdout_experiment: text - name of the experiment that decides the arm
  variant_experiment: text - name of the experiment that decides the variant
  holdout: double precision - share of people who are never written to
  variants: jsonb - name and upper bound of u of each variant, in file order
  version: text - experiment version
  segment_sha256: text - segment and parameters
  config_sha256: text - the campaign as it was read
  has_conversations: boolean - whether episodes are conversations, whose stop events count from their opening
  arms_of: text - the campaign whose arms hold: itself, in a simulation the one that is played
  silent_since: timestamptz nullable - leave out who has been silent since then or longer; null: nobody
returns:
  arm: text - treated or holdout
  variant: text - the message variant
  enrolled: bigint - how many people
*/
with fresh as materialized (
    select
        chosen.customer_id, chosen.person_id, chosen.anchor_at, chosen.episode, chosen.evidence,
        substr(
            sha256(convert_to(:salt || '|' || :holdout_experiment || '|' || btrim(chosen.customer_id), 'UTF8')), 1, 8
        ) as holdout_bytes,
        substr(
            sha256(convert_to(:salt || '|' || :variant_experiment || '|' || btrim(chosen.customer_id), 'UTF8')), 1, 8
        ) as variant_bytes
    from chosen
    where not exists (
        select from chosen_known
        where chosen_known.person_id = chosen.person_id and chosen_known.episode = chosen.episode
    )
    and chosen.anchor_at > coalesce(cast(:silent_since as timestamptz), '-infinity')
),

first_ones as materialized (
    select distinct on (person_id) person_id, arm, variant, assigned_u, variant_u
    from (
        select
            person_id, enrolment_id, enrolled_at, experiment_version, arm, variant, assigned_u, variant_u
        from chosen_known
        union all
        select
            chosen_ids.person_id, played.enrolment_id, played.enrolled_at, played.experiment_version, played.arm,
            played.variant, played.assigned_u, played.variant_u
        from chosen_ids
        inner join campaign.enrolments as played
            on played.campaign = cast(:arms_of as text)
            and played.customer_id = chosen_ids.customer_id
        where cast(:arms_of as text) <> cast(:campaign as text)
    ) as known
    where experiment_version = cast(:version as text)
    order by person_id, enrolled_at, enrolment_id
),

drawn as materialized (
    -- the upper half is exact in a double and the sum is rounded once, as when the 64-bit number itself is divided
    select
        fresh.*,
        (
            cast(cast(cast('x' || encode(substr(fresh.holdout_bytes, 1, 4), 'hex') as bit(32)) as bigint) as float8)
            * 4294967296
            + cast(cast(cast('x' || encode(substr(fresh.holdout_bytes, 5, 4), 'hex') as bit(32)) as bigint) as float8)
        ) / cast(18446744073709551616 as double precision) as assigned_u,
        (
            cast(cast(cast('x' || encode(substr(fresh.variant_bytes, 1, 4), 'hex') as bit(32)) as bigint) as float8)
            * 4294967296
            + cast(cast(cast('x' || encode(substr(fresh.variant_bytes, 5, 4), 'hex') as bit(32)) as bigint) as float8)
        ) / cast(18446744073709551616 as double precision) as variant_u
    from fresh
),

variants as materialized (
    select name, upper
    from jsonb_to_recordset(cast(:variants as jsonb)) as variant (name text, upper double precision)
),

enrolled as (
    insert into campaign.enrolments (
        campaign, customer_id, episode, anchor_at, enrolled_at, run_id, experiment_version, arm, variant, assigned_u,
        variant_u, first_in_experiment, evidence, segment_sha256, config_sha256, stops_from,
        language, country
    )
    select
        cast(:campaign as text), drawn.customer_id, drawn.episode, drawn.anchor_at, cast(:as_of as timestamptz),
        cast(:run_id as bigint), cast(:version as text),
        coalesce(
            first_ones.arm,
            case when drawn.assigned_u < cast(:holdout as double precision) then 'holdout' else 'treated' end
        ),
        coalesce(
            first_ones.variant,
            (
                select variants.name
                from variants
                where drawn.variant_u < variants.upper
                order by variants.upper
                limit 1
            )
        ),
        coalesce(first_ones.assigned_u, drawn.assigned_u),
        coalesce(first_ones.variant_u, drawn.variant_u),
        first_ones.person_id is null,
        drawn.evidence, cast(:segment_sha256 as text), cast(:config_sha256 as text),
        case
            when cast(:has_conversations as boolean) then least(
                drawn.anchor_at,
                (
                    select conversations.opened_at
                    from core.conversations
                    where conversations.conversation_id = drawn.episode
                )
            )
        end,
        coalesce(customers.language, ''), coalesce(customers.country, '')
    from drawn
    left join first_ones on first_ones.person_id = drawn.person_id
    left join core.customers on customers.customer_id = drawn.person_id
    order by drawn.customer_id
    on conflict (campaign, customer_id, episode) do nothing
    returning arm, variant
)

select arm, variant, count(*) as enrolled
from enrolled
group by arm, variant
