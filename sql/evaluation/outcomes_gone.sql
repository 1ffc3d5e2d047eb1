/*
Drop outcomes of people who are no unit of an experiment any more, such as the later of two that were merged.

owner: engineering
grain: no rows
*/
delete from campaign.outcomes as known
where not exists (
    select 1
    from measured_people as unit
    where unit.campaign = known.campaign
        and unit.experiment_version = known.experiment_version
        and unit.customer_id = known.customer_id
)
