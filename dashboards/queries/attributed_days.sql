/*
Messages by the day they were sent, and how many of them led to the goal within a window.

owner: evaluation
grain: one row per send day
params:
  campaign: text - the campaign's name
  hours: int = 24 - attribution window in hours
  channel: text = null - messages of one channel; left out: of all
  variant: text = null - messages of one variant; left out: of all
  first_day: date = null - messages sent on this day or later; left out: from the first on
  last_day: date = null - messages sent on this day or earlier; left out: up to the last
  language: text = null - people who had this language when they were enrolled ('': not known); left out: everybody
  country: text = null - people who lived there when they were enrolled ('': not known); left out: everybody
returns:
  sent_on: date unique - day in the business time zone
  sends: numeric - messages accepted
  conversions: numeric - of them, messages with a goal credited within the window
  is_open: boolean - whether some of these messages have not had the whole window yet
*/
with credited as (
    select channel, variant, sent_on, hours, conversions
    from evaluation.attributed
    where campaign = :campaign
        and :language is null
        and :country is null
    union all
    select channel, variant, sent_on, hours, conversions
    from evaluation.attributed_by_place
    where campaign = :campaign
        and (:language is not null or :country is not null)
        and language = coalesce(:language, language)
        and country = coalesce(:country, country)
),

accepted as (
    select channel, variant, sent_on, sends
    from evaluation.attributed_cells
    where campaign = :campaign
        and :language is null
        and :country is null
    union all
    select channel, variant, sent_on, sends
    from evaluation.attributed_cells_by_place
    where campaign = :campaign
        and (:language is not null or :country is not null)
        and language = coalesce(:language, language)
        and country = coalesce(:country, country)
),

goals as (
    select sent_on, sum(conversions) as conversions
    from credited
    where hours < :hours
        and channel = coalesce(:channel, channel)
        and variant = coalesce(:variant, variant)
        and sent_on between coalesce(:first_day, sent_on) and coalesce(:last_day, sent_on)
    group by sent_on
)

select
    cells.sent_on,
    sum(cells.sends) as sends,
    coalesce(max(goals.conversions), 0) as conversions,
    bool_or(
        (cast(cells.sent_on + 1 as timestamp) at time zone measured.business_zone)
        + make_interval(hours => :hours) > measured.as_of
    ) as is_open
from accepted as cells
cross join evaluation.data_as_of as measured
left join goals on goals.sent_on = cells.sent_on
where cells.channel = coalesce(:channel, cells.channel)
    and cells.variant = coalesce(:variant, cells.variant)
    and cells.sent_on between coalesce(:first_day, cells.sent_on) and coalesce(:last_day, cells.sent_on)
group by cells.sent_on
order by cells.sent_on
