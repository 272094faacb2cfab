// Business rule on change_request: async, insert and update; condition in the form's filter:
// type, cmdb_ci, start_date, end_date, assignment_group or a plan changes, and state is New or Assess.
// System properties: changerisk.url (https://...), changerisk.key (a key of the role service, password2).
(function executeRule(current, previous) {
    var COLUMNS = [
        'sys_id', 'number', 'sys_class_name', 'sys_mod_count', 'sys_created_on', 'sys_updated_on',
        'type', 'chg_model', 'category', 'state', 'risk', 'impact', 'urgency', 'priority',
        'short_description', 'description', 'justification', 'implementation_plan', 'backout_plan',
        'test_plan', 'cmdb_ci', 'business_service', 'assignment_group', 'assigned_to', 'requested_by',
        'opened_at', 'start_date', 'end_date', 'work_start', 'closed_at', 'close_code', 'cab_required'
    ];

    function both(record, column) {
        return {
            value: String(record.getValue(column) || ''),
            display_value: String(record.getDisplayValue(column) || '')
        };
    }

    function body() {
        var row = {};
        for (var i = 0; i < COLUMNS.length; i++) {
            row[COLUMNS[i]] = both(current, COLUMNS[i]);
        }
        var affected = [];
        var items = new GlideRecord('task_ci');
        items.addQuery('task', current.getUniqueValue());
        items.query();
        while (items.next()) {
            affected.push(both(items, 'ci_item'));
        }
        return { table: 'change_request', operation: current.operation(), record: row,
                 affected_cis: affected };
    }

    try {
        var request = new sn_ws.RESTMessageV2();
        request.setEndpoint(gs.getProperty('changerisk.url') + '/v1/webhooks/servicenow');
        request.setHttpMethod('POST');
        request.setRequestHeader('Authorization', 'Bearer ' + gs.getProperty('changerisk.key'));
        request.setRequestHeader('Content-Type', 'application/json');
        request.setRequestHeader('Idempotency-Key',
            current.getUniqueValue() + '-' + current.getValue('sys_mod_count'));
        request.setRequestBody(JSON.stringify(body()));
        request.setHttpTimeout(5000);
        var response = request.execute();
        var answer = JSON.parse(response.getBody());
        if (response.getStatusCode() != 200 || answer.incident_probability === null) {
            gs.info('changerisk: no score for ' + current.getValue('number') + ': ' + answer.summary);
            return;
        }
        for (var w = 0; w < answer.warnings.length; w++) {
            if (answer.warnings[w].code == 'superseded') {
                return; // a later update was scored before this one came
            }
        }
        var change = new GlideRecord('change_request');
        if (!change.get(current.getUniqueValue())) {
            return;
        }
        var news = change.getValue('u_risk_band') != answer.risk_band;
        change.setValue('u_risk_probability', answer.incident_probability);
        change.setValue('u_risk_band', answer.risk_band);
        if (news) {
            var top = [];
            for (var i = 0; i < answer.factors.length && i < 3; i++) {
                top.push(answer.factors[i].text);
            }
            change.setValue('work_notes', answer.summary + '\n' + top.join('\n'));
        }
        change.setWorkflow(false); // or this rule would run again
        change.update();
    } catch (error) {
        gs.warn('changerisk: ' + error); // the change goes on without a score
    }
})(current, previous);
