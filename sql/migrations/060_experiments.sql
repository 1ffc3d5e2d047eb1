-- What is remembered of experiments beside their people: how large a share was to be held out, and what came of those
-- that are over.

-- One row per version (I14), written by the first run that enrols in it. Versions from before this migration have none
-- until their next run; how their groups should divide is not known, so it is not checked.
create table campaign.experiments (
    campaign text not null,
    experiment_version text not null,
    holdout double precision not null,            -- planned share of people who are never written to
    primary key (campaign, experiment_version)
);

create view evaluation.experiments as
select campaign, experiment_version, holdout
from campaign.experiments;

-- Versions whose every person has had the longest window, as they were measured while the ledger had all of them: it
-- outlives the enrolments. Not emptied when everything else is measured anew.
create table evaluation.past_arms (
    campaign text not null,
    experiment_version text not null,
    arm text not null check (arm in ('treated', 'holdout')),
    first_enrolled_on date not null,
    last_enrolled_on date not null,
    people bigint not null,
    conversions bigint[] not null,                -- first goals by whole hours since enrolment, from the first hour on
    primary key (campaign, experiment_version, arm)
);
