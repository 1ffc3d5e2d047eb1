-- What was complained about before somebody resumed a campaign is forgiven.
alter table campaign.campaigns add column resumed_at timestamptz;

-- The newest accepted emails of a campaign are counted before every dispatch: how many of them were called spam.
create index sends_emails on campaign.sends (campaign, accepted_at) where channel = 'email' and accepted_at is not null;
