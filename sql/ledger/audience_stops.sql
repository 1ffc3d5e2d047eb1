/*
Note when the episodes end of people who bought, or did what ends them, at a moment that is still to come: they are
looked at again when it has come, though nothing changes then.

Reads the temporary table audience_people.

owner: engineering
params:
  as_of: timestamptz - decision clock
*/
update campaign.enrolments
set stops_at = audience_people.stops_at
from audience_people
where
    enrolments.enrolment_id = audience_people.enrolment_id
    and enrolments.closed_at is null
    and audience_people.stops_at > cast(:as_of as timestamptz)
    and enrolments.stops_at is distinct from audience_people.stops_at
