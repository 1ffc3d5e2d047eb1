/*
Write the intents: one row per planned step, under a key that no run and no channel changes. A row whose channel is
no longer the first viable one moves to the one that is, as long as nothing left.

owner: engineering
grain: one row
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  run_id: bigint - the run
  versions: jsonb - which words each step, variant and channel is made of, and who delivers it
  voucher_code: text nullable - the code put in front of everyone (B8)
  priority: int - who goes first when a cap leaves room for one
  anchor_moves: boolean - whether a message that has not been tried follows its step to another due time (A4)
returns:
  written: bigint - intents made or moved
*/
with versions as materialized (
    select version.step, version.variant, version.channel, version.sha256, version.provider
    from jsonb_to_recordset(cast(:versions as jsonb)) as version (
        step text, variant text, channel text, sha256 text, provider text
    )
),

written as (
    insert into campaign.sends as known (
        send_key, enrolment_id, campaign, customer_id, episode, step, variant, arm, channel, provider,
        template_version, due_at, not_before, expires_at, priority, state, voucher_code, planned_at, run_id
    )
    select
        encode(
            sha256(
                convert_to(
                    'v1|' || cast(:campaign as text) || '|' || verdicts.customer_id || '|' || verdicts.episode
                    || '|' || verdicts.step, 'UTF8'
                )
            ), 'hex'
        ) as send_key,
        verdicts.enrolment_id, cast(:campaign as text), verdicts.customer_id, verdicts.episode, verdicts.step,
        verdicts.variant, verdicts.arm, verdicts.channel, versions.provider, versions.sha256, verdicts.due_at,
        greatest(verdicts.due_at, cast(:as_of as timestamptz)), verdicts.expires_at, cast(:priority as int),
        'planned', cast(:voucher_code as text), cast(:as_of as timestamptz), cast(:run_id as bigint)
    from verdicts
    inner join versions
        on versions.step = split_part(verdicts.step, '.', 1)
        and versions.variant = verdicts.variant
        and versions.channel = verdicts.channel
    where verdicts.state = 'planned'
    order by send_key
    on conflict (send_key) do update
    set
        variant = excluded.variant,
        channel = excluded.channel,
        provider = excluded.provider,
        template_version = excluded.template_version,
        voucher_code = excluded.voucher_code,
        state = 'planned',
        reason = case when known.state = 'planned' then known.reason end,
        settled_at = null,
        due_at = case
            when cast(:anchor_moves as boolean) and known.attempt_no = 0 then excluded.due_at
            else known.due_at
        end,
        expires_at = case
            when cast(:anchor_moves as boolean) and known.attempt_no = 0 then excluded.expires_at
            else known.expires_at
        end,
        not_before = case
            when known.state <> 'planned' then excluded.not_before
            when cast(:anchor_moves as boolean) and known.attempt_no = 0 and excluded.due_at <> known.due_at
                then excluded.not_before
            else known.not_before
        end
    where
        (
            known.state in ('planned', 'suppressed')
            or (known.state = 'cancelled' and known.reason in ('left_segment', 'step_removed'))
        )
        and (
            (
                known.state, known.variant, known.channel, known.provider, known.template_version, known.voucher_code
            ) is distinct from (
                'planned', excluded.variant, excluded.channel, excluded.provider, excluded.template_version,
                excluded.voucher_code
            )
            or (cast(:anchor_moves as boolean) and known.attempt_no = 0 and known.due_at <> excluded.due_at)
        )
    returning send_key
)

select count(*) as written
from written
