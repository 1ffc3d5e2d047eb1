-- What every message costs in the ledger.

-- An attempt is written twice, when it is opened and when it is answered: with room beside it, no index has to know.
alter table campaign.attempts set (fillfactor = 50);

-- A voucher event is made of the row of the ledger it names, in the statement that accepts that row, and erasing takes
-- it away by customer: the check found nothing and cost as much as the acceptance itself.
alter table campaign.voucher_events drop constraint voucher_events_send_key_fkey;
