/*
What the WhatsApp messages that are planned would cost if each left as soon as it may, on what is known now: a step
that is overdue leaves at once, and those after it keep their distance (A2b). Reads the temporary tables of the plan.

owner: engineering
grain: one row per step, standing, country without a price, and currency
params:
  as_of: timestamptz - decision clock
  categories: jsonb - step, variant and category of the campaign's WhatsApp messages, and whether they have a template
  pays: boolean - whether it writes outside the free window
returns:
  step: text - the step or sub-step
  standing: text - free, charged, no_price; outside_free_window, needs_template: it would not leave
  country: text nullable - of numbers without a price
  currency: text nullable - ISO 4217 code
  is_example: boolean - whether the price is made up
  people: bigint - messages
  cost: numeric nullable - what they cost together
*/
with categories as (
    select asked.step, asked.variant, asked.category, asked.has_template
    from jsonb_to_recordset(cast(:categories as jsonb)) as asked (
        step text, variant text, category text, has_template boolean
    )
),

leaving as (
    select
        customer_id,
        episode,
        step,
        variant,
        channel,
        greatest(
            due_at, cast(:as_of as timestamptz) + (due_at - min(due_at) over (partition by enrolment_id))
        ) as at
    from verdicts
    where state = 'planned'
),

asked as (
    select
        leaving.step,
        people.phone_country,
        categories.category,
        campaign.is_charged(people.ids, categories.category, leaving.at, leaving.at) as is_charged,
        -- the window of this conversation, as the claim asks: what another one or the category makes free is none (A2)
        exists (
            select from core.leads
            inner join core.conversations on leads.conversation_id = conversations.conversation_id
            left join campaign.whatsapp_source as source on true
            where
                leads.conversation_id = leaving.episode
                and coalesce(
                    conversations.account
                    = any(
                        case when conversations.is_derived then source.webhook_accounts else source.file_accounts end
                    ),
                    true
                )
                and leads.free_opens_at <= leaving.at
                and leads.free_ends_at > leaving.at
        ) as is_free_entry,
        not categories.has_template
        and not campaign.is_in_service_window(people.ids, leaving.at, leaving.at) as needs_template,
        cast(leaving.at at time zone place.business_zone as date) as sent_on
    from leaving
    inner join people_ids on people_ids.customer_id = leaving.customer_id
    inner join people on people.person_id = people_ids.person_id
    inner join categories
        on categories.step = split_part(leaving.step, '.', 1)
        and categories.variant = leaving.variant
    cross join campaign.database as place
    where leaving.channel = 'whatsapp'
),

priced as (
    select
        asked.step,
        case
            when not asked.is_free_entry and not cast(:pays as boolean) then 'outside_free_window'
            when asked.needs_template then 'needs_template'
            when not asked.is_charged then 'free'
            when price.price is null then 'no_price'
            else 'charged'
        end as standing,
        asked.phone_country,
        price.currency,
        price.price,
        price.is_example
    from asked
    left join lateral campaign.whatsapp_price(asked.phone_country, asked.category, asked.sent_on) as price
        on asked.is_charged and not asked.needs_template and cast(:pays as boolean)
)

select
    step,
    standing,
    case when standing = 'no_price' then phone_country end as country,
    currency,
    coalesce(is_example, false) as is_example,
    count(*) as people,
    sum(price) as cost
from priced
group by step, standing, case when standing = 'no_price' then phone_country end, currency, coalesce(is_example, false)
order by step, standing, currency, country
