/*
Whether any conversation waits for its milestones, or all do because the rule is another one.

owner: engineering
grain: one row
params:
  sha256: text - what tells this rule from another
returns:
  waiting: boolean - there is something to do
*/
select
    exists (select from core.conversations_changed)
    or (
        exists (select from core.conversations where milestone is null)
        and not exists (select from core.milestone_rule where milestone_rule.sha256 = cast(:sha256 as text))
    ) as waiting
