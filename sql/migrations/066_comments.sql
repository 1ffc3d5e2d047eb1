-- What every table, view and column of `evaluation` is, said in the database itself, where other tools show it.
--
-- One word per thing: what several tables have in common is said once, in the list at the end.

comment on schema evaluation is
    'What came of the campaigns: counts and sums, no row about one person. Attributed figures count from the last '
    'accepted message before a purchase, incremental figures from enrolment, in both arms; the two are never added.';

-- What was measured, and when.

comment on table evaluation.data_as_of is
    'One row: the moment at which all measured tables were measured; no row before the first evaluation. Views show '
    'what is so right now.';
comment on column evaluation.data_as_of.one is 'Always true: keeps this table at one row';
comment on column evaluation.data_as_of.as_of is 'The moment that was measured: nothing later is in any measured table';
comment on column evaluation.data_as_of.business_zone is 'The time zone in which days begin and end';
comment on column evaluation.data_as_of.max_window_hours is
    'Longest window, in hours, that the tables with a column hours answer';
comment on column evaluation.data_as_of.max_window_hours_by_place is
    'Longest window, in hours, that the tables with language and country answer';

comment on view evaluation.database is 'One row: what kind of database this is';
comment on column evaluation.database.mode is
    'live or simulated; in a simulated one nothing leaves and time is played. Null: nothing was chosen or sent yet';
comment on column evaluation.database.business_zone is 'The time zone in which days begin and end';

comment on view evaluation.runs is 'The newest completed run of every flow, one row per flow and campaign';
comment on column evaluation.runs.flow is
    'reengage (chooses and plans), dispatch (sends), ingest (reads sources) or evaluate (measures), among others';
comment on column evaluation.runs.campaign is 'The campaign''s name; null: a run over everything';
comment on column evaluation.runs.as_of is 'The moment the run took for now, of its newest completed run';

-- Attributed: what followed a message, before the next one.

comment on table evaluation.attributed is
    'Purchases and first goals credited to the last accepted message before them, by the hours in between: the sum '
    'over hours < W answers a window of W hours. One row per campaign, step, channel, variant, currency, day of the '
    'message and hour. Attributed is not caused: see incremental.';
comment on table evaluation.attributed_by_place is
    'As attributed, also by the person''s language and country, for windows up to '
    'data_as_of.max_window_hours_by_place.';
comment on table evaluation.attributed_cells is
    'Accepted messages, the denominators of attributed: one row per campaign, step, channel, variant and day.';
comment on table evaluation.attributed_cells_by_place is
    'Accepted messages, the denominators of attributed_by_place: as attributed_cells, also by the person''s language '
    'and country.';

comment on table evaluation.reached_people is
    'People with at least one accepted message, each counted once per row. One row per campaign, grain and value. '
    'Never add rows: somebody who got two steps is in both.';
comment on table evaluation.converted_people is
    'Of the people reached, those with a goal credited to a message, by the hours of the shortest way from a message '
    'to a goal: the sum over hours < W within one grain and value is the people for a window of W hours.';
comment on column evaluation.converted_people.hours is
    'Whole hours from the message to the goal, by the shortest way of this person; 0 is the first hour';

-- Incremental: both arms from enrolment, reached or not.

comment on table evaluation.incremental is
    'What people of both arms did after enrolment, reached or not, by the hours since enrolment: the sum over hours < '
    'W answers a window of W hours, for the cells of incremental_cells whose window has passed. One row per campaign, '
    'experiment version, arm, variant, currency, enrolment day and hour. Never add experiment versions.';
comment on table evaluation.incremental_by_place is
    'As incremental, also by the person''s language and country, for windows up to '
    'data_as_of.max_window_hours_by_place.';
comment on table evaluation.incremental_cells is
    'People of every experiment by assigned arm, each by their first enrolment in the version: the denominators of '
    'incremental. One row per campaign, experiment version, arm, variant and enrolment day. For a window of W hours '
    'only rows with enrolled_until + W hours <= data_as_of.as_of count.';
comment on table evaluation.incremental_cells_by_place is
    'As incremental_cells, also by the person''s language and country: the denominators of incremental_by_place.';

comment on view evaluation.experiments is
    'Experiment versions and the share of people they were to hold out, one row per campaign and version.';
comment on column evaluation.experiments.holdout is
    'Planned share of people who are held out, 0 to 1. A version without a row here: it was never noted';

comment on table evaluation.past_arms is
    'What came of experiment versions that are over, kept as it was when the ledger still had all their people. One '
    'row per campaign, experiment version and arm.';
comment on column evaluation.past_arms.first_enrolled_on is
    'First day, in the business time zone, on which somebody of this arm was enrolled';
comment on column evaluation.past_arms.last_enrolled_on is
    'Last day, in the business time zone, on which somebody of this arm was enrolled';
comment on column evaluation.past_arms.people is 'People enrolled in this arm; every one has had the longest window';
comment on column evaluation.past_arms.conversions is
    'People by the hour since enrolment in which their first goal fell, a list from the first hour on: its first W '
    'entries add up to the people with the goal within W hours';

-- People and messages.

comment on table evaluation.people is
    'Where every enrolled person stands in a campaign, each counted once per campaign, over all their steps: the rows '
    'of a campaign add up to the people enrolled in it.';
comment on column evaluation.people.standing is
    'reached (a message was accepted), in_doubt (the provider''s answer was lost), to_come (a step is still to be '
    'sent), not_reached (nothing could be sent) or holdout (held out)';
comment on column evaluation.people.state is
    'State of the step that decides the standing: accepted, holdout, unknown (in doubt), in_flight, retry_wait, '
    'planned, waiting (nothing decided yet), rejected, suppressed, abandoned, expired or cancelled';
comment on column evaluation.people.reason is
    'Why nobody wrote to them, or not yet, as a reason code; empty: the state says it all';
comment on column evaluation.people.people is 'People enrolled in the campaign who stand there';

comment on table evaluation.sends is
    'Every message of the ledger by where it stood at data_as_of.as_of: one row per campaign, step, channel, variant, '
    'state and reason.';
comment on column evaluation.sends.state is
    'planned, retry_wait (to be tried again), in_flight (being sent), accepted (taken by the provider), unknown (in '
    'doubt: the answer was lost), rejected, suppressed, cancelled, expired or abandoned (in doubt for too long)';
comment on column evaluation.sends.sends is 'Messages';

comment on view evaluation.open_sends is
    'Messages that are open right now, by the hour since which they are: one row per campaign, channel, state and '
    'hour.';
comment on column evaluation.open_sends.state is 'planned, retry_wait, in_flight, or unknown (in doubt)';
comment on column evaluation.open_sends.since is
    'The hour in which they were last taken up to be sent; in which they were planned, where that has not happened';
comment on column evaluation.open_sends.sends is 'Messages';

comment on view evaluation.waiting is
    'Open messages that wait for something right now, and for what: one row per campaign, channel, state and reason.';
comment on column evaluation.waiting.state is 'planned or retry_wait (to be tried again)';
comment on column evaluation.waiting.reason is 'What they wait for, as a reason code: quiet, capped, gate, busy ...';
comment on column evaluation.waiting.sends is 'Messages';

comment on table evaluation.reports is
    'What providers reported about accepted messages, each message once per column: one row per campaign, step and '
    'channel. Shares are of accepted.';
comment on column evaluation.reports.accepted is 'Messages the provider took; that is not yet delivered';
comment on column evaluation.reports.delivered is
    'Of the accepted messages, those that arrived; an open, a click or an answer proves it too';
comment on column evaluation.reports.opened is
    'Of the accepted messages, those a person opened; a click counts as opened';
comment on column evaluation.reports.machine_opened is
    'Of the accepted messages, those that only a machine opened, such as a mail program that fetches every picture';
comment on column evaluation.reports.clicked is 'Of the accepted messages, those whose link was followed';
comment on column evaluation.reports.failed is 'Of the accepted messages, those reported as not arrived';
comment on column evaluation.reports.complained is 'Of the accepted messages, those called spam';
comment on column evaluation.reports.unsubscribed is 'Of the accepted messages, those answered by an unsubscribe';
comment on column evaluation.reports.replied is 'Of the accepted messages, those answered';

comment on table evaluation.send_costs is
    'What accepted WhatsApp messages cost: one row per campaign, step, day, country, category, standing and currency. '
    'The rows of a campaign add up to its accepted WhatsApp messages.';
comment on column evaluation.send_costs.country is 'Country of the number (ISO 3166); empty: not known';
comment on column evaluation.send_costs.category is
    'What WhatsApp charges by: marketing, utility, authentication or service; empty: not known';
comment on column evaluation.send_costs.standing is
    'free, charged (at the price of that day), no_price (charged at a price nobody told us) or not_delivered (costs '
    'nothing)';
comment on column evaluation.send_costs.currency is
    'Currency of the price (ISO 4217); XXX unless charged. Amounts of different currencies are never added';
comment on column evaluation.send_costs.is_example is
    'Whether the price is made up, which only simulated databases have';
comment on column evaluation.send_costs.sends is 'Accepted messages';
comment on column evaluation.send_costs.cost is 'What they cost together, in the currency; 0 unless charged';

-- Leads and retargets.

comment on table evaluation.leads is
    'Every lead of a campaign once, by how far it has come. A lead is a conversation: who clicked on two ads is two '
    'leads. The rows of a campaign add up to its leads.';
comment on column evaluation.leads.milestone is 'The furthest milestone reached: lead, deep_conversation or qualified';
comment on column evaluation.leads.last_retarget is 'Highest retarget (1, 2 or 3) sent to these leads; 0: none';
comment on column evaluation.leads.qualified_after is
    'The retarget that their qualification is credited to; 0: to none, or they have not qualified';

comment on table evaluation.retargeted_leads is
    'Leads that each retarget was sent to, by the milestone they were at when the next one left, or when it was '
    'measured: one row per campaign, retarget, milestone, language and country.';
comment on column evaluation.retargeted_leads.milestone is
    'lead, deep_conversation, qualified (after this retarget) or qualified_before (before it left, known only later)';

comment on table evaluation.retargets_by_hour is
    'Retargets, first answers and qualifications in the hour in which each happened: one row per campaign, retarget, '
    'language, country, day and hour. An answer stands in its own hour, not in that of the retarget it is credited to.';
comment on column evaluation.retargets_by_hour.happened_on is 'Day in the business time zone';
comment on column evaluation.retargets_by_hour.hour is 'Hour of the day in the business time zone, 0 to 23';
comment on column evaluation.retargets_by_hour.retargeted is 'Leads that the retarget was sent to in this hour';
comment on column evaluation.retargets_by_hour.first_responses is
    'Leads whose first message after the retarget, and before the next one, came in this hour';
comment on column evaluation.retargets_by_hour.qualified is
    'Leads whose qualification after the retarget, and before the next one, fell in this hour';

comment on table evaluation.qualified_leads is
    'Leads that qualified after a message, each credited to the last message before that: one row per campaign, step '
    'and day of the message.';
comment on column evaluation.qualified_leads.leads is 'Leads that qualified after a message of this day';

-- How customers buy.

comment on table evaluation.buying_months is
    'How customers buy, month by month up to the moment that was measured: one row per month of the business time '
    'zone, from the first purchase on. Late people are a state at the end of a month: months are not added.';
comment on column evaluation.buying_months.month is 'First day of the month, in the business time zone';
comment on column evaluation.buying_months.until is
    'Last day that is in it: the last of the month, or the day that was measured where the month is not over';
comment on column evaluation.buying_months.buyers is 'People with a purchase in the month, each counted once';
comment on column evaluation.buying_months.first_buyers is 'Of the buyers, people who had never bought before';
comment on column evaluation.buying_months.with_rhythm is
    'People with two purchase days or more at the end of the month, who so have a rhythm of their own';
comment on column evaluation.buying_months.late is
    'Of the people with a rhythm, those who were late by it at the end of the month';
comment on column evaluation.buying_months.became_late is 'People who became late by their own rhythm in the month';

comment on table evaluation.buying_gaps is
    'Time between purchases: purchase days of a month by the days since the purchase day before of the same person. '
    'One row per month and number of days.';
comment on column evaluation.buying_gaps.month is
    'First day of the month, in the business time zone, in which the later of the two purchase days fell';
comment on column evaluation.buying_gaps.days is 'Days since the purchase day before of the same person';
comment on column evaluation.buying_gaps.purchase_days is
    'Purchase days: a day on which one person bought, however often';

comment on table evaluation.bought_again is
    'Buyers of a month who bought again after it, by the days since their last purchase day in it: the sum over days '
    '<= D is who came back within D days. One row per month and number of days.';
comment on column evaluation.bought_again.month is
    'First day of the month, in the business time zone, in which they had bought before';
comment on column evaluation.bought_again.days is
    'Days from their last purchase day in the month to the next one, in a later month';
comment on column evaluation.bought_again.people is 'People, each counted once per month';

-- Ad audiences.

comment on view evaluation.audiences is
    'Audiences that campaigns keep on ad platforms: who should be in, who is, what is on the way, and what the '
    'platform says. One row per platform, audience and campaign; where two campaigns share an audience, what the '
    'platform says of it stands in both rows.';
comment on column evaluation.audiences.wanted is 'People who should be in it';
comment on column evaluation.audiences.applied is 'People who are in it, as far as the platform was told';
comment on column evaluation.audiences.to_add is 'People still to be added';
comment on column evaluation.audiences.to_remove is
    'People still to be removed, also those in it by a contact they no longer have';
comment on column evaluation.audiences.in_flight is
    'People of whom the platform was told and has not said yet what became of that';
comment on column evaluation.audiences.refused is
    'People who should be in it and cannot be: the platform does not take them, or nothing is known it could find '
    'them by';
comment on column evaluation.audiences.leaving is
    'People told to leave, of whom the platform has not said yet whether they are out';
comment on column evaluation.audiences.oldest_removal_at is
    'Since when somebody should be out who is still in, or may be; null: nobody';
comment on column evaluation.audiences.size_words is 'The platform''s own words about its size; empty: it said none';
comment on column evaluation.audiences.trouble is
    'Why the platform cannot be told anything of it, in its own words; null: it can';
comment on column evaluation.audiences.trouble_since is 'Since when it cannot be told; null: it can';
comment on column evaluation.audiences.deletion_begun_at is
    'Since when it is to be deleted there, since it lets nobody go any more; null: it is not';
comment on column evaluation.audiences.deleted_at is
    'When the platform has deleted it; null: it has not, or was not asked to';
comment on column evaluation.audiences.enough is
    'People who must belong in it before a deleted audience is made again; null: it was not deleted';

comment on view evaluation.audience_sizes is
    'What the platform said of an audience, once a day: one row per platform, audience and day.';
comment on column evaluation.audience_sizes.words is 'The platform''s own words about it; empty: none';

comment on view evaluation.refused_members is
    'People whom ad platforms do not take into an audience, or do not let go: one row per platform, audience, '
    'campaign, verb and reason.';
comment on column evaluation.refused_members.verb is 'add (they should join) or remove (they should leave)';
comment on column evaluation.refused_members.reason is 'Why, as a reason code';

comment on view evaluation.not_in_audience is
    'People who should not be in an audience, by why not: one row per platform, audience, campaign and reason.';
comment on column evaluation.not_in_audience.reason is
    'Why they should not be in it, as a reason code: stop_event, no_consent, no_address ...; empty: it was not noted';

-- What holds campaigns back.

comment on view evaluation.campaign_states is
    'Whether campaigns are active, paused by somebody or by a threshold, or ended; one that is not here is active.';
comment on column evaluation.campaign_states.campaign is 'The campaign''s name; * is the switch for all of them';
comment on column evaluation.campaign_states.state is 'active, paused or ended';
comment on column evaluation.campaign_states.reason is 'What was said about it; null: nothing';
comment on column evaluation.campaign_states.changed_at is 'Since when it is so';

comment on view evaluation.holds is
    'Campaigns held back by the data gate right now, since a delivery they rest on is held: one row per campaign and '
    'reason.';
comment on column evaluation.holds.reason is 'The delivery and what is wrong with it';
comment on column evaluation.holds.since is 'Since when the campaign is held for this reason';
comment on column evaluation.holds.loads is 'Deliveries that hold it for this reason';

-- What figures can be narrowed to.

comment on table evaluation.places is
    'Languages, countries and currencies that the figures of a campaign can be narrowed to: one row per campaign, '
    'kind and value.';
comment on column evaluation.places.kind is 'language, country or currency';
comment on column evaluation.places.value is
    'The language, the country, or the currency (ISO 4217); empty: a language or country that is not known';
comment on column evaluation.places.size is
    'How much there is of it, to order them by: people and leads, of a currency purchases. Not a figure to show';

-- Deliveries of data.

comment on view evaluation.loads is
    'The newest delivery of every source and how it fared at the data gate: one row per source and entity. Of one '
    'that was taken in, lines_in = accepted + duplicate + quarantined + parked + erased.';
comment on column evaluation.loads.state is
    'landed (waits for its checks), merged (taken in), held (held back by the data gate) or failed';
comment on column evaluation.loads.as_of is 'The moment of the delivery';
comment on column evaluation.loads.released_at is 'When somebody let a held delivery through; null: nobody did';
comment on column evaluation.loads.checks_passed is 'Expectations met';
comment on column evaluation.loads.checks_warned is 'Expectations broken that only warn';
comment on column evaluation.loads.checks_failed is 'Expectations broken that stop the delivery';
comment on column evaluation.loads.checks_without_history is 'Expectations without enough history to judge by';

comment on view evaluation.load_totals is 'All deliveries so far: one row per source and entity.';
comment on column evaluation.load_totals.loads is 'Deliveries';
comment on column evaluation.load_totals.held is 'Deliveries held back by the data gate right now';

comment on view evaluation.validations is
    'What was expected of the newest and of all held deliveries, and what was seen, without any value of a row: one '
    'row per delivery and expectation.';
comment on column evaluation.validations.expectation is 'What was expected, by the name of the expectation';
comment on column evaluation.validations.column_name is 'Of which column; null: of the delivery as a whole';
comment on column evaluation.validations.severity is 'critical (stops the delivery when broken) or warning';
comment on column evaluation.validations.outcome is 'passed, failed, warned or not_enough_history';
comment on column evaluation.validations.observed is 'What was seen: a count, share or age; null: nothing to show';
comment on column evaluation.validations.expected is 'The bound that was expected; null: it has none';
comment on column evaluation.validations.as_of is 'The moment of the delivery';

comment on view evaluation.quarantined is
    'Lines that the data gate set aside and nobody has mended yet: one row per source, entity, reason and column.';
comment on column evaluation.quarantined.reason is 'What is wrong with them, as a reason code';
comment on column evaluation.quarantined.column_name is
    'The column the reason is about; empty: the line as a whole';
comment on column evaluation.quarantined.lines is 'Lines set aside';
comment on column evaluation.quarantined.last_as_of is 'The moment of the newest delivery with such a line';

-- What several have in common.

do $$
declare
    said record;
begin
    for said in
        select
            named.relation,
            listed.column_name,
            listed.words
        from (
            values
            -- which campaign, message and person
            (
                '{attributed,attributed_by_place,attributed_cells,attributed_cells_by_place,audiences,'
                'converted_people,experiments,holds,incremental,incremental_by_place,incremental_cells,'
                'incremental_cells_by_place,leads,not_in_audience,open_sends,past_arms,people,places,qualified_leads,'
                'reached_people,refused_members,reports,retargeted_leads,retargets_by_hour,send_costs,sends,waiting}',
                'campaign',
                'The campaign''s name'
            ),
            (
                '{attributed,attributed_by_place,attributed_cells,attributed_cells_by_place,qualified_leads,reports,'
                'send_costs,sends}',
                'step',
                'Which message of the sequence: 1, 2 ...; 1.email where every usable channel gets one'
            ),
            (
                '{attributed,attributed_by_place,attributed_cells,attributed_cells_by_place,open_sends,reports,sends,'
                'waiting}',
                'channel',
                'How the person is reached: email, push, webpush, inbox, sms or whatsapp'
            ),
            (
                '{attributed,attributed_by_place,attributed_cells,attributed_cells_by_place,incremental,'
                'incremental_by_place,incremental_cells,incremental_cells_by_place,sends}',
                'variant',
                'The variant drawn for the person when they were enrolled; control where no other was'
            ),
            -- noted when somebody is enrolled, before anything is drawn, so that both arms may be narrowed by it
            (
                '{attributed_by_place,attributed_cells_by_place,incremental_by_place,incremental_cells_by_place,'
                'people}',
                'language',
                'The person''s language when they were enrolled, or today''s where that was not noted; empty: not known'
            ),
            (
                '{attributed_by_place,attributed_cells_by_place,incremental_by_place,incremental_cells_by_place,'
                'people}',
                'country',
                'The person''s country when they were enrolled, or today''s where that was not noted; empty: not known'
            ),
            (
                '{leads,retargeted_leads,retargets_by_hour}',
                'language',
                'The person''s language when the lead was first enrolled, or today''s where it was not or that was '
                'not noted; empty: not known'
            ),
            (
                '{leads,retargeted_leads,retargets_by_hour}',
                'country',
                'The person''s country when the lead was first enrolled, or today''s where it was not or that was not '
                'noted; empty: not known'
            ),
            (
                '{attributed,attributed_by_place,attributed_cells,attributed_cells_by_place,qualified_leads,reports,'
                'send_costs,sends}',
                'step',
                'Which message of the sequence: 1, 2 ...; 1.email where every usable channel gets one'
            ),
            (
                '{attributed,attributed_by_place,attributed_cells,attributed_cells_by_place,open_sends,reports,sends,'
                'waiting}',
                'channel',
                'How the person is reached: email, push, webpush, inbox, sms or whatsapp'
            ),
            (
                '{attributed,attributed_by_place,attributed_cells,attributed_cells_by_place,incremental,'
                'incremental_by_place,incremental_cells,incremental_cells_by_place,sends}',
                'variant',
                'The variant drawn for the person when they were enrolled; control where no other was'
            ),
            (
                '{attributed_by_place,attributed_cells_by_place,incremental_by_place,incremental_cells_by_place}',
                'language',
                'The person''s language; empty: not known'
            ),
            (
                '{attributed_by_place,attributed_cells_by_place,incremental_by_place,incremental_cells_by_place}',
                'country',
                'The person''s country; empty: not known'
            ),
            (
                '{attributed,attributed_by_place,attributed_cells,attributed_cells_by_place,qualified_leads,'
                'send_costs}',
                'sent_on',
                'Day, in the business time zone, on which the provider accepted the message'
            ),
            ('{sends}', 'reason', 'Why, as a reason code; empty: the state says it all'),
            -- figures of both clocks
            (
                '{attributed,attributed_by_place,incremental,incremental_by_place}',
                'currency',
                'Currency of the purchase (ISO 4217); XXX where a goal is no purchase. Amounts of different '
                'currencies are never added'
            ),
            (
                '{attributed,attributed_by_place}',
                'hours',
                'Whole hours from the message to the purchase or goal; 0 is the first hour. A window of W hours is '
                'the sum over hours < W'
            ),
            (
                '{incremental,incremental_by_place}',
                'hours',
                'Whole hours from enrolment to the purchase or goal; 0 is the first hour. A window of W hours is the '
                'sum over hours < W'
            ),
            (
                '{attributed,attributed_by_place}',
                'conversions',
                'Messages whose first goal fell in this hour. Each message counts once over all hours and currencies'
            ),
            (
                '{incremental,incremental_by_place}',
                'conversions',
                'People whose first goal after enrolment fell in this hour. Each person counts once over all hours '
                'and currencies'
            ),
            (
                '{attributed,attributed_by_place}',
                'purchases',
                'Purchases credited to the last accepted message before them, each once over all campaigns; refunded '
                'and cancelled ones are not in it'
            ),
            (
                '{incremental,incremental_by_place}',
                'purchases',
                'Purchases after enrolment; refunded and cancelled ones are not in it'
            ),
            (
                '{attributed,attributed_by_place,incremental,incremental_by_place}',
                'revenue',
                'Amount of those purchases, in the currency'
            ),
            (
                '{attributed,attributed_by_place}',
                'revenue_squares',
                'For spreads: summed up to a window, the sum over messages of the square of their revenue in it'
            ),
            (
                '{incremental,incremental_by_place}',
                'revenue_squares',
                'For spreads: summed up to a window, the sum over people of the square of their revenue in it'
            ),
            (
                '{attributed,attributed_by_place}',
                'revenue_by_pre',
                'For adjusting: summed up to a window, the sum over messages of revenue times revenue before enrolment'
            ),
            (
                '{incremental,incremental_by_place}',
                'revenue_by_pre',
                'For adjusting: summed up to a window, the sum over people of revenue times revenue before enrolment'
            ),
            (
                '{attributed_cells,attributed_cells_by_place}',
                'sends',
                'Messages the provider accepted on this day'
            ),
            (
                '{attributed_cells,attributed_cells_by_place}',
                'pre_revenue',
                'For adjusting: sum over messages of what the person spent before enrolment, as far back as the '
                'longest window, in the campaign''s main currency; without one all amounts added up, and so never to '
                'be shown as money'
            ),
            (
                '{incremental_cells,incremental_cells_by_place}',
                'pre_revenue',
                'For adjusting: sum over people of what they spent before enrolment, as far back as the longest '
                'window, in the campaign''s main currency; without one all amounts added up, and so never to be shown '
                'as money'
            ),
            (
                '{attributed_cells,attributed_cells_by_place}',
                'pre_revenue_squares',
                'For adjusting: sum over messages of the square of what the person spent before enrolment'
            ),
            (
                '{incremental_cells,incremental_cells_by_place}',
                'pre_revenue_squares',
                'For adjusting: sum over people of the square of what they spent before enrolment'
            ),
            -- people, each counted once
            (
                '{reached_people,converted_people}',
                'grain',
                'What people are counted by: campaign, step, channel or variant'
            ),
            (
                '{reached_people,converted_people}',
                'value',
                'The step, channel or variant; the campaign''s name where people are counted by campaign'
            ),
            ('{reached_people}', 'people', 'People with at least one accepted message'),
            ('{converted_people}', 'people', 'People whose shortest way from a message to a goal took so many hours'),
            -- experiments
            (
                '{experiments,incremental,incremental_by_place,incremental_cells,incremental_cells_by_place,past_arms}',
                'experiment_version',
                'The holdout of the campaign that was in force: another begins when the holdout, the variants or the '
                'salt change. Versions are never added up'
            ),
            (
                '{incremental,incremental_by_place,incremental_cells,incremental_cells_by_place,past_arms}',
                'arm',
                'treated or holdout, as the person was assigned, reached or not'
            ),
            (
                '{incremental,incremental_by_place,incremental_cells,incremental_cells_by_place}',
                'enrolled_on',
                'Day, in the business time zone, of the person''s first enrolment in the experiment version'
            ),
            (
                '{incremental_cells,incremental_cells_by_place}',
                'enrolled_until',
                'End of that day: once enrolled_until + W hours <= data_as_of.as_of everybody here has had W hours'
            ),
            ('{incremental_cells,incremental_cells_by_place}', 'people', 'People enrolled on this day'),
            -- leads
            ('{leads,retargeted_leads}', 'leads', 'Leads, which are conversations'),
            ('{retargeted_leads,retargets_by_hour}', 'retarget', 'Which retarget of a lead: 1, 2 or 3'),
            -- audiences
            (
                '{audiences,audience_sizes,not_in_audience,refused_members}',
                'platform',
                'The ad platform: meta, tiktok or google'
            ),
            (
                '{audiences,audience_sizes,not_in_audience,refused_members}',
                'audience',
                'The audience''s name, by which the platform lists it'
            ),
            ('{not_in_audience,refused_members}', 'people', 'People'),
            (
                '{audiences}',
                'measured_on',
                'The last day (UTC) on which the platform said how large it is; null: it has not said'
            ),
            ('{audience_sizes}', 'measured_on', 'Day (UTC) on which the platform said it'),
            (
                '{audiences,audience_sizes}',
                'least',
                'People the platform found, at least, where it rounds; null: it has not said'
            ),
            (
                '{audiences,audience_sizes}',
                'most',
                'People the platform found, at most, where it rounds; null: it has not said'
            ),
            (
                '{audiences,audience_sizes}',
                'match_rate',
                'Share of the people it was given that the platform found, 0 to 1; null: it has not said'
            ),
            ('{audiences,audience_sizes}', 'is_usable', 'Whether ads can be shown to it; null: it has not said'),
            -- deliveries
            ('{loads,load_totals,validations,quarantined}', 'source', 'The source, as config/sources.yaml calls it'),
            (
                '{loads,load_totals,validations,quarantined}',
                'entity',
                'What it delivers: customers, purchases, events, consents ...'
            ),
            ('{loads,validations}', 'load_id', 'Number of the delivery'),
            ('{loads,load_totals}', 'lines_in', 'Lines delivered'),
            ('{loads,load_totals}', 'accepted', 'Lines taken'),
            ('{loads,load_totals}', 'duplicate', 'Lines that were known before'),
            ('{loads,load_totals}', 'quarantined', 'Lines set aside as wrong'),
            ('{loads,load_totals}', 'parked', 'Lines that wait for their customer'),
            ('{loads,load_totals}', 'erased', 'Lines of people who asked to be forgotten')
        ) as listed (relations, column_name, words)
        cross join lateral unnest(cast(listed.relations as text[])) as named (relation)
    loop
        execute format('comment on column evaluation.%I.%I is %L', said.relation, said.column_name, said.words);
    end loop;
end
$$;
