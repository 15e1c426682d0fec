-- All that is known of one job, in the order it happened.
--
--   st-export query "$(cat configs/recipes/job-history.sql)"
--
-- Put the job's number into the first line below. Reads every version of the job, its appointments and their assignments (the `_log`
-- views: a version is what the service showed when an export asked, so two edits between two exports are one), its notes, its
-- events and its invoices. `exported_at` is when the exporter first saw it.
WITH wanted AS (SELECT '1' AS "jobNumber"),
job AS (
    SELECT DISTINCT jobs._tenant_id, jobs.id
    FROM jpm.jobs_log AS jobs
    JOIN wanted USING ("jobNumber")
),
happened AS (
    SELECT log._tenant_id, log."modifiedOn" AS happened_at, 'job' AS what, log."jobStatus" || ', total ' || log.total::DECIMAL(18, 2) AS detail, log._exported_at
    FROM jpm.jobs_log AS log
    JOIN job USING (_tenant_id, id)
    UNION ALL
    SELECT log._tenant_id, log."modifiedOn", 'appointment ' || log."appointmentNumber", log.status || ', ' || log.start || ' to ' || log."end", log._exported_at
    FROM jpm.appointments_log AS log
    JOIN job ON job._tenant_id = log._tenant_id AND job.id = log."jobId"
    UNION ALL
    SELECT log._tenant_id, log."modifiedOn", 'assignment', log."technicianName" || ', ' || log.status, log._exported_at
    FROM dispatch.appointment_assignments_log AS log
    JOIN job ON job._tenant_id = log._tenant_id AND job.id = log."jobId"
    UNION ALL
    SELECT note._tenant_id, note."createdOn", 'note', note.text, note._exported_at
    FROM jpm.job_notes AS note
    JOIN job ON job._tenant_id = note._tenant_id AND job.id = note."jobId"
    UNION ALL
    SELECT events._tenant_id, event.date, 'event', event."eventType", events._exported_at
    FROM (SELECT _tenant_id, "jobId", _exported_at, unnest(history) AS event FROM jpm.job_history) AS events
    JOIN job ON job._tenant_id = events._tenant_id AND job.id = events."jobId"
    UNION ALL
    SELECT invoice._tenant_id, invoice."createdOn", 'invoice ' || invoice."referenceNumber",
        'total ' || invoice.total::DECIMAL(18, 2) || ', balance ' || invoice.balance::DECIMAL(18, 2), invoice._exported_at
    FROM accounting.invoices AS invoice
    JOIN job ON job._tenant_id = invoice._tenant_id AND job.id = invoice.job.id
)
SELECT _tenant_id AS tenant_id, happened_at, what, detail, _exported_at AS exported_at
FROM happened
ORDER BY tenant_id, happened_at NULLS LAST, what, exported_at
