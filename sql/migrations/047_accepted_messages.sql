-- While messages leave, it is asked again and again how many of a campaign's newest ones, and of a day's, failed or were
-- called spam, on whatever channel they went. The channel is in the index, so that emails are found among the others.
drop index campaign.sends_emails;
create index sends_accepted on campaign.sends (campaign, accepted_at, channel) where accepted_at is not null;

-- Most reports tell of nothing bad: what does is found by when it was told.
create index message_reports_bad on campaign.message_reports (least(bounced_at, failed_at, complained_at))
where least(bounced_at, failed_at, complained_at) is not null;
