-- When somebody decided that a message which certainly never arrived may be tried again: refusals before that moment no
-- longer speak against a channel.
alter table campaign.sends add column resent_at timestamptz;
