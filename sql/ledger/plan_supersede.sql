/*
Close the decisions that no longer hold.

owner: engineering
params:
  as_of: timestamptz - decision clock
*/
update campaign.decisions
set superseded_at = cast(:as_of as timestamptz)
from verdicts
where decisions.decision_id = verdicts.decision_id and verdicts.is_changed
