/*
What the law says about consents that an ad platform accepts for some time only, and the business day it is counted to:
where any is, a day may end a consent of which nothing changed (C7).

owner: engineering
grain: one row
params:
  as_of: timestamptz - decision clock
  purpose: text - purpose of the consents
  bases: text[] - consent bases that any ad platform of the campaign accepts
returns:
  law: text nullable - differs when anybody's consents may have ended by law
*/
select
    string_agg(concat_ws(' ', rules.area, rules.basis, rules.months), ', ' order by rules.area, rules.basis)
    || cast(cast(cast(:as_of as timestamptz) at time zone min(place.business_zone) as date) as text) as law
from campaign.implied_consents as rules
cross join campaign.database as place
where rules.purpose = cast(:purpose as text) and rules.basis = any(cast(:bases as text[]))
