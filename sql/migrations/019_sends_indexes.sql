-- Every message moves through the ledger in a few updates, and each enters every index: only those that are asked stay.
drop index campaign.sends_customer_id_idx;
drop index campaign.sends_customer_id_channel_accepted_at_idx;
create index sends_of_customer on campaign.sends (customer_id, channel, accepted_at);
drop index campaign.sends_campaign_state_idx;
create index sends_waiting on campaign.sends (campaign) where state in ('planned', 'retry_wait');
