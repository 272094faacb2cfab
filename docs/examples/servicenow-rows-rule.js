// Business rule, one each on cmdb_ci, cmdb_rel_ci, task_ci and cmn_schedule_span: after; insert,
// update and delete. Conditions that keep it quiet: on cmdb_ci that the name, class or business
// criticality changes; on task_ci that Task.Task type is Change Request; on cmn_schedule_span that
// Schedule.Type is blackout or maintenance. System properties as for the rule on change_request.
(function executeRule(current, previous) {
    var ROW = ['sys_id', 'sys_created_on', 'sys_updated_on'];
    var COLUMNS = {
        cmdb_rel_ci: ['parent', 'child', 'type'],
        task_ci: ['task', 'ci_item'],
        cmn_schedule_span: ['name', 'schedule', 'start_date_time', 'end_date_time', 'repeat_type']
    };
    var ITEM = ['sys_class_name', 'name', 'business_criticality'];
    var SCHEDULE = ['sys_id', 'name', 'type', 'time_zone', 'condition'];

    function both(record, columns) {
        var row = {};
        for (var i = 0; i < columns.length; i++) {
            row[columns[i]] = {
                value: String(record.getValue(columns[i]) || ''),
                display_value: String(record.getDisplayValue(columns[i]) || '')
            };
        }
        return row;
    }

    try {
        var table = current.getTableName();
        var body = { table: table, operation: current.operation(),
                     record: both(current, ROW.concat(COLUMNS[table] || ITEM)) };
        var schedule = new GlideRecord('cmn_schedule');
        if (table == 'cmn_schedule_span' && schedule.get(current.getValue('schedule'))) {
            body.schedule = both(schedule, SCHEDULE);
        }
        var request = new sn_ws.RESTMessageV2();
        request.setEndpoint(gs.getProperty('changerisk.url') + '/v1/webhooks/servicenow');
        request.setHttpMethod('POST');
        request.setRequestHeader('Authorization', 'Bearer ' + gs.getProperty('changerisk.key'));
        request.setRequestHeader('Content-Type', 'application/json');
        request.setRequestBody(JSON.stringify(body));
        request.setHttpTimeout(5000);
        request.executeAsync(); // nobody waits; a row that was deleted is at hand here, and only here
    } catch (error) {
        gs.warn('changerisk: ' + error); // what is not told comes by changerisk sync
    }
})(current, previous);
