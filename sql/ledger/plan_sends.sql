/*
Write the intents: one row per planned step, under a key that no run and no channel changes. A row whose channel is
no longer the first viable one moves to the one that is, as long as nothing left.

owner: engineering
grain: one row
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  run_id: bigint - the run
  provider: text - who delivers
  versions: jsonb - which words each step, variant and channel is made of
  voucher_code: text nullable - the code put in front of everyone (B8)
  priority: int - who goes first when a cap leaves room for one
returns:
  written: bigint - intents made or moved
*/
with versions as materialized (
    select version.step, version.variant, version.channel, version.sha256
    from jsonb_to_recordset(cast(:versions as jsonb)) as version (
        step text, variant text, channel text, sha256 text
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
        verdicts.variant, verdicts.arm, verdicts.channel, cast(:provider as text), versions.sha256, verdicts.due_at,
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
        not_before = case when known.state = 'planned' then known.not_before else excluded.not_before end
    where
        (
            known.state in ('planned', 'suppressed')
            or (known.state = 'cancelled' and known.reason = 'left_segment')
        )
        and (
            known.state, known.variant, known.channel, known.provider, known.template_version, known.voucher_code
        ) is distinct from (
            'planned', excluded.variant, excluded.channel, excluded.provider, excluded.template_version,
            excluded.voucher_code
        )
    returning send_key
)

select count(*) as written
from written
